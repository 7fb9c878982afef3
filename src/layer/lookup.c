/* SPDX-License-Identifier: MIT */
/*
 * What the container will find under a name, before there is a container: the
 * rootfs with the bind mounts of the config on it. Links are followed one by one,
 * because each may lead from one tree into another. What a filesystem will hold
 * that does not exist yet cannot be known, nor what this user may not see.
 */
#include "hako/mem.h"
#include "hako/path.h"
#include "hako/plan.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MAX = 40 };

struct walk {
	const struct plan *plan;
	size_t mounts;
	char done[PATH_MAX]; /* as the container sees it, without links; "" for / */
	char rest[PATH_MAX];
	unsigned links;
};

/* Asked of every pair of mounts: most differ in the first few bytes. */
static bool
covers(const struct mount_plan *m, const char *path)
{
	const char *destination = m->destination;

	for (; *destination != '\0' && *destination == *path; destination++, path++)
		;
	return *destination == '\0' && (*path == '/' || *path == '\0') &&
	       m->kind != MOUNT_REMOUNT && m->kind != MOUNT_BIND_REMOUNT;
}

/* The mount that is on top there; NULL: the rootfs. */
static const struct mount_plan *
mount_of(const struct walk *w, const char *path)
{
	size_t i = path[1] != '\0' ? w->mounts : 0; /* none is on / */

	while (i-- > 0)
		if (covers(&w->plan->mounts[i], path))
			return &w->plan->mounts[i];
	return NULL;
}

/* An O_PATH descriptor; the last name is not followed. */
static int
open_place(const struct walk *w, const char *path)
{
	const struct mount_plan *m = mount_of(w, path);
	autoclose int tree = -1;

	if (m != NULL && m->kind != MOUNT_BIND) {
		errno = EAGAIN;
		return -1;
	}
	tree = open(m != NULL ? m->source : w->plan->rootfs, O_PATH | O_CLOEXEC);
	if (tree < 0) {
		errno = EAGAIN; /* an error by itself, and not of this path */
		return -1;
	}
	path += m != NULL ? strlen(m->destination) : 0;
	return *path == '\0' ? take_fd(&tree) : path_open_in_root(tree, path, O_PATH | O_NOFOLLOW);
}

/* The next name of rest, onto done. false: there is none. */
static bool
take_name(struct walk *w)
{
	const char *name = w->rest + strspn(w->rest, "/");
	size_t length = strcspn(name, "/"), used = strlen(w->done);

	if (length == 0)
		return false;
	if (length == 2 && memcmp(name, "..", 2) == 0) {
		char *slash = strrchr(w->done, '/');

		if (slash != NULL)
			*slash = '\0';
	} else if (length != 1 || name[0] != '.') {
		snprintf(w->done + used, sizeof(w->done) - used, "/%.*s", (int)length, name);
	}
	memmove(w->rest, name + length, strlen(name + length) + 1);
	return true;
}

/* Go on where the link leads: done is its own name. */
static int
follow(struct walk *w, int link)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);
	size_t length = strlen(w->rest);

	if (n < 0)
		return -1;
	target[n] = '\0';
	if (++w->links > LINKS_MAX || (size_t)n + 1 + length >= sizeof(w->rest)) {
		errno = w->links > LINKS_MAX ? ELOOP : ENAMETOOLONG;
		return -1;
	}
	memmove(w->rest + n + 1, w->rest, length + 1);
	memcpy(w->rest, target, (size_t)n);
	w->rest[n] = '/';
	*(target[0] == '/' ? w->done : strrchr(w->done, '/')) = '\0';
	return 0;
}

static int
walk(struct walk *w, struct stat *ret)
{
	do {
		autoclose int fd = open_place(w, w->done[0] != '\0' ? w->done : "/");

		if (fd < 0 || fstat(fd, ret) < 0)
			return -1;
		if (S_ISLNK(ret->st_mode) && follow(w, fd) < 0)
			return -1;
		if (!S_ISLNK(ret->st_mode) && !S_ISDIR(ret->st_mode) &&
		    w->rest[strspn(w->rest, "/")] != '\0') {
			errno = ENOTDIR;
			return -1;
		}
	} while (take_name(w));
	return 0;
}

static int
look_up(struct walk *w, const char *path, struct stat *ret)
{
	if (strlen(path) >= sizeof(w->rest)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(w->rest, path);
	return walk(w, ret);
}

/* Does the rootfs have a link on the way there? */
static bool
has_link(int rootfs, const char *path)
{
	autoclose int fd = sys_openat2(rootfs, path + 1, O_PATH | O_CLOEXEC, 0,
	                               RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

	return fd < 0 && errno == ELOOP;
}

bool
plan_knows_mounts(const struct plan *plan)
{
	const struct json *all = json_member(plan->config->at, "mounts");
	autoclose int rootfs = open(plan->rootfs, O_PATH | O_CLOEXEC);

	if (rootfs < 0 || (all != NULL && all->count != plan->mount_count))
		return false;
	for (size_t i = 0; i < plan->mount_count; i++)
		if (has_link(rootfs, plan->mounts[i].destination))
			return false;
	return true;
}

int
plan_look_up(const struct plan *plan, size_t mounts, const char *path, struct stat *ret)
{
	/* not on the stack: there the compiler would clear all of it, for every path */
	autofree struct walk *w = malloc(sizeof(*w));

	if (w == NULL)
		return -1;
	w->plan = plan;
	w->mounts = mounts;
	w->links = 0;
	w->done[0] = '\0';
	if (look_up(w, path, ret) == 0)
		return 0;
	if (errno == EACCES || errno == EPERM)
		errno = EAGAIN;
	return -1;
}
