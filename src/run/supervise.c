/* SPDX-License-Identifier: MIT */
/*
 * The foreground: wait for the container's process and pass signals on to it. All
 * signals are blocked and taken one by one, so that none arrives between two
 * checks. Standard streams were inherited and there is nothing to copy, unless the
 * process has a terminal (console.c).
 */
#include "hako/console.h"
#include "hako/container.h"
#include "hako/interrupt.h"
#include "hako/mem.h"
#include "hako/syscall.h"
#include "hako/trace.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

int
supervise_prepare(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	return interrupt_create();
}

static int
exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Reap what has ended; true when pid is among it. */
static bool
reap(pid_t pid, int *ret_status)
{
	bool done = false;
	int status;
	pid_t child;

	while (!done && (child = waitpid(-1, &status, WNOHANG)) > 0) {
		if (child != pid)
			continue;
		*ret_status = exit_status(status);
		done = true;
	}
	return done;
}

static bool
is_for_us(int signal)
{
	return signal == SIGCHLD || signal == SIGWINCH || signal == SIGURG;
}

/* With inherited streams ------------------------------------------------------- */

static int
supervise_streams(struct served *served, struct error *e)
{
	sigset_t all;
	int status = 0;

	sigfillset(&all);
	/* SIGCHLD has been blocked since before there was a child: none can be missed */
	for (;;) {
		int signal = sigwaitinfo(&all, NULL);

		if (signal < 0 && errno != EINTR)
			return error_set(e, errno, "wait-failed", "wait for signals");
		if (signal == SIGCHLD && reap(served->pid, &status))
			return status;
		if (signal == SIGURG)
			ready_look(&served->ready);
		if (signal > 0 && !is_for_us(signal))
			(void)sys_pidfd_send_signal(served->pidfd, signal);
	}
}

/* With a terminal ---------------------------------------------------------------- */

/* True when the process has ended. */
static bool
take_signal(int signals, struct served *served, struct console *console, int *ret_status)
{
	struct signalfd_siginfo info;
	int signal;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return false;
	signal = (int)info.ssi_signo;
	if (signal == SIGWINCH)
		console_resize(console);
	if (signal == SIGCONT)
		console_continue(console);
	if (signal == SIGURG)
		ready_look(&served->ready);
	/* SIGPIPE of our own writing is nobody else's */
	if (!is_for_us(signal) && info.ssi_pid != (uint32_t)getpid())
		(void)sys_pidfd_send_signal(served->pidfd, signal);
	return signal == SIGCHLD && reap(served->pid, ret_status);
}

static int
serve(int signals, struct served *served, struct console *console, struct error *e)
{
	struct pollfd fds[CONSOLE_FDS + 1];
	int status = 0;

	for (;;) {
		int timeout_ms = console_poll(console, fds);

		fds[CONSOLE_FDS] = (struct pollfd){.fd = signals, .events = POLLIN};
		if (poll(fds, ARRAY_SIZE(fds), timeout_ms) < 0 && errno != EINTR)
			return error_set(e, errno, "wait-failed", "wait for the terminal");
		console_move(console, fds);
		if (fds[CONSOLE_FDS].revents != 0 && take_signal(signals, served, console, &status))
			return status;
	}
}

static int
supervise_terminal(struct served *served, struct error *e)
{
	struct console console;
	autoclose int signals = -1;
	sigset_t all;
	int status;

	sigfillset(&all);
	signals = signalfd(-1, &all, SFD_CLOEXEC);
	if (signals < 0)
		return error_set(e, errno, "wait-failed", "signalfd");
	if (console_begin(&console, served->console, e) < 0)
		return -1;
	status = serve(signals, served, &console, e);
	console_end(&console);
	return status;
}

int
supervise(struct served *served, struct error *e)
{
	unsigned span = trace_begin("wait", "the process", NULL);
	int status;

	ready_signal(&served->ready);
	ready_look(&served->ready); /* what came before that */
	status = served->console < 0 ? supervise_streams(served, e) : supervise_terminal(served, e);
	trace_end(span, status < 0 ? e->msg : NULL);
	ready_look(&served->ready); /* its last words */
	return status;
}
