/* SPDX-License-Identifier: MIT */
/*
 * User and group id maps of a new user namespace (config-linux.md "User
 * namespace mappings", user_namespaces(7)). Written by the parent while init
 * waits: the writer needs privileges in the parent namespace. An ordinary user
 * may map its own id after giving up setgroups; for more ids newuidmap(1) and
 * newgidmap(1) look up what /etc/subuid grants.
 */
#include "hako/layer.h"
#include "hako/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the kernel lets an unprivileged process map: its own id alone. */
static bool
is_own_id(const struct objects *mappings, uint32_t id)
{
	const struct config_id_mapping *rows = mappings->items;

	return mappings->count == 1 && rows[0].size == 1 && rows[0].host_id == id;
}

LAYER_PLAN(idmap_plan)
{
	const struct config_linux *lin = p->config->linux_;
	struct plan *plan = p->plan;

	(void)e;
	if (!plan_creates(plan, CLONE_NEWUSER))
		return 0;
	plan->idmap.uid_map = id_mappings_text(p->arena, &lin->uid_mappings);
	plan->idmap.gid_map = id_mappings_text(p->arena, &lin->gid_mappings);
	if (plan->options.privileged)
		return 0;
	plan->idmap.uid_helper = !is_own_id(&lin->uid_mappings, plan->options.host_uid);
	plan->idmap.gid_helper = !is_own_id(&lin->gid_mappings, plan->options.host_gid);
	plan->idmap.setgroups_denied = !plan->idmap.gid_helper;
	return 0;
}

/* What it has to say becomes part of hako's error, instead of a line of its own. */
static pid_t
start_helper(const char *const argv[], int *ret_errors)
{
	posix_spawn_file_actions_t actions;
	int ends[2], rc;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
	rc = posix_spawnp(&child, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	*ret_errors = ends[0];
	errno = rc;
	return rc == 0 ? child : -1;
}

/* newuidmap PID CONTAINER HOST SIZE ...: the same numbers, as words. */
static int
run_helper(const char *helper, pid_t pid, const char *map, const struct json *at, struct error *e)
{
	char *words = strdup(map), *save = NULL, number[16];
	const char *argv[3 + 3 * 340];
	autoclose int errors = -1;
	char text[200] = "";
	size_t argc = 0;
	int status;
	pid_t child;

	if (words == NULL)
		return error_set(e, errno, "out-of-memory", "%s", helper);
	snprintf(number, sizeof(number), "%d", (int)pid);
	argv[argc++] = helper;
	argv[argc++] = number;
	for (char *w = strtok_r(words, " \n", &save); w != NULL && argc < ARRAY_SIZE(argv) - 1;
	     w = strtok_r(NULL, " \n", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	child = start_helper(argv, &errors);
	free_cleaner(&words);
	if (child < 0)
		return json_error(at, e, errno, "idmap-failed", "run %s (package uidmap)", helper);
	(void)!read(errors, text, sizeof(text) - 1);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return json_error(at, e, 0, "idmap-failed",
		                  "%s refused the mapping (see /etc/subuid and /etc/subgid): %.*s",
		                  helper, (int)strcspn(text, "\n"), text);
	return 0;
}

static int
write_map(pid_t pid, const char *file, const char *text, const struct json *at, struct error *e)
{
	if (userns_write(pid, file, text) < 0)
		return json_error(at, e, errno, "idmap-failed", "write %s", file);
	return 0;
}

LAYER_RUN(idmap_write)
{
	const struct idmap_plan *map = &plan->idmap;
	const struct json *linux_at = plan->config->linux_->at;
	const struct json *uids = json_member(linux_at, "uidMappings");
	const struct json *gids = json_member(linux_at, "gidMappings");

	if (map->uid_map == NULL)
		return 0;
	if (map->setgroups_denied && write_map(h->init_pid, "setgroups", "deny", gids, e) < 0)
		return -1;
	if ((map->gid_helper ? run_helper("newgidmap", h->init_pid, map->gid_map, gids, e)
	                     : write_map(h->init_pid, "gid_map", map->gid_map, gids, e)) < 0)
		return -1;
	return map->uid_helper ? run_helper("newuidmap", h->init_pid, map->uid_map, uids, e)
	                       : write_map(h->init_pid, "uid_map", map->uid_map, uids, e);
}
