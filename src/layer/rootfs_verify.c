/* SPDX-License-Identifier: MIT */
/*
 * The root of a process, through /proc/PID/root. Whether it is that of its mount
 * namespace tells one who enters the namespace: setns(2) leads to the namespace's root,
 * and if that is another one the process was only put below it, as by chroot(2).
 */
#include "hako/layer.h"
#include "hako/file.h"
#include "hako/words.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static const struct json *
root_at(const struct plan *plan, const char *member)
{
	return json_member(plan->config->root->at, member);
}

static void
verify_path(const struct plan *plan, const struct observed *o, struct verdicts *v)
{
	const struct claim claim = {CHECK_ROOT_PATH, root_at(plan, "path")};
	struct stat expected, found;
	bool same;

	if (!verdict_begin(v, claim))
		return;
	if (o->root < 0 || observed_stat(o->root, "", AT_EMPTY_PATH, &found) < 0) {
		verdict_unknown(v, claim, "/proc/PID/root: %s", error_text(o->root_code));
		return;
	}
	if (observed_stat(AT_FDCWD, plan->rootfs, 0, &expected) < 0) {
		verdict_unknown(v, claim, "%s: %s", plan->rootfs, error_text(errno));
		return;
	}
	same = file_is_same(&expected, &found);
	verdict_add(v, claim, same, plan->rootfs, same ? plan->rootfs : "another directory");
}

static void
verify_pivot(const struct plan *plan, struct observed *o, struct verdicts *v)
{
	const struct claim claim = {CHECK_ROOT_PIVOT, root_at(plan, "path")};
	uint64_t top = observed_top_mount(o), found;
	bool is_root;

	if (top == 0) {
		verdict_unknown(v, claim, "enter the mount namespace: %s", error_text(errno));
		return;
	}
	found = observed_mount_id(o->root, &is_root);
	verdict_compare(v, claim, "the root of the mount namespace",
	                found == top && is_root ? "the root of the mount namespace"
	                                        : "a directory of it, with more above");
}

/* Asked for or not: a root that has become read-only, or stopped to be, is another one. */
static void
verify_readonly(const struct plan *plan, struct verdicts *v, const struct mount_line *root)
{
	bool readonly = plan->root_readonly;
	struct statvfs host;

	/* where the bundle cannot be written to, neither can the container */
	if (!readonly && statvfs(plan->rootfs, &host) == 0 && (host.f_flag & ST_RDONLY) != 0)
		return;
	verdict_compare(v, (struct claim){CHECK_ROOT_READONLY, root_at(plan, "readonly")},
	                readonly ? "ro" : "rw", words_include(root->options, "ro") ? "ro" : "rw");
}

/* A slave of a private mount is private. */
static void
verify_propagation(const struct plan *plan, struct verdicts *v, const struct mount_line *root)
{
	const struct json *at = json_member(plan->config->linux_->at, "rootfsPropagation");
	unsigned long wanted = plan->root_propagation_after != 0 ? plan->root_propagation_after
	                                                         : plan->root_propagation;
	const char *found = mount_propagation(root);
	const char *expected = (wanted & MS_SHARED) != 0       ? "shared"
	                       : (wanted & MS_UNBINDABLE) != 0 ? "unbindable"
	                       : (wanted & MS_SLAVE) != 0      ? "slave"
	                                                       : "private";

	verdict_add(v, (struct claim){CHECK_ROOT_PROPAGATION, at},
	            strcmp(expected, found) == 0 ||
	                    ((wanted & MS_SLAVE) != 0 && strcmp(found, "private") == 0),
	            expected, found);
}

LAYER_VERIFY(rootfs_verify)
{
	const struct mountinfo *mounts;
	const struct mount_line *root;
	bool is_root;

	verify_path(plan, o, v);
	if (!plan_creates(plan, CLONE_NEWNS))
		return;
	if (verdicts_want(v, CHECK_ROOT_PIVOT, NULL))
		verify_pivot(plan, o, v);
	mounts = observed_mounts(o);
	root = mounts != NULL && o->root >= 0
	               ? mountinfo_find(mounts, observed_mount_id(o->root, &is_root))
	               : NULL;
	if (root == NULL) {
		verdict_unknown(v, (struct claim){CHECK_ROOT_READONLY, root_at(plan, "readonly")},
		                "the mount of the root is not to be seen");
		return;
	}
	verify_readonly(plan, v, root);
	verify_propagation(plan, v, root);
}
