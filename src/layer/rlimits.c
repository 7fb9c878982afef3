/* SPDX-License-Identifier: MIT */
/*
 * process.rlimits (config.md "POSIX process"). Init sets them itself, last of
 * what it needs resources for: a small RLIMIT_NOFILE or RLIMIT_AS must not hit
 * hako. In a user namespace init may not raise a hard limit, so the parent
 * raises it before init goes on.
 */
#include "hako/file.h"
#include "hako/layer.h"
#include "hako/names.h"
#include "hako/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

LAYER_PLAN(rlimits_plan)
{
	const struct config_process *process = p->config->process;
	struct process_plan *plan = &p->plan->process;
	const struct config_rlimit *rows;

	(void)e;
	if (process == NULL)
		return 0;
	rows = process->rlimits.items;
	plan->rlimits = arena_array(p->arena, process->rlimits.count, sizeof(*plan->rlimits));
	for (size_t i = 0; i < process->rlimits.count; i++)
		plan->rlimits[plan->rlimit_count++] = (struct rlimit_plan){
			.at = rows[i].at,
			.resource = rows[i].type - 1,
			.soft = *rows[i].soft,
			.hard = *rows[i].hard,
		};
	return 0;
}

/* No process may have more descriptors, whatever its capabilities. */
static uint64_t
most_descriptors(void)
{
	char text[32];
	uint64_t most;

	if (file_read_at(AT_FDCWD, "/proc/sys/fs/nr_open", text, sizeof(text)) < 0 ||
	    parse_uint(text, UINT64_MAX, &most) < 0)
		return UINT64_MAX;
	return most;
}

LAYER_PROBE(rlimits_probe)
{
	bool may_raise = plan->options.privileged && proc_has_capability(CAP_SYS_RESOURCE);
	uint64_t most = most_descriptors();

	for (size_t i = 0; i < plan->process.rlimit_count; i++) {
		const struct rlimit_plan *r = &plan->process.rlimits[i];
		const struct json *at = json_member(r->at, "hard");
		struct rlimit own;

		if (r->resource == RLIMIT_NOFILE && r->hard > most)
			json_error(at, e, 0, "rlimit-failed", "over fs.nr_open, which is %" PRIu64,
			           most);
		else if (!may_raise && getrlimit((enum __rlimit_resource)r->resource, &own) == 0 &&
		         r->hard > own.rlim_max)
			json_error(at, e, 0, "rlimit-failed",
			           "over this user's hard limit, which is %" PRIu64,
			           (uint64_t)own.rlim_max);
	}
	return 0;
}

LAYER_RUN(rlimits_raise)
{
	if (!plan_isolates(plan, CLONE_NEWUSER) || !plan->options.privileged)
		return 0;
	for (size_t i = 0; i < plan->process.rlimit_count; i++) {
		const struct rlimit_plan *r = &plan->process.rlimits[i];
		struct rlimit now;

		if (prlimit(h->init_pid, (enum __rlimit_resource)r->resource, NULL, &now) < 0)
			return json_error(r->at, e, errno, "rlimit-failed", "prlimit");
		if (now.rlim_max >= r->hard)
			continue;
		now.rlim_max = r->hard;
		if (prlimit(h->init_pid, (enum __rlimit_resource)r->resource, &now, NULL) < 0)
			return json_error(r->at, e, errno, "rlimit-failed", "raise %s",
			                  name_of(rlimit_names, (uint64_t)r->resource + 1));
	}
	return 0;
}

LAYER_RUN(rlimits_set)
{
	(void)h;
	for (size_t i = 0; i < plan->process.rlimit_count; i++) {
		const struct rlimit_plan *r = &plan->process.rlimits[i];
		struct rlimit limit = {.rlim_cur = r->soft, .rlim_max = r->hard};

		if (setrlimit((enum __rlimit_resource)r->resource, &limit) < 0)
			return json_error(r->at, e, errno, "rlimit-failed", "set %s",
			                  name_of(rlimit_names, (uint64_t)r->resource + 1));
	}
	return 0;
}

/*
 * /proc/PID/limits, which everybody may read: a line a limit in the order of their
 * numbers, the name in the first 26 columns.
 */
static const char *
find_limit(struct arena *arena, const char *text, int resource)
{
	enum { NAME_COLUMNS = 26 };
	char soft[24], hard[24];

	for (int i = 0; i <= resource && text != NULL; i++) {
		text = strchr(text, '\n');
		text = text != NULL ? text + 1 : NULL;
	}
	if (text == NULL || strcspn(text, "\n") <= NAME_COLUMNS ||
	    sscanf(text + NAME_COLUMNS, "%23s %23s", soft, hard) != 2)
		return NULL;
	return arena_printf(arena, "%s %s", soft, hard);
}

static const char *
limit_text(struct arena *arena, uint64_t limit)
{
	return limit == RLIM_INFINITY ? "unlimited" : arena_printf(arena, "%" PRIu64, limit);
}

LAYER_VERIFY(rlimits_verify)
{
	const char *text = observed_read(o, "limits", NULL);

	for (size_t i = 0; i < plan->process.rlimit_count; i++) {
		const struct rlimit_plan *r = &plan->process.rlimits[i];
		const struct claim claim = {CHECK_RLIMIT, r->at,
		                            name_of(rlimit_names, (uint64_t)r->resource + 1)};

		verdict_compare(v, claim,
		                arena_printf(v->arena, "%s %s", limit_text(v->arena, r->soft),
		                             limit_text(v->arena, r->hard)),
		                find_limit(v->arena, text, r->resource));
	}
}
