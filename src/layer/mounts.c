/* SPDX-License-Identifier: MIT */
/*
 * mounts[] of config.json: filesystems and binds below the container's root, in
 * the order they are listed (config.md, "Mounts").
 *
 * A target is resolved once, inside the rootfs, to a descriptor, and everything
 * is put there by descriptor: nothing that renames or relinks files meanwhile
 * can lead a mount elsewhere (CVE-2021-30465). A mount is finished (attributes,
 * propagation) before it is attached, so that it is never visible half made.
 * Read-only tmpfs and /dev become read-only last of all, because later mounts
 * need their mount points made on them.
 */
#include "hako/mounts.h"
#include "hako/caller.h"
#include "hako/file.h"
#include "hako/log.h"
#include "hako/mounts_shown.h"
#include "hako/names.h"
#include "hako/path.h"
#include "hako/problem.h"
#include "hako/syscall.h"
#include "hako/tmpcopyup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

/* Targets ---------------------------------------------------------------- */

int
mount_fail(const struct mount_plan *m, struct error *e, const char *call)
{
	return json_error(m->at, e, errno, "mount-failed", "%s %s", call, m->destination);
}

static bool
must_be_real_directory(const struct mount_plan *m)
{
	return strcmp(m->type, "proc") == 0 || strcmp(m->type, "sysfs") == 0;
}

/* Where links led: not into procfs, not to the root itself. */
static int
check_linked_target(const struct handles *h, const struct mount_plan *m, int target,
                    struct error *e)
{
	struct statfs fs;
	struct stat a, b;

	if (must_be_real_directory(m))
		return json_error(
			m->at, e, 0, "mount-unsafe",
			"%s must be mounted on ordinary directory, not on a symbolic link",
			m->destination);
	if (fstatfs(target, &fs) < 0 || fstat(target, &a) < 0 || fstat(h->rootfs, &b) < 0)
		return mount_fail(m, e, "look at");
	if (fs.f_type == PROC_SUPER_MAGIC)
		return json_error(m->at, e, 0, "mount-unsafe",
		                  "%s leads into /proc by a symbolic link", m->destination);
	if (file_is_same(&a, &b))
		return json_error(m->at, e, 0, "mount-unsafe",
		                  "%s leads to the root of the container by a symbolic link",
		                  m->destination);
	return 0;
}

static int
fail_target(const struct mount_plan *m, struct error *e)
{
	int code = errno;

	mount_fail(m, e, "make the mount point");
	if (code != EACCES && code != EPERM)
		return -1;
	return error_advise(e, "where root of the container may not write, it has to be there "
	                       "already");
}

