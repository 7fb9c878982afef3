/* SPDX-License-Identifier: MIT */
/*
 * NAME=VALUE lists. Of several entries with the same name the last one counts,
 * as with a shell; thousands of entries must not make that slow.
 */
#include "hako/config.h"

#include <string.h>

/* FNV-1a of the name. */
static uint32_t
hash_name(const char *entry)
{
	uint32_t hash = 2166136261U;

	for (; *entry != '=' && *entry != '\0'; entry++)
		hash = (hash ^ (unsigned char)*entry) * 16777619U;
	return hash;
}

static bool
same_name(const char *a, const char *b)
{
	size_t length = strcspn(a, "=");

	return strncmp(a, b, length) == 0 && (b[length] == '=' || b[length] == '\0');
}

bool *
environment_repeated(struct arena *arena, const struct strings *env)
{
	bool *repeated = arena_array(arena, env->count, sizeof(*repeated));
	size_t room = 4, place;
	size_t *table; /* open addressing; of each name its last entry + 1 */

	while (room < 2 * env->count)
		room *= 2;
	table = arena_array(arena, room, sizeof(*table));
	for (size_t i = env->count; i-- > 0;) {
		place = hash_name(env->items[i]) & (room - 1);
		while (table[place] != 0 && !same_name(env->items[table[place] - 1], env->items[i]))
			place = (place + 1) & (room - 1);
		repeated[i] = table[place] != 0;
		if (!repeated[i])
			table[place] = i + 1;
	}
	return repeated;
}
