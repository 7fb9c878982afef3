/* SPDX-License-Identifier: MIT */
/* `create` and `run`: from a bundle to a container. */
#include "hako/command.h"
#include "hako/clock.h"
#include "hako/container.h"
#include "hako/log.h"
#include "hako/names.h"
#include "hako/proc.h"
#include "hako/report.h"
#include "hako/utf8.h"
#include "hako/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
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
make(const struct options *o, bool wait_for_start, struct report *report,
     const struct plan **ret_plan, struct handles *h, struct error *e)
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
	report_planned(report, *ret_plan);
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
	if (make(o, true, NULL, &plan, &h, e) < 0)
		return -1;
	return container_release(plan, &h, o->pid_file, e);
}

/* run ------------------------------------------------------------------------------ */

/* Can everything be killed at the deadline? */
static int
check_reach(const struct plan *plan, const struct handles *h, int timeout_ms, struct error *e)
{
	if (timeout_ms == 0 || plan_creates(plan, CLONE_NEWPID) || h->cgroup >= 0)
		return 0;
	return log_fallback(e, "processes-unknown",
	                    "without a cgroup and a pid namespace of its own only the "
	                    "container's first process can be killed at the deadline");
}

static int
wait_and_delete(const struct options *o, const struct plan *plan, struct handles *h,
                struct served *served, struct report *report, struct error *e)
{
	int status = supervise(served, e);

	if (o->timeout != NULL)
		supervise_until(0);
	if (status >= 0)
		report_ended(report, served, h);
	if (status < 0 || o->keep)
		return status;
	if (container_finish(plan, h, e) < 0)
		return -1;
	report_deleted(report, h);
	return status;
}

static const struct verdict *
first_drift(const struct verdicts *v)
{
	for (size_t i = 0; i < v->count; i++)
		if (v->items[i].outcome == VERDICT_DRIFT)
			return &v->items[i];
	return NULL;
}

/* Init is confined and waits: what does not hold now must not begin to run. */
static int
verify(const struct plan *plan, struct handles *h, struct report *report, struct error *e)
{
	static struct arena arena;
	static struct verdicts verdicts;
	const struct verdict *drift;

	if (container_settle(plan, h, e) < 0 ||
	    container_verify_made(&arena, plan, h, &verdicts, e) < 0)
		return -1;
	report_verified(report, &verdicts);
	drift = first_drift(&verdicts);
	if (drift != NULL)
		return json_error(drift->at, e, 0, "verify-failed",
		                  "%zu checks do not hold: %s: expected %s, found %s",
		                  verdicts.counts[VERDICT_DRIFT], drift->id, drift->expected,
		                  drift->found);
	return verdicts.counts[VERDICT_UNKNOWN] == 0
	               ? 0
	               : log_fallback(e, "verify-unknown", "%zu checks could not be determined",
	                              verdicts.counts[VERDICT_UNKNOWN]);
}

/* Up to a container whose program is being executed. */
static int
begin(const struct options *o, int timeout_ms, struct report *report, const struct plan **ret_plan,
      struct handles *h, struct error *e)
{
	if (make(o, false, report, ret_plan, h, e) < 0)
		return -1;
	report_created(report, h);
	if (check_reach(*ret_plan, h, timeout_ms, e) < 0 ||
	    (o->verify && verify(*ret_plan, h, report, e) < 0)) {
		container_abandon(*ret_plan, h, o->pid_file, e);
		return -1;
	}
	/* orphans of the container come to us only when it has no init of its own */
	if (!o->detach && !o->no_subreaper && !plan_isolates(*ret_plan, CLONE_NEWPID))
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	return container_run(*ret_plan, h, o->pid_file, e);
}

static int
run(const struct options *o, int timeout_ms, struct report *report, struct error *e)
{
	const struct plan *plan;
	struct handles h;
	struct served served;
	int status;

	handles_init(&h);
	if (!o->detach)
		h.sync.interrupt = supervise_prepare();
	if (timeout_ms > 0)
		supervise_until(timeout_ms);
	if (begin(o, timeout_ms, report, &plan, &h, e) < 0) {
		report_deleted(report, &h);
		return -1;
	}
	report_executed(report, &h);
	served = (struct served){
		.pid = h.init_pid,
		.pidfd = h.init_pidfd,
		.cgroup = h.cgroup,
		.console = h.console_peer,
		/* in the foreground hako itself is what the manager has started, and waits for */
		.ready = ready_begin(h.notify, plan->options.notify_socket,
	                             o->detach ? h.init_pid : 0),
	};
	if (o->detach) {
		ready_wait(&served.ready, served.pidfd);
		return 0;
	}
	status = wait_and_delete(o, plan, &h, &served, report, e);
	if (status >= 0 && served.ending.timed_out)
		return error_set(e, 0, "timeout", "killed at the deadline (--timeout %s)",
		                 o->timeout);
	return status;
}

static int
check_run(const struct options *o, int *ret_timeout_ms, struct error *e)
{
	if (o->timeout != NULL && command_duration(o->timeout, ret_timeout_ms) < 0)
		return error_set(e, 0, "usage", "--timeout %s is not a duration such as 30s",
		                 o->timeout);
	if (o->detach && (o->timeout != NULL || o->report != NULL || o->summary))
		return error_set(e, 0, "usage",
		                 "--timeout, --report and --summary need a command that waits: "
		                 "not --detach");
	return 0;
}

/* Whatever it was that had to be given up: the deadline is why. */
static void
blame_deadline(const struct options *o, int64_t deadline_ms, struct error *e)
{
	if (clock_now_ms() < deadline_ms || strcmp(e->id, "timeout") == 0)
		return;
	snprintf(e->id, sizeof(e->id), "timeout");
	error_context(e, "not finished at the deadline (--timeout %s)", o->timeout);
}

static int
end_report(const struct options *o, struct report *report, int status, struct error *e)
{
	const struct error *failure = status < 0 ? e : NULL;
	autofree char *summary = o->summary ? report_summary(report, failure) : NULL;
	struct error other;

	if (summary != NULL)
		(void)!write(STDERR_FILENO, summary, strlen(summary));
	if (report_write(report, failure != NULL ? command_failure(e, EXIT_FAILURE) : status,
	                 failure, &other) == 0)
		return status;
	if (status >= 0)
		*e = other;
	return -1;
}

int
command_run(const struct options *o, struct error *e)
{
	bool reports = o->report != NULL || o->summary;
	static struct report report;
	int64_t deadline_ms = 0;
	int timeout_ms = 0, status;

	if (check_run(o, &timeout_ms, e) < 0 ||
	    (reports && report_open(&report, o->args[0], o->report, timeout_ms, e) < 0))
		return -1;
	if (timeout_ms > 0)
		deadline_ms = clock_now_ms() + timeout_ms;
	status = run(o, timeout_ms, reports ? &report : NULL, e);
	if (status < 0 && timeout_ms > 0)
		blame_deadline(o, deadline_ms, e);
	return reports ? end_report(o, &report, status, e) : status;
}
