/* SPDX-License-Identifier: MIT */
/*
 * Problems collected by the code that otherwise ends at the first: the first is
 * among them, word for word, for every bad config of golden/errors; what only
 * follows from another one is not said; their number is bounded.
 */
#include "hako/config.h"
#include "hako/log.h"
#include "hako/problem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* Parsed and decoded, as check does before it plans. */
static struct problems
collect(const char *text, const struct config **ret_config)
{
	struct problems problems = {.arena = &arena};
	struct json_doc *doc = arena_alloc(&arena, sizeof(*doc));
	const struct config *config = NULL;
	struct error e;

	*doc = (struct json_doc){.name = "config.json", .text = text, .length = strlen(text)};
	doc->problems = &problems;
	if (json_parse_doc(&arena, doc, &e) == 0)
		(void)config_decode(&arena, doc, &config, &e);
	problems_sort(&problems, doc);
	if (ret_config != NULL)
		*ret_config = config;
	return problems;
}

/* "1:5 /a: message" of all, a line each. */
static const char *
lines(const struct problems *problems)
{
	const char *all = "";
	size_t i;

	for (i = 0; i < problems->count; i++) {
		const struct problem *p = &problems->items[i];

		all = arena_printf(&arena, "%s%zu:%zu %s%s%s%s%s\n", all, p->line, p->column,
		                   p->pointer, p->pointer[0] != '\0' ? ": " : "", p->message,
		                   p->hint != NULL ? "; " : "", p->hint != NULL ? p->hint : "");
	}
	return all;
}

static void
assert_lines(const char *text, const char *expected)
{
	struct problems problems = collect(text, NULL);

	assert_string_equal(lines(&problems), expected);
}

#define GOOD "\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"r\"}"

/* --- one and all ----------------------------------------------------------- */

static const char *
read_text(const char *path)
{
	struct json_doc *doc;
	struct error e;

	if (json_read(&arena, AT_FDCWD, path, "config.json", &doc, &e) < 0)
		fail_msg("%s: %s", path, e.msg);
	return arena_strndup(&arena, doc->text, doc->length);
}

/* The error of create: "config.json:1:5 /a: message". */
static const char *
first_error(const char *text)
{
	char line[sizeof(((struct error *)0)->at) + sizeof(((struct error *)0)->msg) + 4];
	const struct config *config;
	struct json_doc *doc;
	struct error e = {0};

	if (json_parse(&arena, "config.json", text, strlen(text), &doc, &e) == 0 &&
	    config_decode(&arena, doc, &config, &e) == 0)
		return NULL;
	return arena_strdup(&arena, error_format(&e, line, sizeof(line)));
}

static int
is_json(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot != NULL && strcmp(dot, ".json") == 0;
}

/* What create says of the parser's errors is of what they stand in; here it is of themselves. */
static bool
has_first(const struct problems *problems, const char *first)
{
	const char *message = strstr(first, ": "), *place = first + strlen("config.json:");
	size_t i;

	for (i = 0; i < problems->count; i++) {
		const struct problem *p = &problems->items[i];
		const char *at = arena_printf(&arena, "%zu:%zu", p->line, p->column);

		if (strncmp(place, at, strlen(at)) == 0 && strcmp(message + 2, p->message) == 0)
			return true;
	}
	return false;
}

static void
test_first_error_is_among_them(void **state)
{
	const char *tests = getenv("HAKO_TESTS");
	const char *dir = arena_printf(&arena, "%s/golden/errors", tests != NULL ? tests : "tests");
	struct dirent **names;
	int count = scandir(dir, &names, is_json, alphasort), checked = 0, i;

	(void)state;
	for (i = 0; i < count; i++) {
		const char *text = read_text(arena_printf(&arena, "%s/%s", dir, names[i]->d_name));
		const char *first = first_error(text);
		struct problems problems;

		if (first != NULL && strlen(text) > 0) {
			problems = collect(text, NULL);
			if (!has_first(&problems, first))
				fail_msg("%s: \"%s\" is not among\n%s", names[i]->d_name, first,
				         lines(&problems));
			checked++;
		}
		free(names[i]);
	}
	free(names);
	assert_true(checked >= 80);
}

static void
test_good(void **state)
{
	const struct config *config;
	struct problems problems = collect("{" GOOD "}", &config);

	(void)state;
	assert_int_equal(problems.count, 0);
	assert_non_null(config);
	assert_string_equal(config->root->path, "r");
}

/* --- several --------------------------------------------------------------- */

