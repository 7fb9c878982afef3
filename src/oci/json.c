/* SPDX-License-Identifier: MIT */
/*
 * JSON text (RFC 8259) becomes a tree whose values know where they stand, so
 * that an error found much later still names line and column. The text is
 * hostile until it is parsed: yajl calls back token by token and nothing here
 * recurses; bytes, values and depth are bounded, the names in an object are
 * unique, and every string is UTF-8 without NUL, so that it is a C string too.
 */
#include "hako/json_syntax.h"
#include "hako/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

_Static_assert(JSON_MAX_DEPTH == 64, "a message below says so");

/* Up to so many members are compared pair by pair, more are sorted. */
enum { FEW_MEMBERS = 12 };

/* On to the end of the token that yajl calls back for. */
static uint32_t
advance(struct json_parser *p)
{
	p->end = (uint32_t)(p->finishing ? p->doc->length : yajl_get_bytes_consumed(p->yajl));
	return p->end;
}

/* A value whose first token goes from start to p->end. */
static struct json *
add_value(struct json_parser *p, enum json_type type, size_t start)
{
	struct json_level *level = &p->levels[p->depth];
	struct json *node;

	if (p->values++ == JSON_MAX_VALUES) {
		json_fail(p, start, "json-too-large", "too many values");
		return NULL;
	}
	node = arena_alloc(p->arena, sizeof(*node));
	node->type = type;
	node->offset = (uint32_t)start;
	node->end = p->end;
	node->key = p->key;
	node->parent = level->node;
	p->key = NULL;
	*level->tail = node;
	level->tail = &node->next;
	if (level->node != NULL)
		level->node->count++;
	else
		node->doc = p->doc;
	return node;
}

/* The code unit of the \uXXXX at s, which yajl has checked; -1 when there is no such escape. */
static int
code_unit(const char *s, const char *end)
{
	char digits[5] = {0};

	if (end - s < 6 || s[0] != '\\' || s[1] != 'u')
		return -1;
	memcpy(digits, s + 2, 4);
	return (int)strtol(digits, NULL, 16);
}

static int
check_escapes(struct json_parser *p, const char *s, const char *end)
{
	while ((s = memchr(s, '\\', (size_t)(end - s))) != NULL) {
		int unit = code_unit(s, end), next = -1;
		bool surrogate = unit >= 0xd800 && unit < 0xe000;

		if (unit == 0 && json_complain(p, (size_t)(s - p->doc->text), "json-utf8",
		                               "\\u0000 is not allowed in a string") == JSON_STOP)
			return JSON_STOP;
		if (unit >= 0xd800 && unit < 0xdc00)
			next = code_unit(s + 6, end);
		if (surrogate && (next < 0xdc00 || next >= 0xe000)) {
			if (json_complain(p, (size_t)(s - p->doc->text), "json-utf8",
			                  "half of a surrogate pair in a string") == JSON_STOP)
				return JSON_STOP;
			surrogate = false;
		}
		s += surrogate ? 12 : 2;
	}
	return JSON_GO_ON;
}

static int
check_encoding(struct json_parser *p, const char *s, const char *end)
{
	size_t valid;

	if (p->encoded)
		return JSON_GO_ON;
	valid = utf8_valid_length(s, (size_t)(end - s));
	if (s + valid == end)
		return JSON_GO_ON;
	return json_complain(p, (size_t)(s - p->doc->text) + valid, "json-utf8", "invalid UTF-8");
}

static const char *
keep(struct json_parser *p, const void *text, size_t length)
{
	char *copy = p->strings;

	memcpy(copy, text, length);
	copy[length] = '\0';
	p->strings += length + 1;
	return copy;
}

/*
 * Where the string token begins that yajl calls back for. It hands out a piece
 * of the text itself, between the quotes, unless there were escapes.
 */
static size_t
string_begin(const struct json_parser *p, const unsigned char *decoded)
{
	uintptr_t text = (uintptr_t)p->doc->text, at = (uintptr_t)decoded;
	const char *quote;

	if (at >= text && at < text + p->doc->length)
		return at - text - 1;
	quote = memchr(p->doc->text + p->end, '"', p->doc->length - p->end);
	return (size_t)(quote - p->doc->text);
}

