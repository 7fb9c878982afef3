/* SPDX-License-Identifier: MIT */
/*
 * Init: the process that becomes the container's program.
 *
 *   parent                                   init
 *   clone3 ------------------------------->  waits for MAPPED (see plan_waits())
 *   MAP steps, MAPPED -------------------->  BUILD steps
 *   ATTACH steps                             |
 *   hooks <------------------------ MOUNTED  | (only when such hooks exist)
 *   HOOKED ------------------------------->  CONFINE steps
 *   START (run only) --------------------->  |
 *   <--------------------------------- READY
 *   RELEASE (create only) ---------------->  run: goes on; create: accepts `start`,
 *                                            and passes it the notify socket, if any
 *                                            START steps, execve
 *   the end of the stream: executed
 *
 * When the parent dies before START or RELEASE, init dies too: the parent-death
 * signal at first, the end of the stream later.
 */
#include "hako/init.h"
#include "hako/hooks.h"
#include "hako/log.h"
#include "hako/seccomp.h"
#include "hako/step.h"
#include "hako/sync.h"
#include "hako/syscall.h"
#include "hako/trace.h"
#include "hako/unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STACK_SIZE = 6 * 4096 }; /* what the steps use; all of it is the parent's at first */

static _Noreturn void
die(int sock, const struct error *e)
{
	sync_send_error(sock, e);
	_exit(1);
}

/*
 * Root of the user namespace; where 0 is not mapped, the user of the process: who has no
 * id there can make no file (EOVERFLOW). Of ids that are not mapped either,
 * credentials_apply() tells. The caller's groups stay until then: they may be what
 * opens the way to the source of a mount.
 */
static int
become_root(const struct plan *plan, struct error *e)
{
	gid_t gid = plan->process.gid;
	uid_t uid = plan->process.uid;

	if (!plan_isolates(plan, CLONE_NEWUSER))
		return 0;
	if (setresgid(0, 0, 0) < 0 && (errno != EINVAL || setresgid(gid, gid, gid) < 0) &&
	    errno != EINVAL)
		return error_set(e, errno, "idmap-failed",
		                 "setresgid to root of the user namespace");
	if (setresuid(0, 0, 0) < 0 && (errno != EINVAL || setresuid(uid, uid, uid) < 0) &&
	    errno != EINVAL)
		return error_set(e, errno, "idmap-failed",
		                 "setresuid to root of the user namespace");
	return 0;
}

/*
 * A clean slate: no signal blocked, no file mode weakened by the caller's umask, and
 * no way to the caller's terminal and process group (TIOCSTI, CVE-2017-5226).
 */
static int
settle(const struct plan *plan, struct handles *h, struct error *e)
{
	sigset_t none;

	stack_populate(STACK_SIZE);
	if (plan_waits(plan) && sync_expect(&h->sync, SYNC_MAPPED, NULL, e) < 0)
		return -1;
	if (become_root(plan, e) < 0)
		return -1;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return error_set(e, errno, "init-failed", "prctl");
	if (setsid() < 0)
		return error_set(e, errno, "init-failed", "setsid");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	h->hook_umask = umask(0);
	return 0;
}

int
init_run_build_hooks(const struct plan *plan, struct handles *h, struct error *e)
{
	const struct config_hooks *hooks = plan->config->hooks;
	struct hook_call call = {.name = "createContainer", .output = h->hook_output};
	autofree char *state = NULL;
	int rc;

	if (!plan_has_early_hooks(plan))
		return 0;
	/* of its own hooks, too: whoever is to clean up after a kill must know this pid before */
	if (sync_send(&h->sync, SYNC_MOUNTED, 0, e) < 0 ||
	    sync_expect(&h->sync, SYNC_HOOKED, NULL, e) < 0)
		return -1;
	if (hooks->create_container.count == 0)
		return 0;
	/* by its path root of a user namespace may not reach it */
	if (fchdir(h->rootfs) < 0)
		return error_set(e, errno, "hook-failed", "enter the directory of the rootfs");
	call.state = state = state_json_of_plan(plan, STATUS_CREATING, getpid());
	umask(h->hook_umask);
	rc = hooks_run(&hooks->create_container, &call, e);
	umask(0);
	return chdir("/") < 0 ? error_set(e, errno, "hook-failed", "enter /") : rc;
}

