/* SPDX-License-Identifier: MIT */
/*
 * Which cgroups an ordinary user may use (cgroups(7), "Delegation"): those whose
 * directory and cgroup.procs belong to the user. Two rules of the kernel decide
 * where a container's can be:
 *   - a cgroup with processes hands no controllers down, so that below the caller's
 *     own cgroup there could be no limits: beside it is the better place, when the
 *     cgroup above is the user's too;
 *   - a process is born in another cgroup only by who may write to cgroup.procs of
 *     the closest one above both.
 * What is not to be had is said with the file that is in the way, and its owner.
 *
 * And on to the container (config-linux.md, "Cgroup ownership"): a process that sees
 * its cgroup in a namespace of its own, mounted for writing, becomes its owner.
 */
#include "hako/cgroup.h"
#include "hako/caller.h"
#include "hako/file.h"
#include "hako/layer.h"
#include "hako/log.h"
#include "hako/mem.h"
#include "hako/words.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
may_write(int cgroup, const char *file)
{
	return faccessat(cgroup, file, W_OK, AT_EACCESS) == 0;
}

static bool
is_delegated(int root, const char *path)
{
	autoclose int cgroup = cgroup_open(root, path);

	return cgroup >= 0 && may_write(cgroup, ".") && may_write(cgroup, "cgroup.procs");
}

/* The caller's own cgroup below the mount; -1 when it is not below it. */
static int
find_own(int root, char *path, size_t size)
{
	autoclose int cgroup = -1;

	if (cgroup_of(getpid(), path, size) < 0)
		return -1;
	if (strcmp(path, "/") == 0)
		path[0] = '\0';
	cgroup = cgroup_open(root, path);
	return cgroup >= 0 ? 0 : -1;
}

const char *
cgroup_parent_of_caller(void)
{
	static char path[PATH_MAX];
	struct error ignored;
	const char *mount;
	autoclose int root = cgroup_open_root(&mount, &ignored);
	char *name;

	if (root < 0 || find_own(root, path, sizeof(path)) < 0 || path[0] == '\0')
		return "";
	name = strrchr(path, '/');
	*name = '\0';
	if (!is_delegated(root, path))
		*name = '/';
	return path;
}

/* Blame ------------------------------------------------------------------------ */

/* The last component of the path that exists, as far as it can be seen. */
static int
open_deepest(int root, char *path)
{
	int cgroup = cgroup_open(root, path);

	while (cgroup < 0 && path[0] != '\0') {
		*strrchr(path, '/') = '\0';
		cgroup = cgroup_open(root, path);
	}
	return cgroup;
}

static int
deny(const char *mount, const char *path, const char *file, int cgroup, int code, struct error *e)
{
	char owner[96], user[96];
	struct stat st;

	if (code == EROFS)
		return error_set(e, code, "cgroup-denied", "the cgroups of %s cannot be changed",
		                 mount);
	if (cgroup < 0 || fstatat(cgroup, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(e, code, "cgroup-denied", "use the cgroup %s%s", mount, path);
	return error_set(
		e, 0, "cgroup-denied",
		"%s%s%s%s belongs to %s, and %s may not write to it: have a cgroup delegated "
		"(as by systemd-run --user --scope -p Delegate=yes)",
		mount, path, strcmp(file, ".") != 0 ? "/" : "", strcmp(file, ".") != 0 ? file : "",
		caller_user_text(st.st_uid, owner, sizeof(owner)),
		caller_user_text(geteuid(), user, sizeof(user)));
}

int
cgroup_deny_making(int root, const char *mount, const char *path, int code, struct error *e)
{
	char deepest[PATH_MAX];
	autoclose int cgroup = -1;

	snprintf(deepest, sizeof(deepest), "%s", path);
	cgroup = open_deepest(root, deepest);
	return deny(mount, deepest, ".", cgroup, code, e);
}

/* Cut `path` to what it has in common with `other`, whole components only. */
static void
keep_common(char *path, const char *other)
{
	size_t common = 0, i = 0;

	for (; path[i] != '\0' && path[i] == other[i]; i++)
		if (path[i] == '/')
			common = i;
	if ((path[i] == '\0' || path[i] == '/') && (other[i] == '\0' || other[i] == '/'))
		common = i;
	path[common] = '\0';
}

int
cgroup_check_entry(int root, const char *mount, const char *path, struct error *e)
{
	autoclose int above = -1;
	autoclose int cgroup = cgroup_open(root, path);
	char common[PATH_MAX];

	if (cgroup < 0)
		return error_set(e, errno, "cgroup-failed", "open the cgroup %s%s", mount, path);
	if (!may_write(cgroup, "cgroup.procs"))
		return deny(mount, path, "cgroup.procs", cgroup, errno, e);
	if (find_own(root, common, sizeof(common)) < 0)
		return 0; /* it is not to be seen from here: clone3 will know */
	keep_common(common, path);
	above = cgroup_open(root, common);
	if (above < 0 || may_write(above, "cgroup.procs"))
		return 0;
	return deny(mount, common, "cgroup.procs", above, errno, e);
}

/* Ownership ---------------------------------------------------------------------- */

static bool
is_shown_writable(const struct plan *plan)
{
	for (size_t i = 0; i < plan->mount_count; i++)
		if (plan->mounts[i].kind == MOUNT_CGROUP &&
		    strcmp(plan->mounts[i].destination, "/sys/fs/cgroup") == 0)
			return (plan->mounts[i].attr_set & MOUNT_ATTR_RDONLY) == 0;
	return false;
}

/* The directory and its files that the kernel lists; some of those may not be there. */
static int
change_owner(int cgroup, uid_t owner)
{
	char list[4096] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads";
	char *rest = list, *file;

	(void)file_read_at(AT_FDCWD, "/sys/kernel/cgroup/delegate", list, sizeof(list));
	if (fchownat(cgroup, "", owner, (gid_t)-1, AT_EMPTY_PATH) < 0)
		return -1;
	while ((file = words_take(&rest, "\n")) != NULL)
		if (fchownat(cgroup, file, owner, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno != ENOENT)
			return -1;
	return 0;
}

LAYER_RUN(cgroup_hand_over)
{
	uid_t owner;

	if (h->cgroup < 0 || !plan_creates(plan, CLONE_NEWCGROUP) || !is_shown_writable(plan) ||
	    !plan_host_user(plan, &owner) || owner == plan->options.host_uid)
		return 0;
	if (change_owner(h->cgroup, owner) == 0)
		return 0;
	if (errno != EPERM || plan->options.privileged)
		return json_error(plan->cgroup.at, e, errno, "cgroup-failed",
		                  "give the cgroup to user %u", owner);
	return log_fallback(e, "cgroup-owner",
	                    "the cgroup stays the caller's: it cannot be given "
	                    "to user %u",
	                    owner);
}
