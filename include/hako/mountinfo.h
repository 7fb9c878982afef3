/* SPDX-License-Identifier: MIT */
#ifndef HAKO_MOUNTINFO_H
#define HAKO_MOUNTINFO_H

#include "hako/mem.h"

#include <stddef.h>
#include <stdint.h>

/* A line of /proc/PID/mountinfo (proc(5)). */
struct mount_line {
	uint64_t id;
	uint64_t parent;
	unsigned major;
	unsigned minor;
	const char *root;  /* what of the filesystem is mounted */
	const char *point; /* as the process sees it */
	const char *options;
	const char *propagation; /* "shared:1 master:2"; empty: private */
	const char *type;
	const char *source;
	const char *superblock; /* options of the filesystem */
};

struct mountinfo {
	struct mount_line *lines;
	size_t count;
};

/* What the file says; NULL with errno. */
const struct mountinfo *
mountinfo_read(struct arena *arena, int dir, const char *path);

/* The mount of that id (STATX_MNT_ID of statx(2)), or NULL. */
const struct mount_line *
mountinfo_find(const struct mountinfo *info, uint64_t id);

/* The topmost mount at that point, or NULL. */
const struct mount_line *
mountinfo_at(const struct mountinfo *info, const char *point);

/* "shared", "unbindable", "slave" or "private". */
const char *
mount_propagation(const struct mount_line *line);

/* The value of "word=value" in a list with commas; a copy, or NULL. */
const char *
mount_value(struct arena *arena, const char *list, const char *word);

/* What follows dir in path: "/b" for /a and /a/b, "" when they are the same; NULL: not below. */
const char *
path_below(const char *dir, const char *path);

#endif
