/* SPDX-License-Identifier: MIT */
/* Small files: the state, the kernel's pseudo files, pid files. */
#include "hako/file.h"
#include "hako/mem.h"
#include "hako/words.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHORT_FILE = 1024, FIRST_SIZE = 4096, LARGEST_SIZE = 16 << 20 };

/* Up to the end of the file, or to where a read(2) leaves no more than `enough`. */
static ssize_t
read_text(int dir, const char *path, char *buf, size_t size, size_t enough)
{
	autoclose int fd =
		openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	do {
		do
			n = read(fd, buf + used, size - used);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return -1;
		used += (size_t)n;
		if (used == size) {
			errno = EFBIG;
			return -1;
		}
	} while (n != 0 && used > enough);
	if (used > 0 && buf[used - 1] == '\n')
		used--;
	buf[used] = '\0';
	return (ssize_t)used;
}

/*
 * The kernel cuts a long file where a record ends. Those read here have short records,
 * so that what is short has come whole.
 */
ssize_t
file_read_at(int dir, const char *path, char *buf, size_t size)
{
	return read_text(dir, path, buf, size, SHORT_FILE);
}

char *
file_read_all(struct arena *arena, int dir, const char *path, size_t *ret_length)
{
	for (size_t size = FIRST_SIZE; size <= LARGEST_SIZE; size *= 4) {
		autofree char *text = malloc(size);
		ssize_t n = text != NULL ? read_text(dir, path, text, size, 0) : -1;

		if (n < 0 && errno == EFBIG)
			continue;
		if (n < 0)
			return NULL;
		if (ret_length != NULL)
			*ret_length = (size_t)n;
		return arena_strndup(arena, text, (size_t)n);
	}
	return NULL;
}

bool
file_has_word_at(int dir, const char *path, const char *word)
{
	char text[512];

	return file_read_at(dir, path, text, sizeof(text)) >= 0 && words_include(text, word);
}

int
file_write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text += n;
		length -= (size_t)n;
	}
	return 0;
}

int
file_write_at(int dir, const char *path, const char *text)
{
	autoclose int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	size_t length = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, length);
	if (n >= 0 && (size_t)n != length)
		errno = EIO;
	return n == (ssize_t)length ? 0 : -1;
}

int
file_create_at(int dir, const char *path, mode_t mode, const char *text, size_t length)
{
	autoclose int fd =
		openat(dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return -1;
	return file_write_all(fd, text, length);
}

int
file_replace_at(int dir, const char *path, mode_t mode, const char *text, size_t length)
{
	char temporary[NAME_MAX + 1];
	int saved;

	if (snprintf(temporary, sizeof(temporary), ".%s.%d", path, (int)getpid()) >=
	    (int)sizeof(temporary)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (file_create_at(dir, temporary, mode, text, length) == 0 &&
	    renameat(dir, temporary, dir, path) == 0)
		return 0;
	saved = errno;
	if (saved != EEXIST)
		unlinkat(dir, temporary, 0);
	errno = saved;
	return -1;
}

bool
file_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int
file_open_parent(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];
	int fd;

	if (slash == NULL)
		snprintf(parent, sizeof(parent), ".");
	else if (snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path + 1), path) >=
	         (int)sizeof(parent)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		*ret_name = slash != NULL ? slash + 1 : path;
	return fd;
}
