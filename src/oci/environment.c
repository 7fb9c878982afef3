/* SPDX-License-Identifier: MIT */
/*
 * NAME=VALUE lists. Of several entries with the same name the last one counts,
 * as with a shell; thousands of entries must not make that slow.
 */
#include "hako/config.h"
#include "hako/table.h"

#include <string.h>

bool *
environment_repeated(struct arena *arena, const struct strings *env)
{
	bool *repeated = arena_array(arena, env->count, sizeof(*repeated));
	struct table names;

	table_init(&names, arena, env->count);
	for (size_t i = env->count; i-- > 0;) {
		const char *item = env->items[i];
		const void **last = table_at(&names, item, (size_t)(strchrnul(item, '=') - item));

		repeated[i] = *last != NULL;
		*last = item;
	}
	return repeated;
}
