/* SPDX-License-Identifier: MIT */
/*
 * linux.resources.blockIO on cgroup v2 (config-linux.md "Block IO"; cgroups: the
 * "IO" chapter of the kernel's cgroup-v2 document). Weights belong to the BFQ
 * scheduler where the device uses it, and to the io controller's own cost model
 * elsewhere, on another scale; limits are lines of io.max.
 */
#include "hako/resources.h"

#include <inttypes.h>

/* 10..1000, default 500 -> 1..10000, as runc and crun convert it */
static uint64_t
io_weight(uint64_t weight)
{
	return weight <= 10 ? 1 : 1 + (weight - 10) * 9999 / 990;
}

static void
add_weight(struct planner *p, const struct json *at, const char *device, uint64_t weight)
{
	resources_add(p, at, "io", "io.bfq.weight",
	              arena_printf(p->arena, "%s%" PRIu64, device, weight));
	resources_add(p, at, "io", "io.weight",
	              arena_printf(p->arena, "%s%" PRIu64, device, io_weight(weight)))
		->alternative = true;
}

static int
plan_weights(struct planner *p, const struct config_block_io *io, struct error *e)
{
	const struct config_weight_device *rows = io->weight_device.items;

	if (io->weight != NULL && *io->weight != 0)
		add_weight(p, json_member(io->at, "weight"), "", *io->weight);
	if (resources_skip(io->at, "leafWeight", io->leaf_weight && *io->leaf_weight != 0, e) < 0)
		return -1;
	for (size_t i = 0; i < io->weight_device.count; i++) {
		const struct config_weight_device *d = &rows[i];

		if (resources_skip(d->at, "leafWeight", d->leaf_weight && *d->leaf_weight != 0, e) <
		    0)
			return -1;
		if (d->weight != NULL && *d->weight != 0)
			add_weight(p, d->at,
			           arena_printf(p->arena, "%" PRId64 ":%" PRId64 " ", *d->major,
			                        *d->minor),
			           *d->weight);
	}
	return 0;
}

/* A rate of 0 is no limit. */
static void
plan_throttle(struct planner *p, const struct objects *devices, const char *key)
{
	const struct config_throttle_device *rows = devices->items;

	for (size_t i = 0; i < devices->count; i++) {
		const struct config_throttle_device *d = &rows[i];
		const char *rate = d->rate == NULL || *d->rate == 0
		                           ? "max"
		                           : arena_printf(p->arena, "%" PRIu64, *d->rate);

		resources_add(p, d->at, "io", "io.max",
		              arena_printf(p->arena, "%" PRId64 ":%" PRId64 " %s=%s", *d->major,
		                           *d->minor, key, rate));
	}
}

int
resources_plan_io(struct planner *p, const struct config_block_io *io, struct error *e)
{
	if (io == NULL)
		return 0;
	if (plan_weights(p, io, e) < 0)
		return -1;
	plan_throttle(p, &io->throttle_read_bps, "rbps");
	plan_throttle(p, &io->throttle_write_bps, "wbps");
	plan_throttle(p, &io->throttle_read_iops, "riops");
	plan_throttle(p, &io->throttle_write_iops, "wiops");
	return 0;
}
