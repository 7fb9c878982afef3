/* SPDX-License-Identifier: MIT */
/*
 * linux.sysctl: kernel parameters of the container's own namespaces. Which are
 * allowed is decided when the config is checked; here they are written, through
 * a procfs of our own that nothing in the container can cover (CVE-2025-52881).
 * That procfs must be mounted by a process inside the namespaces, because
 * /proc/sys shows the namespaces of who opens it.
 */
#include "hako/layer.h"
#include "hako/problem.h"
#include "hako/proc.h"
#include "hako/table.h"
#include "hako/words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For check alone. The same twice is no contradiction. */
static void
warn_of_overridden(const struct string_pair *item, const struct string_pair *last)
{
	if (strcmp(item->value, last->value) != 0)
		json_warning(item->at, "config-duplicate",
		             "/proc/sys/%s is given again: the last one counts", item->key);
}

/* One parameter may be there twice, with dots and with slashes. */
LAYER_PLAN(sysctl_plan)
{
	const struct string_map *sysctl = &p->config->linux_->sysctl;
	struct sysctl_plan *first = arena_array(p->arena, sysctl->count, sizeof(*first));
	struct sysctl_plan *end = first + sysctl->count;
	struct table names;

	(void)e;
	table_init(&names, p->arena, sysctl->count);
	p->plan->sysctls = end;
	for (size_t i = sysctl->count; i-- > 0;) {
		const struct string_pair *item = &sysctl->items[i];
		const void **last = table_at(&names, item->key, strlen(item->key));

		if (*last != NULL) {
			warn_of_overridden(item, *last);
			continue;
		}
		*last = item;
		*--p->plan->sysctls = (struct sysctl_plan){
			.at = item->at, .path = item->key, .value = item->value};
	}
	p->plan->sysctl_count = (size_t)(end - p->plan->sysctls);
	return 0;
}

/* Of an interface that only the container will have. */
static bool
is_of_interface(const char *path)
{
	return strncmp(path, "net/", 4) == 0 &&
	       (strstr(path, "/conf/") != NULL || strstr(path, "/neigh/") != NULL);
}

/* A namespace of the container has no parameter that hako's own lacks. */
LAYER_PROBE(sysctl_probe)
{
	for (size_t i = 0; i < plan->sysctl_count; i++) {
		const struct sysctl_plan *s = &plan->sysctls[i];
		char path[512];

		snprintf(path, sizeof(path), "/proc/sys/%s", s->path);
		if (!is_of_interface(s->path) &&
		    faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
			json_error(s->at, e, ENOENT, "sysctl-failed", "%s", path);
	}
	return 0;
}

LAYER_RUN(sysctl_write)
{
	if (plan->sysctl_count == 0)
		return 0;
	if (h->proc < 0)
		h->proc = proc_mount();
	if (h->proc < 0)
		return error_set(e, errno, "sysctl-failed", "mount a private procfs");
	for (size_t i = 0; i < plan->sysctl_count; i++) {
		const struct sysctl_plan *s = &plan->sysctls[i];
		char path[512];

		snprintf(path, sizeof(path), "sys/%s", s->path);
		if (proc_write(h->proc, path, s->value) < 0)
			return json_error(s->at, e, errno, "sysctl-failed",
			                  "write \"%s\" to /proc/%s", s->value, path);
	}
	return 0;
}

/* Values with several numbers are shown with tabs. */
static const char *
normalise(struct arena *arena, const char *text)
{
	char *rest = arena_strdup(arena, text), *word;
	const char *list = "";

	while ((word = words_take(&rest, " \t\n")) != NULL)
		list = arena_printf(arena, "%s%s%s", list, list[0] != '\0' ? " " : "", word);
	return list;
}

/* "0x10" and "16": the kernel has one way to write it. */
static bool
are_same_numbers(const char *a, const char *b)
{
	while (*a != '\0' && *b != '\0') {
		char *end_a, *end_b;
		bool same = strtoull(a, &end_a, 0) == strtoull(b, &end_b, 0);

		if (!same || end_a == a || end_b == b || *end_a != *end_b ||
		    (*end_a != ' ' && *end_a != '\0'))
			return false;
		a = end_a + (*end_a != '\0');
		b = end_b + (*end_b != '\0');
	}
	return *a == *b;
}

enum { PORTS = 65536 };

static bool
parse_ports(const char *text, bool *ret)
{
	while (*text != '\0') {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (end > text && *end == '-')
			last = strtoul(end + 1, &end, 10);
		if (end == text || last >= PORTS || (*end != ',' && *end != '\0'))
			return false;
		while (first <= last)
			ret[first++] = true;
		text = end + (*end != '\0');
	}
	return true;
}

/* "1,2,3" and "1-3". */
static bool
are_same_ports(struct arena *arena, const char *a, const char *b)
{
	bool *ports[] = {arena_array(arena, PORTS, sizeof(bool)),
	                 arena_array(arena, PORTS, sizeof(bool))};

	return parse_ports(a, ports[0]) && parse_ports(b, ports[1]) &&
	       memcmp(ports[0], ports[1], PORTS * sizeof(bool)) == 0;
}

/* As the config has it, if it is the same in other words. */
static const char *
reword(struct arena *arena, const char *found, const char *expected)
{
	return are_same_numbers(expected, found) || are_same_ports(arena, expected, found)
	               ? expected
	               : found;
}

LAYER_VERIFY(sysctl_verify)
{
	for (size_t i = 0; i < plan->sysctl_count; i++) {
		const struct sysctl_plan *s = &plan->sysctls[i];
		char *name = arena_strdup(v->arena, s->path);
		const char *text = observed_inside(o, arena_printf(v->arena, "sys/%s", s->path));
		const char *found = text != NULL ? normalise(v->arena, text) : NULL;
		/* to write nothing changes nothing */
		bool any = s->value[0] == '\0' && found != NULL;
		const char *expected = any ? found : normalise(v->arena, s->value);

		for (char *p = name; *p != '\0'; p++)
			*p = *p == '/' ? '.' : *p == '.' ? '/' : *p;
		verdict_compare(v, (struct claim){CHECK_SYSCTL, s->at, name}, expected,
		                found != NULL ? reword(v->arena, found, expected) : NULL);
	}
}
