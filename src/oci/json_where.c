/* SPDX-License-Identifier: MIT */
/*
 * Where a value stands: "config.json:57:9 /mounts/3", line and column for a
 * person with an editor, an RFC 6901 pointer for a program. Names and values
 * come from the document, so whatever is printed of it is made harmless: valid
 * UTF-8, no control characters, cut to the size of the buffer.
 */
#include "hako/problem.h"
#include "hako/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Text that is cut when the buffer is full. */
struct sink {
	char *buf;
	size_t size;
	size_t used;
};

/*
 * Is s, in UTF-8, a control character of Unicode (C0, DEL, C1), or U+FFFE or U+FFFF, which
 * XML and YAML do not allow either?
 */
static bool
is_control(const unsigned char *s)
{
	return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0) ||
	       (s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe);
}

void
json_make_printable(char *text)
{
	size_t length = strlen(text), valid = 0, i;

	for (i = 0; i < length; i++) {
		if (is_control((const unsigned char *)text + i))
			text[i] = '?';
	}
	while ((valid += utf8_valid_length(text + valid, length - valid)) < length)
		text[valid] = '?';
}

static void
sink_put(struct sink *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
sink_put(struct sink *out, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(out->buf + out->used, out->size - out->used, format, args);
	va_end(args);
	if (length > 0)
		out->used += (size_t)length;
	if (out->used >= out->size)
		out->used = out->size - 1;
}

/* "name:line:column" of a byte; columns count bytes. */
static void
put_place(struct sink *out, const struct json_doc *doc, size_t offset)
{
	const char *line = doc->text, *end = doc->text + offset, *newline;
	size_t number = 1;

	while (line < end && (newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		line = newline + 1;
		number++;
	}
	sink_put(out, "%s:%zu:%zu", doc->name, number, (size_t)(end - line) + 1);
}

static void
put_step(struct sink *out, const struct json *node)
{
	const struct json *item;
	const char *c;
	size_t index = 0;

	sink_put(out, "/");
	for (c = node->key; c != NULL && *c != '\0'; c++) {
		if (*c == '~' || *c == '/')
			sink_put(out, *c == '~' ? "~0" : "~1");
		else
			sink_put(out, "%c", *c);
	}
	if (node->key != NULL)
		return;
	for (item = node->parent->first; item != node; item = item->next)
		index++;
	sink_put(out, "%zu", index);
}

/* "/mounts/3"; nothing for the root. */
static void
put_pointer(struct sink *out, const struct json *node)
{
	const struct json *steps[JSON_MAX_DEPTH + 1];
	size_t count = 0;

	for (; node != NULL && node->parent != NULL; node = node->parent)
		steps[count++] = node;
	while (count > 0)
		put_step(out, steps[--count]);
}

static void
put_where(const struct json_doc *doc, size_t offset, const struct json *node, struct sink *out)
{
	put_place(out, doc, offset);
	if (node != NULL && node->parent != NULL)
		sink_put(out, " ");
	put_pointer(out, node);
	json_make_printable(out->buf);
}

void
json_where(const struct json *node, char *buf, size_t size)
{
	struct sink out = {buf, size, 0};
	const struct json *root = node;

	buf[0] = '\0';
	if (node == NULL)
		return;
	while (root->parent != NULL)
		root = root->parent;
	put_where(root->doc, node->offset, node, &out);
}

const char *
json_pointer(struct arena *arena, const struct json *node)
{
	enum { STEP = 24 }; /* "/" and an index */
	struct sink out = {.size = 1};
	const struct json *step;

	for (step = node; step != NULL; step = step->parent)
		out.size += STEP + (step->key != NULL ? 2 * strlen(step->key) : 0);
	out.buf = arena_alloc(arena, out.size);
	put_pointer(&out, node);
	return out.buf;
}

static void
set_message(struct error *e, int code, const char *id, const char *format, va_list args)
	__attribute__((format(printf, 4, 0)));

static void
set_message(struct error *e, int code, const char *id, const char *format, va_list args)
{
	char msg[sizeof(e->msg)];

	vsnprintf(msg, sizeof(msg), format, args);
	json_make_printable(msg);
	error_set(e, code, id, "%s", msg);
}

int
json_error(const struct json *node, struct error *e, int code, const char *id, const char *format,
           ...)
{
	struct problems *problems = json_problems(node);
	va_list args;

	va_start(args, format);
	set_message(e, code, id, format, args);
	va_end(args);
	if (problems != NULL)
		problems_add(problems, PROBLEM_ERROR, id, node, node->offset, e->msg);
	else
		json_where(node, e->at, sizeof(e->at));
	return -1;
}

int
json_error_at(const struct json_doc *doc, size_t offset, const struct json *inside, struct error *e,
              const char *id, const char *format, ...)
{
	struct sink out = {e->at, sizeof(e->at), 0};
	va_list args;

	va_start(args, format);
	set_message(e, 0, id, format, args);
	va_end(args);
	if (doc->problems != NULL)
		problems_add(doc->problems, PROBLEM_ERROR, id, inside, offset, e->msg);
	else
		put_where(doc, offset, inside, &out);
	return -1;
}
