/* SPDX-License-Identifier: MIT */
/* Words, numbers and signals: what is read, and that nothing else is. */
#include "hako/config.h"
#include "hako/mem.h"
#include "hako/names.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

static void
test_tables(void **state)
{
	static const struct {
		const struct name *table;
		size_t count;
		bool distinct; /* no value twice */
	} tables[] = {
		{namespace_names, 8, true},          {rlimit_names, RLIM_NLIMITS, true},
		{propagation_names, 8, true},        {personality_names, 2, true},
		{seccomp_action_names, 9, false},    {seccomp_arch_names, 23, true},
		{seccomp_operator_names, 7, true},   {seccomp_flag_names, 4, true},
		{scheduler_names, 7, true},          {scheduler_flag_names, 7, true},
		{io_class_names, 3, true},           {memory_policy_names, 7, true},
		{memory_policy_flag_names, 3, true},
	};
	const struct name *row;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		for (row = tables[i].table; row->name != NULL; row++) {
			assert_true(row->value != 0);
			assert_ptr_equal(name_find(tables[i].table, row->name), row);
			if (tables[i].distinct)
				assert_ptr_equal(name_of(tables[i].table, row->value), row->name);
		}
		assert_int_equal(row - tables[i].table, tables[i].count);
		assert_null(name_find(tables[i].table, "nonsense"));
		assert_null(name_find(tables[i].table, ""));
		assert_null(name_of(tables[i].table, UINT64_MAX));
	}
	assert_int_equal(name_find(namespace_names, "time")->value, CLONE_NEWTIME);
	assert_int_equal(name_find(rlimit_names, "RLIMIT_CPU")->value, RLIMIT_CPU + 1);
	assert_int_equal(name_find(seccomp_action_names, "SCMP_ACT_KILL")->value,
	                 SECCOMP_ACTION_KILL_THREAD);
	assert_string_equal(name_of(seccomp_action_names, SECCOMP_ACTION_KILL_THREAD),
	                    "SCMP_ACT_KILL_THREAD");
	assert_null(name_find(namespace_names, "PID"));
}

static void
test_parse_uint(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		int result;
		uint64_t value;
	} cases[] = {
		{"0", 0, 0, 0},
		{"007", 7, 0, 7},
		{"4294967295", UINT32_MAX, 0, UINT32_MAX},
		{"4294967296", UINT32_MAX, -1, 42},
		{"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, -1, 42},
		{"184467440737095516150", UINT64_MAX, -1, 42},
		{"99999999999999999999999999", UINT64_MAX, -1, 42},
		{"", 9, -1, 42},
		{"-0", 9, -1, 42},
		{"+1", 9, -1, 42},
		{" 1", 9, -1, 42},
		{"1 ", 9, -1, 42},
		{"0x1", 99, -1, 42},
		{"1e1", 99, -1, 42},
		{"1.0", 99, -1, 42},
		{"\xd9\xa1", 99, -1, 42},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 42;

		assert_int_equal(parse_uint(cases[i].text, cases[i].max, &value), cases[i].result);
		assert_true(value == cases[i].value);
	}
}

static void
test_parse_int(void **state)
{
	static const struct {
		const char *text;
		int64_t min, max;
		int result;
		int64_t value;
	} cases[] = {
		{"0", 0, 0, 0, 0},
		{"-0", 0, 0, 0, 0},
		{"-1000", -1000, 1000, 0, -1000},
		{"-1001", -1000, 1000, -1, 42},
		{"1001", -1000, 1000, -1, 42},
		{"9223372036854775807", INT64_MIN, INT64_MAX, 0, INT64_MAX},
		{"9223372036854775808", INT64_MIN, INT64_MAX, -1, 42},
		{"-9223372036854775808", INT64_MIN, INT64_MAX, 0, INT64_MIN},
		{"-9223372036854775809", INT64_MIN, INT64_MAX, -1, 42},
		{"", -9, 9, -1, 42},
		{"-", -9, 9, -1, 42},
		{"--1", -9, 9, -1, 42},
		{"+1", -9, 9, -1, 42},
		{"1-", -9, 9, -1, 42},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t value = 42;

		assert_int_equal(parse_int(cases[i].text, cases[i].min, cases[i].max, &value),
		                 cases[i].result);
		assert_true(value == cases[i].value);
	}
}

static void
test_signals(void **state)
{
	static const struct {
		const char *text;
		int number;
	} cases[] = {
		{"0", 0},
		{"9", 9},
		{"64", 64},
		{"65", -1},
		{"KILL", SIGKILL},
		{"SIGKILL", SIGKILL},
		{"sigkill", SIGKILL},
		{"Term", SIGTERM},
		{"sigCLD", SIGCHLD},
		{"POLL", SIGIO},
		{"IO", SIGIO},
		{"SIGIOT", SIGABRT},
		{"STKFLT", SIGSTKFLT},
		{"WINCH", SIGWINCH},
		{"PWR", SIGPWR},
		{"SYS", SIGSYS},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(signal_from_name(cases[i].text), cases[i].number);
	assert_int_equal(signal_from_name("RTMIN"), SIGRTMIN);
	assert_int_equal(signal_from_name("sigrtmin+3"), SIGRTMIN + 3);
	assert_int_equal(signal_from_name("RTMAX-14"), SIGRTMAX - 14);
	assert_int_equal(signal_from_name("SIGRTMAX"), SIGRTMAX);
	assert_int_equal(signal_from_name("RTMIN+30"), SIGRTMAX);
}

static void
test_no_signals(void **state)
{
	static const char *const cases[] = {
		"",         "SIG",        "SIGSIGKILL", "KILL ",    " 9",       "-9",
		"9x",       "KILLALL",    "RTMIN-1",    "RTMAX+1",  "RTMIN+31", "RTMIN+",
		"RTMIN+-1", "RTMIN++1",   "RTMAX-31",   "RTMIN+1x", "RT",       "RTMI",
		"SIG9",     "4294967305", "+9",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(signal_from_name(cases[i]), -1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),     cmocka_unit_test(test_parse_uint),
		cmocka_unit_test(test_parse_int),  cmocka_unit_test(test_signals),
		cmocka_unit_test(test_no_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
