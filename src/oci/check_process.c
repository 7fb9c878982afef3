/* SPDX-License-Identifier: MIT */
/*
 * The rules for a process object, that of config.json or that of exec: a
 * command to look up, an environment that execve can pass on, resource limits
 * that setrlimit takes, each given once.
 */
#include "hako/config.h"

#include <string.h>

/* setgroups(2) takes no more (NGROUPS_MAX). */
enum { MAX_GROUPS = 65536 };

static int
check_args(const struct config_process *process, struct error *e)
{
	if (process->args.items[0][0] != '\0')
		return 0;
	return json_error(process->args.at->first, e, 0, "config-value",
	                  "the command must not be empty");
}

static int
check_env(const struct config_process *process, struct error *e)
{
	const struct json *entry = process->env.at != NULL ? process->env.at->first : NULL;

	for (; entry != NULL; entry = entry->next) {
		const char *equals = strchr(entry->text, '=');

		if (equals == NULL || equals == entry->text)
			return json_error(entry, e, 0, "config-value",
			                  "expected NAME=VALUE, found \"%.60s\"", entry->text);
	}
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
check_rlimits(const struct config_process *process, struct error *e)
{
	const struct config_rlimit *rlimit = process->rlimits.items;
	uint64_t seen = 0;
	size_t i;

	for (i = 0; i < process->rlimits.count; i++, rlimit++) {
		uint64_t bit = (uint64_t)1 << rlimit->type;

		if ((seen & bit) != 0)
			return config_error(rlimit->at, "type", e, "config-duplicate",
			                    "%s was given before",
			                    name_of(rlimit_names, (uint64_t)rlimit->type));
		if (*rlimit->soft > *rlimit->hard)
			return config_error(rlimit->at, "soft", e, "config-value",
			                    "the soft limit is over the hard limit");
		seen |= bit;
	}
	return 0;
}

static int (*const rules[])(const struct config_process *process, struct error *e) = {
	check_args,
	check_env,
	check_groups,
	check_rlimits,
};

int
process_check(const struct config_process *process, struct error *e)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		if (rules[i](process, e) < 0)
			return -1;
	}
	return 0;
}