/* yajl takes lone surrogates and NUL: look at the token if it was not what it decodes to. */
static const char *
keep_string(struct json_parser *p, size_t begin, const unsigned char *decoded, size_t length)
{
	const char *first = p->doc->text + begin + 1, *last = p->doc->text + p->end - 1;

	if (check_encoding(p, first, last) == JSON_STOP ||
	    ((size_t)(last - first) != length && check_escapes(p, first, last) == JSON_STOP))
		return NULL;
	return keep(p, decoded, length);
}

static int
parse_null(void *ctx)
{
	return add_value(ctx, JSON_NULL, advance(ctx) - strlen("null")) != NULL ? JSON_GO_ON
	                                                                        : JSON_STOP;
}

static int
parse_boolean(void *ctx, int value)
{
	size_t length = value ? strlen("true") : strlen("false");
	struct json *node = add_value(ctx, JSON_BOOL, advance(ctx) - length);

	if (node == NULL)
		return JSON_STOP;
	node->boolean = value != 0;
	return JSON_GO_ON;
}

static int
parse_number(void *ctx, const char *text, size_t length)
{
	struct json *node = add_value(ctx, JSON_NUMBER, advance(ctx) - length);

	if (node == NULL)
		return JSON_STOP;
	node->text = keep(ctx, text, length);
	return JSON_GO_ON;
}

static int
parse_string(void *ctx, const unsigned char *text, size_t length)
{
	size_t begin = string_begin(ctx, text);
	struct json *node;

	advance(ctx);
	node = add_value(ctx, JSON_STRING, begin);
	if (node == NULL)
		return JSON_STOP;
	node->text = keep_string(ctx, begin, text, length);
	return node->text != NULL ? JSON_GO_ON : JSON_STOP;
}

static int
parse_key(void *ctx, const unsigned char *text, size_t length)
{
	struct json_parser *p = ctx;
	size_t begin = string_begin(p, text);

	advance(p);
	p->key = keep_string(p, begin, text, length);
	return p->key != NULL ? JSON_GO_ON : JSON_STOP;
}

static int
begin_container(struct json_parser *p, enum json_type type)
{
	struct json *node = add_value(p, type, advance(p) - 1);

	if (node == NULL)
		return JSON_STOP;
	if (p->depth == JSON_MAX_DEPTH)
		return json_fail(p, node->offset, "json-depth", "nested deeper than 64 levels");
	p->depth++;
	p->levels[p->depth] = (struct json_level){node, &node->first};
	return JSON_GO_ON;
}

static int
begin_object(void *ctx)
{
	return begin_container(ctx, JSON_OBJECT);
}

static int
begin_array(void *ctx)
{
	return begin_container(ctx, JSON_ARRAY);
}

static int
end_array(void *ctx)
{
	struct json_parser *p = ctx;

	p->levels[p->depth].node->end = advance(p);
	p->depth--;
	return JSON_GO_ON;
}

static int
compare_members(const void *a, const void *b)
{
	const struct json *x = *(const struct json *const *)a;
	const struct json *y = *(const struct json *const *)b;
	int order = strcmp(x->key, y->key);

	return order != 0 ? order : (x->offset > y->offset) - (x->offset < y->offset);
}

static int
complain_repeated(struct json_parser *p, const struct json *member)
{
	json_error(member, p->e, 0, "json-duplicate", "this name was given before");
	return p->doc->problems != NULL ? JSON_GO_ON : JSON_STOP;
}

/* Sorted by name: the first in the text is the one to complain of, or all are. */
static int
check_many_names(struct json_parser *p, const struct json *object)
{
	const struct json **members =
		arena_array(p->arena, object->count, sizeof(const struct json *));
	const struct json *member, *first = NULL;
	size_t i = 0;

	for (member = object->first; member != NULL; member = member->next)
		members[i++] = member;
	qsort(members, i, sizeof(*members), compare_members);
	for (i = 1; i < object->count; i++) {
		if (strcmp(members[i - 1]->key, members[i]->key) != 0)
			continue;
		if (p->doc->problems != NULL)
			(void)complain_repeated(p, members[i]);
		else if (first == NULL || members[i]->offset < first->offset)
			first = members[i];
	}
	return first != NULL ? complain_repeated(p, first) : JSON_GO_ON;
}

