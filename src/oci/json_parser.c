/* SPDX-License-Identifier: MIT */
/*
 * JSON text (RFC 8259) becomes a tree whose values know where they stand, so
 * that an error found much later still names line and column. The text is
 * hostile until it is parsed: it is read in one pass with one byte of foresight,
 * and nothing here recurses; bytes, values and depth are bounded, the names in
 * an object are unique, and every string is UTF-8 without NUL, so that it is a
 * C string too.
 */
#include "hako/json_parser.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(JSON_MAX_DEPTH == 64, "a message below says so");

/* Up to so many members are compared pair by pair, more are sorted. */
enum { FEW_MEMBERS = 12 };

/* Errors ------------------------------------------------------------------------- */

int
parser_fail(struct parser *p, const char *at, const char *id, const char *msg)
{
	json_error_at(p->doc, (size_t)(at - p->doc->text), p->levels[p->depth].node, p->e, id, "%s",
	              msg);
	return STOP;
}

int
parser_complain(struct parser *p, const char *at, const char *id, const char *msg)
{
	(void)parser_fail(p, at, id, msg);
	return p->doc->problems != NULL ? GO_ON : STOP;
}

/* What is next is not what would have been right. Always returns STOP. */
static int
unexpected(struct parser *p, const char *expected)
{
	char c;

	if (p->at == p->end)
		return parser_fail(p, p->at, "json-syntax",
		                   p->doc->root != NULL ? "the text ends too early"
		                                        : "the text is empty");
	c = *p->at;
	if (c == '/')
		return parser_fail(p, p->at, "json-syntax", "comments are not allowed");
	json_error_at(p->doc, (size_t)(p->at - p->doc->text), p->levels[p->depth].node, p->e,
	              "json-syntax",
	              c > ' ' && c <= '~' ? "%s, found '%c'" : "%s, found byte 0x%02x", expected,
	              (unsigned char)c);
	return STOP;
}

/* Values ------------------------------------------------------------------------- */

/* The byte after spaces, which is next then; 0 at the end. */
static char
skip_space(struct parser *p)
{
	const char *s = p->at;

	for (; s < p->end; s++) {
		if (*s == ' ' || *s == '\n' || *s == '\t' || *s == '\r')
			continue;
		if (*s != '\v' && *s != '\f')
			break;
		if (p->odd == NULL)
			p->odd = s;
	}
	p->at = s;
	return s < p->end ? *s : '\0';
}

/* A value that begins with the next byte; its end is still to be set. NULL: too many. */
static struct json *
add_value(struct parser *p, enum json_type type)
{
	struct level *level = &p->levels[p->depth];
	struct json *node;

	if (p->values++ == JSON_MAX_VALUES) {
		parser_fail(p, p->at, "json-too-large", "too many values");
		return NULL;
	}
	node = arena_alloc(p->arena, sizeof(*node));
	node->type = type;
	node->offset = (uint32_t)(p->at - p->doc->text);
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

/* The next bytes are all of the value. */
static int
take(struct parser *p, struct json *node, size_t length)
{
	p->at += length;
	node->end = node->offset + (uint32_t)length;
	return GO_ON;
}

static int
parse_word(struct parser *p, const char *word, enum json_type type)
{
	size_t length = strlen(word);
	struct json *node;

	if ((size_t)(p->end - p->at) < length || memcmp(p->at, word, length) != 0)
		return unexpected(p, "expected a value");
	node = add_value(p, type);
	if (node == NULL)
		return STOP;
	node->boolean = word[0] == 't';
	return take(p, node, length);
}

static const char *
skip_digits(const char *s, const char *end)
{
	while (s < end && *s >= '0' && *s <= '9')
		s++;
	return s;
}

/* Where the number at s ends, NULL: it is none. After a 0 no digit is part of it. */
static const char *
number_end(const char *s, const char *end)
{
	const char *digits = s += *s == '-';

	s = s < end && *s == '0' ? s + 1 : skip_digits(s, end);
	if (s == digits)
		return NULL;
	if (s < end && *s == '.') {
		digits = s + 1;
		s = skip_digits(digits, end);
		if (s == digits)
			return NULL;
	}
	if (s < end && (*s == 'e' || *s == 'E')) {
		digits = s + 1;
		digits += digits < end && (*digits == '+' || *digits == '-');
		s = skip_digits(digits, end);
		if (s == digits)
			return NULL;
	}
	return s;
}

static int
parse_number(struct parser *p)
{
	const char *end = number_end(p->at, p->end);
	struct json *node;
	size_t length;

	if (end == NULL)
		return parser_fail(p, p->at, "json-syntax", "malformed number");
	node = add_value(p, JSON_NUMBER);
	if (node == NULL)
		return STOP;
	length = (size_t)(end - p->at);
	node->text = memcpy(p->strings, p->at, length);
	p->strings[length] = '\0';
	p->strings += length + 1;
	return take(p, node, length);
}

static int
parse_string(struct parser *p)
{
	struct json *node = add_value(p, JSON_STRING);

	if (node == NULL)
		return STOP;
	node->text = parser_read_string(p);
	node->end = (uint32_t)(p->at - p->doc->text);
	return node->text != NULL ? GO_ON : STOP;
}

/* Objects and arrays --------------------------------------------------------------- */

static int
compare_members(const void *a, const void *b)
{
	const struct json *x = *(const struct json *const *)a;
	const struct json *y = *(const struct json *const *)b;
	int order = strcmp(x->key, y->key);

	return order != 0 ? order : (x->offset > y->offset) - (x->offset < y->offset);
}

static int
complain_repeated(struct parser *p, const struct json *member)
{
	json_error(member, p->e, 0, "json-duplicate", "this name was given before");
	return p->doc->problems != NULL ? GO_ON : STOP;
}

/* Sorted by name: the first in the text is the one to complain of, or all are. */
static int
check_many_names(struct parser *p, const struct json *object)
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
	return first != NULL ? complain_repeated(p, first) : GO_ON;
}

