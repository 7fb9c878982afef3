/* SPDX-License-Identifier: MIT */
/*
 * `kill` and `delete`. Deleting works from the state file alone, and when that
 * is damaged, from what follows from the id. Init is named by a pidfd, everything
 * else by the cgroup, so that no pid that was used again is ever hit.
 */
#include "hako/container.h"
#include "hako/cgroup.h"
#include "hako/hooks.h"
#include "hako/log.h"
#include "hako/proc.h"
#include "hako/step.h"
#include "hako/syscall.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { KILL_MS = 10000, REAP_MS = 100 };

/* Kill ------------------------------------------------------------------------ */

/* A frozen process gets its SIGKILL when it is thawed. */
static void
thaw(const struct container *c)
{
	struct error ignored;
	autoclose int cgroup = container_cgroup(c, &ignored);

	if (cgroup >= 0)
		cgroup_thaw(cgroup);
}

/* Where init has no pid namespace of its own, others may live on when it has ended. */
static bool
is_over(const struct container *c)
{
	struct error ignored;
	autoclose int cgroup = -1;

	if (c->status != STATUS_STOPPED || c->state->own_pid_namespace)
		return c->status == STATUS_STOPPED;
	cgroup = container_cgroup(c, &ignored);
	return cgroup < 0 || cgroup_wait_empty(cgroup, 0) == 0;
}

static const char only_init[] = "without a cgroup and a pid namespace of its own only the "
				"container's first process can be killed";

/* Can all of its processes be found? */
static bool
is_known_whole(const struct container *c)
{
	return c->state->own_pid_namespace || c->state->cgroup_path != NULL;
}

/* SIGKILL ends a container. With a pid namespace of its own that is what init's end does. */
static bool
means_everyone(const struct container *c, int signal)
{
	return signal == SIGKILL && !c->state->own_pid_namespace && c->state->cgroup_path != NULL;
}

int
container_kill(const struct container *c, int signal, bool all, struct error *e)
{
	if (all)
		return container_signal_all(c, signal, e);
	if (means_everyone(c, signal))
		return is_over(c)
		               ? error_set(e, 0, "container-not-running", "container not running")
		               : container_signal_all(c, signal, e);
	if (c->status == STATUS_STOPPED)
		return error_set(e, 0, "container-not-running", "container not running");
	if (signal == SIGKILL && !is_known_whole(c) &&
	    log_fallback(e, "processes-unknown", "%s", only_init) < 0)
		return -1;
	if (container_signal_init(c, signal, e) < 0)
		return -1;
	if (signal == SIGKILL && c->status == STATUS_PAUSED)
		thaw(c);
	return 0;
}

/* Delete ------------------------------------------------------------------------ */

static bool
wait_gone(int pidfd, int timeout_ms)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int rc;

	do
		rc = poll(&p, 1, timeout_ms);
	while (rc < 0 && errno == EINTR);
	return rc != 0;
}

static int
is_another(pid_t pid, void *init)
{
	return pid != *(const pid_t *)init;
}

/* Without a cgroup the pid namespace tells whether anybody is left. */
static void
wait_alone(const struct container *c, int pidfd)
{
	pid_t init = (pid_t)*c->state->pid;

	for (int ms = 0; ms < KILL_MS && !wait_gone(pidfd, REAP_MS); ms += REAP_MS)
		if (c->state->own_pid_namespace &&
		    proc_visit_namespace(init, is_another, &init) == 0)
			return;
}

/*
 * Init, and with it its pid namespace; then whoever else is in the cgroup. Init
 * does not end before the parents of all processes that exec added have reaped
 * them, and such a parent may be waiting for us: an empty cgroup is enough.
 */
static int
kill_everything(const struct container *c, struct error *e)
{
	struct error ignored;
	autoclose int init = container_pidfd(c, e);
	autoclose int cgroup = container_cgroup(c, &ignored);

	if (init < 0 && cgroup < 0 && e->code != 0)
		return -1;
	if (init >= 0)
		(void)sys_pidfd_send_signal(init, SIGKILL);
	if (cgroup >= 0) {
		(void)cgroup_kill(cgroup);
		if (c->status == STATUS_PAUSED)
			cgroup_thaw(cgroup);
	}
	if (cgroup >= 0)
		(void)cgroup_wait_empty(cgroup, KILL_MS);
	if (init >= 0 && cgroup >= 0)
		(void)wait_gone(init, REAP_MS);
	else if (init >= 0)
		wait_alone(c, init);
	return 0;
}

