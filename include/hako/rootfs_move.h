/* SPDX-License-Identifier: MIT */
#ifndef HAKO_ROOTFS_MOVE_H
#define HAKO_ROOTFS_MOVE_H

#include "hako/error.h"

#include <stdbool.h>

struct root_move {
	int rootfs;       /* the container's root mount */
	bool covers_only; /* the host's mounts are locked together, as in a user namespace */
	bool shared;      /* mounts must go on reaching the host: they cannot be locked */
};

/*
 * Make it / without pivot_root(2), in a mount namespace of the caller's own whose
 * root is /. Nothing of the host's tree is left to be found but that root, and
 * nobody gets there unless mounts are shared, or the host has no user namespaces: a
 * fallback then. What is mounted unbindable does not come along.
 */
int
rootfs_move_over(const struct root_move *move, struct error *e);

#endif
