/* SPDX-License-Identifier: MIT */
#ifndef HAKO_SHEET_H
#define HAKO_SHEET_H

#include <stdint.h>

/*
 * Steps with their values, as aligned text for people or as JSON for programs: who
 * fills a sheet does not know which. A step stands there only when something was said
 * in it: a line of values, or that it acts.
 */
enum sheet_format { SHEET_TEXT, SHEET_JSON };
struct sheet;

/* Begin one; id and bundle stand at its head. NULL: no memory. */
struct sheet *
sheet_new(enum sheet_format format, const char *id, const char *bundle);

/* The whole of it, freed by the caller; the sheet is gone. NULL: no memory. */
char *
sheet_end(struct sheet *s);

/* The steps that follow belong to that phase. */
void
sheet_phase(struct sheet *s, const char *name);

/* A step begins; pointer: the property of config.json that it serves, "" for none. */
void
sheet_step(struct sheet *s, const char *name, const char *pointer);

/* The step acts, without values of its own. */
void
sheet_acts(struct sheet *s);

/* A line begins; what follows belongs to it. */
void
sheet_line(struct sheet *s, const char *what);

/* A value of the line; before stands in front of it in the text: " from ". */
void
sheet_put(struct sheet *s, const char *key, const char *before, const char *value);
void
sheet_printf(struct sheet *s, const char *key, const char *before, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void
sheet_number(struct sheet *s, const char *key, const char *before, int64_t value);

/* It is so: true, and that text. */
void
sheet_flag(struct sheet *s, const char *key, const char *text);

/* Words until something else is said of the line. */
void
sheet_word(struct sheet *s, const char *key, const char *word);

/* A line with one value. */
void
sheet_value(struct sheet *s, const char *what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