static int
check_few_names(struct json_parser *p, const struct json *object)
{
	const struct json *a, *b;

	for (b = object->first; b != NULL; b = b->next) {
		for (a = object->first; a != b; a = a->next) {
			if (a->key[0] != b->key[0] || strcmp(a->key, b->key) != 0)
				continue;
			if (complain_repeated(p, b) == JSON_STOP)
				return JSON_STOP;
			break;
		}
	}
	return JSON_GO_ON;
}

static int
end_object(void *ctx)
{
	struct json_parser *p = ctx;
	const struct json *object = p->levels[p->depth].node;

	end_array(ctx);
	return object->count > FEW_MEMBERS ? check_many_names(p, object)
	                                   : check_few_names(p, object);
}

static const yajl_callbacks callbacks = {
	.yajl_null = parse_null,
	.yajl_boolean = parse_boolean,
	.yajl_number = parse_number,
	.yajl_string = parse_string,
	.yajl_start_map = begin_object,
	.yajl_map_key = parse_key,
	.yajl_end_map = end_object,
	.yajl_start_array = begin_array,
	.yajl_end_array = end_array,
};

static int
run(struct json_parser *p)
{
	const unsigned char *text = (const unsigned char *)p->doc->text;
	yajl_status status = yajl_parse(p->yajl, text, p->doc->length);

	if (status == yajl_status_ok) {
		p->finishing = true;
		status = yajl_complete_parse(p->yajl);
	}
	if (status == yajl_status_error)
		json_explain_syntax(p);
	return status == yajl_status_ok ? json_check_rest(p) : -1;
}

/* Before yajl sees it: size and encoding of the whole text. */
static int
check_text(struct json_parser *p)
{
	const struct json_doc *doc = p->doc;
	size_t valid;

	if (doc->length > JSON_MAX_BYTES)
		return error_set(p->e, 0, "json-too-large", "%s is larger than %d bytes", doc->name,
		                 JSON_MAX_BYTES);
	valid = utf8_valid_length(doc->text, doc->length);
	p->encoded = valid == doc->length;
	if (p->encoded || doc->problems != NULL) /* to be found string by string */
		return 0;
	return json_error_at(doc, valid, NULL, p->e, "json-utf8", "invalid UTF-8");
}

/* yajl's memory: the size stands before each piece, for json_realloc(). */
enum { SIZE_ROOM = 16 };

void *
json_alloc(void *arena, size_t size)
{
	char *room = arena_alloc(arena, size + SIZE_ROOM);

	memcpy(room, &size, sizeof(size));
	return room + SIZE_ROOM;
}

void *
json_realloc(void *arena, void *pointer, size_t size)
{
	char *room = json_alloc(arena, size);
	size_t old;

	if (pointer == NULL)
		return room;
	memcpy(&old, (char *)pointer - SIZE_ROOM, sizeof(old));
	return memcpy(room, pointer, old < size ? old : size);
}

void
json_free(void *arena, void *pointer)
{
	(void)arena;
	(void)pointer;
}

int
json_parse_doc(struct arena *arena, struct json_doc *doc, struct error *e)
{
	yajl_alloc_funcs memory = {json_alloc, json_realloc, json_free, arena};
	struct json_parser p = {.arena = arena, .doc = doc, .e = e};

	if (check_text(&p) < 0)
		return -1;
	/* a decoded text and its NUL are not longer than its token and what comes after */
	p.strings = arena_alloc(arena, doc->length + 1);
	p.levels[0].tail = &doc->root;
	p.yajl = yajl_alloc(&callbacks, &memory, &p);
	yajl_config(p.yajl, yajl_dont_validate_strings, 1);
	return run(&p);
}

int
json_parse(struct arena *arena, const char *name, const char *text, size_t length,
           struct json_doc **ret_doc, struct error *e)
{
	struct json_doc *doc = arena_alloc(arena, sizeof(*doc));

	*doc = (struct json_doc){.name = name, .text = text, .length = length};
	if (json_parse_doc(arena, doc, e) < 0)
		return -1;
	*ret_doc = doc;
	return 0;
}

const struct json *
json_member(const struct json *object, const char *name)
{
	const struct json *member = object != NULL ? object->first : NULL;

	while (member != NULL && (member->key == NULL || strcmp(member->key, name) != 0))
		member = member->next;
	return member;
}