int
init_run_start_hooks(const struct plan *plan, struct handles *h, struct error *e)
{
	const struct config_hooks *hooks = plan->config->hooks;
	struct hook_call call = {
		.name = "startContainer",
		.output = h->hook_output,
		.env = (const char *const *)plan->process.env,
		/* what an agent is to be asked cannot be: it is not there yet */
		.confine = plan->listener.path == NULL ? seccomp_install_in_hook : NULL,
		.plan = plan,
	};
	autofree char *state = NULL;

	if (hooks == NULL || hooks->start_container.count == 0)
		return 0;
	call.state = state = state_json_of_plan(plan, STATUS_CREATED, getpid());
	return hooks_run(&hooks->start_container, &call, e);
}

/* Who starts it listens from now on to what it has to say. */
static int
pass_notify_socket(struct handles *h, struct error *e)
{
	if (h->notify < 0)
		return 0;
	if (unixsock_send_fd(h->sync.fd, "notify", h->notify) < 0)
		return error_set(e, errno, "peer-died", "pass on the notify socket");
	close(h->notify);
	return 0;
}

static _Noreturn void
end_by(int number)
{
	_exit(128 + number);
}

/*
 * The first process of a pid namespace does not end by a signal that it does not handle
 * (pid_namespaces(7)): `kill` would have no effect on a created container. The handlers
 * end with execve.
 */
