/* SPDX-License-Identifier: MIT */
/* Environments: of entries with the same name only the last one counts. */
#include "hako/config.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static struct arena arena;

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static void
test_names(void **state)
{
	static const struct {
		const char *items[6];
		const char *repeated; /* of each item: x when it does not count */
	} cases[] = {
		{{NULL}, ""},
		{{"A=1"}, "."},
		{{"A=1", "A=2"}, "x."},
		{{"A=1", "B=1", "A=2", "A="}, "x.x."},
		{{"A=1", "AB=1", "A=A", "AB"}, "xx.."},
		{{"A", "A=", "a="}, "x.."},
		{{"=1", "=2", ""}, "xx."},
		{{"A==", "A=B=C"}, "x."},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strings env = {.items = (const char **)cases[i].items,
		                      .count = strlen(cases[i].repeated)};
		const bool *repeated = environment_repeated(&arena, &env);

		for (size_t k = 0; k < env.count; k++)
			assert_int_equal(repeated[k], cases[i].repeated[k] == 'x');
	}
}

/* All of a great many, each twice. */
static void
test_many(void **state)
{
	enum { MANY = 20000 };
	struct strings env = {.items = arena_array(&arena, 2 * MANY, sizeof(char *)),
	                      .count = 2 * MANY};
	const bool *repeated;

	(void)state;
	for (unsigned i = 0; i < 2 * MANY; i++)
		env.items[i] = arena_printf(&arena, "NAME_%u=%u", i % MANY, i);
	repeated = environment_repeated(&arena, &env);
	for (size_t i = 0; i < 2 * MANY; i++)
		assert_int_equal(repeated[i], i < MANY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_names, teardown),
		cmocka_unit_test_teardown(test_many, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
