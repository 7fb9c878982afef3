/* SPDX-License-Identifier: MIT */
/*
 * A list of problems instead of the first error. It hangs on the document, and
 * every value knows its document, so that what finds an error need not know
 * whether it is the only one wanted: json_error() notes it here, and the loops
 * ask json_goes_on(). Where no list hangs, that is asked only after an error.
 */
#include "hako/problem.h"
#include "hako/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 16 };

struct problems *
json_problems(const struct json *node)
{
	if (node == NULL)
		return NULL;
	while (node->parent != NULL)
		node = node->parent;
	return node->doc != NULL ? node->doc->problems : NULL;
}

bool
json_goes_on(const struct json *node)
{
	return json_problems(node) != NULL;
}

/* Is a problem among the first `count` an error at node, or in it? */
static bool
has_error(const struct problems *problems, size_t count, const struct json *node, bool inside)
{
	for (size_t i = 0; i < count; i++) {
		const struct problem *p = &problems->items[i];

		if (p->severity == PROBLEM_ERROR &&
		    (p->node == node ||
		     (inside && p->offset >= node->offset && p->offset < node->end)))
			return true;
	}
	return false;
}

bool
json_is_faulty(const struct json *node)
{
	const struct problems *problems = json_problems(node);

	return problems != NULL && has_error(problems, problems->count, node, true);
}

void
problems_step(struct problems *problems, enum problem_kind kind, bool derived)
{
	if (problems == NULL)
		return;
	problems->kind = kind;
	problems->derived = derived;
	problems->earlier = problems->count;
}

static struct problem *
new_item(struct problems *problems)
{
	if (problems->count == problems->room) {
		size_t room = problems->room > 0 ? 2 * problems->room : ROOM;
		struct problem *items = arena_array(problems->arena, room, sizeof(*items));

		if (problems->count > 0)
			memcpy(items, problems->items, problems->count * sizeof(*items));
		problems->items = items;
		problems->room = room;
	}
	return &problems->items[problems->count++];
}

void
problems_add(struct problems *problems, enum problem_severity severity, const char *id,
             const struct json *node, size_t offset, const char *message)
{
	problems->found++;
	if (node != NULL && has_error(problems, problems->earlier, node, problems->derived))
		return;
	if (severity == PROBLEM_ERROR)
		problems->errors++;
	else
		problems->warnings++;
	if (problems->count == PROBLEMS_MAX)
		return;
	*new_item(problems) = (struct problem){
		.severity = severity,
		.kind = problems->kind,
		.id = arena_strdup(problems->arena, id),
		.node = node,
		.offset = offset,
		.message = arena_strdup(problems->arena, message),
	};
}

void
problems_explain(struct problems *problems, enum problem_severity severity, const char *id,
                 const struct json *node, const char *message, const char *why, const char *hint)
{
	problems->found++;
	problems->errors += severity == PROBLEM_ERROR;
	problems->warnings += severity == PROBLEM_WARNING;
	*new_item(problems) = (struct problem){
		.severity = severity,
		.kind = PROBLEM_RULE,
		.id = id,
		.node = node,
		.offset = node->offset,
		.message = message,
		.why = why,
		.hint = hint,
	};
}

void
problems_note(struct problems *problems, size_t found, const struct error *e)
{
	if (problems->found == found)
		problems_add(problems, PROBLEM_ERROR, e->id, NULL, 0, e->msg);
}

void
json_warning(const struct json *node, const char *id, const char *format, ...)
{
	struct problems *problems = json_problems(node);
	struct error e;
	va_list args;

	if (problems == NULL)
		return;
	va_start(args, format);
	vsnprintf(e.msg, sizeof(e.msg), format, args);
	va_end(args);
	json_make_printable(e.msg);
	problems_add(problems, PROBLEM_WARNING, id, node, node->offset, e.msg);
}

bool
json_takes_hint(const struct json *node)
{
	const struct problems *problems = json_problems(node);

	return problems != NULL && problems->count > 0 &&
	       problems->items[problems->count - 1].node == node;
}

