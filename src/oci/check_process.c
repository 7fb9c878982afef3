/* SPDX-License-Identifier: MIT */
/*
 * The rules for a process object, that of config.json or that of exec: a
 * command to look up, an environment that execve can pass on, resource limits
 * that setrlimit takes, each given once.
 */
#include "hako/config.h"
#include "hako/number_set.h"
#include "hako/problem.h"

#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>

/* setgroups(2) takes no more (NGROUPS_MAX). */
enum { MAX_GROUPS = 65536 };

static int
check_args(const struct config_process *process, struct error *e)
{
	if (process->args.count == 0 || process->args.items[0][0] != '\0')
		return 0;
	return json_error(process->args.at->first, e, 0, "config-value",
	                  "the command must not be empty");
}

static int
check_env(const struct config_process *process, struct error *e)
{
	const struct json *entry = process->env.at != NULL ? process->env.at->first : NULL;
	const char *const *item = process->env.items;

	for (; entry != NULL; entry = entry->next) {
		const char *text = *item++, *equals = strchr(text, '=');

		if (equals != NULL && equals != text)
			continue;
		json_error(entry, e, 0, "config-value", "expected NAME=VALUE, found \"%.60s\"",
		           text);
		if (!json_goes_on(entry))
			return -1;
	}
	return 0;
}

/* struct winsize has 16 bits for each. */
static int
check_side(const struct config_console_size *size, const char *member, const uint64_t *value,
           struct error *e)
{
	if (json_is_faulty(json_member(size->at, member)))
		return 0;
	if (value == NULL)
		return json_error(size->at, e, 0, "config-missing", "%s is missing", member);
	if (*value <= UINT16_MAX)
		return 0;
	return config_error(size->at, member, e, "config-range",
	                    "expected a number from 0 to %d, found %llu", UINT16_MAX,
	                    (unsigned long long)*value);
}

static int
check_console(const struct config_process *process, struct error *e)
{
	const struct config_console_size *size = process->console_size;

	if (size == NULL || json_is_faulty(json_member(process->at, "terminal")))
		return 0;
	if (!process->terminal) {
		json_warning(size->at, "config-ignored",
		             "ignored: without terminal there is no console");
		return 0;
	}
	if (json_stops(size->at, check_side(size, "height", size->height, e)))
		return -1;
	return check_side(size, "width", size->width, e);
}

static int
check_groups(const struct config_process *process, struct error *e)
{
	if (process->user == NULL || process->user->additional_gids.count <= MAX_GROUPS)
		return 0;
	return json_error(process->user->additional_gids.at, e, 0, "config-range",
	                  "more than %d groups", MAX_GROUPS);
}

static int
check_rlimit(const struct config_rlimit *rlimit, uint64_t seen, struct error *e)
{
	if ((seen >> rlimit->type & 1) != 0)
		return config_error(rlimit->at, "type", e, "config-duplicate",
		                    "%s was given before",
		                    name_of(rlimit_names, (uint64_t)rlimit->type));
	if (*rlimit->soft > *rlimit->hard)
		return config_error(rlimit->at, "soft", e, "config-value",
		                    "the soft limit is over the hard limit");
	return 0;
}

static int
check_rlimits(const struct config_process *process, struct error *e)
{
	const struct config_rlimit *rlimit = process->rlimits.items;
	uint64_t seen = 0;
	size_t i;

	for (i = 0; i < process->rlimits.count; i++, rlimit++) {
		if (json_stops(rlimit->at, check_rlimit(rlimit, seen, e)))
			return -1;
		seen |= (uint64_t)1 << rlimit->type;
	}
	return 0;
}

/* A setting that the kernel would ignore under this policy is a mistake; 0 is as good as absent. */
static int
check_unused(const struct config_scheduler *scheduler, const char *member, bool given,
             const char *used_by, struct error *e)
{
	if (!given)
		return 0;
	return config_error(scheduler->at, member, e, "config-value",
	                    "%s has no meaning for %s, only for %s", member,
	                    name_of(scheduler_names, (uint64_t)scheduler->policy), used_by);
}

/* Other runtimes, and the kernel, let a nice value stand beside any policy. */
static int
check_nice(const struct config_scheduler *scheduler, struct error *e)
{
	if (scheduler->nice == NULL || *scheduler->nice == 0)
		return 0;
	return json_fallback(json_member(scheduler->at, "nice"), e, "nice-unused",
	                     "nice has no meaning for %s, only for SCHED_OTHER and SCHED_BATCH",
	                     name_of(scheduler_names, (uint64_t)scheduler->policy));
}

