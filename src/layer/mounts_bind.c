/* SPDX-License-Identifier: MIT */
/*
 * Bind mounts: the source is cloned as a detached tree, finished, and attached
 * (open_tree(2), move_mount(2)). Init opens the sources, because an earlier mount
 * may provide one; the parent does it before for those that init of a user
 * namespace has no right to reach, and for idmapped ones, which take privileges
 * over the filesystem.
 */
#include "hako/mounts.h"
#include "hako/mounts_shown.h"
#include "hako/path.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

/* Sources --------------------------------------------------------------------- */

static int
open_source(const struct mount_plan *m, struct error *e)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (m->recursive ? AT_RECURSIVE : 0);
	int fd;

	if (m->source_nofollow || m->copy_symlink)
		flags |= AT_SYMLINK_NOFOLLOW;
	fd = open_tree(AT_FDCWD, m->source, flags);
	if (fd < 0)
		return json_error(json_member(m->at, "source"), e, errno, "mount-failed",
		                  "bind mount source %s", m->source);
	return fd;
}

/* A link that is not followed is where its name says, wherever it leads. */
static char *
resolve(const struct mount_plan *m)
{
	const char *name = strrchr(m->source, '/');
	autofree char *folder = NULL, *resolved = NULL;
	char *path;

	if ((!m->source_nofollow && !m->copy_symlink) || name == NULL)
		return realpath(m->source, NULL);
	if (asprintf(&folder, "%.*s/", (int)(name - m->source), m->source) < 0)
		folder = NULL;
	resolved = folder != NULL ? realpath(folder, NULL) : NULL;
	return resolved != NULL && asprintf(&path, "%s%s", resolved, name) >= 0 ? path : NULL;
}

/* Below the rootfs an earlier mount may provide the source, so that only init sees it. */
static bool
is_outside(const char *rootfs, const struct mount_plan *m)
{
	autofree char *resolved = resolve(m);
	size_t length = strlen(rootfs);

	return resolved != NULL &&
	       (strncmp(resolved, rootfs, length) != 0 || resolved[length] != '/');
}

/* Init of a user namespace lacks the privileges; whether they would do is not known yet. */
static int
check_inside(const struct plan *plan, const struct mount_plan *m, struct error *e)
{
	if (m->idmap == NULL || !plan_isolates(plan, CLONE_NEWUSER) || access(m->source, F_OK) < 0)
		return 0;
	return json_error(json_member(m->at, "source"), e, 0, "mount-unsupported",
	                  "with a user namespace, the source of an idmapped mount cannot be "
	                  "inside the rootfs");
}

/* With a user namespace the parent reaches more than init. */
static bool
beyond_init(const struct plan *plan)
{
	return plan->options.is_root && plan_isolates(plan, CLONE_NEWUSER);
}

/* A clone of the parent's mounts is a peer of theirs; let it be as one of init's would. */
static int
part(const struct plan *plan, const struct mount_plan *m, int tree, struct error *e)
{
	if (tree < 0 || sys_propagate(tree, plan->root_propagation) == 0)
		return 0;
	return mount_fail(m, e, "set the propagation of");
}

static int
open_early(const struct plan *plan, struct handles *h, size_t i, const char *rootfs,
           struct error *e)
{
	const struct mount_plan *m = &plan->mounts[i];

	if (beyond_init(plan))
		h->mounts[i] = mounts_shown_open(plan, m);
	if (m->kind != MOUNT_BIND)
		return part(plan, m, h->mounts[i], e);
	if (m->idmap != NULL && mount_idmap_open(plan, h, i, e) < 0)
		return -1;
	if (m->idmap == NULL && !beyond_init(plan))
		return 0;
	if (!is_outside(rootfs, m))
		return check_inside(plan, m, e);
	h->mounts[i] = open_source(m, e);
	/* without rights over this mount namespace it is left to init, who has its own */
	if (h->mounts[i] < 0)
		return m->idmap == NULL && e->code == EPERM ? 0 : -1;
	if (part(plan, m, h->mounts[i], e) < 0)
		return -1;
	if (m->idmap == NULL || h->mount_users[i] < 0)
		return 0;
	return mount_idmap_apply(m, h->mounts[i], h->mount_users[i], e);
}

static bool
is_needed(const struct plan *plan)
{
	if (beyond_init(plan))
		return plan->mount_count > 0;
	for (size_t i = 0; i < plan->mount_count; i++)
		if (plan->mounts[i].idmap != NULL)
			return true;
	return false;
}

