/* SPDX-License-Identifier: MIT */
/*
 * Field tables carried out: one pass over the members of an object, each put
 * where its row says. The only recursion is that of the tables, so it is as
 * deep as the structs nest and not as the document does. Single values are
 * decode_value.c's.
 */
#include "hako/decode_value.h"
#include "hako/log.h"
#include "hako/problem.h"

#include <stdio.h>
#include <string.h>

/* One function a type; out is the member of the struct. */

/* Go's bindings write "" for what is absent. */
static bool
is_left_out(const struct field *field, const struct json *node)
{
	return node->type == JSON_STRING && node->text[0] == '\0' &&
	       (field->flags & (FIELD_REQUIRED | FIELD_NOT_EMPTY)) == 0;
}

static int
decode_string(struct arena *arena, const struct field *field, const struct json *node, void *out,
              struct error *e)
{
	(void)arena;
	if (is_left_out(field, node))
		return 0;
	if (value_check_string(field, node, e) < 0)
		return -1;
	*(const char **)out = node->text;
	return 0;
}

static int
decode_bool(struct arena *arena, const struct field *field, const struct json *node, void *out,
            struct error *e)
{
	(void)arena;
	(void)field;
	if (value_check_type(node, JSON_BOOL, e) < 0)
		return -1;
	*(bool *)out = node->boolean;
	return 0;
}

static int
decode_uint(struct arena *arena, const struct field *field, const struct json *node, void *out,
            struct error *e)
{
	uint64_t *value = arena_alloc(arena, sizeof(*value));

	if (value_read_uint(field, node, value, UINT64_MAX, e) < 0)
		return -1;
	*(const uint64_t **)out = value;
	return 0;
}

static int
decode_int(struct arena *arena, const struct field *field, const struct json *node, void *out,
           struct error *e)
{
	int64_t *value = arena_alloc(arena, sizeof(*value));

	if (value_read_int(field, node, value, e) < 0)
		return -1;
	*(const int64_t **)out = value;
	return 0;
}

static int
decode_u32(struct arena *arena, const struct field *field, const struct json *node, void *out,
           struct error *e)
{
	uint64_t value = 0;

	(void)arena;
	if (value_read_uint(field, node, &value, UINT32_MAX, e) < 0)
		return -1;
	*(uint32_t *)out = (uint32_t)value;
	return 0;
}

static int
decode_strings(struct arena *arena, const struct field *field, const struct json *node, void *out,
               struct error *e)
{
	/* the row's NOT_EMPTY is about the array */
	const struct field item_field = {.flags = field->flags & FIELD_ABSOLUTE,
	                                 .names = field->names};
	struct strings *strings = out;
	const struct json *item;

	if (value_check_array(field, node, e) < 0)
		return -1;
	strings->at = node;
	strings->items = arena_array(arena, node->count, sizeof(*strings->items));
	for (item = node->first; item != NULL; item = item->next) {
		bool good = value_check_string(&item_field, item, e) == 0;

		if (!good && !json_goes_on(item))
			return -1;
		strings->items[strings->count++] = good ? item->text : "";
	}
	return 0;
}

static int
decode_uints(struct arena *arena, const struct field *field, const struct json *node, void *out,
             struct error *e)
{
	struct uints *uints = out;
	const struct json *item;

	if (value_check_array(field, node, e) < 0)
		return -1;
	uints->at = node;
	uints->items = arena_array(arena, node->count, sizeof(*uints->items));
	for (item = node->first; item != NULL; item = item->next) {
		if (value_read_uint(field, item, &uints->items[uints->count], UINT64_MAX, e) < 0 &&
		    !json_goes_on(item))
			return -1;
		uints->count++;
	}
	return 0;
}

static int
decode_map(struct arena *arena, const struct field *field, const struct json *node, void *out,
           struct error *e)
{
	struct string_map *map = out;
	const struct json *member;

	(void)field;
	if (value_check_type(node, JSON_OBJECT, e) < 0)
		return -1;
	map->at = node;
	map->items = arena_array(arena, node->count, sizeof(*map->items));
	for (member = node->first; member != NULL; member = member->next) {
		if (value_check_type(member, JSON_STRING, e) == 0)
			map->items[map->count++] =
				(struct string_pair){member->key, member->text, member};
		else if (!json_goes_on(member))
			return -1;
	}
	return 0;
}

static int
decode_enum(struct arena *arena, const struct field *field, const struct json *node, void *out,
            struct error *e)
{
	const struct name *row;

	(void)arena;
	if (is_left_out(field, node))
		return 0;
	row = value_find_word(field, node, e);
	if (row == NULL)
		return -1;
	*(int *)out = (int)row->value;
	return 0;
}

static int
decode_flags(struct arena *arena, const struct field *field, const struct json *node, void *out,
             struct error *e)
{
	struct flags *flags = out;
	const struct json *item;

	(void)arena;
	if (value_check_array(field, node, e) < 0)
		return -1;
	flags->at = node;
	for (item = node->first; item != NULL; item = item->next) {
		const struct name *row = value_find_word(field, item, e);

		if (row == NULL && !json_goes_on(item))
			return -1;
		flags->value |= row != NULL ? row->value : 0;
	}
	return 0;
}

static int
decode_one(struct arena *arena, const struct field *field, const struct json *node, void *out,
           struct error *e)
{
	void *object = arena_alloc(arena, field->table->size);

	if (decode_object(arena, field->table, node, object, e) < 0 &&
	    !((field->flags & FIELD_KEPT) != 0 && node->type == JSON_OBJECT && json_goes_on(node)))
		return -1;
	memcpy(out, &object, sizeof(object));
	return 0;
}

