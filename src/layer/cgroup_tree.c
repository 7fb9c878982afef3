/* SPDX-License-Identifier: MIT */
/*
 * A cgroup from the outside (cgroups(7)): opened, watched, frozen, killed,
 * listed, removed. Always by descriptor and beneath the hierarchy's root; a
 * process that is being killed must not fork away, and one that has died may
 * keep its cgroup busy for a moment longer.
 */
#include "hako/cgroup.h"
#include "hako/cgroup_keyed.h"
#include "hako/clock.h"
#include "hako/file.h"
#include "hako/mem.h"
#include "hako/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

enum { FREEZE_MS = 10000 };

/* Open ---------------------------------------------------------------------- */

int
cgroup_open_root(const char **ret_mount, struct error *e)
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		autoclose int fd = open(mounts[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		struct statfs fs;

		if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
			*ret_mount = mounts[i];
			return take_fd(&fd);
		}
	}
	return error_set(
		e, 0, "cgroup-missing",
		"no cgroup v2 hierarchy on /sys/fs/cgroup or /sys/fs/cgroup/unified: mount "
		"one (mount -t cgroup2 cgroup2 DIR), or boot with "
		"systemd.unified_cgroup_hierarchy=1");
}

int
cgroup_open(int root, const char *path)
{
	return path_open_beneath(root, path, O_PATH | O_DIRECTORY);
}

int
cgroup_of(pid_t pid, char *buf, size_t size)
{
	char path[48] = "/proc/self/cgroup", text[8192];

	if (pid != 0)
		snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	if (file_read_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -1;
	for (char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, "0::", 3) == 0) {
			snprintf(buf, size, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
			return 0;
		}
	}
	errno = ENOENT;
	return -1;
}

/* Value of "key N" in a flat keyed file such as cgroup.events; -1 with errno. */
static long
read_key(int cgroup, const char *file, const char *key)
{
	char text[1024];
	const char *value;

	if (file_read_at(cgroup, file, text, sizeof(text)) < 0)
		return -1;
	value = keyed_find(text, key);
	if (value != NULL)
		return strtol(value, NULL, 10);
	errno = EINVAL;
	return -1;
}

/* Freeze, kill, wait ----------------------------------------------------------- */

/*
 * Wait until a key of cgroup.events has a value. The kernel wakes poll(2) on a
 * change, but at most every 10 ms: a dying process is gone much sooner, so look
 * often at first.
 */
static int
wait_event(int cgroup, const char *key, long wanted, int timeout_ms)
{
	autoclose int fd = openat(cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC);
	int64_t deadline = clock_now_ms() + timeout_ms;
	struct timespec pause = {.tv_nsec = 50000};

	if (fd < 0)
		return -1;
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLPRI};
		char text[512];
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
		const char *found;

		if (n < 0)
			return -1;
		text[n] = '\0';
		found = keyed_find(text, key);
		if (found != NULL && strtol(found, NULL, 10) == wanted)
			return 0;
		if (clock_now_ms() >= deadline) {
			errno = ETIMEDOUT;
			return -1;
		}
		ppoll(&p, 1, &pause, NULL);
		if (pause.tv_nsec < 50000000)
			pause.tv_nsec *= 2;
	}
}

int
cgroup_wait_empty(int cgroup, int timeout_ms)
{
	return wait_event(cgroup, "populated", 0, timeout_ms);
}

int
cgroup_is_frozen(int cgroup)
{
	long frozen = read_key(cgroup, "cgroup.events", "frozen");

	return frozen < 0 ? -1 : frozen != 0;
}

int
cgroup_freeze(int cgroup, bool frozen)
{
	if (file_write_at(cgroup, "cgroup.freeze", frozen ? "1" : "0") < 0)
		return -1;
	if (wait_event(cgroup, "frozen", frozen, FREEZE_MS) == 0)
		return 0;
	if (frozen) { /* not half frozen for ever */
		int saved = errno;

		cgroup_thaw(cgroup);
		errno = saved;
	}
	return -1;
}

void
cgroup_thaw(int cgroup)
{
	(void)file_write_at(cgroup, "cgroup.freeze", "0");
}

static int
kill_one(pid_t pid, void *data)
{
	(void)data;
	if (pid > 1)
		kill(pid, SIGKILL);
	return 0;
}

int
cgroup_kill(int cgroup)
{
	if (file_write_at(cgroup, "cgroup.kill", "1") == 0)
		return 0;
	if (errno != ENOENT)
		return -1;
	/* before Linux 5.14: hold them still, so that none forks away meanwhile */
	if (cgroup_freeze(cgroup, true) < 0 || cgroup_visit(cgroup, kill_one, NULL) < 0)
		return -1;
	cgroup_thaw(cgroup);
	return 0;
}

/* Walk ---------------------------------------------------------------------------- */

enum { DEPTH_MAX = 64 };

