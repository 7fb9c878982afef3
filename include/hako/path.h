/* SPDX-License-Identifier: MIT */
#ifndef HAKO_PATH_H
#define HAKO_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * The only way to touch a name inside a rootfs or the cgroup tree. Symbolic
 * links in a rootfs are hostile: they are resolved as if the rootfs were / and
 * never through procfs' magic links (openat2(2), RESOLVE_IN_ROOT |
 * RESOLVE_NO_MAGICLINKS). -1 with errno.
 */

/* Open path (absolute or not) inside root with open(2) flags; O_CLOEXEC is added. */
int
path_open_in_root(int root, const char *path, int flags);

/* The same where no component may be a symbolic link: ELOOP. */
int
path_open_unlinked_in_root(int root, const char *path, int flags);

/* mkdir -p inside root (mode 0755 for what is missing), following its links; an O_PATH fd. */
int
path_make_dirs_in_root(int root, const char *path);

/*
 * An O_PATH descriptor of a mount target inside root, made when it is missing:
 * a directory 0755, or (directory false) an empty regular file 0644. Made by
 * mkdirat and mknodat: nothing that exists is opened, truncated or followed out
 * of the root.
 */
int
path_make_target_in_root(int root, const char *path, bool directory);

/* The same for a path that is known not to exist. */
int
path_make_missing_in_root(int root, const char *path, bool directory);

/*
 * The parent directory of path inside root as an O_PATH descriptor, made when missing if
 * make says so; the last name of the path goes to ret_name, which has size bytes.
 */
int
path_open_parent_in_root(int root, const char *path, bool make, char *ret_name, size_t size);

/* mkdir -p below dir for a path without links or "..", staying on its filesystem; an O_PATH fd. */
int
path_make_dirs_beneath(int dir, const char *path, mode_t mode);

/* Open below dir: no links at all, no "..", no other filesystem. */
int
path_open_beneath(int dir, const char *path, int flags);

/*
 * Normalise an absolute or relative path as text, as if / were the top:
 * "a//b/../c" -> "/a/c". ENAMETOOLONG when it does not fit.
 */
int
path_normalise(const char *path, char *buf, size_t size);

#endif
