/* SPDX-License-Identifier: MIT */
#ifndef HAKO_JSON_SYNTAX_H
#define HAKO_JSON_SYNTAX_H

#include "hako/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Between the parser and what explains its errors. */

/* What a callback tells yajl. */
enum { JSON_STOP = 0, JSON_GO_ON = 1 };

struct json_level {
	struct json *node;
	struct json **tail; /* where the next member or item is linked in */
};

struct json_parser {
	struct arena *arena;
	struct json_doc *doc;
	struct error *e;
	struct yajl_handle_t *yajl;
	char *strings;   /* room for every decoded string and number */
	const char *key; /* of the member whose value comes next */
	uint32_t end;    /* of the last token */
	uint32_t values;
	unsigned depth;
	bool finishing; /* yajl has read all of doc->text */
	bool encoded;   /* all of it is valid UTF-8 */
	struct json_level levels[JSON_MAX_DEPTH + 1];
};

/* An error at that byte. Always returns JSON_STOP. */
int
json_fail(struct json_parser *p, size_t offset, const char *id, const char *msg);

/* The same where the rest can be read: JSON_GO_ON if problems are collected. */
int
json_complain(struct json_parser *p, size_t offset, const char *id, const char *msg);

/* yajl has refused the text: the error, at the byte that it did not take. */
void
json_explain_syntax(struct json_parser *p);

/* yajl has taken the text: is there something that it should not have let pass? 0, or -1. */
int
json_check_rest(struct json_parser *p);

#endif
