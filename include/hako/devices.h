/* SPDX-License-Identifier: MIT */
#ifndef HAKO_DEVICES_H
#define HAKO_DEVICES_H

#include "hako/plan.h"

#include <stdbool.h>
#include <sys/stat.h>

/* Of the kind and with the numbers that are planned? A fifo has none. */
bool
device_matches(const struct device_plan *d, const struct stat *st);

/* Will the parent make the nodes, because init may not and the parent can? */
bool
devices_are_prepared(const struct plan *plan);

/* Init: put what devices_prepare() has made in sight of device_bind(), and away again. */
int
device_nodes_attach(struct handles *h, struct error *e);
int
device_nodes_detach(struct handles *h, struct error *e);

/*
 * Bind a node that init may not make upon parent/name: the one that the parent has made,
 * or the host's. The file to bind it upon is made when it is missing.
 */
int
device_bind(const struct plan *plan, const struct handles *h, const struct device_plan *d,
            int parent, const char *name, struct error *e);

#endif
