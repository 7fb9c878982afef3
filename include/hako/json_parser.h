/* SPDX-License-Identifier: MIT */
#ifndef HAKO_JSON_PARSER_H
#define HAKO_JSON_PARSER_H

#include "hako/json.h"

/* Between json_parser.c and json_string.c. */

/* What a function here tells its caller. */
enum { STOP = 0, GO_ON = 1 };

struct level {
	struct json *node;
	struct json **tail; /* where the next member or item is linked in */
};

struct parser {
	struct arena *arena;
	struct json_doc *doc;
	struct error *e;
	const char *at;  /* the byte that is next */
	const char *end; /* of the text; no NUL need be there */
	const char *odd; /* the first space that is none of JSON's */
	char *strings;   /* room for every decoded string and number */
	const char *key; /* of the member whose value comes next */
	uint32_t values;
	unsigned depth;
	bool encoded; /* all of the text is valid UTF-8 */
	struct level levels[JSON_MAX_DEPTH + 1];
};

/* An error at a byte of the text. Always returns STOP. */
int
parser_fail(struct parser *p, const char *at, const char *id, const char *msg);

/* One after which the rest can be read all the same: GO_ON if problems are collected. */
int
parser_complain(struct parser *p, const char *at, const char *id, const char *msg);

/* From the quote that is next to the one after it: decoded, in p->strings. NULL: it is broken. */
const char *
parser_read_string(struct parser *p);

#endif
