/* SPDX-License-Identifier: MIT */
/*
 * What a program inherits of the signals of its caller. execve(2) resets handlers
 * but keeps what is ignored and blocked: conmon ignores SIGPIPE, nohup SIGHUP, and
 * a program in the container that counts on either would never end.
 */
#include "hako/signals.h"

#include <signal.h>
#include <stddef.h>

enum { FIRST_REALTIME = 32 };

void
signals_reset(void)
{
	const struct sigaction normal = {.sa_handler = SIG_DFL};
	sigset_t none;

	/* asking which are ignored takes longer; SIGKILL and SIGSTOP refuse; nobody ignores real-time signals for others */
	for (int signal = 1; signal < FIRST_REALTIME; signal++)
		(void)sigaction(signal, &normal, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}
