/* SPDX-License-Identifier: MIT */
#ifndef HAKO_LAYER_H
#define HAKO_LAYER_H

#include "hako/plan.h"

/*
 * What a layer offers to the step table (src/run/steps.c):
 *   X_plan   decides, from the config alone: no side effects, any user;
 *   X_<verb> acts, in the process that its phase names;
 *   X_show   one line a value for `hako plan`.
 * Each is documented where it stands; the table is the overview.
 */
struct planner {
	struct arena *arena;
	const struct config *config;
	struct plan *plan;
};

#define LAYER_PLAN(name) int name(struct planner *p, struct error *e)
#define LAYER_RUN(name) int name(const struct plan *plan, struct handles *h, struct error *e)

/* seccomp: compiled with libseccomp or taken from the cache, loaded by seccomp(2) */
LAYER_PLAN(seccomp_plan);      /* validates, makes the shared mapping (anonymous memory only) */
LAYER_RUN(seccomp_compile);    /* ATTACH, parent: fill the mapping */
LAYER_RUN(seccomp_load);       /* START, init: the last call before execve */

/* device_filter: BPF_PROG_TYPE_CGROUP_DEVICE */
LAYER_PLAN(device_filter_plan);
LAYER_RUN(device_filter_attach); /* ATTACH, parent: load and attach to h->cgroup */

/* credentials: ids, groups, capability sets, no_new_privs */
LAYER_PLAN(credentials_plan);
LAYER_RUN(credentials_apply); /* CONFINE, init */

#endif
