/* SPDX-License-Identifier: MIT */
/*
 * process.rlimits (config.md "POSIX process"). Init sets them itself, last of
 * what it needs resources for: a small RLIMIT_NOFILE or RLIMIT_AS must not hit
 * hako. In a user namespace init may not raise a hard limit, so the parent
 * raises it before init goes on.
 */
#include "hako/layer.h"
#include "hako/names.h"

#include <errno.h>
#include <sched.h>
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