int
mount_open_target(const struct handles *h, const struct mount_plan *m, bool directory,
                  bool *ret_made, struct error *e)
{
	int fd = path_open_unlinked_in_root(h->rootfs, m->destination, O_PATH);

	*ret_made = false;
	if (fd >= 0)
		return fd;
	*ret_made = errno == ENOENT;
	if (errno == ENOENT)
		fd = path_make_missing_in_root(h->rootfs, m->destination, directory);
	else if (errno == ELOOP || errno == EAGAIN)
		fd = path_make_target_in_root(h->rootfs, m->destination, directory);
	if (fd < 0)
		return fail_target(m, e);
	if (!*ret_made && check_linked_target(h, m, fd, e) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Attributes and propagation ---------------------------------------------- */

/* Engines write "rw" unasked, and in a user namespace what the host has read-only is locked. */
static bool
keeps_readonly(const struct mount_plan *m, int fd, const struct mount_attr *attr)
{
	struct mount_attr others = *attr;

	others.attr_clr &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	return m->kind == MOUNT_BIND && others.attr_clr != attr->attr_clr &&
	       mount_setattr(fd, "", AT_EMPTY_PATH, &others, sizeof(others)) == 0;
}

static int
set_attributes(const struct mount_plan *m, int fd, uint64_t set, uint64_t clear, bool recursive,
               struct error *e)
{
	struct mount_attr attr = {.attr_set = set, .attr_clr = clear};
	unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

	if (set == 0 && clear == 0)
		return 0;
	if (mount_setattr(fd, "", flags, &attr, sizeof(attr)) == 0)
		return 0;
	if (errno == EPERM && !recursive && keeps_readonly(m, fd, &attr))
		return json_fallback(json_member(m->at, "options"), e, "mount-readonly",
		                     "%s stays read-only, as the host has its source",
		                     m->destination);
	if (errno == EPERM && clear != 0)
		return json_error(json_member(m->at, "options"), e, EPERM, "mount-locked",
		                  "clear an option of %s that this user namespace may not clear",
		                  m->destination);
	return mount_fail(m, e, "mount_setattr of");
}

static int
set_propagation(const struct mount_plan *m, int fd, struct error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(m->propagation) && m->propagation[i] != 0; i++) {
		struct mount_attr attr = {.propagation = m->propagation[i] & ~(uint64_t)MS_REC};
		unsigned flags = AT_EMPTY_PATH | (m->propagation[i] & MS_REC ? AT_RECURSIVE : 0);

		if (mount_setattr(fd, "", flags, &attr, sizeof(attr)) < 0)
			return mount_fail(m, e, "set the propagation of");
	}
	return 0;
}

/* Where move_mount(2) has only EINVAL to say, mount(2) and engines know a directory on a file. */
static int
fail_move(const struct mount_plan *m, int tree, int target, struct error *e)
{
	struct stat a, b;
	int code = errno;

	if (code == EINVAL && fstat(tree, &a) == 0 && fstat(target, &b) == 0 &&
	    S_ISDIR(a.st_mode) != S_ISDIR(b.st_mode))
		code = ENOTDIR;
	errno = code;
	return mount_fail(m, e, "move_mount to");
}

/* An error ends init: descriptors may stay behind. */
int
mount_attach(struct handles *h, size_t i, const struct mount_plan *m, int tree, int target,
             bool with_attributes, struct error *e)
{
	if (with_attributes && set_attributes(m, tree, m->attr_set, m->attr_clear, false, e) < 0)
		return -1;
	if (set_attributes(m, tree, m->recursive_set, m->recursive_clear, true, e) < 0)
		return -1;
	if (set_propagation(m, tree, e) < 0)
		return -1;
	if (sys_attach(tree, target) < 0)
		return fail_move(m, tree, target, e);
	fd_drop(&h->dropped, target);
	if (m->readonly_late) /* needed once more, at the end */
		h->late_readonly[i] = tree;
	else
		fd_drop(&h->dropped, tree);
	return 0;
}

/* Filesystems --------------------------------------------------------------- */

/* What the kernel says beyond errno, when it says something (fsopen(2)). */
static void
read_fs_log(int context, char *buf, size_t size)
{
	ssize_t n = read(context, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	if (buf[0] != '\0' && buf[1] == ' ') /* "e " for an error */
		memmove(buf, buf + 2, strlen(buf + 2) + 1);
}

static int
fail_fs(const struct mount_plan *m, int context, const char *what, const char *detail,
        struct error *e)
{
	bool option = strcmp(what, "option ") == 0;
	int saved = errno;
	char text[200];

	read_fs_log(context, text, sizeof(text));
	return json_error(option ? mount_option_at(m, detail) : m->at, e, saved, "mount-failed",
	                  "mount %s on %s: %s%s%s%s", m->type, m->destination, what, detail,
	                  text[0] != '\0' ? ": " : "", text);
}

/* A filesystem ---------------------------------------------------------------------- */

/* As drop_unmapped_gid() does it, for the user namespace that hako has been called in. */
static bool
is_unmapped_gid(const struct plan *plan, const struct mount_plan *m, const struct string_pair *pair)
{
	uint64_t gid;

	return !plan->options.privileged && strcmp(m->type, "devpts") == 0 &&
	       strcmp(pair->key, "gid") == 0 && !plan_isolates(plan, CLONE_NEWUSER) &&
	       parse_uint(pair->value, UINT32_MAX, &gid) == 0 &&
	       !caller_has_ids(CALLER_GIDS, (uint32_t)gid, 1);
}

static int
set_flags(const struct mount_plan *m, int context, struct error *e)
{
	for (size_t i = 0; i < m->flags.count; i++)
		if (fsconfig(context, FSCONFIG_SET_FLAG, m->flags.items[i], NULL, 0) < 0)
			return fail_fs(m, context, "option ", m->flags.items[i], e);
	return 0;
}

static int
set_data(const struct mount_plan *m, int context, const struct string_pair *pair, struct error *e)
{
	if (fsconfig(context, FSCONFIG_SET_STRING, pair->key, pair->value, 0) < 0)
		return fail_fs(m, context, "option ", pair->key, e);
	return 0;
}

static int
configure(const struct plan *plan, const struct mount_plan *m, int context, struct error *e)
{
	const char *source = m->source != NULL ? m->source : "none";

	if (fsconfig(context, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return fail_fs(m, context, "source ", source, e);
	if (set_flags(m, context, e) < 0)
		return -1;
	for (size_t i = 0; i < m->data.count; i++)
		if (!is_unmapped_gid(plan, m, &m->data.items[i]) &&
		    set_data(m, context, &m->data.items[i], e) < 0)
			return -1;
	return 0;
}

/* A tmpfs without mode= takes the mode of the directory that it covers. */
static int
inherit_mode(const struct mount_plan *m, int context, int target, bool made, struct error *e)
{
	struct stat st;
	char mode[16];

	if (made || strcmp(m->type, "tmpfs") != 0 || string_map_find(&m->data, "mode") != NULL)
		return 0;
	if (fstat(target, &st) < 0)
		return mount_fail(m, e, "look at");
	snprintf(mode, sizeof(mode), "%o", (unsigned)st.st_mode & 07777);
	if (fsconfig(context, FSCONFIG_SET_STRING, "mode", mode, 0) < 0)
		return fail_fs(m, context, "option ", "mode", e);
	return 0;
}

/* A new filesystem as a detached mount. */
static int
create_filesystem(const struct plan *plan, struct handles *h, const struct mount_plan *m,
                  int target, bool made, struct error *e)
{
	int context = fsopen(m->type, FSOPEN_CLOEXEC), tree;

	if (context < 0)
		return json_error(json_member(m->at, "type"), e, errno, "mount-failed",
		                  "filesystem type \"%s\"", m->type);
	if (configure(plan, m, context, e) < 0 || inherit_mode(m, context, target, made, e) < 0)
		return -1;
	if (m->label == MOUNT_LABEL_OPTION && mount_label_option(plan, m, context, e) < 0)
		return -1;
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail_fs(m, context, "create", "", e);
	tree = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)m->attr_set);
	if (tree < 0)
		return fail_fs(m, context, "fsmount", "", e);
	fd_drop(&h->dropped, context);
	if (m->label == MOUNT_LABEL_ROOT && mount_label_root(plan, m, tree, e) < 0)
		return -1;
	return tree;
}

static int
attach_filesystem(const struct plan *plan, struct handles *h, size_t i, struct error *e)
{
	const struct mount_plan *m = &plan->mounts[i];
	int target, tree;
	bool made;

	target = mount_open_target(h, m, true, &made, e);
	if (target < 0)
		return -1;
	tree = create_filesystem(plan, h, m, target, made, e);
	if (tree < 0)
		tree = mounts_shown_tree(plan, h, i, e);
	if (tree < 0)
		return -1;
	if (m->tmpcopyup && tmpcopyup(target, tree) < 0)
		return mount_fail(m, e, "copy the content of");
	return mount_attach(h, i, m, tree, target, false, e);
}

/* The cgroup tree --------------------------------------------------------------- */

/* Without a cgroup of its own the container sees the caller's: it must not write there. */
static int
protect_cgroup(const struct handles *h, const struct mount_plan *m, struct error *e)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	autoclose int target = -1;

	if (h->cgroup_path != NULL || (m->attr_set & MOUNT_ATTR_RDONLY) != 0)
		return 0;
	target = path_open_in_root(h->rootfs, m->destination, O_PATH);
	if (target < 0 || mount_setattr(target, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return mount_fail(m, e, "make read-only");
	return log_fallback(e, "cgroup-readonly",
	                    "%s is read-only: the container has no cgroup of its own",
	                    m->destination);
}

/*
 * A bind of what is mounted already: without a cgroup namespace all of it, so that the
 * paths of /proc/PID/cgroup are right (a new mount would show the same, but takes 17 ms);
 * where the kernel refuses a mount in a cgroup namespace the container's own part.
 */
static int
bind_cgroup(const struct plan *plan, struct handles *h, size_t i, struct error *e)
{
	const struct mount_plan *m = &plan->mounts[i];
	bool own_part = plan_isolates(plan, CLONE_NEWCGROUP);
	char path[PATH_MAX];
	int tree;

	if (h->cgroup_mount == NULL)
		return json_error(m->at, e, 0, "cgroup-missing",
		                  "cannot show the container's cgroup: it has none");
	snprintf(path, sizeof(path), "%s%s", h->cgroup_mount, own_part ? h->cgroup_path : "");
	tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return mount_fail(m, e, "bind the container's cgroup to");
	return bind_attach_tree(h, i, m, tree, e);
}

static int
attach_cgroup(const struct plan *plan, struct handles *h, size_t i, struct error *e)
{
	if (!plan_isolates(plan, CLONE_NEWCGROUP))
		return bind_cgroup(plan, h, i, e);
	if (attach_filesystem(plan, h, i, e) == 0)
		return protect_cgroup(h, &plan->mounts[i], e);
	if ((e->code != EPERM && e->code != EBUSY) || h->cgroup_mount == NULL)
		return -1;
	if (log_fallback(e, "cgroup-mount",
	                 "%s: a bind of the container's cgroup instead of a mount", e->msg) < 0)
		return -1;
	return bind_cgroup(plan, h, i, e);
}

/* Remounts ---------------------------------------------------------------------- */

static int
reconfigure(const struct mount_plan *m, int target, struct error *e)
{
	autoclose int context = fspick(target, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC);

	if (context < 0)
		return mount_fail(m, e, "fspick");
	if (set_flags(m, context, e) < 0)
		return -1;
	for (size_t i = 0; i < m->data.count; i++)
		if (set_data(m, context, &m->data.items[i], e) < 0)
			return -1;
	if (fsconfig(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return fail_fs(m, context, "reconfigure", "", e);
	return 0;
}

static int
remount(const struct plan *plan, struct handles *h, size_t i, struct error *e)
{
	const struct mount_plan *m = &plan->mounts[i];
	autoclose int target = path_open_in_root(h->rootfs, m->destination, O_PATH);

	if (target < 0)
		return mount_fail(m, e, "open");
	if (m->kind == MOUNT_REMOUNT && m->flags.count + m->data.count > 0 &&
	    reconfigure(m, target, e) < 0)
		return -1;
	if (set_attributes(m, target, m->attr_set, m->attr_clear, false, e) < 0 ||
	    set_attributes(m, target, m->recursive_set, m->recursive_clear, true, e) < 0)
		return -1;
	return set_propagation(m, target, e);
}

/* All of them -------------------------------------------------------------------- */

LAYER_RUN(mounts_attach)
{
	static int (*const attach[])(const struct plan *, struct handles *, size_t,
	                             struct error *) = {
		[MOUNT_FILESYSTEM] = attach_filesystem,
		[MOUNT_BIND] = bind_attach,
		[MOUNT_REMOUNT] = remount,
		[MOUNT_BIND_REMOUNT] = remount,
		[MOUNT_CGROUP] = attach_cgroup,
	};

	if (plan->mount_count == 0)
		return 0;
	if (mounts_check_label(plan, e) < 0)
		return -1;
	h->late_readonly = calloc(plan->mount_count, sizeof(*h->late_readonly));
	if (h->late_readonly == NULL)
		return error_set(e, errno, "out-of-memory", "mounts");
	for (size_t i = 0; i < plan->mount_count; i++) {
		h->late_readonly[i] = -1;
		if (attach[plan->mounts[i].kind](plan, h, i, e) < 0)
			return -1;
	}
	mounts_lower_descriptors(h);
	return 0;
}

LAYER_RUN(mounts_make_readonly)
{
	for (size_t i = 0; i < plan->mount_count; i++)
		if (h->late_readonly[i] >= 0 &&
		    set_attributes(&plan->mounts[i], h->late_readonly[i], MOUNT_ATTR_RDONLY, 0,
		                   false, e) < 0)
			return -1;
	return 0;
}
