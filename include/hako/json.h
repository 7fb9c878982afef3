/* SPDX-License-Identifier: MIT */
#ifndef HAKO_JSON_H
#define HAKO_JSON_H

#include "hako/error.h"
#include "hako/mem.h"

#include <stdbool.h>
#include <stdint.h>

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* A value; every one keeps the offset of its first byte, for error messages. */
struct json {
	enum json_type type : 8; /* a value fills one cache line */
	bool boolean : 1;
	uint32_t offset;            /* first byte of the value in doc->text */
	uint32_t end;               /* one past its last byte */
	uint32_t count;             /* members or items */
	const char *key;            /* name of a member, else NULL */
	const char *text;           /* string decoded (no NUL inside), or the number as written */
	struct json *first;         /* members or items, in order */
	struct json *next;          /* sibling */
	struct json *parent;        /* NULL for the root */
	const struct json_doc *doc; /* of the root only */
};

struct json_doc {
	const char *name; /* "config.json": what an error calls it */
	const char *text;
	size_t length;
	struct json *root;
	struct problems *problems; /* where all errors are noted; NULL: the first is the end */
};

/* Depth: the writer can nest 127 levels, so a value read can be written inside another. */
enum { JSON_MAX_BYTES = 8 << 20, JSON_MAX_DEPTH = 64, JSON_MAX_VALUES = 1 << 20 };

/*
 * Parse text (RFC 8259; not necessarily NUL-terminated) into a tree in the
 * arena. Refused, with the position: syntax errors, anything after the value,
 * invalid UTF-8, \u0000, lone surrogates, duplicate member names, depth over
 * JSON_MAX_DEPTH, over JSON_MAX_VALUES values. Never recurses on the input.
 * name and text must live as long as the tree.
 */
int
json_parse(struct arena *arena, const char *name, const char *text, size_t length,
           struct json_doc **ret_doc, struct error *e);

/*
 * The same for a document that has name and text, and perhaps a list of problems:
 * then what leaves the rest readable is noted there and parsing goes on. -1 when
 * there is no tree.
 */
int
json_parse_doc(struct arena *arena, struct json_doc *doc, struct error *e);

/*
 * Read a regular file of at most JSON_MAX_BYTES, opened relative to dir without
 * blocking: a document for json_parse_doc(). name is what errors call it.
 */
int
json_read(struct arena *arena, int dir, const char *path, const char *name,
          struct json_doc **ret_doc, struct error *e);

/* Read and parse a file. */
int
json_load(struct arena *arena, int dir, const char *path, const char *name,
          struct json_doc **ret_doc, struct error *e);

/* The member of that name, or NULL; object may be NULL. */
const struct json *
json_member(const struct json *object, const char *name);

/* A new member (key NULL: item) at the end: null. */
struct json *
json_append(struct arena *arena, struct json *parent, const char *key);
/* Take it out of its parent. */
void
json_remove(struct json *node);
/* Make node what value is, which is used up; name and place stay. */
void
json_replace(struct json *node, const struct json *value);

/* The member or item that a token of an RFC 6901 pointer names, or NULL. */
struct json *
json_step(const struct json *node, const char *token, size_t length);
/* What an RFC 6901 pointer leads to, or as much of the way as is there. Never NULL. */
const struct json *
json_nearest(const struct json *root, const char *pointer);

/* "config.json:57:9 /mounts/3" (RFC 6901 pointer) into buf. node may be NULL: "". */
void
json_where(const struct json *node, char *buf, size_t size);

/* Its RFC 6901 pointer alone, whole and as the document has it; "" for the root and for NULL. */
const char *
json_pointer(struct arena *arena, const struct json *node);

/* Without control characters and broken UTF-8: fit for terminals and logs. */
void
json_make_printable(char *text);

/*
 * error_set() with the location of node (NULL: none); noted among the problems of
 * its document if they are collected. Always returns -1.
 */
int
json_error(const struct json *node, struct error *e, int code, const char *id, const char *format,
           ...) __attribute__((format(printf, 5, 6)));

/* The same at a byte of the text, inside that value (NULL: outside of any). Always returns -1. */
int
json_error_at(const struct json_doc *doc, size_t offset, const struct json *inside, struct error *e,
              const char *id, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Memory for yajl, parser and writer: from an arena, so never NULL and nothing to free. */
void *
json_alloc(void *arena, size_t size);
void *
json_realloc(void *arena, void *pointer, size_t size);
void
json_free(void *arena, void *pointer);

/*
 * Writer over yajl_gen: output grows in memory. Calls nest as the document
 * does; bytes of a string that are not UTF-8 become U+FFFD.
 */
struct json_writer;
enum json_style { JSON_COMPACT, JSON_INDENT };
struct json_writer *
json_writer_new(enum json_style style);
void
json_begin_object(struct json_writer *w, const char *key); /* key NULL: root or array item */
void
json_end_object(struct json_writer *w);
void
json_begin_array(struct json_writer *w, const char *key);
void
json_end_array(struct json_writer *w);
void
json_put_string(struct json_writer *w, const char *key, const char *value);
void
json_put_int(struct json_writer *w, const char *key, int64_t value);
/* A number as it is written: JSON knows no limits, int64_t does. */
void
json_put_number(struct json_writer *w, const char *key, const char *text);
void
json_put_bool(struct json_writer *w, const char *key, bool value);
void
json_put_null(struct json_writer *w, const char *key);
/* Copy a parsed value as it is. */
void
json_put_json(struct json_writer *w, const char *key, const struct json *value);
/* The text so far, NUL-terminated, owned by the writer; *ret_length may be NULL. */
const char *
json_writer_text(struct json_writer *w, size_t *ret_length);
void
json_writer_free(struct json_writer *w);

#endif
