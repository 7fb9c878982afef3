/* SPDX-License-Identifier: MIT */
/* The two formats of files with a key a line ("flat keyed" and "nested keyed" in cgroup-v2.rst). */
#include "hako/cgroup_keyed.h"
#include "hako/json.h"
#include "hako/words.h"

#include <stdlib.h>
#include <string.h>

const char *
keyed_find(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (; *text != '\0'; text += strcspn(text, "\n"), text += *text == '\n')
		if (strncmp(text, key, length) == 0 && text[length] == ' ')
			return text + length + 1;
	return NULL;
}

void
keyed_put_value(struct json_writer *w, const char *key, const char *text)
{
	char *end;

	(void)strtod(text, &end);
	if (end != text && *end == '\0')
		json_put_number(w, key, text);
	else
		json_put_string(w, key, text);
}

/* Cut where the separator is, and put the two halves; without one it is no pair. */
static void
put_pair(struct json_writer *w, char *pair, char separator)
{
	char *value = strchr(pair, separator);

	if (value == NULL)
		return;
	*value++ = '\0';
	keyed_put_value(w, pair, value);
}

void
keyed_put_flat(struct json_writer *w, char *text)
{
	char *line;

	while ((line = words_take(&text, "\n")) != NULL)
		put_pair(w, line, ' ');
}

void
keyed_put_nested(struct json_writer *w, char *text)
{
	char *line, *key, *pair;

	while ((line = words_take(&text, "\n")) != NULL) {
		key = words_take(&line, " ");
		if (key == NULL)
			continue;
		json_begin_object(w, key);
		while ((pair = words_take(&line, " ")) != NULL)
			put_pair(w, pair, '=');
		json_end_object(w);
	}
}