/* Each takes one or two at the same time, and services start with a low soft limit. */
static void
raise_descriptors(const struct plan *plan, struct handles *h)
{
	enum { FEW = 64 };
	struct rlimit limit;

	if (plan->mount_count <= FEW || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	h->descriptors_soft = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* else a source will say that it does not fit */
}

void
mounts_lower_descriptors(struct handles *h)
{
	struct rlimit limit;

	if (h->descriptors_soft == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = h->descriptors_soft;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	h->descriptors_soft = 0;
}

LAYER_RUN(mounts_open)
{
	autofree char *rootfs = NULL;

	if (!is_needed(plan))
		return 0;
	raise_descriptors(plan, h);
	rootfs = realpath(plan->rootfs, NULL);
	h->mounts = calloc(plan->mount_count, sizeof(*h->mounts));
	h->mount_users = calloc(plan->mount_count, sizeof(*h->mount_users));
	if (rootfs == NULL || h->mounts == NULL || h->mount_users == NULL)
		return error_set(e, errno, "mount-failed", "make ready for mounts");
	for (size_t i = 0; i < plan->mount_count; i++) {
		h->mounts[i] = h->mount_users[i] = -1;
		if (open_early(plan, h, i, rootfs, e) < 0)
			return -1;
	}
	return 0;
}

/* Targets --------------------------------------------------------------------- */

/* Reached through links on the way, if not through one at its end. */
static int
check_unfollowed(const struct mount_plan *m, int target, struct error *e)
{
	struct statfs fs;

	if (fstatfs(target, &fs) == 0 && fs.f_type != PROC_SUPER_MAGIC)
		return target;
	close(target);
	return json_error(m->at, e, 0, "mount-unsafe", "%s leads into /proc by a symbolic link",
	                  m->destination);
}

static int
open_target(const struct handles *h, const struct mount_plan *m, int tree, struct error *e)
{
	struct stat st;
	bool made;
	int target = path_open_unlinked_in_root(h->rootfs, m->destination, O_PATH);

	if (target >= 0)
		return target;
	if (m->destination_nofollow && errno == ELOOP) {
		target = path_open_in_root(h->rootfs, m->destination, O_PATH | O_NOFOLLOW);
		if (target >= 0)
			return check_unfollowed(m, target, e);
	}
	if (fstat(tree, &st) < 0)
		return mount_fail(m, e, "look at the source of");
	return mount_open_target(h, m, S_ISDIR(st.st_mode), &made, e);
}

/* Symbolic links --------------------------------------------------------------- */

/* EEXIST, unless it is the same link that is there. */
static int
make_link(int dir, const char *name, const char *text)
{
	char found[PATH_MAX];
	ssize_t length;

	if (symlinkat(text, dir, name) == 0)
		return 0;
	if (errno != EEXIST)
		return -1;
	length = readlinkat(dir, name, found, sizeof(found));
	errno = EEXIST;
	return length == (ssize_t)strlen(text) && memcmp(found, text, (size_t)length) == 0 ? 0 : -1;
}

/* copy-symlink: a link is not mounted but made again. */
static int
copy_link(struct handles *h, const struct mount_plan *m, int link, struct error *e)
{
	char text[PATH_MAX], name[NAME_MAX + 1];
	ssize_t length = readlinkat(link, "", text, sizeof(text) - 1);
	autoclose int dir = -1;

	if (length < 0)
		return mount_fail(m, e, "read the source of");
	text[length] = '\0';
	dir = path_open_parent_in_root(h->rootfs, m->destination, true, name, sizeof(name));
	if (dir < 0 || make_link(dir, name, text) < 0)
		return mount_fail(m, e, "make the symbolic link");
	fd_drop(&h->dropped, link);
	return 0;
}

/* Attach ------------------------------------------------------------------------ */

int
bind_attach_tree(struct handles *h, size_t i, const struct mount_plan *m, int tree, struct error *e)
{
	int target = open_target(h, m, tree, e);

	if (target < 0)
		return -1;
	if (strcmp(m->destination, "/proc") == 0) {
		struct statfs fs;

		if (fstatfs(tree, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
			return json_error(m->at, e, 0, "mount-unsafe",
			                  "the source of /proc is not a procfs");
	}
	return mount_attach(h, i, m, tree, target, true, e);
}

/* Opened by the parent, or now. */
static int
take_source(struct handles *h, size_t i, const struct mount_plan *m, struct error *e)
{
	int tree;

	if (h->mounts != NULL && h->mounts[i] >= 0)
		return take_fd(&h->mounts[i]);
	tree = open_source(m, e);
	if (tree >= 0 && m->idmap != NULL && mount_idmap_apply(m, tree, h->mount_users[i], e) < 0)
		return -1;
	return tree;
}

int
bind_attach(const struct plan *plan, struct handles *h, size_t i, struct error *e)
{
	const struct mount_plan *m = &plan->mounts[i];
	int tree = take_source(h, i, m, e);
	struct stat st;

	if (tree < 0)
		return -1;
	if (m->copy_symlink) {
		if (fstat(tree, &st) < 0)
			return mount_fail(m, e, "look at the source of");
		if (S_ISLNK(st.st_mode))
			return copy_link(h, m, tree, e);
	}
	return bind_attach_tree(h, i, m, tree, e);
}