static int
check_few_names(struct parser *p, const struct json *object)
{
	const struct json *a, *b;

	for (b = object->first; b != NULL; b = b->next) {
		for (a = object->first; a != b; a = a->next) {
			if (a->key[0] != b->key[0] || strcmp(a->key, b->key) != 0)
				continue;
			if (complain_repeated(p, b) == STOP)
				return STOP;
			break;
		}
	}
	return GO_ON;
}

static int
begin_container(struct parser *p, enum json_type type)
{
	struct json *node = add_value(p, type);

	if (node == NULL)
		return STOP;
	if (p->depth == JSON_MAX_DEPTH)
		return parser_fail(p, p->at, "json-depth", "nested deeper than 64 levels");
	p->at++;
	p->depth++;
	p->levels[p->depth] = (struct level){node, &node->first};
	return GO_ON;
}

static int
end_container(struct parser *p)
{
	struct json *node = p->levels[p->depth].node;

	p->at++;
	p->depth--;
	node->end = (uint32_t)(p->at - p->doc->text);
	if (node->type == JSON_ARRAY)
		return GO_ON;
	return node->count > FEW_MEMBERS ? check_many_names(p, node) : check_few_names(p, node);
}

static int
parse_name(struct parser *p)
{
	if (skip_space(p) != '"')
		return unexpected(p, "expected a name in double quotes");
	p->key = parser_read_string(p);
	if (p->key == NULL)
		return STOP;
	if (skip_space(p) != ':')
		return unexpected(p, "expected ':' after the name");
	p->at++;
	return GO_ON;
}

/* A whole value, or the begin of an object or array. */
static int
parse_value(struct parser *p)
{
	char c = skip_space(p);

	switch (c) {
	case '{':
		return begin_container(p, JSON_OBJECT);
	case '[':
		return begin_container(p, JSON_ARRAY);
	case '"':
		return parse_string(p);
	case 't':
		return parse_word(p, "true", JSON_BOOL);
	case 'f':
		return parse_word(p, "false", JSON_BOOL);
	case 'n':
		return parse_word(p, "null", JSON_NULL);
	default:
		if (c == '-' || (c >= '0' && c <= '9'))
			return parse_number(p);
		return unexpected(p, "expected a value");
	}
}

/* In an object or array: the next member or item, or its end. */
static int
parse_next(struct parser *p)
{
	const struct json *open = p->levels[p->depth].node;
	bool object = open->type == JSON_OBJECT;
	char c = skip_space(p);

	if (c == (object ? '}' : ']'))
		return end_container(p);
	if (open->count > 0) {
		if (c != ',')
			return unexpected(p,
			                  object ? "expected ',' or '}'" : "expected ',' or ']'");
		p->at++;
	}
	if (object && parse_name(p) == STOP)
		return STOP;
	return parse_value(p);
}

/* The document --------------------------------------------------------------------- */

static int
parse(struct parser *p)
{
	if (parse_value(p) == STOP)
		return STOP;
	while (p->depth > 0)
		if (parse_next(p) == STOP)
			return STOP;
	skip_space(p);
	if (p->odd != NULL &&
	    parser_complain(p, p->odd, "json-syntax",
	                    "only space, tab and newline may stand between values") == STOP)
		return STOP;
	return p->at == p->end ? GO_ON : unexpected(p, "expected nothing after the value");
}

/* Before it is parsed: size and encoding of the whole text. */
static int
check_text(struct parser *p)
{
	const struct json_doc *doc = p->doc;
	size_t valid;

	if (doc->length > JSON_MAX_BYTES)
		return error_set(p->e, 0, "json-too-large", "%s is larger than %d bytes", doc->name,
		                 JSON_MAX_BYTES);
	valid = json_utf8_length(doc->text, doc->length);
	p->encoded = valid == doc->length;
	if (p->encoded || doc->problems != NULL) /* to be found string by string */
		return 0;
	return json_error_at(doc, valid, NULL, p->e, "json-utf8", "invalid UTF-8");
}

int
json_parse_doc(struct arena *arena, struct json_doc *doc, struct error *e)
{
	struct parser p = {
		.arena = arena,
		.doc = doc,
		.e = e,
		.at = doc->text,
		.end = doc->text + doc->length,
	};

	doc->root = NULL;
	if (check_text(&p) < 0)
		return -1;
	/* a decoded text and its NUL are not longer than its token and what comes after */
	p.strings = arena_alloc(arena, doc->length + 1);
	p.levels[0].tail = &doc->root;
	return parse(&p) == GO_ON ? 0 : -1;
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