static int
remove_folder(const struct container *c, struct error *e)
{
	int copy = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;

	if (dir == NULL) {
		close_cleaner(&copy);
		return error_set(e, errno, "state-failed", "read the state folder");
	}
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    unlinkat(c->dir, entry->d_name, 0) < 0 && errno == EISDIR)
			unlinkat(c->dir, entry->d_name, AT_REMOVEDIR);
	closedir(dir);
	if (unlinkat(c->root_dir, c->id, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_set(e, errno, "state-failed", "remove the state folder");
	return 0;
}

/* The specification wants a failing poststop hook to be no more than a warning. */
static void
run_poststop(const struct container *c)
{
	const struct config_hooks *hooks = c->state != NULL ? c->state->hooks : NULL;
	int output[2] = {-1, -1};
	struct hook_call call = {.name = "poststop", .output = output};
	autofree char *text = NULL;
	struct error e;

	if (hooks == NULL || hooks->poststop.count == 0)
		return;
	call.places = &c->state->places;
	if (hooks_open_output(&c->state->annotations, c->state->bundle, output, &e) < 0) {
		config_place(call.places, &e);
		log_always(LOG_LEVEL_WARNING, "%s: poststop hooks: %s", e.at, e.msg);
	}
	call.dir = c->state->bundle;
	call.state = text = state_json(c->state, STATUS_STOPPED, 0);
	hooks_run_poststop(&hooks->poststop, &call);
}

/* "SLICE:PREFIX:NAME" is what the systemd driver takes, and no other. */
static bool
is_scope(const char *cgroups_path)
{
	const char *colon = cgroups_path != NULL ? strchr(cgroups_path, ':') : NULL;

	return colon != NULL && strchr(colon + 1, ':') != NULL;
}

/*
 * As it was at first, where that was kept; else where the saved config puts the cgroup;
 * without it, where the id alone would.
 */
static struct state
planned_state(struct arena *arena, const struct container *c)
{
	struct plan_options options = {.id = c->id, .bundle = "/"};
	const struct config *config;
	const struct state *first;
	const struct plan *plan;
	struct json_doc *doc;
	struct error ignored;

	if (state_load(arena, c->dir, STATE_FIRST, &first, &ignored) == 0) {
		struct state state = *first;

		state.pid = NULL; /* there was none then; now nobody knows */
		return state;
	}
	plan_options_host(&options);
	if (json_load(arena, c->dir, "config.json", "config.json", &doc, &ignored) < 0 ||
	    config_decode(arena, doc, &config, &ignored) < 0)
		return (struct state){.cgroup_path = arena_printf(arena, "/%s", c->id)};
	options.cgroup_systemd = is_scope(config->linux_->cgroups_path);
	if (plan_make(arena, config, &options, &plan, &ignored) < 0)
		return (struct state){.cgroup_path = arena_printf(arena, "/%s", c->id)};
	return (struct state){
		.id = c->id,
		.annotations = config->annotations,
		.cgroup_path = plan->cgroup.unit == NULL ? plan->cgroup.path : NULL,
		.systemd_unit = plan->cgroup.unit,
	};
}

/* No usable state: no pid is known, but the cgroup is. */
static int
delete_damaged(struct container *c, struct error *e)
{
	struct arena arena = {0};
	struct state state = planned_state(&arena, c);
	struct error ignored;
	struct handles h;

	handles_init(&h);
	(void)steps_undo(&state, &h, &ignored);
	close_cleaner(&h.cgroup_root);
	arena_free(&arena);
	return remove_folder(c, e);
}

int
container_break_lock(struct arena *arena, struct container *c, struct error *e)
{
	struct error why = *e;

	if (strcmp(e->id, "container-busy") != 0)
		return -1;
	if (container_refresh(arena, c, true, e) < 0)
		return -1;
	/* before there is an init, the cgroup may be another's: create has not looked yet */
	if (c->state == NULL || *c->state->pid == 0 || c->status == STATUS_STOPPED) {
		*e = why;
		return -1;
	}
	return kill_everything(c, e) < 0 ? -1 : container_lock(c, e);
}

int
container_take_down(struct container *c, struct error *e)
{
	struct handles h;
	int rc;

	if (c->status != STATUS_STOPPED && kill_everything(c, e) < 0)
		return -1;
	handles_init(&h);
	rc = steps_undo(c->state, &h, e);
	close_cleaner(&h.cgroup_root);
	if (rc < 0 || remove_folder(c, e) < 0)
		return -1;
	run_poststop(c);
	return 0;
}

int
container_delete(struct container *c, bool force, struct error *e)
{
	if (c->state == NULL)
		return force ? delete_damaged(c, e) : (*e = c->state_error, -1);
	if (!force && (c->status == STATUS_RUNNING || c->status == STATUS_PAUSED) &&
	    !proc_is_being_killed((pid_t)*c->state->pid))
		return error_set(e, 0, "container-running",
		                 "cannot delete container %s that is not stopped: %s", c->id,
		                 status_name(c->status));
	if (c->status != STATUS_STOPPED && !is_known_whole(c) &&
	    log_fallback(e, "processes-unknown", "%s", only_init) < 0)
		return -1;
	return container_take_down(c, e);
}
