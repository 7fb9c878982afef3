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

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MAX = 40 };

struct walk {
	const struct plan *plan;
	char done[PATH_MAX]; /* as the container sees it, without links; "" for / */
	char rest[PATH_MAX];
	unsigned links;
};

static bool
covers(const struct mount_plan *m, const char *path)
{
	size_t length = strlen(m->destination);

	return m->kind != MOUNT_REMOUNT && m->kind != MOUNT_BIND_REMOUNT &&
	       strncmp(path, m->destination, length) == 0 &&
	       (path[length] == '/' || path[length] == '\0');
}

/* The mount that is on top there; NULL: the rootfs. */
static const struct mount_plan *
mount_of(const struct plan *plan, const char *path)
{
	for (size_t i = plan->mount_count; i-- > 0;)
		if (covers(&plan->mounts[i], path))
			return &plan->mounts[i];
	return NULL;
}

/* An O_PATH descriptor; the last name is not followed. */
static int
open_place(const struct plan *plan, const char *path)
{
	const struct mount_plan *m = mount_of(plan, path);
	autoclose int tree = -1;

	if (m != NULL && m->kind != MOUNT_BIND) {
		errno = EAGAIN;
		return -1;
	}
	tree = open(m != NULL ? m->source : plan->rootfs, O_PATH | O_CLOEXEC);
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
		autoclose int fd = open_place(w->plan, w->done[0] != '\0' ? w->done : "/");

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

/* Is a mount elsewhere than its name says? Then what seems missing may be there. */
static bool
has_linked_mounts(const struct plan *plan)
{
	struct stat st;

	for (size_t i = 0; i < plan->mount_count; i++) {
		struct walk w = {.plan = plan};

		(void)look_up(&w, plan->mounts[i].destination, &st);
		if (w.links > 0)
			return true;
	}
	return false;
}

int
plan_look_up(const struct plan *plan, const char *path, struct stat *ret)
{
	struct walk w = {.plan = plan};
	int code;

	if (look_up(&w, path, ret) == 0)
		return 0;
	code = errno;
	if (code == EACCES || code == EPERM || (code == ENOENT && has_linked_mounts(plan)))
		code = EAGAIN;
	errno = code;
	return -1;
}
