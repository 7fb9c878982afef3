/* SPDX-License-Identifier: MIT */
/*
 * process.scheduler (config.md "Linux Process", sched_setattr(2)). The parent
 * sets it: to gain by it takes CAP_SYS_NICE in the initial user namespace, which
 * init of a new one does not have. Init, and the hooks that it runs, work under
 * it already.
 */
#include "hako/layer.h"
#include "hako/proc.h"
#include "hako/syscall.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sys/resource.h>

LAYER_PLAN(scheduler_plan)
{
	const struct config_process *process = p->config->process;
	const struct config_scheduler *c = process != NULL ? process->scheduler : NULL;

	(void)e;
	if (c == NULL)
		return 0;
	p->plan->process.scheduler = (struct scheduler_plan){
		.at = c->at,
		.policy = c->policy - 1,
		.flags = c->flags.value,
		.nice = c->nice != NULL ? (int)*c->nice : 0,
		.priority = c->priority != NULL ? (unsigned)*c->priority : 0,
		.runtime_ns = c->runtime_ns != NULL ? *c->runtime_ns : 0,
		.deadline_ns = c->deadline_ns != NULL ? *c->deadline_ns : 0,
		.period_ns = c->period_ns != NULL ? *c->period_ns : 0,
	};
	return 0;
}

static const char *
hint(int code, int policy)
{
	if (code == EPERM && policy == SCHED_DEADLINE)
		return " (it may not be kept from any processor, by affinity or by a cpuset)";
	if (code == EBUSY)
		return " (other deadlines leave too little time)";
	return "";
}

/* Somebody who may not have it all may have some: RLIMIT_RTPRIO (sched(7)). */
LAYER_PROBE(scheduler_probe)
{
	const struct scheduler_plan *s = &plan->process.scheduler;
	struct rlimit limit;

	if (s->at == NULL || proc_has_capability(CAP_SYS_NICE))
		return 0;
	if (s->policy != SCHED_FIFO && s->policy != SCHED_RR && s->policy != SCHED_DEADLINE)
		return 0;
	if (s->policy != SCHED_DEADLINE && getrlimit(RLIMIT_RTPRIO, &limit) == 0 &&
	    s->priority <= limit.rlim_cur)
		return 0;
	return json_error(s->at, e, EPERM, "scheduler-failed", "set %s",
	                  name_of(scheduler_names, (uint64_t)s->policy + 1));
}

/* What sched(7) says about times of SCHED_DEADLINE, for which the kernel has only EINVAL. */
static int
check_time(const struct scheduler_plan *s, const char *member, uint64_t time, struct error *e)
{
	const unsigned long long least = 1024, most = 1ULL << 63;

	if (time >= least && time <= most)
		return 0;
	return json_error(json_member(s->at, member), e, EINVAL, "scheduler-failed",
	                  "sched_setattr: `SCHED_DEADLINE` %s (%llu) must be between %llu and %llu",
	                  member, (unsigned long long)time, least, most);
}

LAYER_RUN(scheduler_set)
{
	const struct scheduler_plan *s = &plan->process.scheduler;
	struct sched_attributes attr = {
		.size = sizeof(attr),
		.policy = (uint32_t)s->policy,
		.flags = s->flags,
		.nice = s->nice,
		.priority = s->priority,
		.runtime_ns = s->runtime_ns,
		.deadline_ns = s->deadline_ns,
		.period_ns = s->period_ns,
	};

	if (s->at == NULL || sys_sched_setattr(h->init_pid, &attr) == 0)
		return 0;
	if (errno == EINVAL && s->policy == SCHED_DEADLINE &&
	    (check_time(s, "runtime", s->runtime_ns, e) < 0 ||
	     check_time(s, "deadline", s->deadline_ns, e) < 0 ||
	     (s->period_ns != 0 && check_time(s, "period", s->period_ns, e) < 0)))
		return -1;
	return json_error(s->at, e, errno, "scheduler-failed", "set %s%s",
	                  name_of(scheduler_names, (uint64_t)s->policy + 1),
	                  hint(errno, s->policy));
}

/* Only what the policy has a use for. */
static const char *
describe(struct arena *arena, const struct sched_attributes *attr)
{
	const char *policy = name_of(scheduler_names, (uint64_t)attr->policy + 1);
	const char *flags = arena_printf(arena, "%s flags %llx", policy != NULL ? policy : "?",
	                                 (unsigned long long)attr->flags);

	if (attr->policy == SCHED_DEADLINE)
		return arena_printf(arena, "%s runtime %llu deadline %llu period %llu", flags,
		                    (unsigned long long)attr->runtime_ns,
		                    (unsigned long long)attr->deadline_ns,
		                    (unsigned long long)attr->period_ns);
	if (attr->policy == SCHED_FIFO || attr->policy == SCHED_RR)
		return arena_printf(arena, "%s priority %u", flags, attr->priority);
	if (attr->policy == SCHED_IDLE) /* has no use for it, and keeps what there was */
		return flags;
	return arena_printf(arena, "%s nice %d", flags, attr->nice);
}

/* Flags that are about the call, and not kept. */
enum { CALL_FLAGS = SCHED_FLAG_KEEP_POLICY | SCHED_FLAG_KEEP_PARAMS };

LAYER_VERIFY(scheduler_verify)
{
	const struct scheduler_plan *s = &plan->process.scheduler;
	struct sched_attributes found = {.size = sizeof(found)};
	struct sched_attributes expected = {
		.policy = (uint32_t)s->policy,
		.flags = s->flags & ~(uint64_t)CALL_FLAGS,
		.nice = s->nice,
		.priority = s->priority,
		.runtime_ns = s->runtime_ns,
		.deadline_ns = s->deadline_ns,
		.period_ns = s->period_ns != 0 ? s->period_ns : s->deadline_ns,
	};

	if (s->at == NULL)
		return;
	verdict_compare(v, (struct claim){CHECK_SCHEDULER, s->at}, describe(v->arena, &expected),
	                sys_sched_getattr(o->pid, &found) == 0 ? describe(v->arena, &found) : NULL);
}
