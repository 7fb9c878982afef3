/* SPDX-License-Identifier: MIT */
/*
 * Why a text is no JSON. yajl only says that it is not, so the place where it has
 * stopped is looked at again: what stands there, and what would have been right. What
 * yajl lets pass and RFC 8259 does not is found here too.
 */
#include "hako/json_syntax.h"

#include <string.h>
#include <yajl/yajl_parse.h>

int
json_fail(struct json_parser *p, size_t offset, const char *id, const char *msg)
{
	json_error_at(p->doc, offset, p->levels[p->depth].node, p->e, id, "%s", msg);
	return JSON_STOP;
}

int
json_complain(struct json_parser *p, size_t offset, const char *id, const char *msg)
{
	(void)json_fail(p, offset, id, msg);
	return p->doc->problems != NULL ? JSON_GO_ON : JSON_STOP;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/*
 * Where yajl stopped: the beginning of the first token it refused. Separators
 * before it had been taken, which yajl does not call back for.
 */
static size_t
bad_token(const struct json_parser *p, size_t consumed)
{
	const char *text = p->doc->text;
	size_t at = p->end;

	while (at < p->doc->length &&
	       (is_space(text[at]) || ((text[at] == ',' || text[at] == ':') && at + 1 < consumed)))
		at++;
	return at;
}

/* What would have been right at this byte. */
static const char *
expected(const struct json_parser *p, size_t at)
{
	const struct json *open = p->levels[p->depth].node;
	bool in_object = open != NULL && open->type == JSON_OBJECT;
	char before;

	while (at > 0 && is_space(p->doc->text[at - 1]))
		at--;
	before = at > 0 ? p->doc->text[at - 1] : ':';
	if (in_object && (before == '{' || before == ','))
		return "expected a name in double quotes";
	if (before == '[' || before == ',' || before == ':')
		return "expected a value";
	if (open == NULL)
		return "expected nothing after the value";
	if (p->key != NULL)
		return "expected ':' after the name";
	return in_object ? "expected ',' or '}'" : "expected ',' or ']'";
}

static void
explain_string(struct json_parser *p, size_t start, size_t bad)
{
	const char *text = p->doc->text;

	if (p->finishing)
		json_fail(p, start, "json-syntax", "this string has no end");
	else if ((unsigned char)text[bad] < 0x20)
		json_fail(p, bad, "json-syntax", "a string may not hold control characters");
	else if (text[bad - 1] == '\\')
		json_fail(p, bad - 1, "json-syntax", "unknown escape in a string");
	else
		json_fail(p, bad, "json-syntax", "expected four hexadecimal digits after \\u");
}

/* Always returns -1. */
static int
unexpected(struct json_parser *p, size_t at)
{
	const struct json *open = p->levels[p->depth].node;
	char c = p->doc->text[at];

	return json_error_at(p->doc, at, open, p->e, "json-syntax",
	                     c > ' ' && c <= '~' ? "%s, found '%c'" : "%s, found byte 0x%02x",
	                     expected(p, at), (unsigned char)c);
}

static bool
is_lexical_error(const struct json_parser *p)
{
	unsigned char *text = yajl_get_error(p->yajl, 0, NULL, 0);

	return text != NULL && strncmp((const char *)text, "lexical", strlen("lexical")) == 0;
}

void
json_explain_syntax(struct json_parser *p)
{
	size_t consumed = p->finishing ? p->doc->length + 1 : yajl_get_bytes_consumed(p->yajl);
	size_t at = bad_token(p, consumed);
	char c = at < p->doc->length ? p->doc->text[at] : '\0';

	if (at == p->doc->length && p->end == 0)
		json_fail(p, at, "json-syntax", "the text is empty");
	else if (at == p->doc->length)
		json_fail(p, at, "json-syntax", "the text ends too early");
	else if (c == '"' && (is_lexical_error(p) || p->finishing))
		explain_string(p, at, consumed);
	else if (c == '/')
		json_fail(p, at, "json-syntax", "comments are not allowed");
	else if ((c == '-' || (c >= '0' && c <= '9')) && is_lexical_error(p))
		json_fail(p, at, "json-syntax", "malformed number");
	else
		(void)unexpected(p, at);
}

/* Vertical tabs and form feeds, and half a string after the value. */
int
json_check_rest(struct json_parser *p)
{
	const struct json_doc *doc = p->doc;
	const char *space = memchr(doc->text, '\v', doc->length);
	size_t rest = bad_token(p, 0);

	if (space == NULL)
		space = memchr(doc->text, '\f', doc->length);
	if (space != NULL &&
	    json_complain(p, (size_t)(space - doc->text), "json-syntax",
	                  "only space, tab and newline may stand between values") == JSON_STOP)
		return -1;
	return rest < doc->length ? unexpected(p, rest) : 0;
}
