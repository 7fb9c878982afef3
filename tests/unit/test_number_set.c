/* SPDX-License-Identifier: MIT */
/* Lists of processors and memory nodes: what they hold, and what is no list. */
#include "hako/mem.h"
#include "hako/number_set.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

static void
test_lists(void **state)
{
	static const struct {
		const char *list;
		int count;
		int numbers[8];
	} cases[] = {
		{"0", 1, {0}},
		{"0-3,7", 5, {0, 1, 2, 3, 7}},
		{"7,0-3", 5, {0, 1, 2, 3, 7}},
		{"5-5", 1, {5}},
		{"1,1,0-1", 2, {0, 1}},
		{" 1 , 2-3 ,", 3, {1, 2, 3}},
		{",,4,,", 1, {4}},
		{"63,64,127,128", 4, {63, 64, 127, 128}},
		{"62-65", 4, {62, 63, 64, 65}},
		{"8191", 1, {8191}},
		{"007", 1, {7}},
		{"", 0, {0}},
		{" , ", 0, {0}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct number_set set;

		memset(&set, 0xaa, sizeof(set));
		assert_int_equal(number_set_parse(cases[i].list, CPU_NUMBERS, &set),
		                 cases[i].count);
		for (int k = 0; k < cases[i].count; k++)
			assert_true(number_set_has(&set, (unsigned)cases[i].numbers[k]));
	}
}

static void
test_whole_range(void **state)
{
	struct number_set set;

	(void)state;
	assert_int_equal(number_set_parse("0-8191", CPU_NUMBERS, &set), CPU_NUMBERS);
	for (size_t i = 0; i < ARRAY_SIZE(set.words); i++)
		assert_int_equal(set.words[i], ~0UL);
	assert_int_equal(number_set_parse("0-1023", NODE_NUMBERS, &set), NODE_NUMBERS);
	assert_false(number_set_has(&set, 1024));
}

static void
test_no_lists(void **state)
{
	static const char *const cases[] = {
		"x",
		"-",
		"-1",
		"1-",
		"3-1",
		"1 2",
		"1-2-3",
		"1 - 2",
		"0x1",
		"+1",
		"1;2",
		"1.5",
		"1,x",
		"1\n",
		"\t1",
		"1024",
		"0-1024",
		"9999999999999999999999",
		"18446744073709551616",
		"0-3:1/2",
		"all",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct number_set set = {.words = {5}};

		assert_int_equal(number_set_parse(cases[i], NODE_NUMBERS, &set), -1);
		assert_int_equal(set.words[0], 5);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_whole_range),
		cmocka_unit_test(test_no_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
