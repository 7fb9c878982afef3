/* SPDX-License-Identifier: MIT */
#ifndef HAKO_FILE_H
#define HAKO_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct arena;
struct stat;

/* Files of our own and of the kernel: small, read and written at once. -1 with errno. */

/*
 * Read a small file (procfs, cgroupfs, state) into buf, NUL-terminated, one
 * trailing newline cut. Returns its length; EFBIG when it does not fit.
 */
ssize_t
file_read_at(int dir, const char *path, char *buf, size_t size);

/*
 * Read a file however long, up to 16 MiB, into the arena, ended like the text of
 * file_read_at(). ret_length may be NULL. NULL with errno.
 */
char *
file_read_all(struct arena *arena, int dir, const char *path, size_t *ret_length);

/* Does a small file with words between spaces, such as the lists of controllers, have that one? */
bool
file_has_word_at(int dir, const char *path, const char *word);

/* Write text to an existing file in one write(2). */
int
file_write_at(int dir, const char *path, const char *text);

/* Create (O_EXCL) and fill a file; mode is subject to the umask. */
int
file_create_at(int dir, const char *path, mode_t mode, const char *text, size_t length);

/*
 * Replace a file: a temporary file ".NAME.PID" beside it, then rename. Readers
 * see the old text or the new one, never half of it.
 */
int
file_replace_at(int dir, const char *path, mode_t mode, const char *text, size_t length);

/* Write everything, whatever write(2) takes at once. */
int
file_write_all(int fd, const char *text, size_t length);

/* Is it one file that was looked at twice? */
bool
file_is_same(const struct stat *a, const struct stat *b);

/* Directory of path opened O_PATH, and its last component; for files named by a caller. */
int
file_open_parent(const char *path, const char **ret_name);

#endif
