/* SPDX-License-Identifier: MIT */
/*
 * On which processors a process may run. A container gets all that its cgroup
 * allows, whatever the caller is pinned to: since Linux 6.2 the kernel would
 * remember that in the container's cpuset as well. process.execCPUAffinity
 * (config.md "Linux Process") says otherwise for what exec adds: where hako
 * runs before the process is in the container's cgroup, and where the process
 * runs from then on.
 */
#include "hako/file.h"
#include "hako/layer.h"
#include "hako/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* The list was checked when it was read. */
static const struct number_set *
parse(struct planner *p, const char *list)
{
	struct number_set *cpus;

	if (list == NULL)
		return NULL;
	cpus = arena_alloc(p->arena, sizeof(*cpus));
	(void)number_set_parse(list, CPU_NUMBERS, cpus);
	return cpus;
}

LAYER_PLAN(affinity_plan)
{
	const struct config_process *process = p->config->process;
	const struct config_affinity *c = process != NULL ? process->exec_cpu_affinity : NULL;

	(void)e;
	if (c == NULL || (c->initial == NULL && c->final == NULL))
		return 0;
	p->plan->process.affinity = (struct affinity_plan){
		.at = c->at,
		.initial = c->initial,
		.final = c->final,
		.initial_cpus = parse(p, c->initial),
		.final_cpus = parse(p, c->final),
	};
	return 0;
}

static int
set(pid_t pid, const struct number_set *cpus)
{
	return sched_setaffinity(pid, sizeof(*cpus), (const cpu_set_t *)(const void *)cpus);
}

static int
fail(const struct affinity_plan *affinity, const char *member, const char *list, struct error *e)
{
	int code = errno;

	return json_error(json_member(affinity->at, member), e, code, "affinity-failed",
	                  "run on CPUs %s%s", list,
	                  code == EINVAL ? " (none of them is there, or allowed)" : "");
}

/* As runc and youki say it: the mask as one number, without what is zero in front. */
static void
log_mask(const struct number_set *cpus)
{
	char text[sizeof(cpus->words) * 2 + 1];
	size_t i = ARRAY_SIZE(cpus->words) - 1, used;

	while (i > 0 && cpus->words[i] == 0)
		i--;
	used = (size_t)snprintf(text, sizeof(text), "%lx", cpus->words[i]);
	while (i-- > 0)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%0*lx",
		                         NUMBER_SET_WORD / 4, cpus->words[i]);
	log_debug("affinity: 0x%s", text);
}

LAYER_RUN(affinity_set_initial)
{
	const struct affinity_plan *affinity = &plan->process.affinity;

	(void)h;
	if (affinity->initial_cpus == NULL)
		return 0;
	if (set(0, affinity->initial_cpus) < 0)
		return fail(affinity, "initial", affinity->initial, e);
	log_mask(affinity->initial_cpus);
	return 0;
}

/* The kernel leaves out what there is not, and what the cpuset forbids. */
static void
reset(pid_t pid)
{
	struct number_set all;

	memset(&all, 0xff, sizeof(all));
	if (set(pid, &all) < 0)
		log_debug("reset the CPU affinity: %s", error_text(errno));
}

LAYER_RUN(affinity_reset)
{
	(void)plan;
	(void)e;
	reset(h->init_pid);
	return 0;
}

LAYER_RUN(affinity_set_final)
{
	const struct affinity_plan *affinity = &plan->process.affinity;

	if (affinity->at == NULL)
		reset(h->init_pid);
	if (affinity->final_cpus == NULL || set(h->init_pid, affinity->final_cpus) == 0)
		return 0;
	return fail(affinity, "final", affinity->final, e);
}

/* What its cgroup has; without the controller there, all that are online. */
static bool
read_allowed(const struct observed *o, char *buf, size_t size)
{
	static const char online[] = "/sys/devices/system/cpu/online";

	if (o->cgroup >= 0 && file_read_at(o->cgroup, "cpuset.cpus.effective", buf, size) > 0)
		return true;
	return file_read_at(AT_FDCWD, online, buf, size) > 0;
}

/* With cgroup v1 there is another cpuset, which may leave less. */
static bool
is_in_another_cpuset(const struct observed *o)
{
	const char *cpuset = observed_read(o, "cpuset", NULL);

	return o->cgroup_path == NULL || cpuset == NULL ||
	       (strcmp(cpuset, "/") != 0 && path_below(cpuset, o->cgroup_path) == NULL &&
	        path_below(o->cgroup_path, cpuset) == NULL);
}

LAYER_VERIFY(affinity_verify)
{
	const struct claim claim = {CHECK_AFFINITY, NULL};
	const char *list = observed_status(o, "Cpus_allowed_list");
	struct number_set all, found;
	char text[4096];

	(void)plan;
	if (list == NULL || !read_allowed(o, text, sizeof(text)) ||
	    number_set_parse(text, CPU_NUMBERS, &all) < 0 ||
	    number_set_parse(list, CPU_NUMBERS, &found) < 0) {
		verdict_unknown(v, claim, "list the processors: %s", error_text(errno));
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(all.words); i++)
		if ((all.words[i] & ~found.words[i]) != 0 && !is_in_another_cpuset(o)) {
			verdict_add(v, claim, false, text, list);
			return;
		}
	verdict_add(v, claim, true, text, list);
}
