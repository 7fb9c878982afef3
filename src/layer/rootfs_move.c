/* SPDX-License-Identifier: MIT */
/*
 * The container's root where / cannot be pivoted (--no-pivot): an initramfs is the
 * root of every mount namespace, and stays that. The new root is moved over it; ".."
 * and another chroot(2) end there. Then every other mount of the namespace is taken
 * off, because the kernel lets a container mount a procfs or sysfs without masks as
 * long as a whole one is to be found anywhere in its namespace. In a user namespace
 * they are locked; there the whole ones are covered.
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
	int id;
	int parent;
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
add_row(struct mount_table *table, char *line)
{
	struct mount_row *rows = reallocarray(table->rows, table->count + 1, sizeof(*rows)), *row;
	const char *root, *type;

	if (rows == NULL)
		return -1;
	table->rows = rows;
	row = &rows[table->count];
	row->id = atoi(word(&line));
	row->parent = atoi(word(&line));
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

	if (in == NULL)
		return -1;
	while (rc == 0 && getline(&line, &size, in) > 0)
		rc = add_row(table, line);
	fclose(in);
	return rc;
}

/* Below that mount, or that mount itself? */
static bool
is_below(const struct mount_table *table, const struct mount_row *row, int id)
{
	const struct mount_row *parent = NULL;

	if (row->id == id)
		return true;
	for (size_t i = 0; i < table->count && parent == NULL; i++)
		if (table->rows[i].id == row->parent && row->parent != row->id)
			parent = &table->rows[i];
	return parent != NULL && is_below(table, parent, id);
}

/* The host's tree ------------------------------------------------------------------- */

/* Two mounts that are there to stay: the root of all, and the one that has been moved over it. */
struct move {
	const struct root_move *asked;
	int proc; /* the host's, held while it is taken off */
	int old_id;
	int new_id;
};

static int
mount_id(int dir, const char *path)
{
	struct statx sx;

	if (statx(dir, path, AT_EMPTY_PATH, STATX_MNT_ID, &sx) < 0)
		return -1;
	return (int)sx.stx_mnt_id;
}

static bool
is_host(const struct move *m, const struct mount_table *table, const struct mount_row *row)
{
	return row->id != m->old_id && !is_below(table, row, m->new_id);
}

/*
 * / is still the old root for paths, although the new one lies over it. Nothing may
 * reach the host, when it shares its mounts. What fails is found by the next look.
 */
static int
take_off(const struct move *m)
{
	const struct mount_attr private = {.propagation = MS_PRIVATE};
	__attribute__((cleanup(table_cleaner))) struct mount_table table = {0};

	if (read_table(m->proc, &table) < 0)
		return -1;
	for (size_t i = table.count; i-- > 0;) {
		const struct mount_row *row = &table.rows[i];

		if (!is_host(m, &table, row))
			continue;
		if (mount_setattr(AT_FDCWD, row->point, 0, (struct mount_attr *)&private,
		                  sizeof(private)) == 0)
			(void)umount2(row->point, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
	return 0;
}

static int
cover(const struct mount_row *row)
{
	return mount("tmpfs", row->point, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
	             "nr_inodes=2,mode=0");
}

static int
cover_rest(const struct move *m, struct error *e)
{
	__attribute__((cleanup(table_cleaner))) struct mount_table table = {0};

	if (read_table(m->proc, &table) < 0)
		return fail(e, "read the mounts of the host");
	for (size_t i = 0; i < table.count; i++) {
		const struct mount_row *row = &table.rows[i];

		if (!is_host(m, &table, row))
			continue;
		if (!m->asked->covers_only)
			return error_set(e, 0, "rootfs-failed",
			                 "the host's mount on %s cannot be unmounted", row->point);
		if (row->whole && cover(row) < 0)
			return error_set(e, errno, "rootfs-failed", "cover the host's %s",
			                 row->point);
	}
	return 0;
}

static int
move_root(struct move *m, struct error *e)
{
	const struct mount_attr private = {.propagation = MS_PRIVATE};

	m->old_id = mount_id(AT_FDCWD, "/");
	m->new_id = mount_id(m->asked->rootfs, "");
	if (m->old_id < 0 || m->new_id < 0)
		return fail(e, "find the mounts of the old and the new root");
	if (mount_setattr(AT_FDCWD, "/", 0, (struct mount_attr *)&private, sizeof(private)) < 0)
		return fail(e, "make / private");
	if (move_mount(m->asked->rootfs, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail(e, "move the rootfs over /");
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
lock(const struct move *m, struct error *e)
{
	static const char id[] = "root-unlocked";
	static const char risk[] = "who may unmount in the container can get at the initramfs";

	if (m->asked->shared)
		return log_fallback(e, id, "shared mounts cannot be locked: %s", risk);
	if (enter_locked_copy(m->proc) == 0)
		return 0;
	return log_fallback(e, id, "%s: %s", error_text(errno), risk);
}

int
rootfs_move_over(const struct root_move *asked, struct error *e)
{
	autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct move m = {.asked = asked, .proc = proc};

	if (proc < 0)
		return fail(e, "open /proc");
	if (move_root(&m, e) < 0)
		return -1;
	if (take_off(&m) < 0)
		return fail(e, "read the mounts of the host");
	if (cover_rest(&m, e) < 0)
		return -1;
	if (fchdir(asked->rootfs) < 0 || chroot(".") < 0)
		return fail(e, "chroot to the rootfs");
	return lock(&m, e);
}
