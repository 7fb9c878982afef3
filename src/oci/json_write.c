/* SPDX-License-Identifier: MIT */
/*
 * JSON output over yajl_gen, in the shape of Go's encoder, which the engines'
 * own files have: two spaces of indent, {} and [] for what is empty, no
 * newline at the end. A container is opened only when something is put into
 * it; one that stays empty goes out as a word, because yajl_gen would break it
 * over lines.
 */
#include "hako/json.h"
#include "hako/utf8.h"

#include <string.h>
#include <yajl/yajl_gen.h>

enum pending { PENDING_NOTHING, PENDING_OBJECT, PENDING_ARRAY };

struct json_writer {
	struct arena arena; /* holds the writer too */
	yajl_gen gen;
	enum pending pending; /* a container that was begun and has no content yet */
};

struct json_writer *
json_writer_new(enum json_style style)
{
	struct arena arena = {.small = true};
	struct json_writer *w = arena_alloc(&arena, sizeof(*w));
	yajl_alloc_funcs memory = {json_alloc, json_realloc, json_free, &w->arena};

	w->arena = arena;
	w->gen = yajl_gen_alloc(&memory);
	yajl_gen_config(w->gen, yajl_gen_beautify, style == JSON_INDENT);
	yajl_gen_config(w->gen, yajl_gen_indent_string, "  ");
	return w;
}

static void
open_pending(struct json_writer *w)
{
	if (w->pending == PENDING_OBJECT)
		yajl_gen_map_open(w->gen);
	else if (w->pending == PENDING_ARRAY)
		yajl_gen_array_open(w->gen);
	w->pending = PENDING_NOTHING;
}

/* value, or a copy of it in which each byte that is not UTF-8 is U+FFFD. */
static const char *
make_utf8(struct json_writer *w, const char *value)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t left = strlen(value), valid = utf8_valid_length(value, left);
	char *copy, *out;

	if (valid == left)
		return value;
	out = copy = arena_array(&w->arena, left + 1, strlen(replacement));
	while (left > 0) {
		out = (char *)memcpy(out, value, valid) + valid;
		value += valid;
		left -= valid;
		if (left == 0)
			break;
		out = (char *)memcpy(out, replacement, strlen(replacement)) + strlen(replacement);
		value++;
		left--;
		valid = utf8_valid_length(value, left);
	}
	return copy;
}

static void
put_text(struct json_writer *w, const char *text)
{
	text = make_utf8(w, text);
	yajl_gen_string(w->gen, (const unsigned char *)text, strlen(text));
}

static void
begin_value(struct json_writer *w, const char *key)
{
	open_pending(w);
	if (key != NULL)
		put_text(w, key);
}

void
json_begin_object(struct json_writer *w, const char *key)
{
	begin_value(w, key);
	w->pending = PENDING_OBJECT;
}

void
json_end_object(struct json_writer *w)
{
	if (w->pending == PENDING_OBJECT)
		yajl_gen_number(w->gen, "{}", 2);
	else
		yajl_gen_map_close(w->gen);
	w->pending = PENDING_NOTHING;
}

void
json_begin_array(struct json_writer *w, const char *key)
{
	begin_value(w, key);
	w->pending = PENDING_ARRAY;
}

void
json_end_array(struct json_writer *w)
{
	if (w->pending == PENDING_ARRAY)
		yajl_gen_number(w->gen, "[]", 2);
	else
		yajl_gen_array_close(w->gen);
	w->pending = PENDING_NOTHING;
}

void
json_put_string(struct json_writer *w, const char *key, const char *value)
{
	begin_value(w, key);
	put_text(w, value);
}

void
json_put_int(struct json_writer *w, const char *key, int64_t value)
{
	begin_value(w, key);
	yajl_gen_integer(w->gen, value);
}

void
json_put_number(struct json_writer *w, const char *key, const char *text)
{
	begin_value(w, key);
	yajl_gen_number(w->gen, text, strlen(text));
}

void
json_put_bool(struct json_writer *w, const char *key, bool value)
{
	begin_value(w, key);
	yajl_gen_bool(w->gen, value);
}

void
json_put_null(struct json_writer *w, const char *key)
{
	begin_value(w, key);
	yajl_gen_null(w->gen);
}

/* A scalar as a whole, of an object or array only its beginning. */
static void
put_begin(struct json_writer *w, const char *key, const struct json *value)
{
	switch (value->type) {
	case JSON_NULL:
		json_put_null(w, key);
		break;
	case JSON_BOOL:
		json_put_bool(w, key, value->boolean);
		break;
	case JSON_NUMBER:
		json_put_number(w, key, value->text);
		break;
	case JSON_STRING:
		json_put_string(w, key, value->text);
		break;
	case JSON_ARRAY:
		json_begin_array(w, key);
		break;
	case JSON_OBJECT:
		json_begin_object(w, key);
		break;
	}
}

static void
put_end(struct json_writer *w, const struct json *value)
{
	if (value->type == JSON_ARRAY)
		json_end_array(w);
	else if (value->type == JSON_OBJECT)
		json_end_object(w);
}

void
json_put_json(struct json_writer *w, const char *key, const struct json *value)
{
	const struct json *node = value;

	put_begin(w, key, node);
	for (;;) {
		if (node->first != NULL) {
			node = node->first;
			put_begin(w, node->key, node);
			continue;
		}
		put_end(w, node);
		while (node != value && node->next == NULL) {
			node = node->parent;
			put_end(w, node);
		}
		if (node == value)
			return;
		node = node->next;
		put_begin(w, node->key, node);
	}
}

const char *
json_writer_text(struct json_writer *w, size_t *ret_length)
{
	const unsigned char *text = NULL;
	size_t length = 0;

	yajl_gen_get_buf(w->gen, &text, &length);
	if (length == 0)
		text = (const unsigned char *)"";
	else if (text[length - 1] == '\n')
		length--;
	if (ret_length != NULL)
		*ret_length = length;
	return arena_strndup(&w->arena, (const char *)text, length);
}

void
json_writer_free(struct json_writer *w)
{
	struct arena arena;

	if (w == NULL)
		return;
	arena = w->arena;
	arena_free(&arena);
}
