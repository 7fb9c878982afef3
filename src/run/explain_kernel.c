/* SPDX-License-Identifier: MIT */
/*
 * `hako explain`: namespaces, users, capabilities, limits, system calls. Each
 * function looks for one kind of thing; the row of explain_rules.c says for which.
 */
#include "hako/credentials.h"
#include "hako/explain.h"

#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>

#define BIT(n) ((uint64_t)1 << (n))

/* Namespaces ------------------------------------------------------------------ */

void
find_shared_namespace(struct finder *f)
{
	const struct config_namespace *n = config_namespace(f->config, (int)f->rule->number);

	if (explain_shares(f->config, (int)f->rule->number))
		explain_found(f, n != NULL ? n->at : NULL, n != NULL ? n->path : NULL);
}

void
find_joined_namespace(struct finder *f)
{
	const struct objects *list = &f->config->linux_->namespaces;
	const struct config_namespace *rows = list->items;

	for (size_t i = 0; i < list->count; i++)
		if (rows[i].path != NULL && !explain_shares(f->config, rows[i].type))
			explain_found(f, rows[i].at, rows[i].path);
}

/* Users ----------------------------------------------------------------------- */

void
find_host_root(struct finder *f)
{
	if (!f->confined && f->plan->process.uid == 0)
		explain_found(f, NULL, NULL);
}

void
find_host_user(struct finder *f)
{
	if (explain_shares(f->config, CLONE_NEWUSER) && f->plan->process.uid != 0)
		explain_found(f, NULL, NULL);
}

void
find_mapped_root(struct finder *f)
{
	const struct objects *list = &f->config->linux_->uid_mappings;
	const struct config_id_mapping *rows = list->items;

	for (size_t i = 0; i < list->count; i++)
		if (rows[i].host_id == 0 && rows[i].size > 0)
			explain_found(f, rows[i].at, NULL);
}

void
find_new_privileges(struct finder *f)
{
	if (f->config->process != NULL && !f->config->process->no_new_privileges)
		explain_found(f, NULL, NULL);
}

/* Capabilities ---------------------------------------------------------------- */

static const struct json *
find_name(const struct strings *names, const char *name)
{
	const struct json *item = names->at != NULL ? names->at->first : NULL;

	while (item != NULL && (item->text == NULL || strcmp(item->text, name) != 0))
		item = item->next;
	return item;
}

/* Where it is asked for: rather in the set that gives it than in the one that permits it. */
static const struct json *
place_of_capability(const struct finder *f, const char *name)
{
	const struct config_capabilities *c =
		f->config->process != NULL ? f->config->process->capabilities : NULL;
	const struct strings *sets[5];

	if (c == NULL || name == NULL)
		return NULL;
	sets[0] = &c->effective;
	sets[1] = &c->permitted;
	sets[2] = &c->bounding;
	sets[3] = &c->ambient;
	sets[4] = &c->inheritable;
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		const struct json *at = find_name(sets[i], name);

		if (at != NULL)
			return at;
	}
	return c->at;
}

void
find_capability(struct finder *f)
{
	if ((f->capabilities & BIT(f->rule->number)) != 0)
		explain_found(f, place_of_capability(f, capability_name((int)f->rule->number)),
		              NULL);
}

void
find_any_capability(struct finder *f)
{
	f->count += f->capabilities != 0;
}

/* A capability over what a namespace would have kept apart. */
void
find_capability_in_host_namespace(struct finder *f)
{
	bool pids = f->rule->number == CAP_SYS_PTRACE || f->rule->number == CAP_KILL;

	if ((f->capabilities & BIT(f->rule->number)) != 0 && !f->confined &&
	    explain_shares(f->config, pids ? CLONE_NEWPID : CLONE_NEWNET))
		explain_found(f, place_of_capability(f, capability_name((int)f->rule->number)),
		              NULL);
}

void
find_privileged(struct finder *f)
{
	static const uint64_t all = BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_MODULE) | BIT(CAP_SYS_RAWIO);

	if ((f->capabilities & all) == all && f->plan->seccomp == NULL)
		explain_found(f, NULL, NULL);
}

/* Limits ---------------------------------------------------------------------- */

/* What is written last counts; a limit may be asked for and yet be none. */
static bool
is_limited(const struct finder *f, const char *file)
{
	const struct cgroup_value *v = plan_cgroup_value(&f->plan->cgroup, file);

	return v != NULL && v->value[0] != '\0' && strncmp(v->value, "max", strlen("max")) != 0;
}

