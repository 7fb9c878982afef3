/* SPDX-License-Identifier: MIT */
/*
 * Field tables carried out: one pass over the members of an object, each put
 * where its row says. The only recursion is that of the tables, so it is as
 * deep as the structs nest and not as the document does. An error says what
 * was expected, what was found and where.
 */
#include "hako/decode.h"
#include "hako/log.h"
#include "hako/problem.h"

#include <stdio.h>
#include <string.h>

static const char *const type_texts[] = {
	[JSON_NULL] = "null",       [JSON_BOOL] = "a boolean", [JSON_NUMBER] = "a number",
	[JSON_STRING] = "a string", [JSON_ARRAY] = "an array", [JSON_OBJECT] = "an object",
};

static int
check_type(const struct json *node, enum json_type type, struct error *e)
{
	if (node->type == type)
		return 0;
	return json_error(node, e, 0, "config-type", "expected %s, found %s", type_texts[type],
	                  type_texts[node->type]);
}

/* "one, two or three", cut after a few. */
static void
list_names(const struct name *names, char *buf, size_t size)
{
	enum { FEW = 8 };
	const struct name *row;
	size_t used = 0;

	for (row = names; row->name != NULL && used < size; row++) {
		const char *before = row[1].name == NULL ? " or " : ", ";

		if (row - names == FEW) {
			snprintf(buf + used, size - used, ", ...");
			return;
		}
		used += (size_t)snprintf(buf + used, size - used, "%s%s",
		                         row == names ? "" : before, row->name);
	}
}

/* So near to what was written that it may have been meant. */
static bool
is_near(unsigned distance, const char *word)
{
	return distance < NAME_FAR && distance <= 1 + strlen(word) / 4;
}

static void
hint_word(const struct name *names, const struct json *node)
{
	const struct name *row, *nearest = NULL;
	unsigned least = NAME_FAR;

	for (row = names; row->name != NULL && json_takes_hint(node); row++) {
		unsigned distance = name_distance(node->text, row->name);

		if (distance < least) {
			least = distance;
			nearest = row;
		}
	}
	if (nearest != NULL && is_near(least, node->text))
		json_hint(node, "did you mean \"%s\"?", nearest->name);
}

/* The row of the word in node; NULL with *e when it is no string or no such word. */
static const struct name *
find_word(const struct field *field, const struct json *node, struct error *e)
{
	const struct name *row;
	char list[320];

	if (check_type(node, JSON_STRING, e) < 0)
		return NULL;
	row = name_find(field->names, node->text);
	if (row != NULL)
		return row;
	list_names(field->names, list, sizeof(list));
	json_error(node, e, 0, "config-value", "expected %s, found \"%.60s\"", list, node->text);
	hint_word(field->names, node);
	return NULL;
}

static int
check_string(const struct field *field, const struct json *node, struct error *e)
{
	if (check_type(node, JSON_STRING, e) < 0)
		return -1;
	if ((field->flags & FIELD_NOT_EMPTY) != 0 && node->text[0] == '\0')
		return json_error(node, e, 0, "config-value", "must not be empty");
	if ((field->flags & FIELD_ABSOLUTE) != 0 && node->text[0] != '/')
		return json_error(node, e, 0, "config-value",
		                  "expected an absolute path, found \"%.60s\"", node->text);
	if (field->names != NULL && find_word(field, node, e) == NULL)
		return -1;
	return 0;
}

/* Numbers are kept as text: 1.0 and 1e3 are no integers here. */
static int
check_integer(const struct json *node, struct error *e)
{
	if (check_type(node, JSON_NUMBER, e) < 0)
		return -1;
	if (strpbrk(node->text, ".eE") == NULL)
		return 0;
	return json_error(node, e, 0, "config-type", "expected an integer, found %.40s",
	                  node->text);
}

static int
read_uint(const struct field *field, const struct json *node, uint64_t *ret, uint64_t type_max,
          struct error *e)
{
	uint64_t max = field->max != 0 ? field->max : type_max;
	uint64_t min = (uint64_t)field->min;
	const char *text = node->text;
	uint64_t value;

	if (check_integer(node, e) < 0)
		return -1;
	if (strcmp(text, "-0") == 0)
		text++;
	if (parse_uint(text, max, &value) < 0 || value < min)
		return json_error(node, e, 0, "config-range",
		                  "expected a number from %llu to %llu, found %.40s",
		                  (unsigned long long)min, (unsigned long long)max, text);
	*ret = value;
	return 0;
}

static int
read_int(const struct field *field, const struct json *node, int64_t *ret, struct error *e)
{
	bool whole = field->min == 0 && field->max == 0;
	int64_t min = whole ? INT64_MIN : field->min;
	int64_t max = whole ? INT64_MAX : (int64_t)field->max;

	if (check_integer(node, e) < 0)
		return -1;
	if (parse_int(node->text, min, max, ret) < 0)
		return json_error(node, e, 0, "config-range",
		                  "expected a number from %lld to %lld, found %.40s",
		                  (long long)min, (long long)max, node->text);
	return 0;
}

/* One function a type; out is the member of the struct. */

static int
decode_string(struct arena *arena, const struct field *field, const struct json *node, void *out,
              struct error *e)
{
	(void)arena;
	/* Go's bindings write "" for what is absent */
	if (node->type == JSON_STRING && node->text[0] == '\0' &&
	    (field->flags & (FIELD_REQUIRED | FIELD_NOT_EMPTY)) == 0)
		return 0;
	if (check_string(field, node, e) < 0)
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
	if (check_type(node, JSON_BOOL, e) < 0)
		return -1;
	*(bool *)out = node->boolean;
	return 0;
}

