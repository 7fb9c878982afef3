/* SPDX-License-Identifier: MIT */
/*
 * procfs and sysfs show namespaces: processes, network devices. In a user namespace
 * the kernel mounts a new one only for who owns that namespace, and only if an
 * existing one without covered parts is in sight (mount_too_revealing() in the
 * kernel's fs/namespace.c). A container that shares the runtime's namespace may be
 * given the existing mount instead: it shows the same. With a namespace of its own
 * it would show what the container must not see: that is an error.
 */
#include "hako/mounts_shown.h"
#include "hako/log.h"
#include "hako/mem.h"
#include "hako/mountinfo.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/statfs.h>

/* Attributes that only take away; those of access times may be locked. */
#define RESTRICTIONS                                                                               \
	(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |            \
	 MOUNT_ATTR_NOSYMFOLLOW)

struct shown {
	const char *type;
	const char *path;
	uint64_t namespace;
	long magic;
	uint64_t needed;      /* attributes without which mounts below it would show too much */
	const char *empty[9]; /* directories that are there to be mounted upon: no cover */
};

static const struct shown kinds[] = {
	{"proc",
         "/proc",
         CLONE_NEWPID,
         PROC_SUPER_MAGIC,
         0,
         {"/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd", NULL}},
	/* below /sys are the caller's cgroups, which root of the container could write to */
	{"sysfs",
         "/sys",
         CLONE_NEWNET,
         SYSFS_MAGIC,
         MOUNT_ATTR_RDONLY,
         {"/sys/fs/", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security",
          "/sys/kernel/config", "/sys/firmware/efi/efivars", NULL}},
};

static const struct shown *
find_kind(const struct mount_plan *m)
{
	if (m->kind != MOUNT_FILESYSTEM)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(m->type, kinds[i].type) == 0)
			return &kinds[i];
	return NULL;
}

/* Would the existing mount show the same, and no more? */
static bool
is_same(const struct plan *plan, const struct mount_plan *m, const struct shown *kind)
{
	for (size_t i = 0; i < m->flags.count; i++)
		if (strcmp(m->flags.items[i], "ro") != 0)
			return false;
	return m->data.count == 0 && !plan_isolates(plan, kind->namespace) &&
	       (m->attr_set & kind->needed) == kind->needed;
}

static int
open_kind(const struct shown *kind, unsigned flags)
{
	autoclose int tree =
		open_tree(AT_FDCWD, kind->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
	struct statfs fs;

	if (tree < 0 || fstatfs(tree, &fs) < 0 || fs.f_type != kind->magic)
		return -1;
	return take_fd(&tree);
}

/* The parent can do without what is mounted below; in the user namespace it belongs to it. */
int
mounts_shown_open(const struct plan *plan, const struct mount_plan *m)
{
	const struct shown *kind = find_kind(m);

	return kind != NULL && is_same(plan, m, kind) ? open_kind(kind, 0) : -1;
}

/* Why ------------------------------------------------------------------------------- */

static bool
is_cover(const struct shown *kind, const char *point)
{
	size_t length = strlen(kind->path);

	if (strncmp(point, kind->path, length) != 0 || point[length] != '/')
		return false;
	for (const char *const *empty = kind->empty; *empty != NULL; empty++)
		if (strncmp(point, *empty, strlen(*empty)) == 0)
			return false;
	return true;
}

/* Where the first mount is that covers a part of it; NULL: there is none. */
static const char *
find_cover(struct arena *arena, const struct shown *kind)
{
	const struct mountinfo *mounts = mountinfo_read(arena, AT_FDCWD, "/proc/self/mountinfo");

	for (size_t i = 0; mounts != NULL && i < mounts->count; i++)
		if (is_cover(kind, mounts->lines[i].point))
			return mounts->lines[i].point;
	return NULL;
}

static int
explain(const struct plan *plan, const struct mount_plan *m, const struct shown *kind,
        struct error *e)
{
	struct arena arena = {0};
	const char *cover;

	if (!plan_isolates(plan, kind->namespace))
		return error_advise(e, "the host's %s could be bound instead, but only %s",
		                    kind->path,
		                    (m->attr_set & kind->needed) != kind->needed
		                            ? "with the option ro"
		                            : "without options of the filesystem");
	cover = find_cover(&arena, kind);
	if (cover != NULL)
		error_advise(e,
		             "in a user namespace a new %s must not show what is covered in the "
		             "one that is there, as %s is",
		             m->type, cover);
	arena_free(&arena);
	return -1;
}

/* Instead ----------------------------------------------------------------------------- */

int
mounts_shown_tree(const struct plan *plan, struct handles *h, size_t i, struct error *e)
{
	const struct mount_plan *m = &plan->mounts[i];
	const struct shown *kind = find_kind(m);
	struct mount_attr attr = {.attr_set = m->attr_set & RESTRICTIONS};
	autoclose int tree = -1;

	if (e->code != EPERM || kind == NULL)
		return -1;
	if (!is_same(plan, m, kind))
		return explain(plan, m, kind, e);
	tree = h->mounts != NULL && h->mounts[i] >= 0 ? take_fd(&h->mounts[i])
	                                              : open_kind(kind, AT_RECURSIVE);
	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)))
		return -1;
	if (log_fallback(e, "mount-bound", "%s: the host's %s is bound instead", e->msg,
	                 kind->path) < 0) {
		json_where(m->at, e->at, sizeof(e->at));
		return -1;
	}
	return take_fd(&tree);
}
