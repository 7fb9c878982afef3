/* SPDX-License-Identifier: MIT */
/*
 * `check`: all problems at once, in the order of the text. For people as compilers
 * write them, for programs as JSON, for what shows findings beside the source as
 * SARIF 2.1.0. Exit status 0: no errors; 1: errors; 2: could not check.
 */
#include "hako/command.h"
#include "hako/container.h"
#include "hako/json.h"
#include "hako/problem.h"
#include "hako/version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const severities[] = {
	[PROBLEM_ERROR] = "error",
	[PROBLEM_WARNING] = "warning",
};
static const char *const kinds[] = {
	[PROBLEM_SYNTAX] = "syntax",
	[PROBLEM_SCHEMA] = "schema",
	[PROBLEM_RULE] = "rule",
	[PROBLEM_HOST] = "host",
};

/* Text ------------------------------------------------------------------------- */

static const char *
printable(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);

	json_make_printable(copy);
	return copy;
}

static const char *
plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static int
print_text(const struct problems *problems, const char *file, struct error *e)
{
	size_t hidden = problems->errors + problems->warnings - problems->count;

	file = printable(problems->arena, file);
	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *p = &problems->items[i];

		printf("%s:%zu:%zu: %s: %s%s%s%s%s\n", file, p->line, p->column,
		       severities[p->severity], printable(problems->arena, p->pointer),
		       p->pointer[0] != '\0' ? ": " : "", p->message, p->hint != NULL ? "; " : "",
		       p->hint != NULL ? p->hint : "");
	}
	if (hidden > 0)
		printf("%s: %zu more are not shown\n", file, hidden);
	printf("%s: %zu error%s, %zu warning%s\n", file, problems->errors, plural(problems->errors),
	       problems->warnings, plural(problems->warnings));
	return fflush(stdout) == 0 ? 0 : error_set(e, errno, "output-failed", "standard output");
}

/* JSON -------------------------------------------------------------------------- */

static int
print_writer(struct json_writer *w, struct error *e)
{
	int rc = command_print(json_writer_text(w, NULL), e);

	json_writer_free(w);
	return rc < 0 ? -1 : command_print("\n", e);
}

static int
print_json(const struct problems *problems, const char *file, struct error *e)
{
	struct json_writer *w = json_writer_new(JSON_INDENT);

	json_begin_array(w, NULL);
	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *p = &problems->items[i];

		json_begin_object(w, NULL);
		json_put_string(w, "file", file);
		json_put_int(w, "line", (int64_t)p->line);
		json_put_int(w, "column", (int64_t)p->column);
		json_put_string(w, "pointer", p->pointer);
		json_put_string(w, "severity", severities[p->severity]);
		json_put_string(w, "kind", kinds[p->kind]);
		json_put_string(w, "id", p->id);
		json_put_string(w, "message", p->message);
		if (p->hint != NULL)
			json_put_string(w, "hint", p->hint);
		json_end_object(w);
	}
	json_end_array(w);
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

static void
put_result(struct json_writer *w, const struct problem *p, struct arena *arena, const char *uri)
{
	const char *text =
		p->hint != NULL ? arena_printf(arena, "%s; %s", p->message, p->hint) : p->message;

	json_begin_object(w, NULL);
	json_put_string(w, "ruleId", p->id);
	json_put_string(w, "level", severities[p->severity]);
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

static int
print_sarif(const struct problems *problems, const char *file, struct error *e)
{
	struct json_writer *w = json_writer_new(JSON_INDENT);
	const char *uri = uri_of(problems->arena, file);

	json_begin_object(w, NULL);
	json_put_string(w, "$schema", "https://json.schemastore.org/sarif-2.1.0.json");
	json_put_string(w, "version", "2.1.0");
	json_begin_array(w, "runs");
	json_begin_object(w, NULL);
	put_tool(w);
	json_put_string(w, "columnKind", "unicodeCodePoints");
	json_begin_array(w, "results");
	for (size_t i = 0; i < problems->count; i++)
		put_result(w, &problems->items[i], problems->arena, uri);
	json_end_array(w);
	json_end_object(w);
	json_end_array(w);
	json_end_object(w);
	return print_writer(w, e);
}

/* The command ------------------------------------------------------------------- */

struct format {
	const char *name;
	int (*print)(const struct problems *problems, const char *file, struct error *e);
};

static const struct format *
find_format(const char *name, struct error *e)
{
	static const struct format formats[] = {
		{"text", print_text}, {"json", print_json}, {"sarif", print_sarif}};

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (name == NULL || strcmp(formats[i].name, name) == 0)
			return &formats[i];
	error_set(e, 0, "usage", "--format %s: not one of text, json, sarif", name);
	return NULL;
}

int
command_check(const struct options *o, struct error *e)
{
	static struct arena arena;
	struct check_request request = {
		.bundle = o->arg_count > 0    ? o->args[0]
	                  : o->bundle != NULL ? o->bundle
	                                      : ".",
		.config = o->config,
		.host = o->host,
		.cgroup_disabled = command_has_manager(o, "disabled"),
		.cgroup_systemd = command_has_manager(o, "systemd"),
	};
	const struct format *format = find_format(o->format, e);
	struct problems problems = {0};
	const struct json_doc *doc;

	if (format == NULL || bundle_check(&arena, &request, &problems, &doc, e) < 0 ||
	    format->print(&problems, doc->name, e) < 0)
		return -1;
	return problems.errors > 0;
}
