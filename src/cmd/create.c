/* SPDX-License-Identifier: MIT */
/* `create` and `run`: from a bundle to a container. */
#include "hako/command.h"
#include "hako/container.h"
#include "hako/names.h"
#include "hako/proc.h"
#include "hako/selfexe.h"
#include "hako/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* An absolute path without links, as state.json keeps it. */
static const char *
absolute(const char *path, struct error *e)
{
	char *resolved = realpath(path, NULL);

	if (resolved == NULL)
		error_set(e, errno, "bundle-missing", "bundle %s", path);
	if (resolved == NULL || utf8_is_valid(resolved))
		return resolved;
	error_set(e, 0, "bundle-invalid", "bundle %s: its path is not UTF-8, as JSON must be",
	          resolved);
	free(resolved);
	return NULL;
}

static int
plan_options_of(const struct options *o, bool detached, struct plan_options *ret, struct error *e)
{
	if (selfexe_protect(o->argv, e) < 0)
		return -1;
	*ret = (struct plan_options){
		.id = o->args[0],
		.bundle = absolute(o->bundle != NULL ? o->bundle : ".", e),
		.pivot = !o->no_pivot,
		.new_keyring = !o->no_new_keyring,
		.preserve_fds = o->preserve_count,
		.listen_fds = o->listen_count,
		.listen_names = o->listen_names,
		.detached = detached,
		.console_socket = o->console_socket,
		.notify_socket = command_notify_socket(),
		.pidfd_socket = o->pidfd_socket,
		.cgroup_disabled = command_has_manager(o, "disabled"),
		.cgroup_systemd = command_has_manager(o, "systemd"),
	};
	plan_options_host(ret);
	return ret->bundle != NULL ? 0 : -1;
}

/* Everything up to a container that waits. */
static int
make(const struct options *o, bool wait_for_start, const struct plan **ret_plan, struct handles *h,
     struct error *e)
{
	static struct arena arena;
	struct plan_options plan_options;
	const struct config *config;
	struct json_doc *doc;

	if (id_check(o->args[0], e) < 0 ||
	    plan_options_of(o, wait_for_start || o->detach, &plan_options, e) < 0 ||
	    bundle_load(&arena, plan_options.bundle, o->config, &config, &doc, e) < 0 ||
	    plan_make(&arena, config, &plan_options, ret_plan, e) < 0)
		return -1;
	h->root_dir = command_root(o, true, e);
	if (h->root_dir < 0)
		return -1;
	return container_create(*ret_plan, doc, o->pid_file, wait_for_start, h, e);
}

int
command_create(const struct options *o, struct error *e)
{
	const struct plan *plan;
	struct handles h;

	handles_init(&h);
	if (make(o, true, &plan, &h, e) < 0)
		return -1;
	return container_release(plan, &h, o->pid_file, e);
}

int
command_run(const struct options *o, struct error *e)
{
	const struct plan *plan;
	struct handles h;
	struct served served;
	int status;

	handles_init(&h);
	if (!o->detach)
		h.sync.interrupt = supervise_prepare();
	if (make(o, false, &plan, &h, e) < 0)
		return -1;
	/* orphans of the container come to us only when it has no init of its own */
	if (!o->detach && !o->no_subreaper && !plan_isolates(plan, CLONE_NEWPID))
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (container_run(plan, &h, o->pid_file, e) < 0)
		return -1;
	served = (struct served){
		.pid = h.init_pid,
		.pidfd = h.init_pidfd,
		.console = h.console_peer,
		/* in the foreground hako itself is what the manager has started, and waits for */
		.ready = ready_begin(h.notify, plan->options.notify_socket,
	                             o->detach ? h.init_pid : 0),
	};
	if (o->detach) {
		ready_wait(&served.ready, served.pidfd);
		return 0;
	}
	status = supervise(&served, e);
	if (status >= 0 && !o->keep && container_finish(plan, &h, e) < 0)
		return -1;
	return status;
}