static int
visit_procs(int cgroup, int (*visit)(pid_t pid, void *data), void *data)
{
	autoclose int fd = openat(cgroup, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	int pid, rc = 0;

	if (f == NULL)
		return -1;
	(void)take_fd(&fd);
	while (rc == 0 && fscanf(f, "%d", &pid) == 1)
		rc = visit(pid, data);
	fclose(f);
	return rc;
}

/* What is in a cgroup, for next_child(); NULL: it is gone or too deep. */
static DIR *
open_children(int cgroup, unsigned depth)
{
	int copy = openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy >= 0 && depth < DEPTH_MAX ? fdopendir(copy) : NULL;

	if (dir == NULL)
		close_cleaner(&copy);
	if (depth == DEPTH_MAX)
		errno = ENAMETOOLONG;
	return dir;
}

/* The name of the next cgroup; NULL: there is none. */
static const char *
next_child(DIR *dir)
{
	const struct dirent *entry;

	do
		entry = readdir(dir);
	while (entry != NULL && (entry->d_type != DT_DIR || entry->d_name[0] == '.'));
	return entry != NULL ? entry->d_name : NULL;
}

static int
walk(int cgroup, unsigned depth, int (*enter)(int cgroup, void *data), void *data)
{
	DIR *dir = open_children(cgroup, depth);
	const char *name;
	int rc = 0;

	if (dir == NULL)
		return -1;
	while (rc == 0 && (name = next_child(dir)) != NULL) {
		autoclose int child = cgroup_open(cgroup, name);

		if (child >= 0)
			rc = walk(child, depth + 1, enter, data);
	}
	closedir(dir);
	return rc != 0 ? rc : enter(cgroup, data);
}

struct visitor {
	int (*visit)(pid_t pid, void *data);
	void *data;
};

static int
enter_visit(int cgroup, void *data)
{
	const struct visitor *v = data;
	int rc = visit_procs(cgroup, v->visit, v->data);

	return rc < 0 && (errno == ENODEV || errno == EOPNOTSUPP) ? 0 : rc;
}

int
cgroup_visit(int cgroup, int (*visit)(pid_t pid, void *data), void *data)
{
	struct visitor v = {visit, data};

	return walk(cgroup, 0, enter_visit, &v);
}

/* Remove -------------------------------------------------------------------------- */

enum { STEPS_MAX = 1 << 20 }; /* somebody may still be making more */

/* 0: none is left; 1: *ret_child is the first that has processes, or children itself. */
static int
remove_children(int cgroup, unsigned *ret_removed, int *ret_child)
{
	DIR *dir = open_children(cgroup, 0);
	const char *name;

	if (dir == NULL)
		return -1;
	*ret_removed = 0;
	while ((name = next_child(dir)) != NULL &&
	       (unlinkat(cgroup, name, AT_REMOVEDIR) == 0 || errno == ENOENT))
		++*ret_removed;
	*ret_child = name != NULL ? cgroup_open(cgroup, name) : -1;
	closedir(dir);
	return name == NULL ? 0 : *ret_child >= 0 ? 1 : -1;
}

/*
 * Down to one that has no children, and up again: a container that manages its own part
 * of the tree may nest cgroups deeper than there are descriptors.
 */
static int
remove_below(int cgroup)
{
	autoclose int here = openat(cgroup, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	unsigned removed, depth = 0;
	bool back = false;

	for (unsigned steps = 0; here >= 0 && steps < STEPS_MAX; steps++) {
		int next, rc = remove_children(here, &removed, &next);

		if (rc < 0 || (rc == 0 && depth == 0))
			return rc;
		if (rc == 1 && back && removed == 0) { /* no children, so it has processes */
			close(next);
			return -1;
		}
		back = rc == 0;
		if (back)
			next = openat(here, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		depth += back ? -1U : 1;
		close_cleaner(&here);
		here = next;
	}
	return -1;
}

static int
remove_once(int root, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	autoclose int above = -1;
	autoclose int cgroup = -1;
	char text[PATH_MAX];
	int parent = root;

	if (name > path + 1) {
		snprintf(text, sizeof(text), "%.*s", (int)(name - path), path);
		above = cgroup_open(root, text);
		parent = above;
	}
	if (parent < 0)
		return errno == ENOENT ? 0 : -1;
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -1;
	cgroup = cgroup_open(parent, name);
	if (cgroup >= 0)
		(void)remove_below(cgroup);
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}

int
cgroup_remove(int root, const char *path, int timeout_ms)
{
	int64_t deadline = clock_now_ms() + timeout_ms;
	struct timespec pause = {.tv_nsec = 1000000};

	if (path[0] != '/' || path[1] == '\0') {
		errno = EINVAL;
		return -1;
	}
	while (remove_once(root, path) < 0) {
		if ((errno != EBUSY && errno != ENOTEMPTY) || clock_now_ms() >= deadline)
			return -1;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 64000000)
			pause.tv_nsec *= 2;
	}
	return 0;
}
