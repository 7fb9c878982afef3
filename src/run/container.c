/* SPDX-License-Identifier: MIT */
/*
 * Containers that exist: found by id below --root, their status worked out from
 * the kernel each time (a pid counts only with its start time), never stored.
 */
#include "hako/container.h"
#include "hako/cgroup.h"
#include "hako/file.h"
#include "hako/proc.h"
#include "hako/caller.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 1000, LOCK_PAUSE_NS = 10000000, ID_MAX = 255 };

/* The root of all ------------------------------------------------------------ */

/* Root of another user namespace is the user who made it: /run may be the host's. */
static bool
is_real_root(void)
{
	return getauxval(AT_EUID) == 0 && caller_is_in_initial_userns();
}

const char *
root_default(void)
{
	static char path[PATH_MAX];
	const char *runtime_dir = getenv("XDG_RUNTIME_DIR");

	if (runtime_dir == NULL || runtime_dir[0] != '/')
		return getauxval(AT_EUID) == 0 ? "/run/hako" : NULL;
	if (is_real_root())
		return "/run/hako";
	snprintf(path, sizeof(path), "%s/hako", runtime_dir);
	return path;
}

/* What stands in a folder of somebody else is not to be believed. */
int
root_check_owner(int root, struct error *e)
{
	struct stat st;

	if (fstat(root, &st) < 0)
		return error_set(e, errno, "root-failed", "look at the folder of containers");
	if (st.st_uid != getauxval(AT_EUID))
		return error_set(e, 0, "root-unsafe", "it belongs to user %u", st.st_uid);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return error_set(e, 0, "root-unsafe", "other users may write to it (mode %o)",
		                 st.st_mode & 07777);
	return 0;
}