void
json_hint(const struct json *node, const char *format, ...)
{
	struct problems *problems = json_problems(node);
	char hint[256];
	va_list args;

	if (!json_takes_hint(node))
		return;
	va_start(args, format);
	vsnprintf(hint, sizeof(hint), format, args);
	va_end(args);
	json_make_printable(hint);
	problems->items[problems->count - 1].hint = arena_strdup(problems->arena, hint);
}

static int
fall_back(const struct json *node, struct error *e, const char *id, bool shown, const char *msg)
{
	struct problems *problems = json_problems(node);
	char where[sizeof(e->at)], line[sizeof(where) + sizeof(e->msg) + 2];

	if (problems != NULL && log_settings.strict)
		return json_error(node, e, 0, id, "%s (an error because of --strict)", msg);
	if (problems != NULL) {
		json_warning(node, id, "%s", msg);
		return 0;
	}
	json_where(node, where, sizeof(where));
	snprintf(line, sizeof(line), "%s%s%s", where, where[0] != '\0' ? ": " : "", msg);
	return shown ? log_fallback_shown(e, id, line) : log_fallback(e, id, "%s", line);
}

int
json_fallback(const struct json *node, struct error *e, const char *id, const char *format, ...)
{
	char msg[sizeof(e->msg)];
	va_list args;

	va_start(args, format);
	vsnprintf(msg, sizeof(msg), format, args);
	va_end(args);
	return fall_back(node, e, id, false, msg);
}

int
json_fallback_shown(const struct json *node, struct error *e, const char *id, const char *format,
                    ...)
{
	char msg[sizeof(e->msg)];
	va_list args;

	va_start(args, format);
	vsnprintf(msg, sizeof(msg), format, args);
	va_end(args);
	return fall_back(node, e, id, true, msg);
}

static int
compare(const void *a, const void *b)
{
	const struct problem *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	/* until they are sorted, `line` holds the order of finding */
	return (x->line > y->line) - (x->line < y->line);
}

/* The parser complains of a byte, and knows what it stands in as far as it has read. */
static const struct json *
innermost(const struct json *node, size_t offset)
{
	const struct json *child = node != NULL && node->offset != offset ? node->first : NULL;

	while (child != NULL) {
		bool inside = offset >= child->offset && offset < child->end;

		node = inside ? child : node;
		child = inside ? child->first : child->next;
	}
	return node;
}

/* Where in the text one has come to, and what stands before it in its line. */
struct cursor {
	const char *at;
	const char *line; /* its beginning */
	size_t number;    /* from 1 */
	size_t characters;
};

/* Blocks of a size that is known, counted in a byte, are what compilers make one instruction of. */
static size_t
count_lines(const char *text, const char *end)
{
	enum { BLOCK = 128 };
	size_t lines = 0;

	for (; end - text >= BLOCK; text += BLOCK) {
		unsigned char here = 0;

		for (int i = 0; i < BLOCK; i++)
			here = (unsigned char)(here + (text[i] == '\n'));
		lines += here;
	}
	for (; text < end; text++)
		lines += *text == '\n';
	return lines;
}

static void
move_on(struct cursor *c, const char *target)
{
	const char *newline = memrchr(c->at, '\n', (size_t)(target - c->at));

	if (newline != NULL) {
		c->number += count_lines(c->at, newline + 1);
		c->at = c->line = newline + 1;
		c->characters = 0;
	}
	for (; c->at < target; c->at++)
		c->characters += ((unsigned char)*c->at & 0xc0) != 0x80;
}

void
problems_sort(struct problems *problems, const struct json_doc *doc)
{
	struct cursor c = {.at = doc->text, .line = doc->text, .number = 1};

	for (size_t i = 0; i < problems->count; i++)
		problems->items[i].line = i;
	if (problems->count > 1)
		qsort(problems->items, problems->count, sizeof(*problems->items), compare);
	for (size_t i = 0; i < problems->count; i++) {
		struct problem *p = &problems->items[i];

		move_on(&c, doc->text + p->offset);
		p->line = c.number;
		p->column = (size_t)(c.at - c.line) + 1;
		p->character = c.characters + 1;
		p->node = innermost(p->node, p->offset);
		p->pointer = json_pointer(problems->arena, p->node);
	}
}
