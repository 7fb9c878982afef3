/* SPDX-License-Identifier: MIT */
/*
 * The field tables beside the JSON schema of the specification (tests/data/schema):
 * every property of the schema is a row, of the same type, as required as there,
 * with the same words and no wider a range; and there is no row of our own. A
 * row without effect says why. Where hako differs, it says so in a list below.
 */
#include "hako/config.h"
#include "hako/words.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* --- the schema -------------------------------------------------------------- */

/* A schema, and the file that its references count from. */
struct schema {
	const struct json *node;
	const char *file;
};

static const struct json *
load(const char *name)
{
	static struct {
		const char *name;
		const struct json *root;
	} files[16];
	const char *tests = getenv("HAKO_TESTS");
	struct json_doc *doc;
	struct error e;
	size_t i;

	for (i = 0; files[i].name != NULL; i++) {
		if (strcmp(files[i].name, name) == 0)
			return files[i].root;
	}
	if (json_load(&arena, AT_FDCWD,
	              arena_printf(&arena, "%s/data/schema/%s", tests != NULL ? tests : "tests",
	                           name),
	              name, &doc, &e) < 0)
		fail_msg("%s: %s", name, e.msg);
	files[i].name = name;
	files[i].root = doc->root;
	return doc->root;
}

/* "defs.json#/definitions/UID" */
static struct schema
follow(struct schema schema)
{
	const struct json *ref = json_member(schema.node, "$ref");

	while (ref != NULL) {
		size_t length = strcspn(ref->text, "#");
		char *path = arena_strdup(&arena, ref->text + length + 1), *step;

		if (length > 0)
			schema.file = arena_strndup(&arena, ref->text, length);
		schema.node = load(schema.file);
		while ((step = words_take(&path, "/")) != NULL) {
			schema.node = json_member(schema.node, step);
			if (schema.node == NULL)
				fail_msg("%s leads nowhere", ref->text);
		}
		ref = json_member(schema.node, "$ref");
	}
	return schema;
}

static struct schema
in(struct schema schema, const struct json *node)
{
	return follow((struct schema){node, schema.file});
}

/* Call visit for the schema and all that it is made of. */
static void
visit_parts(struct schema schema, void (*visit)(struct schema part, void *data), void *data)
{
	static const char *const joiners[] = {"allOf", "anyOf"};
	const struct json *part;
	size_t i;

	visit(schema, data);
	for (i = 0; i < ARRAY_SIZE(joiners); i++) {
		part = json_member(schema.node, joiners[i]);
		for (part = part != NULL ? part->first : NULL; part != NULL; part = part->next)
			visit_parts(in(schema, part), visit, data);
	}
}

struct query {
	const char *name;
	struct schema found; /* a property of that name */
	bool required;
};

static void
query_part(struct schema part, void *data)
{
	const struct json *properties = json_member(part.node, "properties"), *name;
	const struct json *required = json_member(part.node, "required");
	struct query *q = data;

	if (json_member(properties, q->name) != NULL)
		q->found = in(part, json_member(properties, q->name));
	for (name = required != NULL ? required->first : NULL; name != NULL; name = name->next)
		q->required |= strcmp(name->text, q->name) == 0;
}

static struct query
query(struct schema object, const char *name)
{
	struct query q = {.name = name};

	visit_parts(object, query_part, &q);
	return q;
}

/* What an array or a map holds. */
static struct schema
items_of(struct schema schema)
{
	const struct json *items = json_member(schema.node, "items");

	if (items == NULL)
		items = json_member(schema.node, "additionalProperties");
	if (items == NULL && json_member(schema.node, "patternProperties") != NULL)
		items = json_member(schema.node, "patternProperties")->first;
	return in(schema, items);
}

static void
find_type(struct schema part, void *data)
{
	const struct json *type = json_member(part.node, "type");

	if (type != NULL)
		*(const char **)data = type->text;
}

static const char *
type_of(struct schema schema)
{
	const char *type = "nothing";

	visit_parts(schema, find_type, &type);
	return type;
}

/* --- one row ----------------------------------------------------------------- */

/* Where the specification's text or the kernel takes more or less than its schema. */
static struct {
	const char *pointer;
	const char *why;
	bool found;
} differences[] = {
	{"/process/args", "config.md: required on POSIX platforms when start is called"},
	{"/process/consoleSize/height", "config.md: ignored without a terminal"},
	{"/process/consoleSize/width", "the same"},
	{"/root", "config.md: required on Linux"},
	{"/linux/memoryPolicy/mode", "config-linux.md: REQUIRED"},
	{"/linux/personality/domain", "config-linux.md: REQUIRED"},
	{"/linux/resources/pids/limit", "config-linux.md: OPTIONAL, and Go leaves it out"},
	{"/linux/resources/blockIO/throttleReadBpsDevice/-/rate", "config-linux.md: REQUIRED"},
	{"/linux/resources/blockIO/throttleWriteBpsDevice/-/rate", "config-linux.md: REQUIRED"},
	{"/linux/resources/blockIO/throttleReadIOPSDevice/-/rate", "config-linux.md: REQUIRED"},
	{"/linux/resources/blockIO/throttleWriteIOPSDevice/-/rate", "config-linux.md: REQUIRED"},
	{"/linux/rootfsPropagation", "mount(8)'s recursive forms, as other runtimes take them"},
	{"/linux/devices/-/type", "a pattern in the schema"},
	{"/process/rlimits/-/type", "a pattern in the schema"},
	{"/linux/resources/devices/-/type", "any string in the schema"},
	{"/linux/devices/-/fileMode",
         "setuid, setgid and sticky bits, as other runtimes take them"},
};