void
find_unlimited_memory(struct finder *f)
{
	if (!is_limited(f, "memory.max"))
		explain_found(f, NULL, NULL);
}

void
find_unlimited_pids(struct finder *f)
{
	if (!is_limited(f, "pids.max"))
		explain_found(f, NULL, NULL);
}

void
find_unlimited_cpu(struct finder *f)
{
	if (!is_limited(f, "cpu.max") && !is_limited(f, "cpuset.cpus"))
		explain_found(f, NULL, NULL);
}

void
find_oom_protection(struct finder *f)
{
	const struct config_process *p = f->config->process;

	if (p != NULL && p->oom_score_adj != NULL && *p->oom_score_adj < 0)
		explain_found(f, NULL, NULL);
}

void
find_realtime(struct finder *f)
{
	const struct scheduler_plan *s = &f->plan->process.scheduler;
	const struct io_priority_plan *io = &f->plan->process.io_priority;

	if (s->at != NULL && (s->policy == SCHED_FIFO || s->policy == SCHED_RR || s->policy == 6))
		explain_found(f, s->at, "the processors");
	if (io->at != NULL && io->class == IOPRIO_CLASS_RT)
		explain_found(f, io->at, "the disks");
}

/* System calls ---------------------------------------------------------------- */

static bool
lets_pass(int action)
{
	return action == SECCOMP_ACTION_ALLOW || action == SECCOMP_ACTION_LOG;
}

/* The filter, if it is one that knows what it allows. */
static const struct config_seccomp *
strict_filter(const struct finder *f)
{
	const struct config_seccomp *s = f->config->linux_->seccomp;

	return f->plan->seccomp != NULL && s != NULL && !lets_pass(s->default_action) ? s : NULL;
}

void
find_no_filter(struct finder *f)
{
	if (f->plan->seccomp == NULL)
		explain_found(f, NULL, NULL);
	else if (strict_filter(f) == NULL)
		f->count++; /* not worth praise: find_allowing_filter() */
}

void
find_allowing_filter(struct finder *f)
{
	if (f->plan->seccomp != NULL && strict_filter(f) == NULL)
		explain_found(f, NULL, NULL);
}

void
find_speculation(struct finder *f)
{
	const struct config_seccomp *s = f->config->linux_->seccomp;

	if (s != NULL && (s->flags.value & SECCOMP_FILTER_FLAG_SPEC_ALLOW) != 0)
		explain_found(f, s->flags.at, NULL);
}

/* Does a rule decide that call whatever its arguments are? *ret_at: its name there. */
static const struct config_syscall *
rule_of(const struct config_seccomp *s, const char *name, const struct json **ret_at)
{
	const struct config_syscall *rows = s->syscalls.items;

	for (size_t i = 0; i < s->syscalls.count; i++) {
		*ret_at = find_name(&rows[i].names, name);
		if (*ret_at != NULL && rows[i].args.count == 0)
			return &rows[i];
	}
	*ret_at = NULL;
	return NULL;
}

static bool
is_open(const struct config_seccomp *s, const char *name, const struct json **ret_at)
{
	const struct config_syscall *rule = rule_of(s, name, ret_at);

	return lets_pass(rule != NULL ? rule->action : s->default_action);
}

/* All calls of the rule's list that pass, in one finding. */
void
find_open_syscalls(struct finder *f)
{
	const struct config_seccomp *s = strict_filter(f);
	struct arena *arena = f->problems->arena;
	const struct json *at, *first = NULL;
	const char *names = NULL;

	if (s == NULL)
		return;
	for (const char *word = f->rule->text; *word != '\0'; word += strspn(word, " ")) {
		size_t length = strcspn(word, " ");
		const char *name = arena_strndup(arena, word, length);

		if (is_open(s, name, &at)) {
			first = first != NULL ? first : at;
			names = names != NULL ? arena_printf(arena, "%s, %s", names, name) : name;
		}
		word += length;
	}
	if (names != NULL)
		explain_found(f, first != NULL ? first : s->at, names);
}

void
find_unconfined(struct finder *f)
{
	const struct label_plan *label = &f->plan->process.label;

	if (label->apparmor != NULL && strcmp(label->apparmor, "unconfined") == 0)
		explain_found(f, json_nearest(f->config->at, "/process/apparmorProfile"),
		              label->apparmor);
	if (label->selinux != NULL && (strstr(label->selinux, ":spc_t:") != NULL ||
	                               strstr(label->selinux, ":unconfined_t:") != NULL))
		explain_found(f, json_nearest(f->config->at, "/process/selinuxLabel"),
		              label->selinux);
}
