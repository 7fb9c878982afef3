/* SPDX-License-Identifier: MIT */
/* Verdicts for people, and in three forms for programs. */
#include "hako/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[VERDICTS] = {
	[VERDICT_HOLDS] = "holds",
	[VERDICT_PENDING] = "pending",
	[VERDICT_UNKNOWN] = "unknown",
	[VERDICT_DRIFT] = "drift",
};

static const char *
printable(const struct verdicts *v, const char *text)
{
	char *copy = arena_strdup(v->arena, text != NULL ? text : "");

	json_make_printable(copy);
	return copy;
}

/* Text ---------------------------------------------------------------------------- */

static void
put_verdict(FILE *out, const struct verdicts *v, const struct verdict *d)
{
	char at[256];

	fprintf(out, "%-8s %s", words[d->outcome], printable(v, d->id));
	if (d->outcome == VERDICT_DRIFT)
		fprintf(out, ": expected %s, found %s", printable(v, d->expected),
		        printable(v, d->found));
	else if (d->found != NULL && d->found[0] != '\0')
		fprintf(out, ": %s", printable(v, d->found));
	json_where(d->at, at, sizeof(at));
	if (at[0] != '\0' && d->outcome != VERDICT_HOLDS)
		fprintf(out, " (%s)", at);
	if (d->outcome == VERDICT_DRIFT && checks[d->check].own)
		fputs("; it may have done that itself", out);
	fputc('\n', out);
}

char *
verdicts_show_text(const struct verdicts *v, const char *name, bool all)
{
	const char *separator = ": ";
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < v->count; i++)
		if (all || v->items[i].outcome == VERDICT_DRIFT ||
		    v->items[i].outcome == VERDICT_UNKNOWN)
			put_verdict(out, v, &v->items[i]);
	fprintf(out, "%s: %zu checks", printable(v, name), v->count);
	for (size_t i = 0; i < VERDICTS; i++) {
		if (v->counts[i] == 0)
			continue;
		fprintf(out, "%s%zu %s", separator, v->counts[i],
		        i == VERDICT_HOLDS && v->counts[i] > 1 ? "hold" : words[i]);
		separator = ", ";
	}
	fputc('\n', out);
	fclose(out);
	return text;
}

char *
checks_show(void)
{
	char *text = NULL, id[64];
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		return NULL;
	for (enum check i = 0; i < CHECKS; i++)
		fprintf(out, "%-32s %s\n", check_id_form(i, id, sizeof(id)), checks[i].summary);
	fclose(out);
	return text;
}

/* JSON ----------------------------------------------------------------------------- */

static void
put_json(struct json_writer *w, const struct verdicts *v, const struct verdict *d)
{
	char at[256];

	json_begin_object(w, NULL);
	json_put_string(w, "id", d->id);
	json_put_string(w, "outcome", words[d->outcome]);
	if (d->expected != NULL)
		json_put_string(w, "expected", d->expected);
	if (d->found != NULL)
		json_put_string(w,
		                d->outcome == VERDICT_HOLDS || d->outcome == VERDICT_DRIFT
		                        ? "found"
		                        : "reason",
		                d->found);
	if (d->at != NULL) {
		json_where(d->at, at, sizeof(at));
		at[strcspn(at, " ")] = '\0';
		json_put_string(w, "at", at);
		json_put_string(w, "pointer", json_pointer(v->arena, d->at));
	}
	json_end_object(w);
}

void
verdicts_put_json(struct json_writer *w, const struct verdicts *v)
{
	json_begin_object(w, "summary");
	for (size_t i = 0; i < VERDICTS; i++)
		json_put_int(w, words[i], (int64_t)v->counts[i]);
	json_end_object(w);
	json_begin_array(w, "checks");
	for (size_t i = 0; i < v->count; i++)
		put_json(w, v, &v->items[i]);
	json_end_array(w);
}

char *
verdicts_show_json(const struct verdicts *v, const char *name)
{
	struct json_writer *w = json_writer_new(JSON_INDENT);
	char *text = NULL;

	json_begin_object(w, NULL);
	json_put_string(w, "name", name);
	verdicts_put_json(w, v);
	json_end_object(w);
	if (asprintf(&text, "%s\n", json_writer_text(w, NULL)) < 0)
		text = NULL;
	json_writer_free(w);
	return text;
}

/* TAP -------------------------------------------------------------------------------- */

