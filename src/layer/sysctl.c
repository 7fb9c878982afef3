/* SPDX-License-Identifier: MIT */
/*
 * linux.sysctl: kernel parameters of the container's own namespaces. Which are
 * allowed is decided when the config is checked; here they are written, through
 * a procfs of our own that nothing in the container can cover (CVE-2025-52881).
 * That procfs must be mounted by a process inside the namespaces, because
 * /proc/sys shows the namespaces of who opens it.
 */
#include "hako/layer.h"
#include "hako/proc.h"
#include "hako/words.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

LAYER_PLAN(sysctl_plan)
{
	const struct string_map *sysctl = &p->config->linux_->sysctl;
	struct plan *plan = p->plan;

	(void)e;
	plan->sysctls = arena_array(p->arena, sysctl->count, sizeof(*plan->sysctls));
	for (size_t i = 0; i < sysctl->count; i++)
		plan->sysctls[plan->sysctl_count++] = (struct sysctl_plan){
			.at = sysctl->items[i].at,
			.path = sysctl->items[i].key,
			.value = sysctl->items[i].value,
		};
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

LAYER_VERIFY(sysctl_verify)
{
	for (size_t i = 0; i < plan->sysctl_count; i++) {
		const struct sysctl_plan *s = &plan->sysctls[i];
		char *name = arena_strdup(v->arena, s->path);
		const char *text = observed_inside(o, arena_printf(v->arena, "sys/%s", s->path));

		for (char *p = name; *p != '\0'; p++)
			*p = *p == '/' ? '.' : *p == '.' ? '/' : *p;
		verdict_compare(v, (struct claim){CHECK_SYSCTL, s->at, name},
		                normalise(v->arena, s->value),
		                text != NULL ? normalise(v->arena, text) : NULL);
	}
}
