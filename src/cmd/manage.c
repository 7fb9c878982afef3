/* SPDX-License-Identifier: MIT */
/* Commands on a container that exists: start, state, kill, pause, resume, delete. */
#include "hako/command.h"
#include "hako/container.h"
#include "hako/names.h"

#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct arena arena;

static int
open_container(const struct options *o, bool damaged_ok, struct container *c, struct error *e)
{
	int root = command_root_of_container(o, e);

	return root < 0 ? -1 : container_open(&arena, root, o->args[0], damaged_ok, c, e);
}

static int
open_locked(const struct options *o, struct container *c, struct error *e)
{
	if (open_container(o, false, c, e) < 0 || container_lock(c, e) < 0)
		return -1;
	return container_refresh(&arena, c, false, e);
}

int
command_start(const struct options *o, struct error *e)
{
	struct container c;

	if (open_locked(o, &c, e) < 0)
		return -1;
	return container_start(&c, command_notify_socket(), e);
}

int
command_state(const struct options *o, struct error *e)
{
	struct container c;

	if (open_container(o, false, &c, e) < 0)
		return -1;
	return command_print_owned(state_json(c.state, c.status, (pid_t)*c.state->pid), e);
}

/* Where one command works on many. */
static void
close_container(struct container *c)
{
	int root = c->root_dir;

	container_close(c);
	close(root);
}

static int
compile(const char *text, regex_t *ret, struct error *e)
{
	int code = regcomp(ret, text, REG_EXTENDED | REG_NOSUB);
	char why[200];

	if (code == 0)
		return 0;
	regerror(code, ret, why, sizeof(why));
	return error_set(e, 0, "usage", "--regex \"%s\": %s", text, why);
}

/* With --regex: every container whose id matches. All are tried; the first error is told. */
static int
each_match(const struct options *o, int (*act)(const struct options *o, struct error *e),
           struct error *e)
{
	struct options one = *o;
	char *words[2] = {NULL, o->arg_count > 1 ? o->args[1] : NULL};
	struct error other;
	regex_t pattern;
	int root, rc = 0;
	size_t count;
	char **ids;

	if (compile(o->args[0], &pattern, e) < 0)
		return -1;
	root = command_root(o, false, e);
	if (root < 0)
		return e->code == ENOENT ? 0 : -1;
	one.args = words;
	ids = command_ids(root, &count);
	for (size_t i = 0; i < count; free(ids[i++])) {
		words[0] = ids[i];
		if (regexec(&pattern, ids[i], 0, NULL, 0) != 0 || act(&one, &other) >= 0 ||
		    strcmp(other.id, "container-missing") == 0)
			continue;
		if (rc == 0) {
			*e = other;
			error_context(e, "%s", ids[i]);
		}
		rc = -1;
	}
	free(ids);
	regfree(&pattern);
	return rc;
}

static int
kill_one(const struct options *o, struct error *e)
{
	const char *name = o->arg_count > 1 ? o->args[1] : "TERM";
	struct container c;
	int rc;

	if (open_container(o, false, &c, e) < 0)
		return -1;
	rc = container_kill(&c, signal_from_name(name), o->all, e);
	close_container(&c);
	return rc;
}

int
command_kill(const struct options *o, struct error *e)
{
	if (o->arg_count > 1 && signal_from_name(o->args[1]) < 0)
		return error_set(e, 0, "signal-unknown", "unknown signal \"%s\"", o->args[1]);
	return o->regex ? each_match(o, kill_one, e) : kill_one(o, e);
}

static int
lock_to_delete(const struct options *o, struct container *c, struct error *e)
{
	if (container_lock(c, e) < 0 && (!o->force || container_break_lock(&arena, c, e) < 0))
		return -1;
	return container_refresh(&arena, c, o->force, e);
}

static int
delete_one(const struct options *o, struct error *e)
{
	struct container c;
	int rc = open_container(o, o->force, &c, e);

	if (rc == 0) {
		rc = lock_to_delete(o, &c, e) < 0 ? -1 : container_delete(&c, o->force, e);
		close_container(&c);
	}
	/* engines send `delete --force` again after everything is gone */
	return rc < 0 && o->force && strcmp(e->id, "container-missing") == 0 ? 0 : rc;
}

int
command_delete(const struct options *o, struct error *e)
{
	return o->regex ? each_match(o, delete_one, e) : delete_one(o, e);
}

static int
freeze(const struct options *o, bool frozen, struct error *e)
{
	struct container c;

	return open_locked(o, &c, e) < 0 ? -1 : container_freeze(&c, frozen, e);
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