/* A YAML string in double quotes, with escapes for bytes that such a one can have. */
static void
put_yaml(FILE *out, const struct verdicts *v, const char *key, const char *value)
{
	size_t size = 4 * strlen(value) + 1, used = 0;
	char *text = arena_alloc(v->arena, size);

	for (; *value != '\0'; value++)
		if ((unsigned char)*value < 0x20 || *value == 0x7f)
			used += (size_t)snprintf(text + used, size - used, "\\x%02x",
			                         (unsigned char)*value);
		else
			used += (size_t)snprintf(text + used, size - used,
			                         *value == '"' || *value == '\\' ? "\\%c" : "%c",
			                         *value);
	fprintf(out, "  %s: \"%s\"\n", key, printable(v, text));
}

/* What is not known has not passed. */
static void
put_tap(FILE *out, const struct verdicts *v, const struct verdict *d, size_t number)
{
	bool good = d->outcome == VERDICT_HOLDS || d->outcome == VERDICT_PENDING;
	char at[256];

	fprintf(out, "%s %zu - ", good ? "ok" : "not ok", number);
	for (const char *p = printable(v, d->id); *p != '\0'; p++)
		fprintf(out, *p == '#' || *p == '\\' ? "\\%c" : "%c", *p);
	if (d->outcome == VERDICT_PENDING)
		fprintf(out, " # SKIP %s", d->found);
	fputc('\n', out);
	if (good)
		return;
	fputs("  ---\n", out);
	put_yaml(out, v, "outcome", words[d->outcome]);
	if (d->expected != NULL)
		put_yaml(out, v, "expected", d->expected);
	if (d->found != NULL)
		put_yaml(out, v, d->outcome == VERDICT_DRIFT ? "found" : "reason", d->found);
	json_where(d->at, at, sizeof(at));
	if (at[0] != '\0')
		put_yaml(out, v, "at", at);
	fputs("  ...\n", out);
}

char *
verdicts_show_tap(const struct verdicts *v, const char *name)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		return NULL;
	fprintf(out, "TAP version 13\n1..%zu\n# %s\n", v->count, printable(v, name));
	for (size_t i = 0; i < v->count; i++)
		put_tap(out, v, &v->items[i], i + 1);
	fclose(out);
	return text;
}

/* JUnit ------------------------------------------------------------------------------ */

static void
put_xml(FILE *out, const struct verdicts *v, const char *text)
{
	static const struct {
		char c;
		const char *entity;
	} entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}};

	for (const char *p = printable(v, text); *p != '\0'; p++) {
		size_t i = 0;

		while (i < ARRAY_SIZE(entities) && entities[i].c != *p)
			i++;
		if (i < ARRAY_SIZE(entities))
			fputs(entities[i].entity, out);
		else
			fputc(*p, out);
	}
}

static void
put_element(FILE *out, const struct verdicts *v, const struct verdict *d)
{
	static const char *const elements[VERDICTS] = {
		[VERDICT_PENDING] = "skipped",
		[VERDICT_UNKNOWN] = "error",
		[VERDICT_DRIFT] = "failure",
	};
	char at[256];

	fprintf(out, "<%s message=\"", elements[d->outcome]);
	if (d->outcome == VERDICT_DRIFT) {
		fputs("expected ", out);
		put_xml(out, v, d->expected);
		fputs(", found ", out);
	}
	put_xml(out, v, d->found);
	json_where(d->at, at, sizeof(at));
	if (at[0] != '\0') {
		fputs(" (", out);
		put_xml(out, v, at);
		fputc(')', out);
	}
	fputs("\"/>", out);
}

char *
verdicts_show_junit(const struct verdicts *v, const char *name)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		return NULL;
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"", out);
	put_xml(out, v, name);
	fprintf(out, "\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\">\n",
	        v->count, v->counts[VERDICT_DRIFT], v->counts[VERDICT_UNKNOWN],
	        v->counts[VERDICT_PENDING]);
	for (size_t i = 0; i < v->count; i++) {
		const struct verdict *d = &v->items[i];

		fputs("<testcase classname=\"verify\" name=\"", out);
		put_xml(out, v, d->id);
		fputs(d->outcome == VERDICT_HOLDS ? "\"/>\n" : "\">", out);
		if (d->outcome == VERDICT_HOLDS)
			continue;
		put_element(out, v, d);
		fputs("</testcase>\n", out);
	}
	fputs("</testsuite>\n</testsuites>\n", out);
	fclose(out);
	return text;
}