static void
test_schema(void **state)
{
	(void)state;
	assert_lines("{\"hostname\": 5, \"roott\": {}, \"annotations\": {\"a\": 1, \"b\": []}}",
	             "1:1 ociVersion is missing\n"
	             "1:1 root is missing\n"
	             "1:14 /hostname: expected a string, found a number\n"
	             "1:26 /roott: unknown property, ignored; did you mean \"root\"?\n"
	             "1:51 /annotations/a: expected a string, found a number\n"
	             "1:59 /annotations/b: expected a string, found an array\n");
	assert_lines("{" GOOD ", \"process\": {\"args\": [5, \"x\", null], \"cwd\": \"x\","
	             " \"user\": {\"uid\": -1, \"additionalGids\": [1, -1, \"x\"]},"
	             " \"rlimits\": [{\"type\": \"x\", \"soft\": 1, \"hard\": 0}, 5]}}",
	             "1:69 /process/args/0: expected a string, found a number\n"
	             "1:77 /process/args/2: expected a string, found null\n"
	             "1:91 /process/cwd: expected an absolute path, found \"x\"\n"
	             "1:112 /process/user/uid: expected a number from 0 to 4294967294, found -1\n"
	             "1:138 /process/user/additionalGids/1: expected a number from 0 to "
	             "4294967294, found -1\n"
	             "1:142 /process/user/additionalGids/2: expected a number, found a string\n"
	             "1:170 /process/rlimits/0/type: expected RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, "
	             "RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_LOCKS, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, "
	             "..., found \"x\"\n"
	             "1:198 /process/rlimits/1: expected an object, found a number\n");
}

static void
test_no_document(void **state)
{
	const struct config *config;
	struct problems problems = collect("[]", &config);

	(void)state;
	assert_null(config);
	assert_string_equal(lines(&problems), "1:1 expected an object, found an array\n");
	problems = collect("{\"a\": 1", &config);
	assert_null(config);
	assert_string_equal(lines(&problems), "1:8 the text ends too early\n");
}

/* What is unknown because of one error is no reason for another. */
static void
test_consequences(void **state)
{
	(void)state;
	assert_lines("{" GOOD ", \"hostname\": \"x\", \"linux\": {\"namespaces\": ["
	             "{\"type\": \"utz\"}, {\"type\": \"pid\"}]}}",
	             "1:99 /linux/namespaces/0/type: expected pid, network, mount, ipc, uts, "
	             "user, cgroup or time, found \"utz\"; did you mean \"uts\"?\n");
	assert_lines("{" GOOD ", \"hostname\": \"x\", \"linux\": 5}",
	             "1:74 /linux: expected an object, found a number\n");
	assert_lines("{" GOOD ", \"linux\": {\"namespaces\": [{\"type\": \"user\"}],"
	             " \"uidMappings\": [{\"containerID\": 0, \"hostID\": \"1\", \"size\": 1}],"
	             " \"gidMappings\": [{\"containerID\": 5, \"hostID\": 1, \"size\": 1}]},"
	             " \"process\": {\"args\": [\"x\"], \"cwd\": \"/\", \"user\": {\"gid\": 4}}}",
	             "1:137 /linux/uidMappings/0/hostID: expected a number, found a string\n"
	             "1:272 /process/user/gid: cannot setgid to unmapped gid 4 in user "
	             "namespace\n");
	assert_lines("{" GOOD ", \"linux\": {\"resources\": {\"memory\":"
	             " {\"limit\": true, \"swap\": 5}}}}",
	             "1:92 /linux/resources/memory/limit: expected a number, found a boolean\n");
}

/* The first of two is taken, the second is an error and nothing more. */
static void
test_duplicates(void **state)
{
	const struct config *config;
	struct problems problems =
		collect("{" GOOD ", \"hostname\": 5, \"annotations\": {\"a\": \"1\"},"
	                " \"annotations\": {\"b\": 2}, \"hostname\": \"x\"}",
	                &config);

	(void)state;
	assert_string_equal(lines(&problems), "1:60 /hostname: expected a string, found a number\n"
	                                      "1:105 /annotations: this name was given before\n"
	                                      "1:127 /hostname: this name was given before\n");
	assert_int_equal(config->annotations.count, 1);
	assert_string_equal(config->annotations.items[0].value, "1");
}

/* --- the list -------------------------------------------------------------- */

static const struct json *
parse(const char *text, struct problems *problems)
{
	struct json_doc *doc = arena_alloc(&arena, sizeof(*doc));
	struct error e;

	*problems = (struct problems){.arena = &arena};
	*doc = (struct json_doc){.name = "x", .text = text, .length = strlen(text)};
	doc->problems = problems;
	assert_int_equal(json_parse_doc(&arena, doc, &e), 0);
	return doc->root;
}

