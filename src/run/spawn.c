/* SPDX-License-Identifier: MIT */
/*
 * From parent to init. In the ordinary case one clone3 does it all. Four cases
 * need more, three of them because of what the kernel's rules are:
 *   - a pid namespace is joined for children only: the parent enters it, clones,
 *     and goes back;
 *   - new namespaces belong to the user namespace of who makes them: to join one
 *     by path, an intermediate joins it first, clones init as a sibling
 *     (CLONE_PARENT), says its pid, and ends;
 *   - root of a user namespace has no rights to namespaces that do not belong to
 *     it, as the network of a container with another one: the same intermediate
 *     joins them before;
 *   - a process that `exec` adds is seen by the container from its first moment:
 *     the intermediate has let go of the host's files, root and capabilities before
 *     (with CAP_SYS_PTRACE there is a way to them through /proc, CVE-2016-9962).
 */
#include "hako/spawn.h"
#include "hako/caller.h"
#include "hako/credentials.h"
#include "hako/init.h"
#include "hako/mem.h"
#include "hako/proc.h"
#include "hako/sync.h"
#include "hako/syscall.h"
#include "hako/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* May belong to another user namespace; the cgroup namespace waits for CLONE_INTO_CGROUP. */
enum { FOREIGN = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWTIME };

typedef void (*child_function)(const struct plan *plan, struct handles *h);

/* What the kernel says of a cgroup to be born in. */
static const struct {
	int code;
	const char *why;
} cgroup_refusals[] = {
	{EACCES, "this user may not put processes into it"},
	{EBUSY, "it has controllers for its children"},
	{ENOENT, "it is not below the root of hako's cgroup namespace"},
	{EOPNOTSUPP, "it can hold no process: a cgroup above it is threaded"},
};

static int
fail_cgroup(const struct plan *plan, int code, struct error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(cgroup_refusals); i++)
		if (cgroup_refusals[i].code == code)
			return json_error(plan->cgroup.at, e, 0, "clone-failed",
			                  "start in cgroup %s: %s", plan->cgroup.path,
			                  cgroup_refusals[i].why);
	return 0;
}

/* EPERM has many reasons: those that can be found out. */
static const char *
explain_eperm(const struct plan *plan)
{
	if (plan_creates(plan, CLONE_NEWUSER))
		return caller_why_no_userns();
	if (!plan->options.is_root)
		return "an ordinary user needs a user namespace, as `hako spec --rootless` has it";
	return proc_has_capability(CAP_SYS_ADMIN)
	               ? NULL
	               : "root without CAP_SYS_ADMIN needs a user namespace, as an ordinary user";
}

static int
fail_clone(const struct plan *plan, const struct handles *h, struct error *e)
{
	const struct json *at = json_member(plan->config->linux_->at, "namespaces");
	const char *why;
	int code = errno;

	if (h->cgroup >= 0 && fail_cgroup(plan, code, e) < 0)
		return -1;
	if (code == ENOSPC || code == EUSERS)
		return json_error(at, e, code, "clone-failed",
		                  "too many namespaces (see /proc/sys/user/max_*_namespaces)");
	json_error(at, e, code, "clone-failed", "clone3 with the namespaces of the container");
	why = code == EPERM ? explain_eperm(plan) : NULL;
	return why != NULL ? error_advise(e, "%s", why) : -1;
}

static pid_t
clone_child(const struct plan *plan, const struct handles *h, uint64_t flags, int *pidfd)
{
	struct clone_args args = {
		.flags = plan->clone_flags | flags,
		.exit_signal = (flags & CLONE_PARENT) != 0 ? 0 : SIGCHLD,
	};

	if (pidfd != NULL) {
		args.flags |= CLONE_PIDFD;
		args.pidfd = (uint64_t)(uintptr_t)pidfd;
	}
	if (h->cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)(unsigned)h->cgroup;
	}
	return sys_clone3(&args, sizeof(args));
}

