/* SPDX-License-Identifier: MIT */
/* Questions to decoded lists. */
#include "hako/decode.h"

#include <string.h>

const char *
string_map_find(const struct string_map *map, const char *key)
{
	for (size_t i = 0; i < map->count; i++)
		if (strcmp(map->items[i].key, key) == 0)
			return map->items[i].value;
	return NULL;
}

bool
strings_include(const struct strings *list, const char *word)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], word) == 0)
			return true;
	return false;
}

bool
strings_repeat(const struct strings *list, size_t i)
{
	const struct strings earlier = {.items = list->items, .count = i};

	return strings_include(&earlier, list->items[i]);
}

const struct json *
strings_at(const struct strings *list, size_t i)
{
	const struct json *item = list->at != NULL ? list->at->first : NULL;

	while (i-- > 0 && item != NULL)
		item = item->next;
	return item;
}