static void
expect(bool holds, const char *pointer, const char *message)
{
	size_t i;

	if (holds)
		return;
	for (i = 0; i < ARRAY_SIZE(differences); i++) {
		if (strcmp(differences[i].pointer, pointer) == 0) {
			differences[i].found = true;
			return;
		}
	}
	fail_msg("%s: %s", pointer, message);
}

static void
check_words(const char *pointer, struct schema schema, const struct name *names)
{
	const struct json *words = json_member(schema.node, "enum"), *word;
	const struct name *row;
	size_t count = 0;

	if (words == NULL && names == NULL)
		return;
	expect(words != NULL && names != NULL, pointer, "has a list of words, or should have");
	if (words == NULL || names == NULL)
		return;
	for (row = names; row->name != NULL; row++)
		count++;
	for (word = words->first; word != NULL; word = word->next)
		expect(name_find(names, word->text) != NULL, pointer, word->text);
	expect(count == words->count, pointer, "more words than the schema has");
}

static void
check_range(const char *pointer, struct schema schema, const struct field *row)
{
	const struct json *min = json_member(schema.node, "minimum");
	const struct json *max = json_member(schema.node, "maximum");
	bool whole = row->min == 0 && row->max == 0, is_signed = row->type == FIELD_INT;
	int64_t lowest = whole && is_signed ? INT64_MIN : row->min, least = INT64_MIN;
	uint64_t highest = row->max, most = UINT64_MAX;

	if (row->max == 0 && (whole || !is_signed))
		highest = row->type == FIELD_U32 ? UINT32_MAX : is_signed ? INT64_MAX : UINT64_MAX;
	if (min != NULL)
		assert_int_equal(parse_int(min->text, INT64_MIN, INT64_MAX, &least), 0);
	if (max != NULL)
		assert_int_equal(parse_uint(max->text, UINT64_MAX, &most), 0);
	expect(lowest >= least && highest <= most, pointer, "a wider range than the schema has");
}

static const struct shape {
	const char *type;
	const char *item; /* NULL: of no matter, or looked into */
} shapes[FIELD_TYPES] = {
	[FIELD_STRING] = {"string", NULL},         [FIELD_BOOL] = {"boolean", NULL},
	[FIELD_UINT] = {"integer", NULL},          [FIELD_INT] = {"integer", NULL},
	[FIELD_U32] = {"integer", NULL},           [FIELD_STRINGS] = {"array", "string"},
	[FIELD_UINTS] = {"array", "integer"},      [FIELD_MAP] = {"object", "string"},
	[FIELD_ENUM] = {"string", NULL},           [FIELD_FLAGS] = {"array", "string"},
	[FIELD_OBJECT] = {"object", NULL},         [FIELD_OBJECTS] = {"array", "object"},
	[FIELD_OBJECT_MAP] = {"object", "object"},
};

static size_t
check_table(const struct field_table *table, struct schema object, const char *prefix);

static size_t
check_row(const struct field *row, struct query q, const char *pointer)
{
	const struct shape *shape = &shapes[row->type];
	const char *below = row->type == FIELD_OBJECTS      ? "/-"
	                    : row->type == FIELD_OBJECT_MAP ? "/*"
	                                                    : "";
	struct schema inner = q.found;

	if (row->type == FIELD_IGNORED) {
		assert_non_null(row->why);
		return 1;
	}
	expect(strcmp(type_of(q.found), shape->type) == 0, pointer, type_of(q.found));
	if (shape->item != NULL)
		inner = items_of(q.found);
	if (shape->item != NULL)
		expect(strcmp(type_of(inner), shape->item) == 0, pointer, type_of(inner));
	expect(q.required == ((row->flags & FIELD_REQUIRED) != 0), pointer,
	       "required here or there only");
	if (row->table != NULL)
		return 1 +
		       check_table(row->table, inner, arena_printf(&arena, "%s%s", pointer, below));
	check_words(pointer, inner, row->names);
	if (strcmp(shape->type, "integer") == 0)
		check_range(pointer, inner, row);
	return 1;
}

struct rows {
	const struct field_table *table;
	const char *prefix;
};

static void
require_rows(struct schema part, void *data)
{
	const struct json *properties = json_member(part.node, "properties"), *property;
	const struct rows *rows = data;

	for (property = properties != NULL ? properties->first : NULL; property != NULL;
	     property = property->next) {
		size_t i = 0;

		while (i < rows->table->count &&
		       strcmp(rows->table->rows[i].name, property->key) != 0)
			i++;
		if (i == rows->table->count)
			fail_msg("%s/%s of the schema is in no table", rows->prefix, property->key);
	}
}

/* How many rows there are in it and below. */
static size_t
check_table(const struct field_table *table, struct schema object, const char *prefix)
{
	struct rows rows = {table, prefix};
	size_t i, count = 0;

	assert_true(table->count <= 64);
	visit_parts(object, require_rows, &rows);
	for (i = 0; i < table->count; i++) {
		const struct field *row = &table->rows[i];
		const char *pointer = arena_printf(&arena, "%s/%s", prefix, row->name);
		struct query q = query(object, row->name);

		assert_true((row->table != NULL) ==
		            (row->type >= FIELD_OBJECT && row->type < FIELD_IGNORED));
		if (q.found.node == NULL)
			fail_msg("%s is not in the schema", pointer);
		count += check_row(row, q, pointer);
	}
	return count;
}

static void
test_tables_follow_the_schema(void **state)
{
	struct schema schema = {load("config-schema.json"), "config-schema.json"};

	(void)state;
	assert_true(check_table(&config_fields, schema, "") > 220);
	for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
		if (!differences[i].found)
			fail_msg("%s: no difference any more", differences[i].pointer);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_tables_follow_the_schema, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
