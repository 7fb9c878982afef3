/* SPDX-License-Identifier: MIT */
/* The commands: one row each, and what they share. */
#include "hako/command.h"
#include "hako/container.h"
#include "hako/file.h"
#include "hako/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* clang-format off */
const struct command commands[] = {
	{"run", FOR_RUN, "ID", "create a container, run its process and delete it", 1, 1, command_run, 1},
	{"create", FOR_CREATE, "ID", "create a container; `start` runs its process", 1, 1, command_create, 1},
	{"start", FOR_START, "ID", "run the process of a created container", 1, 1, command_start, 1},
	{"exec", FOR_EXEC, "ID [COMMAND [ARG ...]]", "run another process in a container", 1, -1, command_exec, 255},
	{"kill", FOR_KILL, "ID [SIGNAL]", "send a signal to a container (TERM)", 1, 2, command_kill, 1},
	{"pause", FOR_PAUSE, "ID", "freeze all processes of a container", 1, 1, command_pause, 1},
	{"resume", FOR_RESUME, "ID", "thaw a paused container", 1, 1, command_resume, 1},
	{"update", FOR_UPDATE, "ID", "change the limits of a container", 1, 1, command_update, 1},
	{"events", FOR_EVENTS, "ID", "show what a container uses, and when it runs out of memory", 1, 1, command_events, 1},
	{"delete", FOR_DELETE, "ID", "delete a container that has stopped", 1, 1, command_delete, 1},
	{"state", FOR_STATE, "ID", "show the state of a container as JSON", 1, 1, command_state, 1},
	{"list", FOR_LIST, "", "list the containers", 0, 0, command_list, 1},
	{"ps", FOR_PS, "ID [PS-OPTIONS]", "list the processes of a container", 1, -1, command_ps, 1},
	{"spec", FOR_SPEC, "", "write a config.json to begin with", 0, 0, command_spec, 1},
	{"check", FOR_CHECK, "[BUNDLE]", "show all that is wrong with a bundle", 0, 1, command_check, 2},
	{"plan", FOR_PLAN, "[BUNDLE]", "show what `create` would do, without doing it", 0, 1, command_plan, 1},
	{"verify", FOR_VERIFY, "[ID]", "compare a container with the config it was created from", 0, 1, command_verify, 2},
	{"explain", FOR_EXPLAIN, "[BUNDLE|ID]", "show what a container may do to the host", 0, 1, command_explain, 2},
	{"features", FOR_FEATURES, "", "show what hako supports as JSON", 0, 0, command_features, 1},
	{0},
};
/* clang-format on */

/* Below $XDG_RUNTIME_DIR, which may be wrong in many ways. */
static int
open_users_root(const char *path, bool make, struct error *e)
{
	autoclose int root = root_open(path, make, e);

	if (root >= 0 && root_check_owner(root, e) == 0)
		return take_fd(&root);
	if (root < 0 && e->code == ENOENT)
		return -1;
	return error_context(e, "keep containers in %s (XDG_RUNTIME_DIR or --root say where)",
	                     path);
}

int
command_root(const struct options *o, bool make, struct error *e)
{
	const char *path = o->root != NULL ? o->root : root_default();

	if (path == NULL)
		return error_set(e, 0, "root-unknown",
		                 "where to keep containers? set XDG_RUNTIME_DIR or use --root DIR");
	return o->root != NULL || strcmp(path, "/run/hako") == 0 ? root_open(path, make, e)
	                                                         : open_users_root(path, make, e);
}

int
command_root_of_container(const struct options *o, struct error *e)
{
	int root = command_root(o, false, e);

	if (root < 0 && e->code == ENOENT)
		return error_set(e, 0, "container-missing", "container does not exist");
	return root;
}

bool
command_has_manager(const struct options *o, const char *name)
{
	const char *manager = o->systemd_cgroup ? "systemd" : o->cgroup_manager;

	return manager != NULL && strcmp(manager, name) == 0;
}

const char *
command_notify_socket(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path != NULL && path[0] != '\0' ? path : NULL;
}

int
command_failure(const struct error *e, int otherwise)
{
	static const struct {
		const char *id;
		int status;
	} rows[] = {{"usage", 64}, {"timeout", 124}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(e->id, rows[i].id) == 0)
			return rows[i].status;
	return otherwise;
}

int
command_choose(const char *option, const char *value, const char *const words[], struct error *e)
{
	char all[80] = "";
	size_t used = 0;

	for (int i = 0; words[i] != NULL; i++) {
		if (value == NULL || strcmp(words[i], value) == 0)
			return i;
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
		                         used > 0 ? ", " : "", words[i]);
	}
	return error_set(e, 0, "usage", "%s %s: not one of %s", option, value, all);
}

int
command_print(const char *text, struct error *e)
{
	if (file_write_all(STDOUT_FILENO, text, strlen(text)) < 0)
		return error_set(e, errno, "output-failed", "write to standard output");
	return 0;
}

int
command_print_owned(char *text, struct error *e)
{
	int rc = text != NULL ? command_print(text, e)
	                      : error_set(e, errno, "out-of-memory", "output");

	free(text);
	return rc;
}