static int
decode_uint(struct arena *arena, const struct field *field, const struct json *node, void *out,
            struct error *e)
{
	uint64_t *value = arena_alloc(arena, sizeof(*value));

	if (read_uint(field, node, value, UINT64_MAX, e) < 0)
		return -1;
	*(const uint64_t **)out = value;
	return 0;
}

static int
decode_int(struct arena *arena, const struct field *field, const struct json *node, void *out,
           struct error *e)
{
	int64_t *value = arena_alloc(arena, sizeof(*value));

	if (read_int(field, node, value, e) < 0)
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
	if (read_uint(field, node, &value, UINT32_MAX, e) < 0)
		return -1;
	*(uint32_t *)out = (uint32_t)value;
	return 0;
}

/* An array, not empty if the row says so. */
static int
check_array(const struct field *field, const struct json *node, struct error *e)
{
	if (check_type(node, JSON_ARRAY, e) < 0)
		return -1;
	if ((field->flags & FIELD_NOT_EMPTY) != 0 && node->count == 0)
		return json_error(node, e, 0, "config-value", "must have at least one entry");
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

	if (check_array(field, node, e) < 0)
		return -1;
	strings->at = node;
	strings->items = arena_array(arena, node->count, sizeof(*strings->items));
	for (item = node->first; item != NULL; item = item->next) {
		bool good = check_string(&item_field, item, e) == 0;

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

	if (check_array(field, node, e) < 0)
		return -1;
	uints->at = node;
	uints->items = arena_array(arena, node->count, sizeof(*uints->items));
	for (item = node->first; item != NULL; item = item->next) {
		if (read_uint(field, item, &uints->items[uints->count], UINT64_MAX, e) < 0 &&
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
	if (check_type(node, JSON_OBJECT, e) < 0)
		return -1;
	map->at = node;
	map->items = arena_array(arena, node->count, sizeof(*map->items));
	for (member = node->first; member != NULL; member = member->next) {
		if (check_type(member, JSON_STRING, e) == 0)
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
	const struct name *row = find_word(field, node, e);

	(void)arena;
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
	if (check_array(field, node, e) < 0)
		return -1;
	flags->at = node;
	for (item = node->first; item != NULL; item = item->next) {
		const struct name *row = find_word(field, item, e);

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

	if (check_array(field, node, e) < 0)
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

	if (check_type(node, JSON_OBJECT, e) < 0)
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

/* Does the value ask for anything? Engines write out zero, false and empty. */
static bool
has_effect(const struct json *node)
{
	switch (node->type) {
	case JSON_NULL:
		break;
	case JSON_BOOL:
		return node->boolean;
	case JSON_NUMBER:
		return strcmp(node->text, "0") != 0 && strcmp(node->text, "-0") != 0;
	case JSON_STRING:
		return node->text[0] != '\0';
	case JSON_ARRAY:
	case JSON_OBJECT:
		return node->count > 0;
	}
	return false;
}

static int
decode_member(struct arena *arena, const struct field *field, const struct json *member, void *out,
              struct error *e)
{
	char *place = (char *)out + field->offset;

	if (decoders[field->type](arena, field, member, place, e) < 0)
		return -1;
	if ((field->flags & FIELD_NOT_APPLIED) != 0 && has_effect(member))
		return json_error(member, e, 0, "config-unsupported",
		                  "hako cannot apply this property");
	return 0;
}

static const struct field *
find_row(const struct field_table *table, const char *name)
{
	size_t i;

	for (i = 0; i < table->count; i++) {
		if (table->rows[i].name[0] == name[0] && strcmp(table->rows[i].name, name) == 0)
			return &table->rows[i];
	}
	return NULL;
}

static const char *
nearest_name(const struct field_table *table, const char *name)
{
	unsigned least = NAME_FAR;
	size_t nearest = 0, i;

	for (i = 0; i < table->count; i++) {
		unsigned distance = name_distance(name, table->rows[i].name);

		if (distance < least) {
			least = distance;
			nearest = i;
		}
	}
	return is_near(least, name) ? table->rows[nearest].name : NULL;
}

/* The specification wants it ignored; who collects problems wants to know. */
static void
ignore_unknown(const struct field_table *table, const struct json *member)
{
	const char *nearest;
	char where[256];

	json_warning(member, "config-unknown", "unknown property, ignored");
	nearest = json_takes_hint(member) ? nearest_name(table, member->key) : NULL;
	if (nearest != NULL)
		json_hint(member, "did you mean \"%s\"?", nearest);
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

const char *
string_map_find(const struct string_map *map, const char *key)
{
	for (size_t i = 0; i < map->count; i++)
		if (strcmp(map->items[i].key, key) == 0)
			return map->items[i].value;
	return NULL;
}

int
decode_object(struct arena *arena, const struct field_table *table, const struct json *object,
              void *out, struct error *e)
{
	const struct json *member;
	uint64_t seen = 0, good = 0;

	if (check_type(object, JSON_OBJECT, e) < 0)
		return -1;
	memcpy(out, &object, sizeof(object));
	for (member = object->first; member != NULL; member = member->next) {
		const struct field *row = find_row(table, member->key);
		uint64_t bit;

		if (row == NULL)
			ignore_unknown(table, member);
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
