/* SPDX-License-Identifier: MIT */
/*
 * Both formats of `plan` from the same calls. What a call opens stays open until
 * the next one of its kind or of a greater one: words in a line, lines in a step,
 * steps in a phase.
 */
#include "hako/sheet.h"
#include "hako/json.h"
#include "hako/mem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sheet {
	FILE *out; /* the text; NULL: JSON */
	char *text;
	size_t size;
	struct json_writer *w;
	const char *phase; /* as JSON has it with every step, in the text until it is said */
	bool phase_said;
	const char *step; /* announced, and said only when it has something to say */
	const char *pointer;
	bool step_open;
	bool line_open;
	const char *words; /* key of the list that is open */
};

struct sheet *
sheet_new(enum sheet_format format, const char *id, const char *bundle)
{
	struct sheet *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (format == SHEET_TEXT) {
		s->out = open_memstream(&s->text, &s->size);
		return s->out != NULL ? s : (free(s), NULL);
	}
	s->w = json_writer_new(JSON_INDENT);
	json_begin_object(s->w, NULL);
	json_put_string(s->w, "id", id);
	json_put_string(s->w, "bundle", bundle);
	json_begin_array(s->w, "steps");
	return s;
}

/* Closing --------------------------------------------------------------------- */

static void
close_words(struct sheet *s)
{
	if (s->words != NULL && s->w != NULL)
		json_end_array(s->w);
	s->words = NULL;
}

static void
close_line(struct sheet *s)
{
	close_words(s);
	if (s->line_open && s->w != NULL)
		json_end_object(s->w);
	if (s->line_open && s->out != NULL)
		fputc('\n', s->out);
	s->line_open = false;
}

static void
close_step(struct sheet *s)
{
	close_line(s);
	if (s->step_open && s->w != NULL) {
		json_end_array(s->w);
		json_end_object(s->w);
	}
	s->step_open = false;
	s->step = NULL;
}

char *
sheet_end(struct sheet *s)
{
	char *text;

	if (s == NULL)
		return NULL;
	close_step(s);
	if (s->out != NULL) {
		fclose(s->out);
		text = s->text;
	} else {
		json_end_array(s->w);
		json_end_object(s->w);
		if (asprintf(&text, "%s\n", json_writer_text(s->w, NULL)) < 0)
			text = NULL;
		json_writer_free(s->w);
	}
	free(s);
	return text;
}

/* Opening --------------------------------------------------------------------- */

void
sheet_phase(struct sheet *s, const char *name)
{
	close_step(s);
	s->phase_said = s->phase != NULL && strcmp(s->phase, name) == 0 && s->phase_said;
	s->phase = name;
}

void
sheet_step(struct sheet *s, const char *name, const char *pointer)
{
	close_step(s);
	s->step = name;
	s->pointer = pointer;
}

void
sheet_acts(struct sheet *s)
{
	if (s->step_open)
		return;
	s->step_open = true;
	if (s->out != NULL) {
		if (!s->phase_said)
			fprintf(s->out, "%s\n", s->phase);
		s->phase_said = true;
		fprintf(s->out, "  %s\n", s->step);
		return;
	}
	json_begin_object(s->w, NULL);
	json_put_string(s->w, "phase", s->phase);
	json_put_string(s->w, "step", s->step);
	if (s->pointer[0] != '\0')
		json_put_string(s->w, "property", s->pointer);
	json_begin_array(s->w, "values");
}

/* A value with a newline in it must not pass for a line of the plan. */
static void
put(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			fprintf(out, "\\x%02x", (unsigned)*text);
		else
			fputc(*text, out);
}

void
sheet_line(struct sheet *s, const char *what)
{
	close_line(s);
	sheet_acts(s);
	s->line_open = true;
	if (s->out != NULL) {
		fprintf(s->out, "    %-15s", what);
		return;
	}
	json_begin_object(s->w, NULL);
	json_put_string(s->w, "what", what);
}

/* Values ---------------------------------------------------------------------- */

void
sheet_put(struct sheet *s, const char *key, const char *before, const char *value)
{
	close_words(s);
	if (s->w != NULL) {
		json_put_string(s->w, key, value);
		return;
	}
	fputs(before, s->out);
	put(s->out, value);
}

static void
put_format(struct sheet *s, const char *key, const char *before, const char *format, va_list args)
	__attribute__((format(printf, 4, 0)));

static void
put_format(struct sheet *s, const char *key, const char *before, const char *format, va_list args)
{
	autofree char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	sheet_put(s, key, before, text != NULL ? text : "(out of memory)");
}

void
sheet_printf(struct sheet *s, const char *key, const char *before, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	put_format(s, key, before, format, args);
	va_end(args);
}

void
sheet_number(struct sheet *s, const char *key, const char *before, int64_t value)
{
	close_words(s);
	if (s->w != NULL)
		json_put_int(s->w, key, value);
	else
		fprintf(s->out, "%s%" PRId64, before, value);
}

void
sheet_flag(struct sheet *s, const char *key, const char *text)
{
	close_words(s);
	if (s->w != NULL)
		json_put_bool(s->w, key, true);
	else
		fputs(text, s->out);
}

void
sheet_word(struct sheet *s, const char *key, const char *word)
{
	if (s->words == NULL || strcmp(s->words, key) != 0) {
		close_words(s);
		if (s->w != NULL)
			json_begin_array(s->w, key);
		s->words = key;
	}
	if (s->w != NULL) {
		json_put_string(s->w, NULL, word);
		return;
	}
	fputc(' ', s->out);
	put(s->out, word);
}

void
sheet_value(struct sheet *s, const char *what, const char *format, ...)
{
	va_list args;

	sheet_line(s, what);
	va_start(args, format);
	put_format(s, "value", " ", format, args);
	va_end(args);
}
