/* SPDX-License-Identifier: MIT */
#ifndef HAKO_MOUNTS_SHOWN_H
#define HAKO_MOUNTS_SHOWN_H

#include "hako/plan.h"

/*
 * PREPARE, parent: what init will not be allowed to mount anew, as a detached tree;
 * -1 when there is no such thing.
 */
int
mounts_shown_open(const struct plan *plan, const struct mount_plan *m);

/*
 * The kernel has refused mount i, *e says how: the existing mount that shows the same,
 * as a detached tree with its attributes set. -1 with *e when there is none.
 */
int
mounts_shown_tree(const struct plan *plan, struct handles *h, size_t i, struct error *e);

#endif