/* The descriptor of the namespace to join of that type, or -1. */
static int
joined(const struct plan *plan, const struct handles *h, int type)
{
	for (size_t i = 0; i < plan->join_count; i++)
		if (plan->joins[i].type == type)
			return h->namespaces[i];
	return -1;
}

/* Intermediate ----------------------------------------------------------------- */

/* Of those the caller has rights to, whoever they belong to; init finds them joined. */
static void
join_foreign(const struct plan *plan, struct handles *h)
{
	for (size_t i = 0; i < plan->join_count; i++) {
		int type = plan->joins[i].type;

		if ((type & (FOREIGN | CLONE_NEWPID)) == 0 || setns(h->namespaces[i], type) < 0)
			continue;
		close(h->namespaces[i]);
		h->namespaces[i] = -1;
	}
}

static int
join_of_type(const struct plan *plan, const struct handles *h, int type, struct error *e)
{
	for (size_t i = 0; i < plan->join_count; i++) {
		const struct namespace_join *join = &plan->joins[i];

		if (join->type != type || h->namespaces[i] < 0 ||
		    setns(h->namespaces[i], type) == 0)
			continue;
		json_error(json_member(join->at, "path"), e, errno, "namespace-failed",
		           "join the namespace %s", join->path);
		return e->code == EINVAL && type == CLONE_NEWUSER
		               ? error_advise(e, "who is in it already needs no user namespace")
		               : -1;
	}
	return 0;
}

static int
join_first(const struct plan *plan, struct handles *h, struct error *e)
{
	if (h->target_pidfd >= 0)
		return init_exec_enter(plan, h, e) < 0 ? -1 : credentials_shed(plan, h, e);
	join_foreign(plan, h);
	return join_of_type(plan, h, CLONE_NEWUSER, e) < 0 ? -1
	                                                   : join_of_type(plan, h, CLONE_NEWPID, e);
}

static _Noreturn void
intermediate_main(const struct plan *plan, struct handles *h, child_function child)
{
	unsigned span;
	struct error e;
	pid_t pid;
	int rc;

	trace_enter(TRACE_INTERMEDIATE);
	span = trace_begin("clone", "join namespaces", NULL);
	rc = join_first(plan, h, &e);
	trace_end(span, rc < 0 ? e.msg : NULL);
	if (rc < 0) {
		sync_send_error(h->sync.fd, &e);
		_exit(1);
	}
	span = trace_begin("clone", "clone init as a sibling", NULL);
	pid = clone_child(plan, h, CLONE_PARENT, NULL);
	if (pid == 0)
		child(plan, h);
	trace_end(span, NULL);
	if (pid < 0) {
		(void)fail_clone(plan, h, &e);
		sync_send_error(h->sync.fd, &e);
	} else {
		(void)sync_send(&h->sync, SYNC_SPAWNED, pid, &e);
	}
	_exit(pid < 0);
}

/*
 * Init has the same end of the pair: that the intermediate was killed, as when memory runs
 * out in the container, tells its pidfd alone.
 */
