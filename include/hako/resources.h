/* SPDX-License-Identifier: MIT */
#ifndef HAKO_RESOURCES_H
#define HAKO_RESOURCES_H

#include "hako/layer.h"

/* Between the files of the resources layer, and for `update`. */

/* One more line to write; returns it, so that its flags can be set. */
struct cgroup_value *
resources_add(struct planner *p, const struct json *at, const char *controller, const char *file,
              const char *value);

/* Before memory.max is set to limit: have the kernel give back what it has charged in advance. */
void
resources_settle(const struct handles *h, const char *limit);

/* What cgroup v2 cannot express: skipped with a warning, as engines send it. */
int
resources_skip(const struct json *object, const char *property, bool set, struct error *e);

/* A value was not written, errno says why: the error, with the file at fault. Always returns -1. */
int
resources_refuse(const struct handles *h, const struct cgroup_value *v, struct error *e);

/* linux.resources.blockIO */
int
resources_plan_io(struct planner *p, const struct config_block_io *io, struct error *e);

/*
 * Change the limits of an existing cgroup: all of them, or, when the kernel refuses
 * one, none.
 */
int
resources_update(const struct cgroup_plan *limits, struct handles *h, struct error *e);

#endif
