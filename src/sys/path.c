/* SPDX-License-Identifier: MIT */
/*
 * Paths inside a rootfs and inside the cgroup tree. The kernel resolves every
 * name in one step relative to a descriptor; a name is never checked as text
 * and used later as text. What is missing is made one component at a time.
 */
#include "hako/path.h"
#include "hako/mem.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IN_ROOT = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
enum { BENEATH = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
enum { RETRIES = 1000 }; /* EAGAIN: a rename or mount elsewhere, of which there may be many */

static int
resolve(int dir, const char *path, int flags, unsigned how)
{
	for (int i = 0; i < RETRIES; i++) {
		int fd = sys_openat2(dir, path, (uint64_t)(unsigned)flags | O_CLOEXEC, 0, how);

		if (fd >= 0 || errno != EAGAIN)
			return fd;
	}
	return -1;
}

int
path_open_in_root(int root, const char *path, int flags)
{
	return resolve(root, path, flags, IN_ROOT);
}

int
path_open_unlinked_in_root(int root, const char *path, int flags)
{
	return resolve(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
}

int
path_open_beneath(int dir, const char *path, int flags)
{
	while (*path == '/')
		path++;
	return resolve(dir, *path != '\0' ? path : ".", flags, BENEATH);
}

int
path_normalise(const char *path, char *buf, size_t size)
{
	size_t used = 0;

	if (size < 2) {
		errno = ENAMETOOLONG;
		return -1;
	}
	while (*path != '\0') {
		size_t length = (size_t)(strchrnul(path, '/') - path);

		if (length == 2 && path[0] == '.' && path[1] == '.') {
			while (used > 0 && buf[--used] != '/')
				;
		} else if (length > 0 && !(length == 1 && path[0] == '.')) {
			if (used + length + 2 > size) {
				errno = ENAMETOOLONG;
				return -1;
			}
			buf[used++] = '/';
			memcpy(buf + used, path, length);
			used += length;
		}
		path += length + (path[length] == '/');
	}
	if (used == 0)
		buf[used++] = '/';
	buf[used] = '\0';
	return 0;
}

enum { LINKS_MAX = 40 };

/* A walk from the top of a tree, making what is missing: see walk_making(). */
struct walk {
	int root;
	int dir;        /* where the walk stands; -1: at root */
	unsigned how;   /* RESOLVE_... for one step */
	bool follow;    /* resolve symbolic links inside root */
	bool directory; /* what the last component is made as */
	mode_t mode;    /* of new directories */
	unsigned links;
	char done[PATH_MAX]; /* from root to dir, without links */
	char rest[PATH_MAX]; /* still to go */
};

static int
walk_goto(struct walk *w, int fd, const char *done)
{
	if (fd < 0)
		return -1;
	if (w->dir >= 0)
		close(w->dir);
	w->dir = fd;
	memmove(w->done, done, strlen(done) + 1);
	return 0;
}

static int
walk_up(struct walk *w)
{
	char *slash = strrchr(w->done, '/');

	if (slash == NULL)
		return 0;
	*slash = '\0';
	return walk_goto(w,
	                 resolve(w->root, w->done[0] != '\0' ? w->done + 1 : ".", O_PATH,
	                         RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS),
	                 w->done);
}

/* Put the target of a link in front of what is left; an absolute one begins at root. */
static int
walk_link(struct walk *w, const char *target)
{
	char rest[PATH_MAX];

	if (!w->follow || ++w->links > LINKS_MAX) {
		errno = ELOOP;
		return -1;
	}
	if (snprintf(rest, sizeof(rest), "%s/%s", target, w->rest) >= (int)sizeof(rest)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(w->rest, rest);
	if (target[0] != '/')
		return 0;
	return walk_goto(w, resolve(w->root, ".", O_PATH, RESOLVE_BENEATH), "");
}

static int
walk_step(struct walk *w, const char *name)
{
	int dir = w->dir >= 0 ? w->dir : w->root;
	bool last = w->rest[strspn(w->rest, "/")] == '\0';
	char target[PATH_MAX], done[PATH_MAX];
	autoclose int fd = resolve(dir, name, O_PATH | O_NOFOLLOW, w->how);
	ssize_t n;

	if (fd < 0 && errno == ENOENT) {
		int rc = last && !w->directory ? mknodat(dir, name, S_IFREG | 0644, 0)
		                               : mkdirat(dir, name, w->mode);

		if (rc == 0 || errno == EEXIST)
			fd = resolve(dir, name, O_PATH | O_NOFOLLOW, w->how);
	}
	if (fd < 0)
		return -1;
	n = readlinkat(fd, "", target, sizeof(target) - 1);
	if (n >= 0) {
		target[n] = '\0';
		return walk_link(w, target);
	}
	if (snprintf(done, sizeof(done), "%s/%s", w->done, name) >= (int)sizeof(done)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return walk_goto(w, take_fd(&fd), done);
}

/*
 * Walk path one component at a time and make what is missing. Only for names
 * that do not exist yet, or hang on a dangling link: what exists is opened in
 * one call.
 */
static int
walk_making(struct walk *w, const char *path)
{
	if (strlen(path) >= sizeof(w->rest)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(w->rest, path);
	w->dir = -1;
	while (w->rest[strspn(w->rest, "/")] != '\0') {
		char name[NAME_MAX + 1];
		char *start = w->rest + strspn(w->rest, "/");
		size_t n = strcspn(start, "/");
		int rc = 0;

		if (n >= sizeof(name)) {
			errno = ENAMETOOLONG;
			rc = -1;
		} else {
			memcpy(name, start, n);
			name[n] = '\0';
			memmove(w->rest, start + n, strlen(start + n) + 1);
			if (strcmp(name, "..") == 0)
				rc = walk_up(w);
			else if (strcmp(name, ".") != 0)
				rc = walk_step(w, name);
		}
		if (rc < 0) {
			close_cleaner(&w->dir);
			return -1;
		}
	}
	return w->dir >= 0 ? w->dir : resolve(w->root, ".", O_PATH, RESOLVE_BENEATH);
}

/* Most often only the last component is missing, and no link is on the way. */
static int
make_last(int root, const char *path, bool directory)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	autoclose int dir = -1;
	char parent[PATH_MAX];

	if (slash == NULL || *name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    snprintf(parent, sizeof(parent), "%.*s", (int)(name - path), path) >=
	            (int)sizeof(parent))
		return -1;
	dir = resolve(root, parent, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	if (dir < 0 ||
	    (directory ? mkdirat(dir, name, 0755) : mknodat(dir, name, S_IFREG | 0644, 0)) < 0)
		return -1;
	return openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

int
path_make_missing_in_root(int root, const char *path, bool directory)
{
	struct walk w = {.root = root,
	                 .how = RESOLVE_NO_MAGICLINKS,
	                 .follow = true,
	                 .directory = directory,
	                 .mode = 0755};
	int fd = make_last(root, path, directory);

	return fd >= 0 ? fd : walk_making(&w, path);
}

int
path_make_target_in_root(int root, const char *path, bool directory)
{
	int fd = path_open_in_root(root, path, O_PATH);

	return fd >= 0 || errno != ENOENT ? fd : path_make_missing_in_root(root, path, directory);
}

int
path_make_dirs_in_root(int root, const char *path)
{
	return path_make_target_in_root(root, path, true);
}

int
path_make_dirs_beneath(int dir, const char *path, mode_t mode)
{
	struct walk w = {.root = dir, .how = BENEATH, .directory = true, .mode = mode};

	return walk_making(&w, path);
}

int
path_open_parent_in_root(int root, const char *path, bool make, char *ret_name, size_t size)
{
	char parent[PATH_MAX];
	const char *end = path + strlen(path), *name;

	while (end > path && end[-1] == '/')
		end--;
	name = end;
	while (name > path && name[-1] != '/')
		name--;
	if ((size_t)(end - name) >= size || (size_t)(name - path) >= sizeof(parent)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(ret_name, name, (size_t)(end - name));
	ret_name[end - name] = '\0';
	if (ret_name[0] == '\0' || strcmp(ret_name, ".") == 0 || strcmp(ret_name, "..") == 0) {
		errno = EINVAL;
		return -1;
	}
	memcpy(parent, path, (size_t)(name - path));
	parent[name - path] = '\0';
	if (parent[0] == '\0')
		strcpy(parent, "/");
	if (make)
		return path_make_dirs_in_root(root, parent);
	return path_open_in_root(root, parent, O_PATH | O_DIRECTORY);
}
