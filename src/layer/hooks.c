/* SPDX-License-Identifier: MIT */
/*
 * Hooks (config.md "POSIX-platform Hooks"). The state reaches a hook through a
 * file in memory, not a pipe: a hook that does not read it, or reads it late, is
 * no problem. Its output goes where annotations say; without them it is drained
 * while the hook runs and only the end is kept, for the error text. What a hook
 * leaves running in the background is not waited for.
 */
#include "hako/hooks.h"
#include "hako/clock.h"
#include "hako/file.h"
#include "hako/interrupt.h"
#include "hako/layer.h"
#include "hako/log.h"
#include "hako/syscall.h"
#include "hako/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

bool
plan_has_early_hooks(const struct plan *plan)
{
	const struct config_hooks *hooks = plan->config->hooks;

	return hooks != NULL &&
	       hooks->prestart.count + hooks->create_runtime.count + hooks->create_container.count >
	               0;
}

/* Their output ------------------------------------------------------------------- */

/* A FIFO that nobody reads must not keep us waiting. */
static int
open_output(const char *path, const char *bundle)
{
	autoclose int fd = -1;
	char below[PATH_MAX];

	if (path[0] != '/' &&
	    snprintf(below, sizeof(below), "%s/%s", bundle, path) >= (int)sizeof(below)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(path[0] != '/' ? below : path,
	          O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	if (fd < 0 || fcntl(fd, F_SETFL, O_APPEND) < 0)
		return -1;
	return take_fd(&fd);
}

int
hooks_open_output(const struct string_map *annotations, const char *bundle, int ret[2],
                  struct error *e)
{
	static const enum annotation outputs[] = {ANNOTATION_HOOKS_STDOUT, ANNOTATION_HOOKS_STDERR};

	for (size_t i = 0; i < ARRAY_SIZE(outputs); i++) {
		const char *name = annotation_names[outputs[i]];
		const char *path = string_map_find(annotations, name);

		ret[i] = path != NULL ? open_output(path, bundle) : -1;
		if (path != NULL && ret[i] < 0)
			return json_error(json_member(annotations->at, name), e, errno,
			                  "hook-output", "open %s", path);
	}
	return 0;
}

LAYER_RUN(hooks_open)
{
	if (plan->config->hooks == NULL)
		return 0;
	return hooks_open_output(&plan->config->annotations, plan->options.bundle, h->hook_output,
	                         e);
}

/* The last bytes of what a hook wrote. */
struct tail {
	char text[512];
	size_t used;
};

static int
state_file(const char *state)
{
	autoclose int fd = memfd_create("state", MFD_CLOEXEC);

	if (fd < 0 || file_write_all(fd, state, strlen(state)) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	return take_fd(&fd);
}

/* Running one ------------------------------------------------------------------------ */

/* Copied, with the NULL at the end that execve wants. */
static const char *const *
list(const struct strings *strings, const char *instead)
{
	const char **items = calloc(strings->count + 2, sizeof(*items));

	if (items == NULL)
		_exit(127);
	if (strings->count > 0)
		memcpy(items, strings->items, strings->count * sizeof(*items));
	else
		items[0] = instead;
	return items;
}

/* A hook that says nothing of its environment gets the one at hand, as with runc and crun. */
static const char *const *
environment_of(const struct config_hook *hook, const struct hook_call *call)
{
	if (hook->env.at != NULL)
		return list(&hook->env, NULL);
	return call->env != NULL ? call->env : (const char *const *)environ;
}

static int
settle(const struct hook_call *call, int input, int out, int err, struct error *e)
{
	sigset_t none;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* what --preserve-fds passes on is for the container's process, and not close-on-exec */
	if (dup2(input, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 ||
	    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ||
	    (call->dir != NULL && chdir(call->dir) < 0))
		return error_set(e, 0, "hook-failed", "%s", error_text(errno));
	return call->confine != NULL ? call->confine(call->plan, e) : 0;
}

/* Whatever is not asked for elsewhere goes into the pipe, and so does why there is no hook. */
static _Noreturn void
exec_hook(const struct config_hook *hook, const struct hook_call *call, int input, int pipe)
{
	int out = call->output[0] >= 0 ? call->output[0] : pipe;
	int err = call->output[1] >= 0 ? call->output[1] : pipe;
	const char *const *argv = list(&hook->args, hook->path);
	const char *const *envp = environment_of(hook, call);
	struct error e;

	if (settle(call, input, out, err, &e) == 0) {
		execve(hook->path, (char *const *)argv, (char *const *)envp);
		error_set(&e, 0, "hook-failed", "%s", error_text(errno));
	}
	dprintf(pipe, "%s\n", e.msg);
	_exit(127);
}

static void
tail_add(struct tail *tail, const char *text, size_t length)
{
	size_t room = sizeof(tail->text) - 1;

	if (length > room) {
		text += length - room;
		length = room;
	}
	if (tail->used + length > room) {
		size_t drop = tail->used + length - room;

		memmove(tail->text, tail->text + drop, tail->used - drop);
		tail->used -= drop;
	}
	memcpy(tail->text + tail->used, text, length);
	tail->used += length;
	tail->text[tail->used] = '\0';
}

/* Read what is there; false when the last writer has closed. */
static bool
drain(int fd, struct tail *tail)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		tail_add(tail, buf, (size_t)n);
	return n != 0;
}

/* For poll(2); a deadline of -1 is none. */
static int
left_ms(int64_t deadline)
{
	int64_t left = deadline - clock_now_ms();

	if (deadline < 0)
		return -1;
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* Until it has ended; ETIMEDOUT when the time is up before, EINTR when hako is to end. */
static int
wait_hook(const struct config_hook *hook, int pidfd, int output, struct tail *tail)
{
	int64_t deadline = hook->timeout_s != NULL ? clock_now_ms() + *hook->timeout_s * 1000 : -1;
	autoclose int interrupt = interrupt_open();
	struct pollfd fds[3] = {{.fd = pidfd, .events = POLLIN},
	                        {.fd = output, .events = POLLIN},
	                        {.fd = interrupt, .events = POLLIN}};

	/* who has ended in time has not been too late, however late that is seen */
	while ((fds[0].revents & POLLIN) == 0) {
		int left = left_ms(deadline);

		if (poll(fds, 3, left) < 0 && errno != EINTR)
			return errno;
		if (fds[2].revents != 0) {
			interrupt_take(interrupt);
			return EINTR;
		}
		if (fds[1].revents != 0 && !drain(output, tail))
			fds[1].fd = -1;
		if (left == 0 && (fds[0].revents & POLLIN) == 0)
			return ETIMEDOUT;
	}
	(void)drain(output, tail);
	return 0;
}

/* The last line with anything in it. */
static const char *
last_line(struct tail *tail)
{
	char *line;

	while (tail->used > 0 && strchr("\r\n \t", tail->text[tail->used - 1]) != NULL)
		tail->text[--tail->used] = '\0';
	line = strrchr(tail->text, '\n');
	return line != NULL ? line + 1 : tail->text;
}

static int
report(const struct config_hook *hook, int status, struct tail *tail, struct error *e)
{
	const char *line = last_line(tail);
	const char *colon = line[0] != '\0' ? ": " : "";

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return json_error(hook->at, e, 0, "hook-failed", "%s was killed by signal %d%s%s",
		                  hook->path, WTERMSIG(status), colon, line);
	return json_error(hook->at, e, 0, "hook-failed", "%s exited with status %d%s%s", hook->path,
	                  WEXITSTATUS(status), colon, line);
}

static int
reap(const struct config_hook *hook, pid_t pid, int output, struct error *e)
{
	autoclose int pidfd = sys_pidfd_open(pid, 0);
	struct tail tail = {.text = ""};
	int status, code;

	code = pidfd < 0 ? errno : wait_hook(hook, pidfd, output, &tail);
	if (code != 0) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL); /* it may not have made its group yet */
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (code == ETIMEDOUT)
		return json_error(hook->at, e, 0, "hook-timeout", "%s was killed after %lld s",
		                  hook->path, (long long)*hook->timeout_s);
	if (code == EINTR)
		return json_error(hook->at, e, 0, "hook-failed", "%s: interrupted by a signal",
		                  hook->path);
	if (code != 0)
		return json_error(hook->at, e, code, "hook-failed", "wait for %s", hook->path);
	return report(hook, status, &tail, e);
}

static int
execute(const struct config_hook *hook, const struct hook_call *call, struct error *e)
{
	autoclose int input = state_file(call->state);
	autoclose int output = -1;
	int ends[2];
	pid_t pid;

	if (input < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return json_error(hook->at, e, errno, "hook-failed", "prepare %s", hook->path);
	output = ends[0];
	fcntl(output, F_SETFL, O_NONBLOCK);
	pid = fork();
	if (pid == 0)
		exec_hook(hook, call, input, ends[1]);
	close(ends[1]);
	if (pid < 0)
		return json_error(hook->at, e, errno, "hook-failed", "fork for %s", hook->path);
	return reap(hook, pid, output, e);
}

static int
run_hook(const struct config_hook *hook, const struct hook_call *call, struct error *e)
{
	unsigned span = trace_begin("hook", call->name, hook->path);
	int rc = execute(hook, call, e);

	if (rc < 0 && call->places != NULL)
		config_place(call->places, e);
	trace_end(span, rc < 0 ? e->msg : NULL);
	return rc;
}

/* Of the runtime's namespace; what this user cannot see is no error yet. */
static int
check_host(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return EACCES;
	return sys_faccessat2(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? errno : 0;
}

static int
check_container(const struct plan *plan, const char *path)
{
	struct stat st;

	if (plan_look_up(plan, plan->mount_count, path, &st) < 0)
		return errno == EAGAIN ? 0 : errno;
	return !S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0 ? EACCES : 0;
}

/* `inside`: in the rootfs of this plan; NULL: on the host. */
static void
probe_list(const struct objects *hooks, const struct plan *inside, struct error *e)
{
	const struct config_hook *rows = hooks->items;

	for (size_t i = 0; i < hooks->count; i++) {
		const char *path = rows[i].path;
		int code = inside != NULL ? check_container(inside, path) : check_host(path);

		if (code != 0)
			json_error(json_member(rows[i].at, "path"), e, code, "hook-failed", "%s",
			           path);
	}
}

LAYER_PROBE(hooks_probe)
{
	const struct config_hooks *hooks = plan->config->hooks;

	if (hooks == NULL)
		return 0;
	probe_list(&hooks->prestart, NULL, e);
	probe_list(&hooks->create_runtime, NULL, e);
	probe_list(&hooks->create_container, NULL, e);
	if (hooks->start_container.count > 0 && plan_knows_mounts(plan))
		probe_list(&hooks->start_container, plan, e);
	probe_list(&hooks->poststart, NULL, e);
	probe_list(&hooks->poststop, NULL, e);
	return 0;
}

int
hooks_run(const struct objects *hooks, const struct hook_call *call, struct error *e)
{
	const struct config_hook *rows = hooks->items;

	for (size_t i = 0; i < hooks->count; i++) {
		log_debug("%s hook %zu: %s", call->name, i, rows[i].path);
		if (run_hook(&rows[i], call, e) < 0)
			return error_context(e, "%s hook", call->name);
	}
	return 0;
}

void
hooks_run_poststop(const struct objects *hooks, const struct hook_call *call)
{
	const struct config_hook *rows = hooks->items;
	struct error e;

	for (size_t i = 0; i < hooks->count; i++)
		if (run_hook(&rows[i], call, &e) < 0)
			log_always(LOG_LEVEL_WARNING, "%s: %s hook: %s", e.at, call->name, e.msg);
}
