/* SPDX-License-Identifier: MIT */
/* Words of a text. */
#include "hako/mem.h"
#include "hako/words.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void
test_taken_one_by_one(void **state)
{
	char text[] = "  cpu,io, memory ", *rest = text;

	(void)state;
	assert_string_equal(words_take(&rest, " ,"), "cpu");
	assert_string_equal(words_take(&rest, " ,"), "io");
	assert_string_equal(words_take(&rest, " ,"), "memory");
	assert_null(words_take(&rest, " ,"));
	assert_null(words_take(&rest, " ,"));
}

static void
test_no_words(void **state)
{
	static const char *const texts[] = {"", " ", "\n \n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char text[8], *rest = strcpy(text, texts[i]);

		assert_null(words_take(&rest, " \n"));
	}
}

static void
test_other_separators_stay(void **state)
{
	char text[] = "some avg10=0.00 total=1\nfull total=2", *rest = text;
	char *line = words_take(&rest, "\n");

	(void)state;
	assert_string_equal(words_take(&line, " "), "some");
	assert_string_equal(words_take(&line, " "), "avg10=0.00");
	assert_string_equal(words_take(&rest, "\n"), "full total=2");
}

static void
test_included(void **state)
{
	(void)state;
	assert_true(words_include("cpu io memory", "cpu"));
	assert_true(words_include("cpu io memory", "memory"));
	assert_true(words_include("rw,nosuid,nodev", "nosuid"));
	assert_true(words_include("shared:1 master:2", "master"));
	assert_false(words_include("cpuset io", "cpu"));
	assert_false(words_include("rw,noexec", "exec"));
	assert_false(words_include("", "cpu"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken_one_by_one),
		cmocka_unit_test(test_no_words),
		cmocka_unit_test(test_other_separators_stay),
		cmocka_unit_test(test_included),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
