/* SPDX-License-Identifier: MIT */
/*
 * What a tmpfs with the option tmpcopyup begins with: a copy of the directory it
 * covers. Links are copied as links and nothing is followed, so a hostile image
 * copies only itself. However deep it nests, the recursion ends at DEPTH_MAX.
 */
#include "hako/tmpcopyup.h"
#include "hako/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { DEPTH_MAX = 64 };

static int
copy_directory(int from, int to, unsigned depth);

static int
copy_xattrs(int from, int to)
{
	char names[4096], value[4096];
	ssize_t length = flistxattr(from, names, sizeof(names));

	if (length < 0)
		return errno == ENOTSUP ? 0 : -1;
	for (char *name = names; name < names + length; name += strlen(name) + 1) {
		ssize_t n = fgetxattr(from, name, value, sizeof(value));

		if (n < 0 && errno == ENODATA)
			continue;
		/* a tmpfs takes security.* and trusted.*; what it refuses, it has no room for */
		if (n < 0 || (fsetxattr(to, name, value, (size_t)n, 0) < 0 && errno != ENOTSUP &&
		              errno != EPERM))
			return -1;
	}
	return 0;
}

static int
copy_metadata(int from, int to, const struct stat *st)
{
	struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return -1;
	if (copy_xattrs(from, to) < 0)
		return -1;
	return futimens(to, times);
}

static int
copy_file(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	autoclose int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	autoclose int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n;

	if (from < 0 || to < 0)
		return -1;
	while ((n = sendfile(to, from, NULL, SSIZE_MAX & 0x7ffff000)) > 0)
		;
	if (n < 0)
		return -1;
	return copy_metadata(from, to, st);
}

static int
copy_link(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

	if (n < 0)
		return -1;
	target[n] = '\0';
	if (symlinkat(target, to_dir, name) < 0)
		return -1;
	return fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int
copy_node(int to_dir, const char *name, const struct stat *st)
{
	if (mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0)
		return -1;
	return fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int
copy_subdirectory(int from_dir, int to_dir, const char *name, const struct stat *st, unsigned depth)
{
	autoclose int from =
		openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int to = -1;

	if (from < 0 || mkdirat(to_dir, name, 0700) < 0)
		return -1;
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0 || copy_directory(from, to, depth + 1) < 0)
		return -1;
	return copy_metadata(from, to, st);
}

static int
copy_entry(int from, int to, const char *name, unsigned depth)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (S_ISDIR(st.st_mode))
		return copy_subdirectory(from, to, name, &st, depth);
	if (S_ISLNK(st.st_mode))
		return copy_link(from, to, name, &st);
	if (S_ISREG(st.st_mode))
		return copy_file(from, to, name, &st);
	return copy_node(to, name, &st);
}

static int
copy_directory(int from, int to, unsigned depth)
{
	int copy = dup(from), rc = 0;
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;

	if (dir == NULL || depth > DEPTH_MAX) {
		if (dir != NULL)
			closedir(dir);
		else if (copy >= 0)
			close(copy);
		errno = depth > DEPTH_MAX ? ELOOP : errno;
		return -1;
	}
	while (rc == 0 && (entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = copy_entry(from, to, entry->d_name, depth);
	closedir(dir);
	return rc;
}

int
tmpcopyup(int from, int to)
{
	autoclose int dir = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int root = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (dir < 0 || root < 0 || fstat(dir, &st) < 0)
		return -1;
	if (copy_directory(dir, root, 0) < 0)
		return -1;
	return fchown(root, st.st_uid, st.st_gid);
}
