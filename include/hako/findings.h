/* SPDX-License-Identifier: MIT */
#ifndef HAKO_FINDINGS_H
#define HAKO_FINDINGS_H

#include "hako/problem.h"

/* Problems of a document as programs read them: what `check` and `explain` print. */

struct findings {
	const struct problems *problems;
	const char *file;          /* as the user would open it */
	const char *grade;         /* what JSON calls the severity */
	const char *const *grades; /* its words, by enum problem_severity */
	const char *answer;        /* JSON is an object with it; NULL: a bare array */
	const char *const *kinds;  /* by enum problem_kind; NULL: not said */
};

struct findings_format {
	const char *name;
	int (*print)(const struct findings *findings, struct error *e);
};

/* The row of that name, the first one for NULL; NULL with *e (id "usage") when there is none. */
const struct findings_format *
findings_format(const struct findings_format *formats, const char *name, struct error *e);

int
findings_print_json(const struct findings *findings, struct error *e);
/* SARIF 2.1.0; what is OK is left out. */
int
findings_print_sarif(const struct findings *findings, struct error *e);

/* A copy without control characters. */
const char *
findings_printable(struct arena *arena, const char *text);

/* "s", but for 1. */
const char *
findings_plural(size_t n);

#endif
