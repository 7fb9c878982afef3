/* SPDX-License-Identifier: MIT */
#ifndef HAKO_INIT_H
#define HAKO_INIT_H

#include "hako/plan.h"

/*
 * The container's first process, from clone to execve: waits for its ids,
 * builds, confines itself, waits to be started, becomes the program. Never
 * returns. h->sync is its end of the socket pair.
 */
_Noreturn void
init_main(const struct plan *plan, struct handles *h);

/* A process that `exec` adds to a container: no world to build. Never returns. */
_Noreturn void
init_exec_main(const struct plan *plan, struct handles *h);

/*
 * exec: close what is the host's, join the namespaces of the container, enter its
 * root. Before a process shows up in the container's pid namespace, if there is one.
 */
int
init_exec_enter(const struct plan *plan, struct handles *h, struct error *e);

/* Steps of init that talk to the parent or run programs of the bundle. */
int
init_run_build_hooks(const struct plan *plan, struct handles *h, struct error *e);
int
init_run_start_hooks(const struct plan *plan, struct handles *h, struct error *e);

#endif
