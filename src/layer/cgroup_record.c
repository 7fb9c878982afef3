/* SPDX-License-Identifier: MIT */
/*
 * What a container has used, as the files of its cgroup have it before that is removed:
 * under the kernel's own names, and null where a controller, or on an older kernel the
 * file, does not exist.
 */
#include "hako/cgroup.h"
#include "hako/cgroup_keyed.h"
#include "hako/file.h"
#include "hako/json.h"
#include "hako/mem.h"

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

int64_t
cgroup_record_number(const struct cgroup_record *record, const char *file, const char *key)
{
	const char *text = NULL;

	for (size_t i = 0; i < CGROUP_RECORD_FILES; i++)
		if (strcmp(files[i].file, file) == 0)
			text = record->texts[i];
	if (text != NULL && key != NULL)
		text = keyed_find(text, key);
	if (text == NULL || text[0] == '\0' || strncmp(text, "max", 3) == 0)
		return -1;
	return strtoll(text, NULL, 10);
}

static void
put_lines(struct json_writer *w, const char *key, const char *text,
          void (*put)(struct json_writer *w, char *text))
{
	autofree char *copy = strdup(text);

	json_begin_object(w, key);
	put(w, copy);
	json_end_object(w);
}

void
cgroup_record_put(const struct cgroup_record *record, struct json_writer *w)
{
	for (size_t i = 0; i < CGROUP_RECORD_FILES; i++) {
		const char *text = record->texts[i];

		if (text == NULL)
			json_put_null(w, files[i].file);
		else if (files[i].kind == NUMBER)
			keyed_put_value(w, files[i].file, text);
		else
			put_lines(w, files[i].file, text,
			          files[i].kind == FLAT ? keyed_put_flat : keyed_put_nested);
	}
}
