/* SPDX-License-Identifier: MIT */
/*
 * Names to values: open addressing in an array that is never more than half full.
 * The hash begins with a number that the author of the names cannot know, or a
 * list could be made up of names that all want the same row.
 */
#include "hako/table.h"

#include <string.h>
#include <sys/auxv.h>

struct table_row {
	const char *name;
	const void *value; /* NULL: the row is free */
	uint32_t length;
	uint32_t hash;
};

void
table_init(struct table *table, struct arena *arena, size_t names)
{
	const void *random = (const void *)getauxval(AT_RANDOM); /* 16 bytes: getauxval(3) */
	size_t room = 4;

	while (room < 2 * names)
		room *= 2;
	table->rows = arena_array(arena, room, sizeof(*table->rows));
	table->mask = room - 1;
	table->seed = 2166136261U;
	if (random != NULL)
		memcpy(&table->seed, random, sizeof(table->seed));
}

/* FNV-1a */
static uint32_t
hash_name(uint32_t hash, const char *name, size_t length)
{
	for (const char *end = name + length; name < end; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return hash;
}

const void **
table_at(struct table *table, const char *name, size_t length)
{
	uint32_t hash = hash_name(table->seed, name, length);
	size_t place = hash & table->mask;
	struct table_row *row = &table->rows[place];

	while (row->value != NULL && (row->hash != hash || row->length != length ||
	                              memcmp(row->name, name, length) != 0)) {
		place = (place + 1) & table->mask;
		row = &table->rows[place];
	}
	row->name = name;
	row->length = (uint32_t)length;
	row->hash = hash;
	return &row->value;
}
