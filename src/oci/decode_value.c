/* SPDX-License-Identifier: MIT */
/*
 * A value of the document, against its row: type, range, one of the words that are
 * allowed. An error says what was expected, what was found and where; for who collects
 * problems also which word may have been meant.
 */
#include "hako/decode_value.h"
#include "hako/problem.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const type_texts[] = {
	[JSON_NULL] = "null",       [JSON_BOOL] = "a boolean", [JSON_NUMBER] = "a number",
	[JSON_STRING] = "a string", [JSON_ARRAY] = "an array", [JSON_OBJECT] = "an object",
};

int
value_check_type(const struct json *node, enum json_type type, struct error *e)
{
	if (node->type == type)
		return 0;
	return json_error(node, e, 0, "config-type", "expected %s, found %s", type_texts[type],
	                  type_texts[node->type]);
}

/* "one, two or three", cut after a few. */
static void
list_names(const struct name *names, char *buf, size_t size)
{
	enum { FEW = 8 };
	const struct name *row;
	size_t used = 0;

	for (row = names; row->name != NULL && used < size; row++) {
		const char *before = row[1].name == NULL ? " or " : ", ";

		if (row - names == FEW) {
			snprintf(buf + used, size - used, ", ...");
			return;
		}
		used += (size_t)snprintf(buf + used, size - used, "%s%s",
		                         row == names ? "" : before, row->name);
	}
}

static void
hint_word(const struct name *names, const struct json *node, const char *word)
{
	struct name_search search = name_search_for(word);

	if (!json_takes_hint(node))
		return;
	for (const struct name *row = names; row->name != NULL; row++)
		name_search_look(&search, row->name);
	if (name_search_is_near(&search))
		json_hint(node, "did you mean \"%s\"?", search.nearest);
}

static void
refuse_word(const struct name *names, const struct json *node, const char *word, struct error *e)
{
	char list[320];

	list_names(names, list, sizeof(list));
	json_error(node, e, 0, "config-value", "expected %s, found \"%.60s\"", list, word);
	hint_word(names, node, word);
}

const struct name *
value_find_word(const struct field *field, const struct json *node, struct error *e)
{
	const struct name *row;

	if (value_check_type(node, JSON_STRING, e) < 0)
		return NULL;
	row = name_find(field->names, node->text);
	if (row == NULL)
		refuse_word(field->names, node, node->text, e);
	return row;
}

int
value_check_key(const struct name *names, const struct json *member, struct error *e)
{
	if (name_find(names, member->key) != NULL)
		return 0;
	refuse_word(names, member, member->key, e);
	return -1;
}

int
value_check_string(const struct field *field, const struct json *node, struct error *e)
{
	if (value_check_type(node, JSON_STRING, e) < 0)
		return -1;
	if ((field->flags & FIELD_NOT_EMPTY) != 0 && node->text[0] == '\0')
		return json_error(node, e, 0, "config-value", "must not be empty");
	if ((field->flags & FIELD_ABSOLUTE) != 0 && node->text[0] != '/')
		return json_error(node, e, 0, "config-value",
		                  "expected an absolute path, found \"%.60s\"", node->text);
	if (field->names != NULL && value_find_word(field, node, e) == NULL)
		return -1;
	return 0;
}

/* Numbers are kept as text: 1.0 and 1e3 are no integers here. */
static int
check_integer(const struct json *node, struct error *e)
{
	if (value_check_type(node, JSON_NUMBER, e) < 0)
		return -1;
	if (strpbrk(node->text, ".eE") == NULL)
		return 0;
	return json_error(node, e, 0, "config-type", "expected an integer, found %.40s",
	                  node->text);
}

int
value_read_uint(const struct field *field, const struct json *node, uint64_t *ret,
                uint64_t type_max, struct error *e)
{
	uint64_t max = field->max != 0 ? field->max : type_max;
	uint64_t min = (uint64_t)field->min;
	const char *text = node->text;
	uint64_t value;

	if (check_integer(node, e) < 0)
		return -1;
	if (strcmp(text, "-0") == 0)
		text++;
	if (parse_uint(text, max, &value) < 0 || value < min)
		return json_error(node, e, 0, "config-range",
		                  "expected a number from %llu to %llu, found %.40s",
		                  (unsigned long long)min, (unsigned long long)max, text);
	*ret = value;
	return 0;
}

int
value_read_int(const struct field *field, const struct json *node, int64_t *ret, struct error *e)
{
	bool whole = field->min == 0 && field->max == 0;
	int64_t min = whole ? INT64_MIN : field->min;
	int64_t max = whole ? INT64_MAX : (int64_t)field->max;

	if (check_integer(node, e) < 0)
		return -1;
	if (parse_int(node->text, min, max, ret) < 0)
		return json_error(node, e, 0, "config-range",
		                  "expected a number from %lld to %lld, found %.40s",
		                  (long long)min, (long long)max, node->text);
	return 0;
}

int
value_check_array(const struct field *field, const struct json *node, struct error *e)
{
	if (value_check_type(node, JSON_ARRAY, e) < 0)
		return -1;
	if ((field->flags & FIELD_NOT_EMPTY) != 0 && node->count == 0)
		return json_error(node, e, 0, "config-value", "must have at least one entry");
	return 0;
}
