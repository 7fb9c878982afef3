/* SPDX-License-Identifier: MIT */
/*
 * Lists of id mappings (config-linux.md "User Namespace Mappings"), of the user
 * namespace and of single mounts: what the kernel takes as a uid_map or gid_map
 * (user_namespaces(7)).
 */
#include "hako/config.h"
#include "hako/problem.h"

#include <stdio.h>

/* The kernel's limit of lines in a uid_map (UID_GID_MAP_MAX_EXTENTS). */
enum { MAX_MAPPINGS = 340 };

static bool
overlap(uint32_t a, uint32_t b, const struct config_id_mapping *x,
        const struct config_id_mapping *y)
{
	return (uint64_t)a < (uint64_t)b + y->size && (uint64_t)b < (uint64_t)a + x->size;
}

static int
check_mapping(const struct config_id_mapping *first, const struct config_id_mapping *mapping,
              struct error *e)
{
	const struct config_id_mapping *other;

	if (mapping->size == 0)
		return config_error(mapping->at, "size", e, "config-value", "must not be 0");
	if ((uint64_t)mapping->container_id + mapping->size > UINT32_MAX ||
	    (uint64_t)mapping->host_id + mapping->size > UINT32_MAX)
		return config_error(mapping->at, "size", e, "config-range",
		                    "the last id of the mapping is over 4294967294");
	for (other = first; other < mapping; other++) {
		if (overlap(other->container_id, mapping->container_id, other, mapping))
			return config_error(mapping->at, "containerID", e, "config-value",
			                    "overlaps mapping %zu", (size_t)(other - first));
		if (overlap(other->host_id, mapping->host_id, other, mapping))
			return config_error(mapping->at, "hostID", e, "config-value",
			                    "overlaps mapping %zu", (size_t)(other - first));
	}
	return 0;
}

int
id_mappings_check(const struct objects *mappings, struct error *e)
{
	const struct config_id_mapping *rows = mappings->items;

	if (mappings->count > MAX_MAPPINGS)
		return json_error(mappings->at, e, 0, "config-range",
		                  "%zu mappings: the kernel takes %d", mappings->count,
		                  MAX_MAPPINGS);
	for (size_t i = 0; i < mappings->count; i++) {
		if (json_stops(mappings->at, check_mapping(rows, &rows[i], e)))
			return -1;
	}
	return 0;
}

const struct config_id_mapping *
id_mappings_find(const struct objects *mappings, uint32_t container_id)
{
	const struct config_id_mapping *row = mappings->items;

	for (size_t i = 0; i < mappings->count; i++, row++) {
		if (container_id >= row->container_id &&
		    container_id - row->container_id < row->size)
			return row;
	}
	return NULL;
}

const char *
id_mappings_text(struct arena *arena, const struct objects *mappings)
{
	const struct config_id_mapping *rows = mappings->items;
	char *text = arena_alloc(arena, mappings->count * 33 + 1);
	size_t used = 0;

	for (size_t i = 0; i < mappings->count; i++)
		used += (size_t)sprintf(text + used, "%u %u %u\n", rows[i].container_id,
		                        rows[i].host_id, rows[i].size);
	return text;
}
