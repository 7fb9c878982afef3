/* SPDX-License-Identifier: MIT */
/*
 * SCMP_ACT_NOTIFY (config-linux.md "Seccomp", seccomp_unotify(2)): who loads the
 * filter gets a descriptor, and an agent that has it decides system calls of the
 * container. It must have it before the program runs, but between the load and
 * execve any call of ours may be one that the filter forbids or notifies, so that
 * it would wait for an agent that does not know of it yet.
 *
 * So init makes no call there. A second thread, which it starts before, is not
 * filtered: it sees the descriptor in the table that both share, passes it to the
 * parent, and waits for the answer. Meanwhile init watches a variable. The execve
 * ends the thread if it is still there; an error, or the death of the parent, ends
 * both.
 *
 * `create` gives the agent its listener already, as runc does, when the filter allows all
 * that init does until `start`. If not, `start` does it.
 */
#include "hako/layer.h"
#include "hako/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Plan -------------------------------------------------------------------------- */

static const struct json *
find_notify(const struct config_seccomp *seccomp)
{
	const struct config_syscall *rules = seccomp->syscalls.items;

	for (size_t i = 0; i < seccomp->syscalls.count; i++)
		if (rules[i].action == SECCOMP_ACTION_NOTIFY)
			return json_member(rules[i].at, "action");
	return NULL;
}

/* listenerPath, or what crun takes instead of it. */
static const char *
find_path(const struct planner *p, const struct config_seccomp *seccomp)
{
	const char *path = seccomp->listener_path;

	if (path == NULL)
		path = string_map_find(&p->config->annotations,
		                       annotation_names[ANNOTATION_SECCOMP_RECEIVER]);
	if (path == NULL)
		path = p->plan->options.seccomp_receiver;
	return path != NULL && path[0] != '\0' ? path : NULL;
}

static bool
is_harmless(int action)
{
	return action == SECCOMP_ACTION_ALLOW || action == SECCOMP_ACTION_LOG;
}

/* Whatever its arguments are. */
static bool
allows(const struct config_seccomp *seccomp, const char *name)
{
	const struct config_syscall *rules = seccomp->syscalls.items;
	bool allowed = is_harmless(seccomp->default_action);

	for (size_t i = 0; i < seccomp->syscalls.count; i++) {
		if (!strings_include(&rules[i].names, name))
			continue;
		if (!is_harmless(rules[i].action))
			return false;
		allowed = allowed || rules[i].args.count == 0;
	}
	return allowed;
}

/* What init calls from then on, and what it would call if it failed. */
static bool
allows_waiting(const struct config_seccomp *seccomp)
{
	static const char *const calls[] = {
		"accept4",      "brk",        "clock_gettime",   "close",        "execve",
		"exit",         "exit_group", "fcntl",           "fstat",        "futex",
		"getpid",       "mmap",       "munmap",          "newfstatat",   "poll",
		"recvfrom",     "recvmsg",    "restart_syscall", "rt_sigaction", "rt_sigprocmask",
		"rt_sigreturn", "sendmsg",    "sendto",          "write",
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (!allows(seccomp, calls[i]))
			return false;
	return true;
}

int
seccomp_notify_plan(struct planner *p, const struct config_seccomp *seccomp, struct error *e)
{
	struct listener_plan *listener = &p->plan->listener;
	const struct json *notify = find_notify(seccomp), *at;
	const char *path = find_path(p, seccomp);

	if (notify == NULL)
		return 0;
	if (path == NULL)
		return json_error(notify, e, 0, "seccomp-invalid",
		                  "SCMP_ACT_NOTIFY needs linux.seccomp.listenerPath");
	at = json_member(seccomp->at, "listenerPath");
	listener->at = at != NULL ? at : notify;
	listener->metadata = seccomp->listener_metadata;
	listener->path = path;
	listener->early = allows_waiting(seccomp) && (p->config->hooks == NULL ||
	                                              p->config->hooks->start_container.count == 0);
	if (path[0] != '/' && path[0] != '@')
		listener->path = arena_printf(p->arena, "%s/%s", p->plan->options.bundle, path);
	return 0;
}

int
seccomp_check_agent(const struct plan *plan, struct error *e)
{
	const struct listener_plan *listener = &plan->listener;
	struct stat st;

	if (listener->path == NULL || listener->path[0] == '@')
		return 0;
	if (stat(listener->path, &st) < 0)
		return json_error(listener->at, e, errno, "seccomp-agent",
		                  "look for the seccomp agent at %s", listener->path);
	if (!S_ISSOCK(st.st_mode))
		return json_error(listener->at, e, ENOTSOCK, "seccomp-agent",
		                  "look for the seccomp agent at %s", listener->path);
	return 0;
}

/* Load -------------------------------------------------------------------------- */

enum { STACK_SIZE = 64 << 10, LOOK_AGAIN_NS = 20000 };

/* What the two threads say to each other, without a system call. */
struct handover {
	const struct sync *sync;
	int listener; /* 0: the filter is not loaded yet; -1: it could not be */
	int accepted;
};

/* _exit() ends both threads; the system call is for this one. */
static int
hand_over(void *data)
{
	const struct timespec moment = {.tv_nsec = LOOK_AGAIN_NS};
	struct handover *o = data;
	struct error e;
	int fd;

	while ((fd = __atomic_load_n(&o->listener, __ATOMIC_ACQUIRE)) == 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
	if (fd > 0 && (sync_send_fd(o->sync, SYNC_LISTENER, fd, &e) < 0 ||
	               sync_expect(o->sync, SYNC_LISTENED, NULL, &e) < 0)) {
		sync_send_error(o->sync->fd, &e);
		_exit(1);
	}
	__atomic_store_n(&o->accepted, 1, __ATOMIC_RELEASE);
	syscall(SYS_exit, 0);
	return 0;
}

/* In memory of its own: it may still be on its way out when init goes on. */
static int
start_thread(struct handover **ret, struct handover init)
{
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	struct handover *o = (struct handover *)(void *)stack;

	if (stack == MAP_FAILED)
		return -1;
	*o = init;
	*ret = o;
	return clone(hand_over, stack + STACK_SIZE,
	             CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
	                     CLONE_SYSVSEM,
	             o) < 0
	               ? -1
	               : 0;
}

int
seccomp_install_listener(const struct plan *plan, const struct handles *h,
                         const struct sock_fprog *program, struct error *e)
{
	const struct json *at = plan->listener.at;
	struct handover *o;
	long fd;

	if (start_thread(&o, (struct handover){.sync = &h->sync}) < 0)
		return json_error(at, e, errno, "seccomp-failed",
		                  "start a thread for the listener");
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	             plan->seccomp->flags | SECCOMP_FILTER_FLAG_NEW_LISTENER, program);
	if (fd < 0) {
		int code = errno;

		__atomic_store_n(&o->listener, -1, __ATOMIC_RELEASE);
		return json_error(at, e, code, "seccomp-failed", "load the filter%s",
		                  code == EBUSY ? ": hako itself is below one with a listener"
		                                : "");
	}
	__atomic_store_n(&o->listener, (int)fd, __ATOMIC_RELEASE);
	while (__atomic_load_n(&o->accepted, __ATOMIC_ACQUIRE) == 0)
		;
	return 0;
}
