/* SPDX-License-Identifier: MIT */
/*
 * `check`: all problems at once, in the order of the text. For people as compilers
 * write them, for programs as JSON, for what shows findings beside the source as
 * SARIF 2.1.0. Exit status 0: no errors; 1: errors; 2: could not check.
 */
#include "hako/command.h"
#include "hako/container.h"
#include "hako/findings.h"

#include <errno.h>
#include <stdio.h>

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

static int
print_text(const struct findings *findings, struct error *e)
{
	const struct problems *problems = findings->problems;
	const char *file = findings_printable(problems->arena, findings->file);
	size_t hidden = problems->errors + problems->warnings - problems->count;

	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *p = &problems->items[i];

		printf("%s:%zu:%zu: %s: %s%s%s%s%s\n", file, p->line, p->column,
		       severities[p->severity], findings_printable(problems->arena, p->pointer),
		       p->pointer[0] != '\0' ? ": " : "", p->message, p->hint != NULL ? "; " : "",
		       p->hint != NULL ? p->hint : "");
	}
	if (hidden > 0)
		printf("%s: %zu more are not shown\n", file, hidden);
	printf("%s: %zu error%s, %zu warning%s\n", file, problems->errors,
	       findings_plural(problems->errors), problems->warnings,
	       findings_plural(problems->warnings));
	return fflush(stdout) == 0 ? 0 : error_set(e, errno, "output-failed", "standard output");
}

/* The command ------------------------------------------------------------------- */

static const struct findings_format formats[] = {
	{"text", print_text},
	{"json", findings_print_json},
	{"sarif", findings_print_sarif},
	{0},
};

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
	const struct findings_format *format = findings_format(formats, o->format, e);
	struct problems problems = {0};
	struct findings findings = {
		.problems = &problems, .grade = "severity", .grades = severities, .kinds = kinds};
	const struct json_doc *doc;

	if (format == NULL || bundle_check(&arena, &request, &problems, &doc, e) < 0)
		return -1;
	findings.file = doc->name;
	return format->print(&findings, e) < 0 ? -1 : problems.errors > 0;
}