static void
test_steps(void **state)
{
	struct problems problems;
	const struct json *root = parse("{\"a\": {\"b\": 1}, \"c\": 2}", &problems);
	const struct json *a = json_member(root, "a"), *b = json_member(a, "b");
	struct error e;

	(void)state;
	problems_step(&problems, PROBLEM_SCHEMA, false);
	assert_int_equal(json_error(b, &e, 0, "first", "b"), -1);
	assert_int_equal(json_error(b, &e, 0, "second", "b"), -1);
	assert_int_equal(problems.errors, 2);
	assert_true(json_is_faulty(b) && json_is_faulty(a) && json_is_faulty(root));
	assert_false(json_is_faulty(json_member(root, "c")));
	/* a rule keeps quiet about b, and has its say about what b is in */
	problems_step(&problems, PROBLEM_RULE, false);
	json_error(b, &e, 0, "rule", "b");
	json_warning(b, "rule", "b");
	assert_int_equal(problems.count, 2);
	json_error(a, &e, 0, "rule", "a");
	assert_int_equal(problems.count, 3);
	/* one that builds on all before does not */
	problems_step(&problems, PROBLEM_HOST, true);
	json_error(root, &e, 0, "host", "root");
	assert_int_equal(problems.count, 3);
	json_warning(json_member(root, "c"), "host", "c");
	json_hint(json_member(root, "c"), "hint %d", 5);
	json_hint(b, "of another");
	assert_int_equal(problems.count, 4);
	assert_int_equal(problems.errors, 3);
	assert_int_equal(problems.warnings, 1);
	assert_string_equal(problems.items[3].hint, "hint 5");
	assert_int_equal(problems.items[3].kind, PROBLEM_HOST);
	assert_int_equal(problems.found, 7);
	/* an error without a place is noted, once */
	error_set(&e, 0, "other", "elsewhere");
	problems_note(&problems, 7, &e);
	problems_note(&problems, 7, &e);
	assert_int_equal(problems.count, 5);
	assert_string_equal(problems.items[4].id, "other");
}

static void
test_fallback(void **state)
{
	const struct log_settings saved = log_settings;
	struct problems problems;
	const struct json *root = parse("{\"a\": 1}", &problems), *a = json_member(root, "a");
	struct error e;

	(void)state;
	assert_int_equal(json_fallback(a, &e, "id", "less"), 0);
	assert_int_equal(problems.warnings, 1);
	log_settings.strict = true;
	assert_int_equal(json_fallback(root, &e, "id", "less"), -1);
	log_settings = saved;
	assert_int_equal(problems.errors, 1);
	assert_string_equal(problems.items[1].message, "less (an error because of --strict)");
}

static void
test_too_many(void **state)
{
	struct problems problems;
	const struct json *root = parse("{\"a\": 1}", &problems);
	struct error e;
	size_t i;

	(void)state;
	for (i = 0; i < 3 * PROBLEMS_MAX; i++)
		json_error(root, &e, 0, "id", "%zu", i);
	assert_int_equal(problems.count, PROBLEMS_MAX);
	assert_int_equal(problems.errors, 3 * PROBLEMS_MAX);
	assert_string_equal(problems.items[PROBLEMS_MAX - 1].message, "999");
}

/* In the order of the text; at one place, in the order of finding. Columns count bytes. */
static void
test_order(void **state)
{
	struct problems problems;
	const struct json *root =
		parse("{\"gr\xc3\xbcn\": {\"x~/\": 1},\n\n  \"b\": [0, 7]}", &problems);
	const struct json *b = json_member(root, "b"), *x = root->first->first;
	struct json_doc doc = *root->doc;
	struct error e;

	(void)state;
	json_error(b->first->next, &e, 0, "id", "seven");
	json_error(root, &e, 0, "id", "first");
	json_error(x, &e, 0, "id", "x");
	json_error(root, &e, 0, "id", "second");
	problems_sort(&problems, &doc);
	assert_string_equal(lines(&problems), "1:1 first\n1:1 second\n1:19 /gr\xc3\xbcn/x~0~1: x\n"
	                                      "3:12 /b/1: seven\n");
	assert_int_equal(problems.items[2].character, 18);
}

static void
test_distance(void **state)
{
	(void)state;
	assert_int_equal(name_distance("", ""), 0);
	assert_int_equal(name_distance("readonly", "readOnly"), 0);
	assert_int_equal(name_distance("type", "tpye"), 1);
	assert_int_equal(name_distance("type", "typ"), 1);
	assert_int_equal(name_distance("typ", "type"), 1);
	assert_int_equal(name_distance("", "abc"), 3);
	assert_int_equal(name_distance("kitten", "sitting"), 3);
	assert_int_equal(name_distance("ca", "abc"), 3);
	assert_int_equal(name_distance(arena_printf(&arena, "%065d", 1), "1"), NAME_FAR);
	assert_int_equal(name_distance("1", arena_printf(&arena, "%065d", 1)), NAME_FAR);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_first_error_is_among_them, teardown),
		cmocka_unit_test_teardown(test_good, teardown),
		cmocka_unit_test_teardown(test_schema, teardown),
		cmocka_unit_test_teardown(test_no_document, teardown),
		cmocka_unit_test_teardown(test_consequences, teardown),
		cmocka_unit_test_teardown(test_duplicates, teardown),
		cmocka_unit_test_teardown(test_steps, teardown),
		cmocka_unit_test_teardown(test_fallback, teardown),
		cmocka_unit_test_teardown(test_too_many, teardown),
		cmocka_unit_test_teardown(test_order, teardown),
		cmocka_unit_test_teardown(test_distance, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