static bool
is_set(const uint64_t *number)
{
	return number != NULL && *number != 0;
}

static int
need_time(const struct config_scheduler *s, const char *member, const uint64_t *number,
          struct error *e)
{
	if (number == NULL)
		return json_error(s->at, e, 0, "config-value",
		                  "sched_setattr: `SCHED_DEADLINE` requires `%s`", member);
	if (*number == 0)
		return config_error(s->at, member, e, "config-value",
		                    "sched_setattr: `SCHED_DEADLINE` %s must be greater than 0",
		                    member);
	return 0;
}

static int
order_times(const struct config_scheduler *s, const char *member, uint64_t number,
            const char *longer, uint64_t limit, struct error *e)
{
	if (number <= limit)
		return 0;
	return config_error(s->at, member, e, "config-value",
	                    "sched_setattr: `SCHED_DEADLINE` %s (%llu) must be <= %s (%llu)",
	                    member, (unsigned long long)number, longer, (unsigned long long)limit);
}

/* A period of 0 is that of the deadline (sched(7)). In the words of crun. */
static int
check_deadline(const struct config_scheduler *s, struct error *e)
{
	if (need_time(s, "runtime", s->runtime_ns, e) < 0 ||
	    need_time(s, "deadline", s->deadline_ns, e) < 0 ||
	    order_times(s, "runtime", *s->runtime_ns, "deadline", *s->deadline_ns, e) < 0)
		return -1;
	if (!is_set(s->period_ns))
		return 0;
	return order_times(s, "deadline", *s->deadline_ns, "period", *s->period_ns, e);
}

static int
check_scheduler(const struct config_process *process, struct error *e)
{
	static const char realtime[] = "SCHED_FIFO and SCHED_RR";
	const struct config_scheduler *s = process->scheduler;
	int policy = s != NULL ? s->policy - 1 : SCHED_NORMAL;
	bool nice = policy == SCHED_NORMAL || policy == SCHED_BATCH;
	bool priority = policy == SCHED_FIFO || policy == SCHED_RR;

	if (s == NULL)
		return 0;
	if (priority && (s->priority == NULL || *s->priority == 0) &&
	    !json_is_faulty(json_member(s->at, "priority")))
		return json_error(s->at, e, 0, "config-value", "%s needs a priority from 1 to 99",
		                  name_of(scheduler_names, (uint64_t)s->policy));
	if (json_stops(s->at, nice ? 0 : check_nice(s, e)) ||
	    json_stops(s->at, check_unused(s, "priority",
	                                   !priority && s->priority != NULL && *s->priority != 0,
	                                   realtime, e)))
		return -1;
	if (policy == SCHED_DEADLINE)
		return json_is_faulty(s->at) ? 0 : check_deadline(s, e);
	if (json_stops(s->at,
	               check_unused(s, "runtime", is_set(s->runtime_ns), "SCHED_DEADLINE", e)) ||
	    json_stops(s->at,
	               check_unused(s, "deadline", is_set(s->deadline_ns), "SCHED_DEADLINE", e)))
		return -1;
	return check_unused(s, "period", is_set(s->period_ns), "SCHED_DEADLINE", e);
}

static int
check_cpus(const struct config_affinity *affinity, const char *member, const char *list,
           struct error *e)
{
	struct number_set cpus;

	if (list == NULL || number_set_parse(list, CPU_NUMBERS, &cpus) > 0)
		return 0;
	return config_error(affinity->at, member, e, "config-value",
	                    "expected a list of CPUs such as 0-3,7, found \"%.60s\"", list);
}

static int
check_affinity(const struct config_process *process, struct error *e)
{
	const struct config_affinity *affinity = process->exec_cpu_affinity;

	if (affinity == NULL)
		return 0;
	if (json_stops(affinity->at, check_cpus(affinity, "initial", affinity->initial, e)))
		return -1;
	return check_cpus(affinity, "final", affinity->final, e);
}

/* With a space in it, it could be a command to AppArmor, which has the same file. */
static int
check_label(const struct config_process *process, struct error *e)
{
	if (process->selinux_label == NULL || strpbrk(process->selinux_label, " \t\n") == NULL)
		return 0;
	return config_error(process->at, "selinuxLabel", e, "config-value",
	                    "a label has no spaces, found \"%.60s\"", process->selinux_label);
}

static int (*const rules[])(const struct config_process *process, struct error *e) = {
	check_args,      check_env,      check_groups, check_rlimits,
	check_scheduler, check_affinity, check_label,  check_console,
};

int
process_check(const struct config_process *process, struct error *e)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		if (json_stops(process->at, rules[i](process, e)))
			return -1;
	}
	return 0;
}
