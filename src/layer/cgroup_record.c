/* SPDX-License-Identifier: MIT */
/*
 * What a container has used, as the files of its cgroup have it before that is removed:
 * under the kernel's own names, and null where a controller, or on an older kernel the
 * file, does not exist.
 */
#include "hako/cgroup.h"
#include "hako/file.h"
#include "hako/json.h"
#include "hako/mem.h"
#include "hako/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { NUMBER, FLAT, NESTED };

static const struct {
	const char *file;
	enum kind kind;
} files[CGROUP_RECORD_FILES] = {
	{"memory.peak", NUMBER},  {"memory.swap.peak", NUMBER}, {"memory.max", NUMBER},
	{"memory.events", FLAT},  {"pids.peak", NUMBER},        {"pids.max", NUMBER},
	{"pids.events", FLAT},    {"cpu.stat", FLAT},           {"io.stat", NESTED},
	{"cpu.pressure", NESTED}, {"memory.pressure", NESTED},  {"io.pressure", NESTED},
};

void
cgroup_record_read(struct cgroup_record *record, struct arena *arena, int cgroup)
{
	char text[32768];

	for (size_t i = 0; i < CGROUP_RECORD_FILES; i++)
		record->texts[i] = file_read_at(cgroup, files[i].file, text, sizeof(text)) >= 0
		                           ? arena_strdup(arena, text)
		                           : NULL;
}

/* "KEY VALUE" a line; key NULL: the file is the value. */
int64_t
cgroup_record_number(const struct cgroup_record *record, const char *file, const char *key)
{
	size_t length = key != NULL ? strlen(key) : 0;
	const char *text = NULL;

	for (size_t i = 0; i < CGROUP_RECORD_FILES; i++)
		if (strcmp(files[i].file, file) == 0)
			text = record->texts[i];
	for (; text != NULL && *text != '\0'; text += strcspn(text, "\n"), text += *text == '\n')
		if (key == NULL || (strncmp(text, key, length) == 0 && text[length] == ' '))
			return strncmp(text, "max", 3) == 0 ? -1 : strtoll(text + length, NULL, 10);
	return -1;
}

/* A limit of "max" is no number: it stays a word. */
static void
put_value(struct json_writer *w, const char *key, const char *text)
{
	char *end;

	(void)strtod(text, &end);
	if (end != text && *end == '\0')
		json_put_number(w, key, text);
	else
		json_put_string(w, key, text);
}

/* "KEY VALUE" */
static void
put_flat(struct json_writer *w, char *line)
{
	char *value = strchr(line, ' ');

	if (value == NULL)
		return;
	*value++ = '\0';
	put_value(w, line, value);
}

/* "KEY NAME=VALUE NAME=VALUE" */
static void
put_nested(struct json_writer *w, char *line)
{
	char *key = words_take(&line, " "), *pair;

	if (key == NULL)
		return;
	json_begin_object(w, key);
	while ((pair = words_take(&line, " ")) != NULL) {
		char *value = strchr(pair, '=');

		if (value == NULL)
			continue;
		*value++ = '\0';
		put_value(w, pair, value);
	}
	json_end_object(w);
}

static void
put_lines(struct json_writer *w, const char *key, const char *text,
          void (*put)(struct json_writer *w, char *line))
{
	char *copy = strdup(text), *rest = copy, *line;

	json_begin_object(w, key);
	while ((line = words_take(&rest, "\n")) != NULL)
		put(w, line);
	json_end_object(w);
	free(copy);
}

void
cgroup_record_put(const struct cgroup_record *record, struct json_writer *w)
{
	for (size_t i = 0; i < CGROUP_RECORD_FILES; i++) {
		const char *text = record->texts[i];

		if (text == NULL)
			json_put_null(w, files[i].file);
		else if (files[i].kind == NUMBER)
			put_value(w, files[i].file, text);
		else
			put_lines(w, files[i].file, text,
			          files[i].kind == FLAT ? put_flat : put_nested);
	}
}
