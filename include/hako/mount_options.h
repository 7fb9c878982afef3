/* SPDX-License-Identifier: MIT */
#ifndef HAKO_MOUNT_OPTIONS_H
#define HAKO_MOUNT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* What one word of mounts[].options does. */
struct mount_option {
	const char *name;
	uint64_t attr_set; /* MOUNT_ATTR_... */
	uint64_t attr_clear;
	uint64_t propagation;   /* MS_SHARED, ... | MS_REC */
	const char *superblock; /* a flag for fsconfig(2) */
	bool recursive;         /* the attributes are for the whole tree */
	bool bind;
	bool remount;
	bool tmpcopyup;
	bool idmap; /* may have a value */
	bool source_nofollow;
	bool destination_nofollow;
	bool copy_symlink;
};

/* Ends with a NULL name; sorted: it is searched, and `features` prints it. */
extern const struct mount_option mount_options[];

/* The row of that word, or NULL: an option of the filesystem. "idmap=..." is found as "idmap". */
const struct mount_option *
mount_option_find(const char *word);

#endif
