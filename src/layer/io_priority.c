/* SPDX-License-Identifier: MIT */
/*
 * process.ioPriority (config.md "Linux Process", ioprio_set(2)). Set by the
 * parent, as the scheduler is, and inherited by whatever init starts.
 */
#include "hako/layer.h"
#include "hako/syscall.h"

#include <errno.h>
#include <linux/ioprio.h>

LAYER_PLAN(io_priority_plan)
{
	const struct config_process *process = p->config->process;
	const struct config_io_priority *c = process != NULL ? process->io_priority : NULL;

	(void)e;
	if (c != NULL)
		p->plan->process.io_priority = (struct io_priority_plan){
			.at = c->at,
			.class = c->class,
			.level = c->priority != NULL ? (int)*c->priority : 0,
		};
	return 0;
}

LAYER_RUN(io_priority_set)
{
	const struct io_priority_plan *io = &plan->process.io_priority;

	if (io->at == NULL || sys_ioprio_set(IOPRIO_WHO_PROCESS, h->init_pid,
	                                     (int)IOPRIO_PRIO_VALUE(io->class, io->level)) == 0)
		return 0;
	return json_error(io->at, e, errno, "io-priority-failed", "set %s %d",
	                  name_of(io_class_names, (uint64_t)io->class), io->level);
}

LAYER_VERIFY(io_priority_verify)
{
	const struct io_priority_plan *io = &plan->process.io_priority;
	int found;

	if (io->at == NULL)
		return;
	found = sys_ioprio_get(IOPRIO_WHO_PROCESS, o->pid);
	verdict_compare(v, (struct claim){CHECK_IO_PRIORITY, io->at},
	                arena_printf(v->arena, "%s %d",
	                             name_of(io_class_names, (uint64_t)io->class), io->level),
	                found >= 0 ? arena_printf(v->arena, "%s %d",
	                                          name_of(io_class_names, IOPRIO_PRIO_CLASS(found)),
	                                          (int)IOPRIO_PRIO_DATA(found) & 7)
	                           : NULL);
}
