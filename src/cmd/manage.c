/* SPDX-License-Identifier: MIT */
/* Commands on a container that exists: start, state, kill, pause, resume, delete. */
#include "hako/command.h"
#include "hako/container.h"
#include "hako/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct arena arena;

static int
open_container(const struct options *o, bool damaged_ok, struct container *c, struct error *e)
{
	int root = command_root_of_container(o, e);

	return root < 0 ? -1 : container_open(&arena, root, o->args[0], damaged_ok, c, e);
}

static int
open_locked(const struct options *o, bool damaged_ok, struct container *c, struct error *e)
{
	if (open_container(o, damaged_ok, c, e) < 0 || container_lock(c, e) < 0)
		return -1;
	return container_refresh(&arena, c, damaged_ok, e);
}

int
command_start(const struct options *o, struct error *e)
{
	struct container c;

	return open_locked(o, false, &c, e) < 0 ? -1 : container_start(&c, e);
}

int
command_state(const struct options *o, struct error *e)
{
	struct container c;
	char *text;
	int rc;

	if (open_container(o, false, &c, e) < 0)
		return -1;
	text = state_json(c.state, c.status, (pid_t)*c.state->pid);
	if (text == NULL)
		return error_set(e, errno, "out-of-memory", "state");
	rc = command_print(text, e);
	free(text);
	return rc;
}

int
command_kill(const struct options *o, struct error *e)
{
	const char *name = o->arg_count > 1 ? o->args[1] : "TERM";
	int signal = signal_from_name(name);
	struct container c;

	if (signal < 0)
		return error_set(e, 0, "signal-unknown", "unknown signal \"%s\"", name);
	if (open_container(o, false, &c, e) < 0)
		return -1;
	return container_kill(&c, signal, o->all, e);
}

int
command_delete(const struct options *o, struct error *e)
{
	struct container c;
	int rc = open_locked(o, o->force, &c, e);

	if (rc == 0)
		rc = container_delete(&c, o->force, e);
	/* engines send `delete --force` again after everything is gone */
	return rc < 0 && o->force && strcmp(e->id, "container-missing") == 0 ? 0 : rc;
}

static int
freeze(const struct options *o, bool frozen, struct error *e)
{
	struct container c;

	return open_locked(o, false, &c, e) < 0 ? -1 : container_freeze(&c, frozen, e);
}

int
command_pause(const struct options *o, struct error *e)
{
	return freeze(o, true, e);
}

int
command_resume(const struct options *o, struct error *e)
{
	return freeze(o, false, e);
}
