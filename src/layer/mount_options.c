/* SPDX-License-Identifier: MIT */
/*
 * The options of mounts[] (config.md, "Linux mount options") as one table: each
 * word sets or clears attributes of the mount, of its whole tree, of the
 * superblock, or its propagation. A word that is not in the table belongs to
 * the filesystem.
 */
#include "hako/mount_options.h"
#include "hako/mem.h"
#include "hako/syscall.h"

#include <string.h>

#define ATTR(set, clear) .attr_set = (set), .attr_clear = (clear)
#define TREE(set, clear) .recursive = true, .attr_set = (set), .attr_clear = (clear)
#define ATIME MOUNT_ATTR__ATIME

const struct mount_option mount_options[] = {
	{"async", .superblock = "async"},
	{"atime", ATTR(MOUNT_ATTR_RELATIME, ATIME)},
	{"bind", .bind = true},
	{"copy-symlink", .copy_symlink = true},
	{"defaults"},
	{"dest-nofollow", .destination_nofollow = true},
	{"dev", ATTR(0, MOUNT_ATTR_NODEV)},
	{"diratime", ATTR(0, MOUNT_ATTR_NODIRATIME)},
	{"dirsync", .superblock = "dirsync"},
	{"exec", ATTR(0, MOUNT_ATTR_NOEXEC)},
	{"idmap", .idmap = true},
	{"iversion"}, /* the kernel's filesystems decide by themselves */
	{"lazytime", .superblock = "lazytime"},
	{"loud"},
	{"mand", .superblock = "mand"},
	{"noatime", ATTR(MOUNT_ATTR_NOATIME, ATIME)},
	{"nodev", ATTR(MOUNT_ATTR_NODEV, 0)},
	{"nodiratime", ATTR(MOUNT_ATTR_NODIRATIME, 0)},
	{"noexec", ATTR(MOUNT_ATTR_NOEXEC, 0)},
	{"noiversion"},
	{"nolazytime", .superblock = "nolazytime"},
	{"nomand", .superblock = "nomand"},
	{"norelatime"}, /* relatime is what the kernel does without an atime option */
	{"nostrictatime", ATTR(MOUNT_ATTR_RELATIME, ATIME)},
	{"nosuid", ATTR(MOUNT_ATTR_NOSUID, 0)},
	{"nosymfollow", ATTR(MOUNT_ATTR_NOSYMFOLLOW, 0)},
	{"private", .propagation = MS_PRIVATE},
	{"ratime", TREE(MOUNT_ATTR_RELATIME, ATIME)},
	{"rbind", .bind = true, .recursive = true},
	{"rdev", TREE(0, MOUNT_ATTR_NODEV)},
	{"rdiratime", TREE(0, MOUNT_ATTR_NODIRATIME)},
	{"relatime", ATTR(MOUNT_ATTR_RELATIME, ATIME)},
	{"remount", .remount = true},
	{"rexec", TREE(0, MOUNT_ATTR_NOEXEC)},
	{"ridmap", .idmap = true, .recursive = true},
	{"rnoatime", TREE(MOUNT_ATTR_NOATIME, ATIME)},
	{"rnodev", TREE(MOUNT_ATTR_NODEV, 0)},
	{"rnodiratime", TREE(MOUNT_ATTR_NODIRATIME, 0)},
	{"rnoexec", TREE(MOUNT_ATTR_NOEXEC, 0)},
	{"rnorelatime"},
	{"rnostrictatime", TREE(MOUNT_ATTR_RELATIME, ATIME)},
	{"rnosuid", TREE(MOUNT_ATTR_NOSUID, 0)},
	{"rnosymfollow", TREE(MOUNT_ATTR_NOSYMFOLLOW, 0)},
	{"ro", ATTR(MOUNT_ATTR_RDONLY, 0)},
	{"rprivate", .propagation = MS_PRIVATE | MS_REC},
	{"rrelatime", TREE(MOUNT_ATTR_RELATIME, ATIME)},
	{"rro", TREE(MOUNT_ATTR_RDONLY, 0)},
	{"rrw", TREE(0, MOUNT_ATTR_RDONLY)},
	{"rshared", .propagation = MS_SHARED | MS_REC},
	{"rslave", .propagation = MS_SLAVE | MS_REC},
	{"rstrictatime", TREE(MOUNT_ATTR_STRICTATIME, ATIME)},
	{"rsuid", TREE(0, MOUNT_ATTR_NOSUID)},
	{"rsymfollow", TREE(0, MOUNT_ATTR_NOSYMFOLLOW)},
	{"runbindable", .propagation = MS_UNBINDABLE | MS_REC},
	{"rw", ATTR(0, MOUNT_ATTR_RDONLY)},
	{"shared", .propagation = MS_SHARED},
	{"silent"},
	{"slave", .propagation = MS_SLAVE},
	{"src-nofollow", .source_nofollow = true},
	{"strictatime", ATTR(MOUNT_ATTR_STRICTATIME, ATIME)},
	{"suid", ATTR(0, MOUNT_ATTR_NOSUID)},
	{"symfollow", ATTR(0, MOUNT_ATTR_NOSYMFOLLOW)},
	{"sync", .superblock = "sync"},
	{"tmpcopyup", .tmpcopyup = true},
	{"unbindable", .propagation = MS_UNBINDABLE},
	{NULL},
};

/* A word ends at '=' too, which no name has. */
static int
compare(const char *name, const char *word)
{
	for (; *name != '\0' && *name == *word; name++, word++)
		;
	return (unsigned char)*name - (*word == '=' ? 0 : (unsigned char)*word);
}

const struct mount_option *
mount_option_find(const char *word)
{
	size_t low = 0, high = ARRAY_SIZE(mount_options) - 1;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct mount_option *o = &mount_options[middle];
		int order = compare(o->name, word);

		if (order == 0)
			return o->idmap || strchr(word, '=') == NULL ? o : NULL;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