/* Nothing is left in the place of one that is left out. */
static int
decode_item(struct arena *arena, const struct field_table *table, const struct json *item,
            char *place, struct error *e)
{
	if (decode_object(arena, table, item, place, e) == 0)
		return 0;
	memset(place, 0, table->size);
	return -1;
}

static int
decode_objects(struct arena *arena, const struct field *field, const struct json *node, void *out,
               struct error *e)
{
	struct objects *objects = out;
	const struct json *item;
	char *place;

	if (value_check_array(field, node, e) < 0)
		return -1;
	objects->at = node;
	objects->items = place = arena_array(arena, node->count, field->table->size);
	for (item = node->first; item != NULL; item = item->next) {
		if (decode_item(arena, field->table, item, place, e) < 0) {
			if (!json_goes_on(item))
				return -1;
			continue;
		}
		place += field->table->size;
		objects->count++;
	}
	return 0;
}

/* How the struct of a FIELD_OBJECT_MAP begins. */
struct keyed {
	const struct json *at;
	const char *key;
};

static int
decode_object_map(struct arena *arena, const struct field *field, const struct json *node,
                  void *out, struct error *e)
{
	struct objects *objects = out;
	const struct json *member;
	char *place;

	if (value_check_type(node, JSON_OBJECT, e) < 0)
		return -1;
	objects->at = node;
	objects->items = place = arena_array(arena, node->count, field->table->size);
	for (member = node->first; member != NULL; member = member->next) {
		if (decode_item(arena, field->table, member, place, e) < 0) {
			if (!json_goes_on(member))
				return -1;
			continue;
		}
		memcpy(place + offsetof(struct keyed, key), &member->key, sizeof(member->key));
		place += field->table->size;
		objects->count++;
	}
	return 0;
}

static int
ignore(struct arena *arena, const struct field *field, const struct json *node, void *out,
       struct error *e)
{
	(void)arena;
	(void)out;
	(void)e;
	json_warning(node, "config-ignored", "ignored: %s", field->why);
	return 0;
}

static int (*const decoders[FIELD_TYPES])(struct arena *, const struct field *, const struct json *,
                                          void *, struct error *) = {
	[FIELD_STRING] = decode_string,
	[FIELD_BOOL] = decode_bool,
	[FIELD_UINT] = decode_uint,
	[FIELD_INT] = decode_int,
	[FIELD_U32] = decode_u32,
	[FIELD_STRINGS] = decode_strings,
	[FIELD_UINTS] = decode_uints,
	[FIELD_MAP] = decode_map,
	[FIELD_ENUM] = decode_enum,
	[FIELD_FLAGS] = decode_flags,
	[FIELD_OBJECT] = decode_one,
	[FIELD_OBJECTS] = decode_objects,
	[FIELD_OBJECT_MAP] = decode_object_map,
	[FIELD_IGNORED] = ignore,
};

static int
decode_member(struct arena *arena, const struct field *field, const struct json *member, void *out,
              struct error *e)
{
	return decoders[field->type](arena, field, member, (char *)out + field->offset, e);
}

const struct field *
field_find(const struct field_table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->rows[i].name[0] == name[0] && strcmp(table->rows[i].name, name) == 0)
			return &table->rows[i];
	return NULL;
}

struct name_search
field_search(const struct field_table *table, const char *name)
{
	struct name_search search = name_search_for(name);

	for (size_t i = 0; i < table->count; i++)
		name_search_look(&search, table->rows[i].name);
	return search;
}

/* The specification wants it ignored; who collects problems wants to know. */
static void
ignore_unknown(const struct field_table *table, const struct json *member)
{
	struct name_search search;
	char where[256];

	json_warning(member, "config-unknown", "unknown property, ignored");
	if (json_takes_hint(member)) {
		search = field_search(table, member->key);
		if (name_search_is_near(&search))
			json_hint(member, "did you mean \"%s\"?", search.nearest);
	}
	if (!log_wants(LOG_LEVEL_DEBUG))
		return;
	json_where(member, where, sizeof(where));
	log_debug("%s: unknown property, ignored", where);
}

/* The required rows that are not among the good ones: -1, and an error for those not even seen. */
static int
check_required(const struct field_table *table, const struct json *object, uint64_t seen,
               uint64_t good, struct error *e)
{
	int result = 0;
	size_t i;

	for (i = 0; i < table->count; i++) {
		if ((table->rows[i].flags & FIELD_REQUIRED) == 0 || (good >> i & 1) != 0)
			continue;
		result = -1;
		if ((seen >> i & 1) != 0)
			continue;
		json_error(object, e, 0, "config-missing", "%s is missing", table->rows[i].name);
		if (!json_goes_on(object))
			break;
	}
	return result;
}

int
decode_object(struct arena *arena, const struct field_table *table, const struct json *object,
              void *out, struct error *e)
{
	const struct json *member;
	uint64_t seen = 0, good = 0;

	if (value_check_type(object, JSON_OBJECT, e) < 0)
		return -1;
	memcpy(out, &object, sizeof(object));
	for (member = object->first; member != NULL; member = member->next) {
		const struct field *row = field_find(table, member->key);
		uint64_t bit;

		if (row == NULL && table->keys == NULL)
			ignore_unknown(table, member);
		else if (row == NULL && value_check_key(table->keys, member, e) < 0 &&
		         !json_goes_on(member))
			return -1;
		if (row == NULL || member->type == JSON_NULL)
			continue;
		bit = (uint64_t)1 << (row - table->rows);
		if ((seen & bit) != 0)
			continue; /* a second one is an error that the parser has noted */
		seen |= bit;
		if (decode_member(arena, row, member, out, e) == 0)
			good |= bit;
		else if (!json_goes_on(member))
			return -1;
	}
	return check_required(table, object, seen, good, e);
}
