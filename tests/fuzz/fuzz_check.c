/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a config.json, once as `create` reads them and once as `check` does.
 * Beyond not crashing: what create refuses has an error in check, and the other
 * way round; the very error of create is among those of check; each has a place in
 * the text and words that can be shown.
 */
#include "hako/container.h"
#include "hako/problem.h"
#include "hako/utf8.h"

#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct plan_options options = {
	.id = "ID", .bundle = "bundle", .privileged = true, .cgroup_parent = ""};

static void
require(bool holds, const char *what, const char *text)
{
	if (holds)
		return;
	fprintf(stderr, "%s: %s\n", what, text);
	abort();
}

/* plan_make() without what it leaves behind. */
static int
make_plan(struct arena *arena, const struct config *config, struct error *e)
{
	const struct plan *plan = NULL;

	if (plan_make(arena, config, &options, &plan, e) < 0)
		return -1;
	if (plan->seccomp != NULL)
		munmap(plan->seccomp,
		       sizeof(*plan->seccomp) + BPF_MAXINSNS * sizeof(struct sock_filter));
	return 0;
}

static int
create(struct arena *arena, struct json_doc *doc, bool *ret_parsed, struct error *e)
{
	const struct config *config;

	*ret_parsed = json_parse_doc(arena, doc, e) == 0;
	return *ret_parsed && config_decode(arena, doc, &config, e) == 0
	               ? make_plan(arena, config, e)
	               : -1;
}

static void
check(struct arena *arena, struct json_doc *doc)
{
	const struct config *config;
	struct error e;

	if (json_parse_doc(arena, doc, &e) == 0 && config_decode(arena, doc, &config, &e) == 0) {
		problems_step(doc->problems, PROBLEM_RULE, true);
		require(make_plan(arena, config, &e) == 0, "planning ended", e.msg);
	}
	problems_sort(doc->problems, doc);
}

static void
require_sound(const struct problems *problems, const struct json_doc *doc)
{
	size_t offset = 0;

	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *p = &problems->items[i];

		require(p->id[0] != '\0' && p->message[0] != '\0', "no reason", p->pointer);
		require(p->offset >= offset && p->offset <= doc->length, "no place", p->message);
		require(p->line > 0 && p->column > 0 && p->character > 0, "no line", p->message);
		require(utf8_valid_length(p->message, strlen(p->message)) == strlen(p->message),
		        "message", p->message);
		offset = p->offset;
	}
}

/* Without what create may fall back from. */
static size_t
count_errors(const struct problems *problems)
{
	size_t count = 0;

	for (size_t i = 0; i < problems->count; i++)
		count += problems->items[i].severity == PROBLEM_ERROR &&
		         strcmp(problems->items[i].id, "capability-unknown") != 0;
	return count;
}

static bool
has_message(const struct problems *problems, const char *message)
{
	for (size_t i = 0; i < problems->count; i++)
		if (strcmp(problems->items[i].message, message) == 0)
			return true;
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {NULL};
	struct problems problems = {.arena = &arena};
	struct json_doc first = {.name = "config.json", .text = (const char *)data, .length = size};
	struct json_doc all = first;
	struct error e = {0};
	bool parsed, refused;

	all.problems = &problems;
	refused = create(&arena, &first, &parsed, &e) < 0;
	check(&arena, &all);
	require_sound(&problems, &all);
	require(!refused || problems.errors > 0, "check found nothing", e.msg);
	require(refused || count_errors(&problems) == 0, "create takes it", "");
	if (refused && parsed && problems.errors + problems.warnings <= PROBLEMS_MAX)
		require(has_message(&problems, e.msg), "check has another reason", e.msg);
	arena_free(&arena);
	return 0;
}
