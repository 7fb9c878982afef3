/* SPDX-License-Identifier: MIT */
/*
 * Problems for programs: JSON of our own, and SARIF 2.1.0 for what shows findings
 * beside the source.
 */
#include "hako/findings.h"
#include "hako/command.h"
#include "hako/json.h"
#include "hako/version.h"

#include <stdio.h>
#include <string.h>

const char *
findings_printable(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);

	json_make_printable(copy);
	return copy;
}

const char *
findings_plural(size_t n)
{
	return n == 1 ? "" : "s";
}

enum { FORMATS_MAX = 8 };

const struct findings_format *
findings_format(const struct findings_format *formats, const char *name, struct error *e)
{
	const char *names[FORMATS_MAX + 1] = {NULL};
	int i;

	for (i = 0; i < FORMATS_MAX && formats[i].name != NULL; i++)
		names[i] = formats[i].name;
	i = command_choose("--format", name, names, e);
	return i < 0 ? NULL : &formats[i];
}

/* JSON -------------------------------------------------------------------------- */

static int
print_writer(struct json_writer *w, struct error *e)
{
	int rc = command_print(json_writer_text(w, NULL), e);

	json_writer_free(w);
	return rc < 0 ? -1 : command_print("\n", e);
}

static void
put_finding(struct json_writer *w, const struct problem *p, const struct findings *f)
{
	json_begin_object(w, NULL);
	json_put_string(w, "file", f->file);
	json_put_int(w, "line", (int64_t)p->line);
	json_put_int(w, "column", (int64_t)p->column);
	json_put_string(w, "pointer", p->pointer);
	json_put_string(w, f->grade, f->grades[p->severity]);
	if (f->kinds != NULL)
		json_put_string(w, "kind", f->kinds[p->kind]);
	json_put_string(w, "id", p->id);
	json_put_string(w, "message", p->message);
	if (p->why != NULL)
		json_put_string(w, "why", p->why);
	if (p->hint != NULL)
		json_put_string(w, f->answer != NULL ? "fix" : "hint", p->hint);
	json_end_object(w);
}

int
findings_print_json(const struct findings *f, struct error *e)
{
	struct json_writer *w = json_writer_new(JSON_INDENT);

	if (f->answer != NULL) {
		json_begin_object(w, NULL);
		json_put_string(w, "answer", f->answer);
	}
	json_begin_array(w, f->answer != NULL ? "findings" : NULL);
	for (size_t i = 0; i < f->problems->count; i++)
		put_finding(w, &f->problems->items[i], f);
	json_end_array(w);
	if (f->answer != NULL)
		json_end_object(w);
	return print_writer(w, e);
}

/* SARIF ------------------------------------------------------------------------- */

/* A relative reference, or file://: RFC 3986. */
static const char *
uri_of(struct arena *arena, const char *file)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~/";
	size_t size = 3 * strlen(file) + sizeof("file://"), used = 0;
	char *uri = arena_alloc(arena, size);

	if (file[0] == '/')
		used = (size_t)snprintf(uri, size, "file://");
	for (; *file != '\0'; file++)
		used += (size_t)snprintf(uri + used, size - used,
		                         strchr(plain, *file) != NULL ? "%c" : "%%%02X",
		                         (unsigned char)*file);
	return uri;
}

static void
put_location(struct json_writer *w, const struct problem *p, const char *uri)
{
	json_begin_array(w, "locations");
	json_begin_object(w, NULL);
	json_begin_object(w, "physicalLocation");
	json_begin_object(w, "artifactLocation");
	json_put_string(w, "uri", uri);
	json_end_object(w);
	json_begin_object(w, "region");
	json_put_int(w, "startLine", (int64_t)p->line);
	json_put_int(w, "startColumn", (int64_t)p->character);
	json_end_object(w);
	json_end_object(w);
	json_begin_array(w, "logicalLocations");
	json_begin_object(w, NULL);
	json_put_string(w, "fullyQualifiedName", p->pointer);
	json_end_object(w);
	json_end_array(w);
	json_end_object(w);
	json_end_array(w);
}

static const char *const levels[] = {
	[PROBLEM_ERROR] = "error",
	[PROBLEM_WARNING] = "warning",
	[PROBLEM_NOTE] = "note",
};

static void
put_result(struct json_writer *w, const struct problem *p, struct arena *arena, const char *uri)
{
	const char *text = p->message;

	if (p->why != NULL)
		text = arena_printf(arena, "%s. %s", text, p->why);
	if (p->hint != NULL)
		text = arena_printf(arena, "%s%s%s", text,
		                    p->why != NULL ? " To change it: " : "; ", p->hint);
	json_begin_object(w, NULL);
	json_put_string(w, "ruleId", p->id);
	json_put_string(w, "level", levels[p->severity]);
	json_begin_object(w, "message");
	json_put_string(w, "text", text);
	json_end_object(w);
	put_location(w, p, uri);
	json_end_object(w);
}

static void
put_tool(struct json_writer *w)
{
	json_begin_object(w, "tool");
	json_begin_object(w, "driver");
	json_put_string(w, "name", "hako");
	json_put_string(w, "version", HAKO_VERSION);
	json_end_object(w);
	json_end_object(w);
}

int
findings_print_sarif(const struct findings *f, struct error *e)
{
	struct json_writer *w = json_writer_new(JSON_INDENT);
	const char *uri = uri_of(f->problems->arena, f->file);

	json_begin_object(w, NULL);
	json_put_string(w, "$schema", "https://json.schemastore.org/sarif-2.1.0.json");
	json_put_string(w, "version", "2.1.0");
	json_begin_array(w, "runs");
	json_begin_object(w, NULL);
	put_tool(w);
	json_put_string(w, "columnKind", "unicodeCodePoints");
	json_begin_array(w, "results");
	for (size_t i = 0; i < f->problems->count; i++)
		if (f->problems->items[i].severity != PROBLEM_OK)
			put_result(w, &f->problems->items[i], f->problems->arena, uri);
	json_end_array(w);
	json_end_object(w);
	json_end_array(w);
	json_end_object(w);
	return print_writer(w, e);
}
