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
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int
fail(struct error *e, const char *what)
{
	return error_set(e, errno, "rootfs-failed", "%s", what);
}

/* The mounts of this namespace ----------------------------------------------------- */

struct mount_row {
	bool top;   /* the root of all */
	bool whole; /* a procfs or sysfs from its root on */
	char *point;
};

struct mount_table {
	struct mount_row *rows;
	size_t count;
};

static void
table_cleaner(struct mount_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->rows[i].point);
	free(table->rows);
}

/* "\040" for a space and the like, as in proc(5). */
static void
decode(char *text)
{
	char *to = text;

	while (*text != '\0') {
		if (text[0] == '\\' && strspn(text + 1, "01234567") >= 3) {
			*to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 |
			               (text[3] - '0'));
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

static const char *
word(char **rest)
{
	const char *found = strsep(rest, " \n");

	return found != NULL ? found : "";
}

/* ID PARENT DEVICE ROOT POINT OPTIONS [TAG ...] - TYPE SOURCE OPTIONS */
static int
add_row(struct mount_table *table, char *line, int top)
{
	struct mount_row *rows = reallocarray(table->rows, table->count + 1, sizeof(*rows)), *row;
	const char *root, *type;

	if (rows == NULL)
		return -1;
	table->rows = rows;
	row = &rows[table->count];
	row->top = atoi(word(&line)) == top;
	(void)word(&line);
	(void)word(&line);
	root = word(&line);
	row->point = strdup(word(&line));
	if (row->point == NULL)
		return -1;
	table->count++;
	decode(row->point);
	while (line != NULL && strcmp(word(&line), "-") != 0)
		;
	type = word(&line);
	row->whole =
		strcmp(root, "/") == 0 && (strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0);
	return 0;
}

static int
read_table(int proc, struct mount_table *table)
{
	int fd = openat(proc, "self/mountinfo", O_RDONLY | O_CLOEXEC), rc = 0;
	FILE *in = fd >= 0 ? fdopen(fd, "r") : NULL;
	autofree char *line = NULL;
	size_t size = 0;
	struct statx top;

	if (in == NULL)
		return -1;
	rc = statx(AT_FDCWD, "/", 0, STATX_MNT_ID, &top);
	while (rc == 0 && getline(&line, &size, in) > 0)
		rc = add_row(table, line, (int)top.stx_mnt_id);
	fclose(in);
	return rc;
}

/* The host's tree ------------------------------------------------------------------- */

/* Those that come later may hide, or lie on, those before. How many there have been, or -1. */
static ssize_t
take_off(int proc)
{
	__attribute__((cleanup(table_cleaner))) struct mount_table table = {0};

	if (read_table(proc, &table) < 0)
		return -1;
	for (size_t i = table.count; i-- > 0;)
		if (!table.rows[i].top && strcmp(table.rows[i].point, "/") != 0)
			(void)umount2(table.rows[i].point, MNT_DETACH | UMOUNT_NOFOLLOW);
	return (ssize_t)table.count;
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

static int
cover(const struct mount_row *row)
{
	return mount("tmpfs", row->point, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
	             "nr_inodes=2,mode=0");
}

static int
cover_rest(int proc, const struct root_move *move, struct error *e)
{
	__attribute__((cleanup(table_cleaner))) struct mount_table table = {0};

	if (read_table(proc, &table) < 0)
		return fail(e, "read the mounts of the host");
	for (size_t i = 0; i < table.count; i++) {
		const struct mount_row *row = &table.rows[i];

		if (!row->top && !move->covers_only)
			return error_set(e, 0, "rootfs-failed",
			                 "the host's mount on %s cannot be unmounted", row->point);
		if (row->whole && cover(row) < 0)
			return error_set(e, errno, "rootfs-failed", "cover the host's %s",
			                 row->point);
	}
	return 0;
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
