/* SPDX-License-Identifier: MIT */
#ifndef HAKO_PROBLEM_H
#define HAKO_PROBLEM_H

#include "hako/json.h"
#include "hako/mem.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * All that is wrong with a document. A document without a list of problems ends
 * at the first error, as `create` needs it; with one (json_doc.problems) the same
 * functions note the error there and go on, as `check` needs it.
 */
enum problem_severity {
	PROBLEM_ERROR,
	PROBLEM_WARNING,
	PROBLEM_NOTE, /* this and the next only of explain_plan() */
	PROBLEM_OK,
	PROBLEM_SEVERITIES,
};
enum problem_kind {
	PROBLEM_SYNTAX, /* not JSON, or JSON that can be read in two ways */
	PROBLEM_SCHEMA, /* a property by itself */
	PROBLEM_RULE,   /* properties that do not go together */
	PROBLEM_HOST,   /* what this machine lacks */
};

struct problem {
	enum problem_severity severity;
	enum problem_kind kind;
	const char *id; /* stable word, as in struct error */
	const struct json *node;
	size_t offset; /* of its first byte in the text */
	const char *message;
	const char *hint; /* what may have been meant, or what to change; NULL: none */
	const char *why;  /* what follows from it; NULL: nothing to say */

	/* filled in by problems_sort() */
	const char *pointer; /* RFC 6901; "" for the document */
	size_t line;
	size_t column;    /* in bytes, from 1 */
	size_t character; /* the same in characters */
};

/* More than that nobody reads: the rest is only counted. */
enum { PROBLEMS_MAX = 1000 };

struct problems {
	struct arena *arena;
	enum problem_kind kind; /* of what is found from now on */
	struct problem *items;
	size_t count; /* of items: at most PROBLEMS_MAX */
	size_t room;
	size_t errors; /* of all that were found */
	size_t warnings;
	size_t found;   /* both, and what was known already */
	size_t earlier; /* items of the steps before this one */
	bool derived;   /* this step looks at what others have passed */
};

/*
 * The next step of checking begins. What an earlier step said of a value is not
 * said again by a later one: a rule keeps quiet about a value that has an error,
 * a derived step (planning, the host) about one that has an error anywhere in it.
 * problems may be NULL.
 */
void
problems_step(struct problems *problems, enum problem_kind kind, bool derived);

/* Note one more. node may be NULL: the document. */
void
problems_add(struct problems *problems, enum problem_severity severity, const char *id,
             const struct json *node, size_t offset, const char *message);

/* One with all that is to be said of it; the texts stay where they are. Never left out. */
void
problems_explain(struct problems *problems, enum problem_severity severity, const char *id,
                 const struct json *node, const char *message, const char *why, const char *hint);

/* A function has failed with *e: note that, unless it did when `found` was this. */
void
problems_note(struct problems *problems, size_t found, const struct error *e);

/* In the order of the text, with line, column and pointer. */
void
problems_sort(struct problems *problems, const struct json_doc *doc);

/* The collected problems of the document that node belongs to; NULL: the first error counts. */
struct problems *
json_problems(const struct json *node);

/* Does work go on after an error at node? */
bool
json_goes_on(const struct json *node);

/* Is that result an error, and is the first error at node the end? */
static inline bool
json_stops(const struct json *node, int result)
{
	return result < 0 && !json_goes_on(node);
}

/* Is something at node or in it known to be wrong? Then it says nothing about other properties. */
bool
json_is_faulty(const struct json *node);

/* Noted if problems are collected; else nothing. */
void
json_warning(const struct json *node, const char *id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Was the last problem to be noted at node? Then a hint is worth looking for. */
bool
json_takes_hint(const struct json *node);

/* What may have been meant at node, after its error or warning. */
void
json_hint(const struct json *node, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * log_fallback() for a value: with its place, and noted as a warning (an error
 * under --strict) if problems are collected. 0, or -1 with *e.
 */
int
json_fallback(const struct json *node, struct error *e, const char *id, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The same with log_fallback_shown(). */
int
json_fallback_shown(const struct json *node, struct error *e, const char *id, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));

#endif