static int
expect_spawned(struct handles *h, pid_t intermediate, struct error *e)
{
	autoclose int peer = sys_pidfd_open(intermediate, 0);
	siginfo_t child;
	int64_t pid;
	int rc;

	h->sync.peer = peer;
	rc = sync_expect(&h->sync, SYNC_SPAWNED, &pid, e);
	h->sync.peer = -1;
	while (waitpid(intermediate, NULL, 0) < 0 && errno == EINTR)
		;
	if (rc < 0)
		return -1;
	/* init says what it likes, once a process of the container has got hold of it */
	if (waitid(P_PID, (id_t)pid, &child, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0)
		return error_set(e, errno, "clone-failed", "init is not pid %d", (int)pid);
	h->init_pid = (pid_t)pid;
	return 0;
}

static int
spawn_by_intermediate(const struct plan *plan, struct handles *h, int child_end,
                      child_function child, struct error *e)
{
	/* in the container's cgroup at once: afterwards its own would be out of bounds */
	pid_t intermediate = h->target_pidfd >= 0 ? clone_child(plan, h, 0, NULL) : fork();

	if (intermediate == 0) {
		close(h->sync.fd);
		h->sync = (struct sync){.fd = child_end, .interrupt = -1, .peer = -1};
		intermediate_main(plan, h, child);
	}
	close(child_end); /* its end must be heard */
	if (intermediate < 0)
		return fail_clone(plan, h, e);
	if (expect_spawned(h, intermediate, e) < 0)
		return -1;
	h->init_pidfd = sys_pidfd_open(h->init_pid, 0);
	return h->init_pidfd < 0 ? error_set(e, errno, "clone-failed", "pidfd_open of init") : 0;
}

/* Directly ------------------------------------------------------------------------ */

static int
spawn_directly(const struct plan *plan, struct handles *h, int child_end, child_function child,
               struct error *e)
{
	int parent_end = h->sync.fd, pid_ns = joined(plan, h, CLONE_NEWPID);
	autoclose int other_end = child_end;
	autoclose int own = -1;
	int pidfd = -1;
	pid_t pid;

	if (pid_ns >= 0) {
		own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
		if (own < 0 || setns(pid_ns, CLONE_NEWPID) < 0)
			return error_set(e, errno, "namespace-failed", "enter the pid namespace");
	}
	pid = clone_child(plan, h, 0, &pidfd);
	if (pid == 0) {
		close(parent_end);
		h->sync = (struct sync){.fd = child_end, .interrupt = -1, .peer = -1};
		child(plan, h);
		_exit(1);
	}
	if (pid < 0)
		(void)fail_clone(plan, h, e);
	if (own >= 0 && setns(own, CLONE_NEWPID) < 0 && pid > 0) {
		(void)error_set(e, errno, "namespace-failed", "leave the pid namespace");
		h->init_pid = pid;
		h->init_pidfd = pidfd;
		return -1;
	}
	if (pid < 0)
		return -1;
	h->init_pid = pid;
	h->init_pidfd = pidfd;
	return 0;
}

static bool
needs_intermediate(const struct plan *plan, const struct handles *h)
{
	if (h->target_pidfd >= 0)
		return plan_joins(plan, CLONE_NEWPID);
	return plan_joins(plan, CLONE_NEWUSER) ||
	       (plan_creates(plan, CLONE_NEWUSER) && plan_joins(plan, FOREIGN));
}

/* What init has now must not stay open here: the other side is to see when init closes it. */
static void
let_go(const struct plan *plan, struct handles *h)
{
	close_cleaner(&h->console);
	h->console = -1;
	if (plan->options.preserve_fds > 0)
		close_range(3, plan->options.preserve_fds + 2, 0);
}

int
spawn_init(const struct plan *plan, struct handles *h, child_function child, struct error *e)
{
	struct proc_stat stat;
	unsigned span = trace_begin("clone", "clone init", NULL);
	int ends[2], rc;

	if (sync_pair(ends, e) < 0)
		return -1;
	h->sync.fd = ends[0];
	rc = (needs_intermediate(plan, h) ? spawn_by_intermediate
	                                  : spawn_directly)(plan, h, ends[1], child, e);
	trace_end(span, rc < 0 ? e->msg : NULL);
	if (rc < 0)
		return -1;
	let_go(plan, h);
	if (h->target_pidfd >= 0)
		return 0; /* nobody will look for it by its pid */
	if (proc_stat(h->init_pid, &stat) < 0)
		return error_set(e, errno, "clone-failed", "read /proc/%d/stat", (int)h->init_pid);
	h->init_start_time = stat.start_time;
	return 0;
}

void
spawn_kill(struct handles *h)
{
	if (h->init_pid <= 0)
		return;
	/* our child, and nobody has waited for it: the pid is its own */
	(void)kill(h->init_pid, SIGKILL);
	while (waitpid(h->init_pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	h->init_pid = 0;
}
