/* SPDX-License-Identifier: MIT */
/*
 * The foreground: wait for the container's process and pass signals on to it. All
 * signals are blocked and taken one by one with sigwaitinfo(2), so that none
 * arrives between two checks. Standard streams were inherited: there is nothing
 * to copy.
 */
#include "hako/container.h"
#include "hako/interrupt.h"
#include "hako/syscall.h"

#include <errno.h>
#include <signal.h>
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

int
supervise(pid_t pid, int pidfd, struct error *e)
{
	sigset_t all;
	int status = 0;

	sigfillset(&all);
	/* SIGCHLD has been blocked since before there was a child: none can be missed */
	for (;;) {
		int signal = sigwaitinfo(&all, NULL);

		if (signal < 0 && errno != EINTR)
			return error_set(e, errno, "wait-failed", "wait for signals");
		if (signal == SIGCHLD && reap(pid, &status))
			return status;
		if (signal > 0 && !is_for_us(signal))
			(void)sys_pidfd_send_signal(pidfd, signal);
	}
}
