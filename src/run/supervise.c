/* SPDX-License-Identifier: MIT */
/*
 * The foreground: wait for the container's process and pass signals on to it. All
 * signals are blocked and taken one by one, so that none arrives between two
 * checks. Standard streams were inherited and there is nothing to copy, unless the
 * process has a terminal (console.c). The deadline of --timeout is a signal as well.
 */
#include "hako/cgroup.h"
#include "hako/console.h"
#include "hako/container.h"
#include "hako/interrupt.h"
#include "hako/mem.h"
#include "hako/syscall.h"
#include "hako/trace.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/time.h>
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

void
supervise_until(int timeout_ms)
{
	struct itimerval timer = {
		.it_value = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000L}};
	const struct timespec now = {0};
	sigset_t alarm;

	setitimer(ITIMER_REAL, &timer, NULL);
	if (timeout_ms > 0)
		return;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	(void)sigtimedwait(&alarm, NULL, &now); /* it may have come at the last moment */
}

/* The kernel's own SIGALRM, that of the timer; whoever else sends one means the process. */
static bool
is_deadline(int signal, int code)
{
	return signal == SIGALRM && code == SI_KERNEL;
}

/*
 * All that is known of the container: with its init goes its pid namespace, if it has one.
 * A process that has ended before, which SIGCHLD will tell, was in time.
 */
static void
kill_all(struct served *served)
{
	siginfo_t child = {0};

	if (waitid(P_PID, (id_t)served->pid, &child, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
	    child.si_pid != 0)
		return;
	served->ending.timed_out = true;
	(void)sys_pidfd_send_signal(served->pidfd, SIGKILL);
	if (served->cgroup >= 0)
		(void)cgroup_kill(served->cgroup);
}

/* Reap what has ended; true when the process is among it. */
static bool
reap(struct served *served, int *ret_status)
{
	struct ending *ending = &served->ending;
	bool done = false;
	struct rusage usage;
	int status;
	pid_t child;

	while (!done && (child = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		if (child != served->pid)
			continue;
		ending->status = status;
		ending->usage = usage;
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
		siginfo_t info;
		int signal = sigwaitinfo(&all, &info);

		if (signal < 0 && errno != EINTR)
			return error_set(e, errno, "wait-failed", "wait for signals");
		if (signal == SIGCHLD && reap(served, &status))
			return status;
		if (signal == SIGURG)
			ready_look(&served->ready);
		if (signal > 0 && is_deadline(signal, info.si_code))
			kill_all(served);
		else if (signal > 0 && !is_for_us(signal))
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
	if (is_deadline(signal, info.ssi_code))
		kill_all(served);
	/* SIGPIPE of our own writing is nobody else's */
	else if (!is_for_us(signal) && info.ssi_pid != (uint32_t)getpid())
		(void)sys_pidfd_send_signal(served->pidfd, signal);
	return signal == SIGCHLD && reap(served, ret_status);
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
	console_end(&console, signals, !served->ending.timed_out);
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
