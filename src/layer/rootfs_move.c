/* SPDX-License-Identifier: MIT */
/*
 * The container's root where / cannot be pivoted (--no-pivot): an initramfs is the
 * root of every mount namespace, and stays that. Every other mount of the namespace is
 * taken off, because the kernel lets a container mount a procfs or sysfs without masks
 * as long as a whole one is to be found anywhere in its namespace; in a user namespace
 * they are locked, and there the whole ones are covered. Then the new root is put over
 * the old one; ".." and another chroot(2) end there.
 *
 * What is put there is a clone: the old tree, of which the new root has been a part,
 * is made private first, or the host's mounts would go as well where they are shared.
 *
 * Who may unmount could still unmount the new root, and see the initramfs. So the
 * container gets a copy of the namespace that belongs to a user namespace below its
 * own: what comes with such a copy is locked in place (mount_namespaces(7)).
 */
#include "hako/rootfs_move.h"
#include "hako/log.h"
#include "hako/mem.h"
#include "hako/mountinfo.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int
fail(struct error *e, const char *what)
{
	return error_set(e, errno, "rootfs-failed", "%s", what);
}

/* The host's tree ------------------------------------------------------------------- */

/* The id of the mount that is the root of all, or 0 with errno. */
static uint64_t
top_id(void)
{
	struct statx top;

	return statx(AT_FDCWD, "/", 0, STATX_MNT_ID, &top) == 0 ? top.stx_mnt_id : 0;
}

/* Those that come later may hide, or lie on, those before. How many there have been, or -1. */
static ssize_t
take_off(int proc)
{
	struct arena arena = {0};
	const struct mountinfo *mounts = mountinfo_read(&arena, proc, "self/mountinfo");
	uint64_t top = mounts != NULL ? top_id() : 0;
	ssize_t count = top != 0 ? (ssize_t)mounts->count : -1;

	for (ssize_t i = count; i-- > 0;)
		if (mounts->lines[i].id != top && strcmp(mounts->lines[i].point, "/") != 0)
			(void)umount2(mounts->lines[i].point, MNT_DETACH | UMOUNT_NOFOLLOW);
	arena_free(&arena);
	return count;
}

/* As long as it makes a difference: where one lay on another, that is still there. */
static int
take_off_all(int proc, struct error *e)
{
	ssize_t before, now = SSIZE_MAX;

	do {
		before = now;
		now = take_off(proc);
	} while (now > 1 && now < before);
	return now < 0 ? fail(e, "read the mounts of the host") : 0;
}

/* A procfs or sysfs from its root on. */
static bool
is_whole(const struct mount_line *m)
{
	return strcmp(m->root, "/") == 0 &&
	       (strcmp(m->type, "proc") == 0 || strcmp(m->type, "sysfs") == 0);
}

static int
cover(const struct mount_line *m)
{
	return mount("tmpfs", m->point, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
	             "nr_inodes=2,mode=0");
}

static int
cover_line(const struct mount_line *m, bool top, const struct root_move *move, struct error *e)
{
	if (!top && !move->covers_only)
		return error_set(e, 0, "rootfs-failed",
		                 "the host's mount on %s cannot be unmounted", m->point);
	if (is_whole(m) && cover(m) < 0)
		return error_set(e, errno, "rootfs-failed", "cover the host's %s", m->point);
	return 0;
}

static int
cover_rest(int proc, const struct root_move *move, struct error *e)
{
	struct arena arena = {0};
	const struct mountinfo *mounts = mountinfo_read(&arena, proc, "self/mountinfo");
	uint64_t top = mounts != NULL ? top_id() : 0;
	int rc = top != 0 ? 0 : fail(e, "read the mounts of the host");

	for (size_t i = 0; rc == 0 && i < mounts->count; i++)
		rc = cover_line(&mounts->lines[i], mounts->lines[i].id == top, move, e);
	arena_free(&arena);
	return rc;
}

/* The lock ---------------------------------------------------------------------------- */

/*
 * A child makes the copy, and leaves a descriptor of it where the parent has kept a
 * place: they share their table of descriptors.
 */
static int
enter_locked_copy(int proc)
{
	struct clone_args args = {.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_FILES,
	                          .exit_signal = SIGCHLD};
	autoclose int place = dup(proc);
	int status;
	pid_t pid;

	if (place < 0)
		return -1;
	pid = sys_clone3(&args, sizeof(args));
	if (pid == 0)
		_exit(dup3(openat(proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC), place, O_CLOEXEC) <
		      0);
	if (pid < 0)
		return -1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	if (status != 0)
		errno = EIO;
	return status == 0 ? setns(place, CLONE_NEWNS) : -1;
}

static int
lock(int proc, const struct root_move *move, struct error *e)
{
	static const char id[] = "root-unlocked";
	static const char risk[] = "who may unmount in the container can get at the initramfs";

	if (move->shared)
		return log_fallback(e, id, "shared mounts cannot be locked: %s", risk);
	if (enter_locked_copy(proc) == 0)
		return 0;
	return log_fallback(e, id, "%s: %s", error_text(errno), risk);
}

int
rootfs_move_over(const struct root_move *move, struct error *e)
{
	autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int tree =
		open_tree(move->rootfs, "",
	                  AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (proc < 0 || tree < 0)
		return fail(e, "clone the rootfs");
	if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		return fail(e, "make / private");
	if (take_off_all(proc, e) < 0 || cover_rest(proc, move, e) < 0)
		return -1;
	if (move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail(e, "put the rootfs over /");
	if (fchdir(tree) < 0 || chroot(".") < 0)
		return fail(e, "chroot to the rootfs");
	return lock(proc, move, e);
}
