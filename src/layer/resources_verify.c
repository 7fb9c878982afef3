/* SPDX-License-Identifier: MIT */
/*
 * Limits, read back from the files of the cgroup. The kernel has its own way to write
 * a value: whole pages, "max", lists of numbers, both halves of a pair, a line for
 * each device.
 */
#include "hako/file.h"
#include "hako/names.h"
#include "hako/number_set.h"
#include "hako/resources.h"
#include "hako/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_SIZE = 16384 };

/* One word: what was written, and what the file shows. */
static bool
is_same_word(const char *file, const char *written, const char *shown)
{
	uint64_t a, b, page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (strcmp(written, shown) == 0)
		return true;
	if (parse_uint(written, UINT64_MAX, &a) < 0)
		return false;
	if (parse_uint(shown, UINT64_MAX, &b) < 0)
		return strcmp(shown, "max") == 0 && a >= INT64_MAX / page * page;
	/* rounded down to pages; huge pages are at least 64 kB */
	if (strncmp(file, "memory.", 7) == 0)
		return a / page == b / page && b % page == 0;
	return a == b ||
	       (strncmp(file, "hugetlb.", 8) == 0 && b <= a && a - b < (uint64_t)1 << 34 && b > 0);
}

static bool
is_same_list(const char *written, const char *shown)
{
	struct number_set a, b;

	return number_set_parse(written, CPU_NUMBERS, &a) >= 0 &&
	       number_set_parse(shown, CPU_NUMBERS, &b) >= 0 && memcmp(&a, &b, sizeof(a)) == 0;
}

/* "rbps=1048576" among "rbps=1048576 wbps=max". */
static bool
has_pair(const char *file, struct arena *arena, const char *pair, const char *line)
{
	size_t length = strcspn(pair, "=");
	char *rest = arena_strdup(arena, line), *word;

	while ((word = words_take(&rest, " ")) != NULL)
		if (strncmp(word, pair, length) == 0 && word[length] == '=')
			return is_same_word(file, pair + length + 1, word + length + 1);
	return false;
}

/* All words of the value, in order or by name; what the line has beyond them was not written. */
static bool
is_same_line(const char *file, struct arena *arena, const char *value, const char *line)
{
	char *written = arena_strdup(arena, value), *shown = arena_strdup(arena, line);
	char *a, *b = words_take(&shown, " ");

	while ((a = words_take(&written, " ")) != NULL) {
		if (strchr(a, '=') != NULL) {
			if (!has_pair(file, arena, a, line))
				return false;
			continue;
		}
		if (b == NULL || !is_same_word(file, a, b))
			return false;
		b = words_take(&shown, " ");
	}
	return true;
}

/* The line of that device, or of the default; of a file with one line, that. */
static const char *
find_line(struct arena *arena, const char *value, const char *text)
{
	size_t length = strcspn(value, " ");
	const char *first = arena_strndup(arena, text, strcspn(text, "\n"));
	bool device = strchr(value, ':') != NULL || strchr(value, '=') != NULL;

	for (const char *p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, value, length) == 0 && p[length] == ' ' && value[length] == ' ')
			return arena_strndup(arena, p, strcspn(p, "\n"));
	if (strncmp(first, "default ", 8) == 0 && !device)
		return first + 8;
	return device ? "no line for it" : first;
}

static const char *
read_line(const struct observed *o, const struct cgroup_value *value)
{
	autofree char *text = malloc(FILE_SIZE);

	if (text == NULL || file_read_at(o->cgroup, value->file, text, FILE_SIZE) < 0)
		return NULL;
	return find_line(o->arena, value->value, text);
}

static bool
is_same(struct arena *arena, const struct cgroup_value *value, const char *line)
{
	return (strncmp(value->file, "cpuset.", 7) == 0 && is_same_list(value->value, line)) ||
	       is_same_line(value->file, arena, value->value, line);
}

/* Written again later, with another value. */
static bool
is_superseded(const struct cgroup_plan *limits, size_t i)
{
	const struct cgroup_value *a = &limits->values[i];
	size_t length = strcspn(a->value, " ");
	bool device = strchr(a->value, ':') != NULL;

	for (size_t k = i + 1; k < limits->value_count; k++) {
		const struct cgroup_value *b = &limits->values[k];

		if (strcmp(a->file, b->file) == 0 &&
		    (!device || strncmp(a->value, b->value, length + 1) == 0))
			return true;
	}
	return false;
}

/* false: there is no such file, and none is needed, or another one has the value. */
static bool
verify_value(const struct cgroup_plan *limits, size_t i, struct observed *o, struct verdicts *v)
{
	const struct cgroup_value *value = &limits->values[i];
	const struct claim claim = {CHECK_CGROUP_LIMIT, value->at, value->file};
	bool replaceable = i + 1 < limits->value_count && value[1].alternative;
	const char *line = read_line(o, value);

	if (line == NULL && errno == ENOENT && (value->controller == NULL || replaceable))
		return false;
	if (line == NULL)
		verdict_unknown(v, claim, "%s", error_text(errno));
	else if (!is_superseded(limits, i))
		verdict_add(v, claim, is_same(v->arena, value, line), value->value, line);
	return true;
}

LAYER_VERIFY(resources_verify)
{
	const struct cgroup_plan *limits = &plan->cgroup;

	for (size_t i = 0; i < limits->value_count; i++) {
		bool found;

		if (o->cgroup < 0) {
			verdict_unknown(v,
			                (struct claim){CHECK_CGROUP_LIMIT, limits->values[i].at,
			                               limits->values[i].file},
			                "the container's cgroup is not known");
			continue;
		}
		found = verify_value(limits, i, o, v);
		while (found && i + 1 < limits->value_count && limits->values[i + 1].alternative)
			i++;
	}
}
