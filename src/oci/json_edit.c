/* SPDX-License-Identifier: MIT */
/*
 * Trees that change: for documents that hako writes. What is new has no place in a
 * text, so errors must not point at it.
 */
#include "hako/json.h"

#include <string.h>

struct json *
json_append(struct arena *arena, struct json *parent, const char *key)
{
	struct json *node = arena_alloc(arena, sizeof(*node)), **end = &parent->first;

	while (*end != NULL)
		end = &(*end)->next;
	*end = node;
	node->type = JSON_NULL;
	node->key = key;
	node->parent = parent;
	parent->count++;
	return node;
}

void
json_remove(struct json *node)
{
	struct json **link = &node->parent->first;

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	node->parent->count--;
}

void
json_replace(struct json *node, const struct json *value)
{
	node->type = value->type;
	node->boolean = value->boolean;
	node->count = value->count;
	node->text = value->text;
	node->first = value->first;
	for (struct json *child = node->first; child != NULL; child = child->next)
		child->parent = node;
}
