/* SPDX-License-Identifier: MIT */
/*
 * `explain`: what a container may do to the host, for people and for CI. The first
 * line answers whether the host is in danger when the container is attacked. Exit
 * status 0; 1: something is rated as --fail-on says, or worse; 2: could not explain.
 */
#include "hako/explain.h"
#include "hako/command.h"
#include "hako/container.h"
#include "hako/findings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const ratings[] = {
	[PROBLEM_ERROR] = "danger",
	[PROBLEM_WARNING] = "risk",
	[PROBLEM_NOTE] = "note",
	[PROBLEM_OK] = "ok",
};

static const char question[] = "Is the host in danger if this container is attacked?";
static const char *const answers[] = {
	[PROBLEM_ERROR] = "Yes",
	[PROBLEM_WARNING] = "Possibly",
	[PROBLEM_NOTE] = "Hardly",
	[PROBLEM_OK] = "No, as far as its configuration tells",
};

static size_t
count(const struct problems *problems, enum problem_severity rating)
{
	size_t n = 0;

	for (size_t i = 0; i < problems->count; i++)
		n += problems->items[i].severity == rating;
	return n;
}

static enum problem_severity
worst(const struct problems *problems)
{
	enum problem_severity rating = PROBLEM_ERROR;

	while (rating < PROBLEM_OK && count(problems, rating) == 0)
		rating++;
	return rating;
}

/* "Possibly: 2 risks, 1 note." */
static const char *
answer(const struct problems *problems)
{
	const char *text = answers[worst(problems)], *before = ": ";

	for (enum problem_severity r = PROBLEM_ERROR; r < PROBLEM_OK; r++) {
		size_t n = count(problems, r);

		if (n == 0)
			continue;
		text = arena_printf(problems->arena, "%s%s%zu %s%s", text, before, n, ratings[r],
		                    findings_plural(n));
		before = ", ";
	}
	return arena_printf(problems->arena, "%s.", text);
}

/* Text ------------------------------------------------------------------------ */

static void
print_finding(const struct findings *f, const struct problem *p)
{
	struct arena *arena = f->problems->arena;

	if (p->severity == PROBLEM_OK) {
		printf("%-7s %s\n", ratings[p->severity], findings_printable(arena, p->message));
		return;
	}
	printf("%-7s %s\n        at %s:%zu:%zu %s\n", ratings[p->severity],
	       findings_printable(arena, p->message), findings_printable(arena, f->file), p->line,
	       p->column, p->pointer[0] != '\0' ? findings_printable(arena, p->pointer) : "/");
	printf("        %s\n        To change it: %s.\n\n", p->why, p->hint);
}

static int
print_text(const struct findings *f, struct error *e)
{
	printf("%s %s\n\n", question, f->answer);
	for (enum problem_severity r = PROBLEM_ERROR; r < PROBLEM_SEVERITIES; r++)
		for (size_t i = 0; i < f->problems->count; i++)
			if (f->problems->items[i].severity == r)
				print_finding(f, &f->problems->items[i]);
	return fflush(stdout) == 0 ? 0 : error_set(e, errno, "output-failed", "standard output");
}

/* The command ----------------------------------------------------------------- */

static const struct findings_format formats[] = {
	{"text", print_text},
	{"json", findings_print_json},
	{"sarif", findings_print_sarif},
	{0},
};

/* PROBLEM_OK: nothing makes it fail. */
static int
find_limit(const char *name, enum problem_severity *ret, struct error *e)
{
	*ret = PROBLEM_OK;
	if (name == NULL)
		return 0;
	for (enum problem_severity r = PROBLEM_ERROR; r < PROBLEM_OK; r++)
		if (strcmp(name, ratings[r]) == 0) {
			*ret = r;
			return 0;
		}
	return error_set(e, 0, "usage", "--fail-on %s: not one of note, risk, danger", name);
}

static bool
is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* What is in the bundle, and what is not, is told by names; a link counts as what it says. */
static const char *
absolute(struct arena *arena, const char *path, struct error *e)
{
	autofree char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);

	if (path[0] == '/')
		return path;
	if (here == NULL) {
		error_set(e, errno, "bundle-missing", "bundle %s: the current directory", path);
		return NULL;
	}
	return arena_printf(arena, "%s/%s", here, path);
}

static int
load_bundle(struct arena *arena, const struct options *o, const char *bundle,
            struct plan_options *options, const struct config **ret, struct json_doc **ret_doc,
            struct error *e)
{
	options->bundle = absolute(arena, bundle, e);
	if (options->bundle == NULL)
		return -1;
	if (bundle_load(arena, bundle, o->config, ret, ret_doc, e) < 0)
		return -1;
	(*ret_doc)->name = bundle_file(arena, bundle, o->config);
	return 0;
}

static int
load_container(struct arena *arena, const struct options *o, const char *id,
               struct plan_options *options, const struct config **ret, struct json_doc **ret_doc,
               struct error *e)
{
	autoclose int root = command_root_of_container(o, e);
	struct container c;
	int rc;

	if (root < 0 || container_open(arena, root, id, false, &c, e) < 0) {
		if (strcmp(e->id, "container-missing") == 0)
			error_set(e, 0, "container-missing",
			          "%s is neither a folder with a bundle nor a container", id);
		return -1;
	}
	options->bundle = c.state->bundle;
	options->new_keyring = !c.state->caller_keyring;
	options->cgroup_disabled = c.state->cgroup_path == NULL;
	rc = json_load(arena, c.dir, "config.json",
	               arena_printf(arena, "%s/%s/config.json",
	                            o->root != NULL ? o->root : root_default(), id),
	               ret_doc, e);
	container_close(&c);
	return rc < 0 ? -1 : config_decode(arena, *ret_doc, ret, e);
}

static int
load(struct arena *arena, const struct options *o, struct plan_options *options,
     const struct config **ret, struct json_doc **ret_doc, struct error *e)
{
	const char *name = o->arg_count > 0 ? o->args[0] : o->bundle != NULL ? o->bundle : ".";

	if (o->arg_count == 0 || strchr(name, '/') != NULL || is_folder(name))
		return load_bundle(arena, o, name, options, ret, ret_doc, e);
	return load_container(arena, o, name, options, ret, ret_doc, e);
}

int
command_explain(const struct options *o, struct error *e)
{
	static struct arena arena;
	const struct findings_format *format = findings_format(formats, o->format, e);
	struct problems problems = {.arena = &arena};
	struct findings findings = {.problems = &problems, .grade = "rating", .grades = ratings};
	struct plan_options options = {
		.id = "ID",
		.pivot = !o->no_pivot,
		.new_keyring = !o->no_new_keyring,
		.is_root = true,
		.privileged = true,
		.cgroup_parent = "",
		.cgroup_disabled = command_has_manager(o, "disabled"),
		.cgroup_systemd = command_has_manager(o, "systemd"),
	};
	const struct config *config;
	enum problem_severity limit;
	const struct plan *plan;
	struct json_doc *doc;

	if (format == NULL || find_limit(o->fail_on, &limit, e) < 0 ||
	    load(&arena, o, &options, &config, &doc, e) < 0 ||
	    plan_make(&arena, config, &options, &plan, e) < 0)
		return -1;
	explain_plan(plan, doc, &problems);
	findings.file = doc->name;
	findings.answer = answer(&problems);
	if (format->print(&findings, e) < 0)
		return -1;
	return worst(&problems) <= limit && limit < PROBLEM_OK;
}
