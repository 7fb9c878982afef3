/* SPDX-License-Identifier: MIT */
/* `hako plan`: the container's process. */
#include "hako/credentials.h"
#include "hako/names.h"
#include "hako/show.h"

#include <inttypes.h>

/* Names of the bits. */
static void
show_flags(struct sheet *s, const struct name *names, uint64_t flags)
{
	for (; names->name != NULL; names++)
		if ((flags & names->value) != 0)
			sheet_word(s, "flags", names->name);
}

void
show_memory_policy(struct sheet *s, const struct plan *plan)
{
	const struct memory_policy_plan *policy = &plan->memory_policy;

	if (policy->at == NULL)
		return;
	sheet_line(s, "memory");
	sheet_put(s, "mode", " ", name_of(memory_policy_names, (uint64_t)policy->mode + 1));
	if (policy->nodes != NULL)
		sheet_put(s, "nodes", " ", policy->nodes);
	show_flags(s, memory_policy_flag_names, (uint64_t)policy->flags);
}

void
show_scheduler(struct sheet *s, const struct plan *plan)
{
	const struct scheduler_plan *p = &plan->process.scheduler;

	if (p->at == NULL)
		return;
	sheet_line(s, "scheduler");
	sheet_put(s, "policy", " ", name_of(scheduler_names, (uint64_t)p->policy + 1));
	if (p->nice != 0)
		sheet_number(s, "nice", " nice ", p->nice);
	if (p->priority != 0)
		sheet_number(s, "priority", " priority ", p->priority);
	if (p->runtime_ns != 0) {
		sheet_number(s, "runtime", " runtime ", (int64_t)p->runtime_ns);
		sheet_number(s, "deadline", " deadline ", (int64_t)p->deadline_ns);
		sheet_number(s, "period", " period ", (int64_t)p->period_ns);
	}
	show_flags(s, scheduler_flag_names, p->flags);
}

void
show_io_priority(struct sheet *s, const struct plan *plan)
{
	const struct io_priority_plan *p = &plan->process.io_priority;

	if (p->at == NULL)
		return;
	sheet_line(s, "I/O priority");
	sheet_put(s, "class", " ", name_of(io_class_names, (uint64_t)p->class));
	sheet_number(s, "level", " ", p->level);
}

void
show_rlimits(struct sheet *s, const struct plan *plan)
{
	for (size_t i = 0; i < plan->process.rlimit_count; i++) {
		const struct rlimit_plan *r = &plan->process.rlimits[i];

		sheet_line(s, "rlimit");
		sheet_put(s, "type", " ", name_of(rlimit_names, (uint64_t)r->resource + 1));
		sheet_printf(s, "soft", " ", "%" PRIu64, r->soft);
		sheet_printf(s, "hard", " ", "%" PRIu64, r->hard);
	}
}

static void
show_capabilities(struct sheet *s, const char *name, uint64_t set)
{
	sheet_line(s, name);
	if (set == 0)
		sheet_flag(s, "none", " none");
	for (int i = 0; i < 64; i++)
		if ((set >> i & 1) != 0)
			sheet_word(s, "capabilities",
			           capability_name(i) != NULL ? capability_name(i) : "?");
}

void
show_credentials(struct sheet *s, const struct plan *plan)
{
	const struct process_plan *p = &plan->process;

	if (p->args == NULL)
		return;
	sheet_line(s, "user");
	sheet_number(s, "uid", " ", p->uid);
	sheet_number(s, "gid", ":", p->gid);
	sheet_printf(s, "umask", " umask ", "%04o", (unsigned)p->umask);
	for (size_t i = 0; i < p->group_count; i++)
		sheet_value(s, "group", "%u", p->groups[i]);
	show_capabilities(s, "bounding", p->capabilities.bounding);
	show_capabilities(s, "effective", p->capabilities.effective);
	show_capabilities(s, "permitted", p->capabilities.permitted);
	show_capabilities(s, "inheritable", p->capabilities.inheritable);
	show_capabilities(s, "ambient", p->capabilities.ambient);
	sheet_value(s, "no_new_privs", "%s", p->no_new_privileges ? "yes" : "no");
}

void
show_label(struct sheet *s, const struct plan *plan)
{
	const struct label_plan *label = &plan->process.label;

	if (label->apparmor != NULL)
		sheet_value(s, "AppArmor", "%s", label->apparmor);
	if (label->selinux != NULL)
		sheet_value(s, "SELinux", "%s", label->selinux);
}

void
show_terminal(struct sheet *s, const struct plan *plan)
{
	const struct terminal_plan *terminal = &plan->terminal;

	if (!terminal->wanted)
		return;
	sheet_acts(s);
	if (terminal->rows == 0 || terminal->columns == 0)
		return;
	sheet_line(s, "size");
	sheet_number(s, "columns", " ", terminal->columns);
	sheet_number(s, "rows", " x ", terminal->rows);
}

void
show_program(struct sheet *s, const struct plan *plan)
{
	const struct process_plan *p = &plan->process;

	if (p->args == NULL) {
		sheet_value(s, "args", "none: it cannot be started");
		return;
	}
	for (char *const *a = p->args; *a != NULL; a++)
		sheet_value(s, "arg", "%s", *a);
	for (char *const *v = p->env; *v != NULL; v++)
		sheet_value(s, "env", "%s", *v);
}
