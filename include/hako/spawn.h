/* SPDX-License-Identifier: MIT */
#ifndef HAKO_SPAWN_H
#define HAKO_SPAWN_H

#include "hako/plan.h"

/*
 * Start init by one clone3: inside its cgroup and its new namespaces. Sets
 * h->init_pid, h->init_pidfd, h->sync (the parent's end) and, but for a process that
 * exec adds, h->init_start_time.
 * child runs in init with its own end in h->sync and does not return.
 */
int
spawn_init(const struct plan *plan, struct handles *h,
           void (*child)(const struct plan *plan, struct handles *h), struct error *e);

/* Kill init and reap it; safe when there is none. */
void
spawn_kill(struct handles *h);

#endif
