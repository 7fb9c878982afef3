/* SPDX-License-Identifier: MIT */
/*
 * Seccomp profiles that contradict themselves (config-linux.md "Seccomp"): the
 * filter still does something, but hardly what its author wanted. Only `check`
 * looks for it; a profile of five hundred names takes as long as its parsing.
 */
#include "hako/config.h"
#include "hako/problem.h"
#include "hako/table.h"

#include <string.h>

static bool
same_action(const struct config_syscall *x, const struct config_syscall *y)
{
	if (x->action != y->action || (x->errno_ret == NULL) != (y->errno_ret == NULL))
		return false;
	return x->errno_ret == NULL || *x->errno_ret == *y->errno_ret;
}

/* What a rule says of a syscall whatever its arguments are; before it: one that said so, too. */
static void
compare_names(struct table *said, struct arena *arena, const struct config_syscall *rule)
{
	const struct json *at = rule->names.at->first;

	for (size_t i = 0; i < rule->names.count; i++, at = at->next) {
		const char *name = rule->names.items[i];
		const void **before = table_at(said, name, strlen(name));
		const struct config_syscall *other = *before;

		if (other != NULL && !same_action(other, rule))
			json_warning(at, "config-contradiction", "%s has another action in %s",
			             name, json_pointer(arena, other->at));
		*before = rule;
	}
}

static void
warn_of_contradictions(struct arena *arena, const struct config_seccomp *seccomp)
{
	const struct config_syscall *rules = seccomp->syscalls.items;
	struct table said;
	size_t count = 0, i;

	for (i = 0; i < seccomp->syscalls.count; i++)
		count += rules[i].names.count;
	table_init(&said, arena, count);
	for (i = 0; i < seccomp->syscalls.count; i++)
		if (rules[i].args.count == 0 && !json_is_faulty(rules[i].at))
			compare_names(&said, arena, &rules[i]);
}

static void
warn_of_useless_masks(const struct config_syscall *rule)
{
	const struct config_seccomp_arg *args = rule->args.items;
	size_t i;

	for (i = 0; i < rule->args.count; i++) {
		if (args[i].value_two != NULL && *args[i].value_two != 0 &&
		    args[i].op != SECCOMP_OPERATOR_MASKED_EQ)
			json_warning(json_member(args[i].at, "valueTwo"), "config-ignored",
			             "ignored: only SCMP_CMP_MASKED_EQ takes it");
	}
}

static bool
lets_pass(int action)
{
	return action == SECCOMP_ACTION_ALLOW || action == SECCOMP_ACTION_LOG ||
	       action == SECCOMP_ACTION_TRACE || action == SECCOMP_ACTION_NOTIFY;
}

static bool
has_name(const struct config_syscall *rule, const char *name)
{
	for (size_t i = 0; i < rule->names.count; i++)
		if (strcmp(rule->names.items[i], name) == 0)
			return true;
	return false;
}

/* The filter is there when the program of the container is executed. */
static void
warn_of_no_execve(const struct config_seccomp *seccomp)
{
	const struct config_syscall *rules = seccomp->syscalls.items;
	bool named = false;

	for (size_t i = 0; i < seccomp->syscalls.count; i++) {
		bool names_it = !json_is_faulty(rules[i].at) && has_name(&rules[i], "execve");

		/* one with conditions may let it pass */
		if (json_is_faulty(rules[i].at) ||
		    (names_it && (rules[i].args.count > 0 || lets_pass(rules[i].action))))
			return;
		named = named || names_it;
	}
	if (seccomp->default_action != 0 && (named || !lets_pass(seccomp->default_action)))
		json_warning(seccomp->at, "seccomp-no-execve",
		             "no program can be executed: execve is not allowed");
}

void
seccomp_warn(struct arena *arena, const struct config_seccomp *seccomp)
{
	const struct config_syscall *rules = seccomp->syscalls.items;
	size_t i;

	warn_of_contradictions(arena, seccomp);
	warn_of_no_execve(seccomp);
	for (i = 0; i < seccomp->syscalls.count; i++)
		warn_of_useless_masks(&rules[i]);
}
