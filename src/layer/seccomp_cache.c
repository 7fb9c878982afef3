/* SPDX-License-Identifier: MIT */
/*
 * Compiled seccomp programs in <root>/.cache/seccomp, one file a profile. What
 * is found there decides how a container is confined, so a file counts only if
 * it is ours alone to write, holds the very profile that was asked for (the
 * name is just a hash of it) and is whole: a crash may have left holes in it.
 * Anything else is ignored and replaced. The cache can be removed at any time.
 */
#include "hako/seccomp.h"
#include "hako/error.h"
#include "hako/file.h"
#include "hako/log.h"
#include "hako/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Another number whenever seccomp_compile.c or seccomp_dispatch.c make other programs. */
static const char format[16] = "hako-seccomp-2";

enum { KEY_MAX = 64 << 10, FILES_MAX = 256 };

/* What comes before the key and the program in a file. */
struct header {
	struct origin {
		char format[sizeof(format)];
		char machine[72]; /* so long that nothing has to be padded: it is compared */
		uint32_t pointer_size;
		uint32_t version[3];
		uint64_t key_length;
	} origin;
	uint64_t length; /* instructions */
	uint64_t checksum;
};

/* FNV-1a, eight bytes at a time; the high bits are folded back to where they matter. */
static uint64_t
hash(const void *data, size_t size)
{
	const char *p = data;
	uint64_t value = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		size_t rest = size - i < sizeof(uint64_t) ? size - i : sizeof(uint64_t);
		uint64_t word = 0;

		memcpy(&word, p + i, rest);
		value = (value ^ word) * 0x100000001b3;
		value ^= value >> 32;
	}
	return value;
}

static void
file_name(const struct seccomp_key *key, char name[static 17])
{
	snprintf(name, 17, "%016llx", (unsigned long long)hash(key->text, key->length));
}

static int
describe(const struct seccomp_key *key, struct origin *origin)
{
	struct utsname host;

	memset(origin, 0, sizeof(*origin));
	if (uname(&host) < 0)
		return -1;
	memcpy(origin->format, format, sizeof(format));
	snprintf(origin->machine, sizeof(origin->machine), "%s", host.machine);
	origin->pointer_size = sizeof(void *);
	for (size_t i = 0; i < ARRAY_SIZE(origin->version); i++)
		origin->version[i] = key->version[i];
	origin->key_length = key->length;
	return 0;
}

/* The instructions in a file that may be trusted, going by its metadata alone; else 0. */
static size_t
trusted_length(int fd, const struct seccomp_key *key)
{
	size_t overhead = sizeof(struct header) + key->length, size;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return 0;
	size = (size_t)st.st_size;
	if (size <= overhead || (size - overhead) % sizeof(struct sock_filter) != 0 ||
	    size - overhead > BPF_MAXINSNS * sizeof(struct sock_filter))
		return 0;
	return (size - overhead) / sizeof(struct sock_filter);
}

static bool
read_whole(int fd, const struct seccomp_key *key, struct sock_filter *filter, size_t length)
{
	size_t program_size = length * sizeof(*filter);
	autofree char *text = malloc(key->length);
	struct origin expected;
	struct header header;
	struct iovec parts[] = {
		{&header, sizeof(header)},
		{text, key->length},
		{filter, program_size},
	};

	if (text == NULL || describe(key, &expected) < 0 ||
	    readv(fd, parts, ARRAY_SIZE(parts)) !=
	            (ssize_t)(sizeof(header) + key->length + program_size))
		return false;
	return memcmp(&header.origin, &expected, sizeof(expected)) == 0 &&
	       header.length == length && memcmp(text, key->text, key->length) == 0 &&
	       header.checksum == hash(filter, program_size);
}

uint32_t
seccomp_cache_load(int root_dir, const struct seccomp_key *key, struct sock_filter *filter)
{
	char name[17], path[64];
	autoclose int fd = -1;
	size_t length;

	if (root_dir < 0 || key->text == NULL || key->length == 0 || key->length > KEY_MAX)
		return 0;
	file_name(key, name);
	snprintf(path, sizeof(path), ".cache/seccomp/%s", name);
	fd = openat(root_dir, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return 0;
	length = trusted_length(fd, key);
	if (length > 0 && read_whole(fd, key, filter, length))
		return (uint32_t)length;
	log_debug("seccomp cache: %s is not usable", path);
	return 0;
}

static int
open_dir(int root_dir)
{
	if (mkdirat(root_dir, ".cache", 0700) < 0 && errno != EEXIST)
		return -1;
	if (mkdirat(root_dir, ".cache/seccomp", 0700) < 0 && errno != EEXIST)
		return -1;
	return openat(root_dir, ".cache/seccomp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* May this file be added, or does it replace another? */
static bool
has_room(int dir, const char *name)
{
	int copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *entry;
	unsigned files = 0;
	bool found = false;

	if (stream == NULL) {
		close_cleaner(&copy);
		return false;
	}
	while (!found && (entry = readdir(stream)) != NULL) {
		found = strcmp(entry->d_name, name) == 0;
		files++;
	}
	closedir(stream);
	return found || files < FILES_MAX;
}

static int
write_file(int dir, const char *name, const struct seccomp_key *key,
           const struct sock_filter *filter, uint32_t length)
{
	size_t program_size = length * sizeof(*filter);
	size_t size = sizeof(struct header) + key->length + program_size;
	autofree char *text = malloc(size);
	struct header header = {.length = length, .checksum = hash(filter, program_size)};

	if (text == NULL || describe(key, &header.origin) < 0)
		return -1;
	memcpy(text, &header, sizeof(header));
	memcpy(text + sizeof(header), key->text, key->length);
	memcpy(text + sizeof(header) + key->length, filter, program_size);
	return file_replace_at(dir, name, 0600, text, size);
}

void
seccomp_cache_store(int root_dir, const struct seccomp_key *key, const struct sock_filter *filter,
                    uint32_t length)
{
	autoclose int dir = -1;
	char name[17];

	if (root_dir < 0 || key->text == NULL || key->length == 0 || key->length > KEY_MAX)
		return;
	file_name(key, name);
	dir = open_dir(root_dir);
	if (dir < 0 || !has_room(dir, name) || write_file(dir, name, key, filter, length) < 0)
		log_debug("seccomp cache: %s is not kept: %s", name, error_text(errno));
}
