/* SPDX-License-Identifier: MIT */
/*
 * `verify`: the plan is made again, from the config.json that was saved when the
 * container was created and what state.json says of the command line; then every step
 * is asked what it finds of its work.
 */
#include "hako/verify.h"
#include "hako/cgroup.h"
#include "hako/step.h"
#include "hako/syscall.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* The plan --------------------------------------------------------------------- */

static int
remake_plan(struct arena *arena, const struct container *c, struct plan *ret, struct error *e)
{
	const struct state *state = c->state;
	struct plan_options options = {.id = c->id};
	const struct config *config;
	const struct plan *plan;
	struct json_doc *doc;

	plan_options_host(&options);
	options.bundle = state->bundle;
	options.new_keyring = !state->caller_keyring;
	options.preserve_fds = state->preserve_fds;
	options.notify_socket = state->notify_socket ? NOTIFY_NAME : NULL;
	options.seccomp_receiver = state->seccomp_listener;
	options.cgroup_systemd = state->systemd_unit != NULL;
	if (json_load(arena, c->dir, "config.json", "config.json", &doc, e) < 0 ||
	    config_decode(arena, doc, &config, e) < 0 ||
	    plan_make(arena, config, &options, &plan, e) < 0)
		return -1;
	*ret = *plan;
	return 0;
}

/* Of a container that hako has not made nothing but the bundle is known. */
static int
make_plan(struct arena *arena, const struct verify_request *r, struct plan *ret, struct error *e)
{
	struct plan_options options = {.id = "ID", .cgroup_systemd = r->systemd};
	const struct config *config;
	const struct plan *plan;
	struct json_doc *doc;

	plan_options_host(&options);
	options.bundle = realpath(r->bundle, NULL);
	if (options.bundle == NULL)
		return error_set(e, errno, "bundle-missing", "bundle %s", r->bundle);
	if (bundle_load(arena, options.bundle, r->config, &config, &doc, e) < 0 ||
	    plan_make(arena, config, &options, &plan, e) < 0)
		return -1;
	*ret = *plan;
	ret->options.id = NULL;
	return 0;
}

/* Look ------------------------------------------------------------------------- */

static void
open_cgroup(struct observed *o, const char *path)
{
	struct error ignored;
	const char *mount;
	autoclose int root = path != NULL ? cgroup_open_root(&mount, &ignored) : -1;

	o->cgroup_path = path;
	o->cgroup = root >= 0 ? cgroup_open(root, path) : -1;
}

/* Where the config says so; else where the process is, unless that is the caller's own place. */
static const char *
guess_cgroup(struct arena *arena, const struct plan *plan, const struct verify_request *r)
{
	const char *asked = plan->config->linux_->cgroups_path;
	char own[PATH_MAX], path[PATH_MAX];

	if (asked != NULL && asked[0] == '/' && !r->systemd)
		return plan->cgroup.path;
	if (cgroup_of(0, own, sizeof(own)) < 0 || cgroup_of(r->pid, path, sizeof(path)) < 0 ||
	    strcmp(path, "/") == 0 || strcmp(path, own) == 0)
		return NULL;
	return arena_strdup(arena, path);
}

/* Of a process that ends meanwhile nothing can be said. */
static int
check_alive(int pidfd, pid_t pid, struct error *e)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) == 0 ? 0
	                           : error_set(e, 0, "process-missing",
	                                       "process %d has ended meanwhile", (int)pid);
}

static int
look(struct arena *arena, const struct plan *plan, pid_t pid, int pidfd, const char *cgroup,
     struct verdicts *v, struct error *e)
{
	struct observed o;
	int rc = observed_open(arena, pid, pidfd, &o, e);

	if (rc == 0) {
		open_cgroup(&o, cgroup);
		rc = verify_look(plan, &o, v, e);
		verdicts_note_unanswered(v);
		close_cleaner(&o.cgroup);
	}
	observed_close(&o);
	return rc < 0 ? -1 : check_alive(pidfd, pid, e);
}

static int
open_process(pid_t pid, struct error *e)
{
	int fd = sys_pidfd_open(pid, 0);

	return fd < 0 ? error_set(e, errno, "process-missing", "process %d", (int)pid) : fd;
}

static void
begin(struct arena *arena, const struct verify_request *r, struct verdicts *ret)
{
	*ret = (struct verdicts){.arena = arena, .only = r->only, .skip = r->skip};
}

int
container_verify(struct arena *arena, const struct container *c, const struct verify_request *r,
                 struct verdicts *ret, struct error *e)
{
	pid_t pid = r->pid != 0 ? r->pid : (pid_t)*c->state->pid;
	autoclose int pidfd = -1;
	struct plan plan;

	begin(arena, r, ret);
	if (c->status == STATUS_STOPPED || c->status == STATUS_CREATING)
		return error_set(e, 0, "container-not-running", "container not running");
	pidfd = r->pid != 0 ? open_process(pid, e) : container_pidfd(c, e);
	if (pidfd < 0 || remake_plan(arena, c, &plan, e) < 0)
		return -1;
	return look(arena, &plan, pid, pidfd, c->state->cgroup_path, ret, e);
}

int
container_verify_made(struct arena *arena, const struct plan *plan, const struct handles *h,
                      struct verdicts *ret, struct error *e)
{
	const struct verify_request all = {0};
	struct container c;
	int rc;

	if (container_open(arena, h->root_dir, plan->options.id, false, &c, e) < 0)
		return -1;
	/* the lock is held already: nobody else is making it */
	c.locked = true;
	rc = container_refresh(arena, &c, false, e);
	if (rc == 0)
		rc = container_verify(arena, &c, &all, ret, e);
	container_close(&c);
	return rc;
}

int
process_verify(struct arena *arena, const struct verify_request *r, struct verdicts *ret,
               struct error *e)
{
	autoclose int pidfd = open_process(r->pid, e);
	struct plan plan;

	begin(arena, r, ret);
	if (pidfd < 0 || make_plan(arena, r, &plan, e) < 0)
		return -1;
	return look(arena, &plan, r->pid, pidfd, guess_cgroup(arena, &plan, r), ret, e);
}

int
verdicts_status(const struct verdicts *v)
{
	/* where nothing was looked at, nothing has been shown to hold */
	bool unknown = v->counts[VERDICT_UNKNOWN] > 0 || v->count == 0;

	return v->counts[VERDICT_DRIFT] > 0 ? 1 : unknown ? 2 : 0;
}
