/* SPDX-License-Identifier: MIT */
/*
 * Lists of processors and memory nodes (cpuset(7), "List format"), in the part
 * of it that config.md has for them: numbers and ranges.
 */
#include "hako/number_set.h"
#include "hako/names.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The number at *text, which is moved on; -1 when there is none below limit. */
static int
parse_number(const char **text, unsigned limit)
{
	size_t length = strspn(*text, "0123456789");
	char digits[16];
	uint64_t number;

	snprintf(digits, sizeof(digits), "%.*s", (int)length, *text);
	if (length >= sizeof(digits) || parse_uint(digits, limit - 1, &number) < 0)
		return -1;
	*text += length;
	return (int)number;
}

static int
parse_item(const char **text, unsigned limit, struct number_set *set)
{
	int first = parse_number(text, limit), last = first;

	if (first >= 0 && **text == '-') {
		++*text;
		last = parse_number(text, limit);
	}
	if (first < 0 || last < first)
		return -1;
	for (int i = first; i <= last; i++)
		set->words[i / NUMBER_SET_WORD] |= 1UL << (i % NUMBER_SET_WORD);
	*text += strspn(*text, " ");
	return **text == ',' || **text == '\0' ? 0 : -1;
}

int
number_set_parse(const char *text, unsigned limit, struct number_set *ret)
{
	struct number_set set = {0};
	int count = 0;

	for (text += strspn(text, " ,"); *text != '\0'; text += strspn(text, " ,"))
		if (parse_item(&text, limit, &set) < 0)
			return -1;
	for (size_t i = 0; i < sizeof(set.words) / sizeof(set.words[0]); i++)
		count += __builtin_popcountl(set.words[i]);
	*ret = set;
	return count;
}

bool
number_set_has(const struct number_set *set, unsigned number)
{
	return (set->words[number / NUMBER_SET_WORD] >> (number % NUMBER_SET_WORD) & 1) != 0;
}
