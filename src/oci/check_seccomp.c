/* SPDX-License-Identifier: MIT */
/*
 * Seccomp profiles that contradict themselves (config-linux.md "Seccomp"): the
 * filter still does something, but hardly what its author wanted. Only `check`
 * looks for it; a profile of five hundred names takes as long as its parsing.
 */
#include "hako/config.h"
#include "hako/problem.h"

#include <stdlib.h>
#include <string.h>

/* A syscall that a rule decides whatever its arguments are. */
struct verdict {
	const char *name;
	const struct json *at; /* of the name */
	const struct config_syscall *rule;
};

static int
compare(const void *a, const void *b)
{
	const struct verdict *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order
	                  : (x->at->offset > y->at->offset) - (x->at->offset < y->at->offset);
}

static bool
same_action(const struct config_syscall *x, const struct config_syscall *y)
{
	if (x->action != y->action || (x->errno_ret == NULL) != (y->errno_ret == NULL))
		return false;
	return x->errno_ret == NULL || *x->errno_ret == *y->errno_ret;
}

static size_t
add_verdicts(const struct config_syscall *rule, struct verdict *verdicts)
{
	const struct json *at = rule->names.at->first;
	size_t i;

	for (i = 0; i < rule->names.count; i++, at = at->next)
		verdicts[i] = (struct verdict){rule->names.items[i], at, rule};
	return rule->names.count;
}

static void
warn_of_contradictions(struct arena *arena, const struct config_seccomp *seccomp)
{
	const struct config_syscall *rules = seccomp->syscalls.items;
	struct verdict *verdicts;
	size_t count = 0, i;

	for (i = 0; i < seccomp->syscalls.count; i++)
		count += rules[i].names.count;
	verdicts = arena_array(arena, count, sizeof(*verdicts));
	for (i = count = 0; i < seccomp->syscalls.count; i++) {
		if (rules[i].args.count == 0 && !json_is_faulty(rules[i].at))
			count += add_verdicts(&rules[i], verdicts + count);
	}
	if (count > 0)
		qsort(verdicts, count, sizeof(*verdicts), compare);
	for (i = 1; i < count; i++) {
		const struct verdict *x = &verdicts[i - 1], *y = &verdicts[i];

		if (strcmp(x->name, y->name) == 0 && !same_action(x->rule, y->rule))
			json_warning(y->at, "config-contradiction", "%s has another action in %s",
			             y->name, json_pointer(arena, x->rule->at));
	}
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

void
seccomp_warn(struct arena *arena, const struct config_seccomp *seccomp)
{
	const struct config_syscall *rules = seccomp->syscalls.items;
	size_t i;

	warn_of_contradictions(arena, seccomp);
	for (i = 0; i < seccomp->syscalls.count; i++)
		warn_of_useless_masks(&rules[i]);
}
