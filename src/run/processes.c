/* SPDX-License-Identifier: MIT */
/*
 * All processes of a container. Its cgroup knows them; without one, a pid namespace
 * of its own does. A container that has neither shares its processes with whatever
 * else there is: all that is known of it is init.
 */
#include "hako/cgroup.h"
#include "hako/container.h"
#include "hako/log.h"
#include "hako/proc.h"
#include "hako/syscall.h"

#include <errno.h>
#include <signal.h>

static int
fail_unknown(struct error *e)
{
	return error_set(e, 0, "processes-unknown",
	                 "its processes cannot be told from others: it has neither a cgroup nor a "
	                 "pid namespace of its own");
}

static int
visit_namespace(const struct container *c, int (*visit)(pid_t pid, void *data), void *data,
                struct error *e)
{
	pid_t init = (pid_t)*c->state->pid;

	if (!c->state->own_pid_namespace)
		return fail_unknown(e);
	if (proc_visit_namespace(init, visit, data) >= 0)
		return 0;
	/* init cannot be looked into until it executes its program: nobody else is there then */
	if (errno == EACCES || c->status == STATUS_CREATED)
		return visit(init, data);
	return error_set(e, errno, "processes-unknown", "read the processes of the pid namespace");
}

/* That of a stopped container may go at any time: systemd removes what is empty. */
static bool
cgroup_has_gone(const struct container *c, int code)
{
	return c->status == STATUS_STOPPED && (code == ENOENT || code == ENODEV);
}

/* Init has left it, and whoever removed it did not ask: the pid namespace is still known. */
static bool
has_left_cgroup(const struct container *c, int code)
{
	return c->status != STATUS_STOPPED && c->state->own_pid_namespace && code == ENOENT;
}

int
container_visit(const struct container *c, int (*visit)(pid_t pid, void *data), void *data,
                struct error *e)
{
	autoclose int cgroup = -1;

	if (c->state->cgroup_path == NULL)
		return c->status == STATUS_STOPPED ? 0 : visit_namespace(c, visit, data, e);
	cgroup = container_cgroup(c, e);
	if (cgroup < 0 && has_left_cgroup(c, e->code))
		return visit_namespace(c, visit, data, e);
	if (cgroup < 0)
		return cgroup_has_gone(c, e->code) ? 0 : -1;
	if (cgroup_visit(cgroup, visit, data) < 0 && !cgroup_has_gone(c, errno))
		return error_set(e, errno, "cgroup-failed", "read the processes of the cgroup");
	return 0;
}

/* Signals ---------------------------------------------------------------------- */

static int
signal_one(pid_t pid, void *data)
{
	if (pid > 1)
		kill(pid, *(const int *)data);
	return 0;
}

/* With init the kernel ends all of its namespace. */
static int
signal_namespace(const struct container *c, int signal, struct error *e)
{
	if (signal == SIGKILL)
		return container_signal_init(c, signal, e);
	return container_visit(c, signal_one, &signal, e);
}

/* SIGKILL is one write; a cgroup may also hold who is left when init has ended. */
static int
signal_cgroup(const struct container *c, int signal, struct error *e)
{
	autoclose int cgroup = container_cgroup(c, e);
	int rc;

	if (cgroup < 0 && has_left_cgroup(c, e->code))
		return signal_namespace(c, signal, e);
	if (cgroup < 0)
		return cgroup_has_gone(c, e->code) ? 0 : -1;
	rc = signal == SIGKILL ? cgroup_kill(cgroup) : cgroup_visit(cgroup, signal_one, &signal);
	if (rc < 0 && !cgroup_has_gone(c, errno))
		return error_set(e, errno, "kill-failed", "signal the processes of the cgroup");
	return 0;
}

int
container_signal_init(const struct container *c, int signal, struct error *e)
{
	autoclose int init = -1;

	if (c->status == STATUS_STOPPED)
		return error_set(e, 0, "container-not-running", "container not running");
	init = container_pidfd(c, e);
	if (init < 0)
		return -1;
	if (sys_pidfd_send_signal(init, signal) == 0)
		return 0;
	return errno == ESRCH ? error_set(e, 0, "container-not-running", "container not running")
	                      : error_set(e, errno, "kill-failed", "signal init");
}

int
container_signal_all(const struct container *c, int signal, struct error *e)
{
	if (c->state->cgroup_path != NULL)
		return signal_cgroup(c, signal, e);
	if (!c->state->own_pid_namespace)
		return fail_unknown(e);
	if (c->status == STATUS_STOPPED)
		return 0; /* and with init the whole namespace */
	return signal_namespace(c, signal, e);
}