static void
handle_signals(void)
{
	static const int deadly[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		(void)signal(deadly[i], end_by);
}

/* create: the container waits for `start`, which speaks on a connection of its own. */
static int
wait_for_start(const struct plan *plan, struct handles *h, struct error *e)
{
	int sock, trace = -1;

	if (plan->listener.early && (sync_expect(&h->sync, SYNC_START, NULL, e) < 0 ||
	                             steps_run(PHASE_START, WHEN_CREATE, plan, h, e) < 0))
		return -1;
	if (sync_expect(&h->sync, SYNC_RELEASE, NULL, e) < 0)
		return -1;
	trace_leave(); /* the command that made this container ends here */
	close(h->sync.fd);
	do
		sock = accept4(h->start_sock, NULL, NULL, SOCK_CLOEXEC);
	while (sock < 0 && errno == EINTR);
	if (sock < 0)
		_exit(1); /* nobody is there to be told */
	close(h->start_sock);
	h->sync.fd = sock;
	if (pass_notify_socket(h, e) < 0)
		return -1;
	if (sync_expect_with_fd(&h->sync, SYNC_START, &trace, e) < 0)
		return -1;
	trace_join(trace);
	return 0;
}

static int
become_program(const struct plan *plan, struct handles *h, enum when when, struct error *e)
{
	bool early = h->start_sock >= 0 && plan->listener.early; /* wait_for_start() */

	if (plan->process.args == NULL)
		return error_set(e, 0, "process-missing",
		                 "config.json has no /process: there is nothing to start");
	if (!early && steps_run(PHASE_START, when, plan, h, e) < 0)
		return -1;
	execve(h->program, plan->process.args, plan->process.env);
	return json_error(json_member(plan->process.at, "args"), e, errno, "exec-failed",
	                  "exec: \"%s\"", h->program);
}

/*
 * Let go of the host: close everything but standard streams, what the caller
 * passes on, and a few descriptors of our own. All are close-on-exec anyway, but a
 * directory of the host must not even be there to chdir to (CVE-2024-21626).
 */
static void
close_all_but(const struct plan *plan, const int *keep, size_t count)
{
	unsigned from = 3 + plan->options.preserve_fds;

	for (;;) {
		unsigned next = ~0U;

		for (size_t i = 0; i < count; i++)
			if (keep[i] >= 0 && (unsigned)keep[i] >= from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > from)
			close_range(from, next == ~0U ? next : next - 1, 0);
		if (next == ~0U)
			return;
		from = next + 1;
	}
}

/* What the caller has there is no business of neighbours with CAP_SYS_PTRACE. */
static void
forget_environment(void)
{
	for (char **item = environ; *item != NULL; item++)
		memset(*item, 0, strlen(*item));
}

static void
leave_host(const struct plan *plan, const struct handles *h)
{
	const struct config_hooks *hooks = plan->config->hooks;
	bool more_hooks = hooks != NULL && hooks->start_container.count > 0;
	const int keep[] = {h->sync.fd,
	                    h->start_sock,
	                    h->terminal,
	                    h->start_sock >= 0 ? h->notify : -1,
	                    log_settings.fd,
	                    more_hooks ? h->hook_output[0] : -1,
	                    more_hooks ? h->hook_output[1] : -1};

	close_all_but(plan, keep, ARRAY_SIZE(keep));
	forget_environment();
}

static int
live(const struct plan *plan, struct handles *h, struct error *e)
{
	close_cleaner(&h->state_dir); /* its lock must not outlive the parent */
	if (settle(plan, h, e) < 0 || steps_run(PHASE_BUILD, WHEN_CREATE, plan, h, e) < 0)
		return -1;
	leave_host(plan, h);
	if (steps_run(PHASE_CONFINE, WHEN_CREATE, plan, h, e) < 0)
		return -1;
	/* `create` may have ended before this process does anything more */
	if (h->start_sock >= 0)
		handle_signals();
	/* from here the end of the stream tells that the parent is gone */
	prctl(PR_SET_PDEATHSIG, 0);
	if (sync_send(&h->sync, SYNC_READY, 0, e) < 0)
		return -1;
	if ((h->start_sock >= 0 ? wait_for_start(plan, h, e)
	                        : sync_expect(&h->sync, SYNC_START, NULL, e)) < 0)
		return -1;
	return become_program(plan, h, WHEN_CREATE, e);
}

_Noreturn void
init_main(const struct plan *plan, struct handles *h)
{
	struct error e;

	trace_enter(TRACE_INIT);
	(void)live(plan, h, &e);
	die(h->sync.fd, &e);
}

/* Without a mount namespace of its own the container's root is init's, not its namespace's. */
static int
enter_root(struct handles *h, struct error *e)
{
	if (h->rootfs < 0)
		return 0;
	if (fchdir(h->rootfs) < 0 || chroot(".") < 0)
		return error_set(e, errno, "rootfs-failed", "enter the container's root");
	close(h->rootfs);
	h->rootfs = -1;
	return 0;
}

int
init_exec_enter(const struct plan *plan, struct handles *h, struct error *e)
{
	const int keep[] = {h->sync.fd, h->target_pidfd, h->rootfs,
	                    h->console, h->proc,         log_settings.fd};
	int types = (int)plan->exec_namespaces;

	if (plan_joins(plan, CLONE_NEWPID))
		types |= CLONE_NEWPID;
	close_all_but(plan, keep, ARRAY_SIZE(keep));
	forget_environment();
	h->cgroup = -1;
	/* nothing in the container may look into this process (CVE-2016-9962) */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return error_set(e, errno, "init-failed", "prctl");
	if (types != 0 && setns(h->target_pidfd, types) < 0)
		return error_set(e, errno, "namespace-failed", "join the container's namespaces");
	close(h->target_pidfd);
	return enter_root(h, e);
}

static int
live_exec(const struct plan *plan, struct handles *h, struct error *e)
{
	/* with a pid namespace to join the intermediate has been there before */
	if (!plan_joins(plan, CLONE_NEWPID) && init_exec_enter(plan, h, e) < 0)
		return -1;
	if (settle(plan, h, e) < 0 || steps_run(PHASE_CONFINE, WHEN_EXEC, plan, h, e) < 0)
		return -1;
	prctl(PR_SET_PDEATHSIG, 0);
	if (sync_send(&h->sync, SYNC_READY, 0, e) < 0 ||
	    sync_expect(&h->sync, SYNC_START, NULL, e) < 0)
		return -1;
	return become_program(plan, h, WHEN_EXEC, e);
}

_Noreturn void
init_exec_main(const struct plan *plan, struct handles *h)
{
	struct error e;

	trace_enter(TRACE_INIT);
	(void)live_exec(plan, h, &e);
	die(h->sync.fd, &e);
}