static int
make_root(const char *path)
{
	char copy[PATH_MAX];

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (char *p = strchr(copy + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -1;
		*p = '/';
	}
	/* sticky, what is old in $XDG_RUNTIME_DIR is not cleaned up */
	return mkdir(copy, is_real_root() ? 0700 : 01700) < 0 && errno != EEXIST ? -1 : 0;
}

int
root_open(const char *path, bool make, struct error *e)
{
	int fd;

	if (strspn(path, "/") == strlen(path))
		return error_set(e, 0, "root-invalid", "--root cannot be \"%s\"", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && make) {
		if (make_root(path) < 0)
			return error_set(e, errno, "root-failed", "make %s", path);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	return fd < 0 ? error_set(e, errno, "root-failed", "open %s", path) : fd;
}

int
id_check(const char *id, struct error *e)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_+-.";
	size_t length = strlen(id), good = id[0] == '.' ? 0 : strspn(id, allowed);
	char bad[32] = "";

	if (length > 0 && length <= ID_MAX && good == length)
		return 0;
	if (good < length && id[good] > ' ' && id[good] <= '~')
		snprintf(bad, sizeof(bad), "invalid character '%c', ", id[good]);
	return error_set(
		e, 0, "id-invalid",
		"invalid container ID format: %s1 to %d of A-Z a-z 0-9 _ + - . (not . first)", bad,
		ID_MAX);
}

/* Status ----------------------------------------------------------------------- */

static bool
is_waiting(const struct container *c)
{
	return faccessat(c->dir, "start.sock", F_OK, 0) == 0;
}

/* An init that waits for `start` cannot be looked into, and so may be hidden (see settle()). */
static bool
is_hidden(const struct container *c)
{
	return c->state->start_socket && is_waiting(c) && proc_is_hidden((pid_t)*c->state->pid);
}

/* What hako has none of for the moment says nothing of the container. */
static bool
is_lack(int code)
{
	return code == EMFILE || code == ENFILE || code == ENOMEM;
}

/* Who has init's pid; state 0: nobody. */
static int
look_at_init(const struct container *c, struct proc_stat *ret, struct error *e)
{
	pid_t pid = (pid_t)*c->state->pid;

	*ret = (struct proc_stat){0};
	if (pid > 1 && proc_stat(pid, ret) < 0 && is_lack(errno))
		return error_set(e, errno, "state-failed", "read /proc/%d/stat", (int)pid);
	return 0;
}

static bool
is_alive(const struct state *state, const struct proc_stat *stat)
{
	return stat->state != 0 && stat->start_time == *state->start_time && !proc_has_ended(stat);
}

/* Another process holds the lock: the container is being created (or started, deleted). */
static bool
is_locked_by_another(const struct container *c)
{
	if (c->locked)
		return false;
	if (flock(c->dir, LOCK_SH | LOCK_NB) == 0) {
		flock(c->dir, LOCK_UN);
		return false;
	}
	return errno == EWOULDBLOCK;
}

static bool
is_paused(const struct state *state)
{
	struct error ignored;
	const char *mount;
	autoclose int root = -1;
	autoclose int cgroup = -1;

	if (state->cgroup_path == NULL)
		return false;
	root = cgroup_open_root(&mount, &ignored);
	if (root >= 0)
		cgroup = cgroup_open(root, state->cgroup_path);
	return cgroup >= 0 && cgroup_is_frozen(cgroup) == 1;
}

static enum status
find_status(const struct container *c, const struct proc_stat *stat)
{
	bool waits;

	if (*c->state->pid == 0)
		return is_locked_by_another(c) ? STATUS_CREATING : STATUS_STOPPED;
	if (!is_alive(c->state, stat))
		return is_hidden(c) ? STATUS_CREATED : STATUS_STOPPED;
	waits = is_waiting(c);
	/* who holds the lock is making it, or, when the socket is gone, starting it */
	if (!stat->executed && is_locked_by_another(c))
		return c->state->start_socket && !waits ? STATUS_CREATED : STATUS_CREATING;
	if (is_paused(c->state))
		return STATUS_PAUSED;
	return waits ? STATUS_CREATED : STATUS_RUNNING;
}

/* Open -------------------------------------------------------------------------- */

/* Deleted, or deleted and made anew, since it was opened. */
static bool
is_gone(const struct container *c)
{
	struct stat held, named;

	if (fstat(c->dir, &held) < 0 ||
	    fstatat(c->root_dir, c->id, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return !is_lack(errno);
	return !file_is_same(&held, &named);
}

int
container_refresh(struct arena *arena, struct container *c, bool damaged_ok, struct error *e)
{
	struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
	struct proc_stat stat;

	c->state = NULL;
	c->status = STATUS_STOPPED;
	for (int i = 0; state_load(arena, c->dir, "state.json", &c->state, &c->state_error) < 0;
	     i++) {
		bool busy; /* not written yet, or about to be deleted */

		if (damaged_ok && !is_lack(c->state_error.code))
			return 0;
		busy = is_locked_by_another(c);
		if (is_gone(c))
			return error_set(e, 0, "container-missing", "container does not exist");
		if (!busy || i == LOCK_TRIES) {
			*e = c->state_error;
			return -1;
		}
		nanosleep(&pause, NULL);
	}
	if (look_at_init(c, &stat, e) < 0)
		return -1;
	c->status = find_status(c, &stat);
	return 0;
}

int
container_open(struct arena *arena, int root_dir, const char *id, bool damaged_ok,
               struct container *ret, struct error *e)
{
	*ret = (struct container){.root_dir = root_dir, .dir = -1, .id = id};
	if (id_check(id, e) < 0)
		return -1;
	ret->dir = openat(root_dir, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ret->dir < 0)
		return errno == ENOENT || errno == ENOTDIR
		               ? error_set(e, 0, "container-missing", "container does not exist")
		               : error_set(e, errno, "state-failed", "open the state folder");
	if (container_refresh(arena, ret, damaged_ok, e) == 0)
		return 0;
	container_close(ret);
	return -1;
}

void
container_close(struct container *c)
{
	close_cleaner(&c->dir);
	c->dir = -1;
}

int
container_lock(struct container *c, struct error *e)
{
	struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

	for (int i = 0; flock(c->dir, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set(e, errno, "state-failed", "lock the state folder");
		if (i == LOCK_TRIES)
			return error_set(e, 0, "container-busy",
			                 "another hako is working on this container");
		nanosleep(&pause, NULL);
	}
	if (is_gone(c))
		return error_set(e, 0, "container-missing", "container does not exist");
	c->locked = true;
	return 0;
}

int
container_pidfd(const struct container *c, struct error *e)
{
	pid_t pid = (pid_t)*c->state->pid;
	int fd = proc_open(pid, *c->state->start_time), code = errno;

	if (fd < 0 && (code == ESRCH || code == EPERM) && is_hidden(c))
		fd = sys_pidfd_open(pid, 0);
	if (fd < 0)
		return code == ESRCH
		               ? error_set(e, 0, "container-not-running", "container not running")
		               : error_set(e, code, "container-not-running", "open init");
	return fd;
}

int
container_cgroup(const struct container *c, struct error *e)
{
	const char *mount;
	autoclose int root = -1;
	int fd;

	if (c->state->cgroup_path == NULL)
		return error_set(e, 0, "cgroup-missing",
		                 "the container has no cgroup of its own: none was delegated to "
		                 "the caller, or --cgroup-manager disabled was given");
	root = cgroup_open_root(&mount, e);
	if (root < 0)
		return -1;
	fd = cgroup_open(root, c->state->cgroup_path);
	return fd < 0 ? error_set(e, errno, "cgroup-failed", "open the cgroup %s%s", mount,
	                          c->state->cgroup_path)
	              : fd;
}

int
container_freeze(const struct container *c, bool frozen, struct error *e)
{
	autoclose int cgroup = -1;

	if (c->status == STATUS_STOPPED || c->status == STATUS_CREATING)
		return error_set(e, 0, "container-not-running", "container not running");
	if (!frozen && c->status != STATUS_PAUSED)
		return error_set(e, 0, "container-not-paused", "container not paused");
	if (frozen && c->status == STATUS_PAUSED)
		return error_set(e, 0, "container-not-running",
		                 "container not running: it is paused");
	cgroup = container_cgroup(c, e);
	if (cgroup < 0)
		return -1;
	if (cgroup_freeze(cgroup, frozen) < 0)
		return error_set(e, errno, "freeze-failed", "%s",
		                 frozen ? "freeze the cgroup"
		                        : "thaw the cgroup (is one above it frozen as well?)");
	return 0;
}
