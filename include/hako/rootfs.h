/* SPDX-License-Identifier: MIT */
#ifndef HAKO_ROOTFS_H
#define HAKO_ROOTFS_H

#include "hako/plan.h"
#include "hako/state.h"

/*
 * The id of the mount that the rootfs is on before the container's root mount covers it (statx(2),
 * STATX_MNT_ID), where that is one of the host's; else 0: there is nothing to unmount.
 */
int
rootfs_mount_below(const struct plan *plan, uint64_t *ret, struct error *e);

/* Unmount it with all that is on it (undo of rootfs_attach). What others mounted there stays. */
int
rootfs_undo(const struct state *state, struct handles *h, struct error *e);

#endif
