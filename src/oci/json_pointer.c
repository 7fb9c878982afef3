/* SPDX-License-Identifier: MIT */
/* RFC 6901: what a pointer leads to. */
#include "hako/json.h"
#include "hako/names.h"

#include <string.h>

/* Is that the name, with ~0 for ~ and ~1 for /? */
static bool
is_named(const char *name, const char *token, size_t length)
{
	const char *end = token + length;

	for (; token < end; token++, name++) {
		char c = *token;

		if (c == '~' && token + 1 < end && (token[1] == '0' || token[1] == '1'))
			c = *++token == '0' ? '~' : '/';
		if (*name != c)
			return false;
	}
	return *name == '\0';
}

static struct json *
find_item(const struct json *array, const char *token, size_t length)
{
	struct json *item = array->first;
	char text[24];
	uint64_t index;

	if (length >= sizeof(text))
		return NULL;
	memcpy(text, token, length);
	text[length] = '\0';
	if (parse_uint(text, UINT32_MAX, &index) < 0)
		return NULL;
	while (item != NULL && index-- > 0)
		item = item->next;
	return item;
}

struct json *
json_step(const struct json *node, const char *token, size_t length)
{
	struct json *child = node->first;

	if (node->type == JSON_ARRAY)
		return find_item(node, token, length);
	while (child != NULL && !(node->type == JSON_OBJECT && is_named(child->key, token, length)))
		child = child->next;
	return child;
}

const struct json *
json_nearest(const struct json *root, const char *pointer)
{
	const struct json *node = root;

	while (*pointer == '/') {
		size_t length = strcspn(pointer + 1, "/");
		const struct json *child = json_step(node, pointer + 1, length);

		if (child == NULL)
			break;
		node = child;
		pointer += 1 + length;
	}
	return node;
}
