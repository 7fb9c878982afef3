/* SPDX-License-Identifier: MIT */
/*
 * The rules for a process object, that of config.json or that of exec: a
 * command to look up, an environment that execve can pass on, resource limits
 * that setrlimit takes, each given once.
 */
#include "hako/config.h"
#include "hako/problem.h"

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

struct variable {
	const struct json *at;
	const char *text;
	size_t length; /* of the name */
};

static bool
same_name(const struct variable *x, const struct variable *y)
{
	return x->length == y->length && memcmp(x->text, y->text, x->length) == 0;
}

static int
compare_variables(const void *a, const void *b)
{
	const struct variable *x = a, *y = b;
	size_t length = x->length < y->length ? x->length : y->length;
	int order = memcmp(x->text, y->text, length);

	if (order == 0)
		order = (x->length > y->length) - (x->length < y->length);
	return order != 0 ? order
	                  : (x->at->offset > y->at->offset) - (x->at->offset < y->at->offset);
}

static size_t
list_variables(const struct strings *env, struct variable *variables)
{
	const struct json *entry = env->at != NULL ? env->at->first : NULL;
	size_t count = 0;

	for (; entry != NULL && count < env->count; entry = entry->next, count++)
		variables[count] = (struct variable){entry, env->items[count],
		                                     strcspn(env->items[count], "=")};
	return count;
}

/* For check alone: the entries whose name comes again, of which only the last counts. */
static void
warn_of_repeated(const struct strings *env, struct arena *arena)
{
	struct variable *variables = arena_array(arena, env->count, sizeof(*variables));
	size_t count = list_variables(env, variables), i;

	qsort(variables, count, sizeof(*variables), compare_variables);
	for (i = 1; i < count; i++) {
		const struct variable *x = &variables[i - 1];

		if (x->length > 0 && same_name(x, &variables[i]))
			json_warning(x->at, "config-duplicate",
			             "%.*s is given again: the last one counts", (int)x->length,
			             x->text);
	}
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
	if (process->env.count > 1 && json_goes_on(process->at))
		warn_of_repeated(&process->env, json_problems(process->at)->arena);
	return 0;
}

static int
check_console(const struct config_process *process, struct error *e)
{
	(void)e;
	if (process->console_size != NULL && !process->terminal &&
	    !json_is_faulty(json_member(process->at, "terminal")))
		json_warning(process->console_size->at, "config-ignored",
		             "ignored: without terminal there is no console");
	return 0;
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

static int (*const rules[])(const struct config_process *process, struct error *e) = {
	check_args, check_env, check_groups, check_rlimits, check_console,
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
