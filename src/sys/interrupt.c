/* SPDX-License-Identifier: MIT */
/*
 * Signals that arrive before there is a process to pass them on to. In the
 * foreground all signals are blocked (supervise.c); whoever waits for long before
 * that also waits for this descriptor, and gives up when it becomes readable.
 */
#include "hako/interrupt.h"
#include "hako/mem.h"

#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM};

int
interrupt_create(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int
interrupt_open(void)
{
	sigset_t blocked;

	if (sigprocmask(SIG_BLOCK, NULL, &blocked) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (sigismember(&blocked, signals[i]) == 0)
			return -1;
	return interrupt_create();
}

void
interrupt_take(int fd)
{
	struct signalfd_siginfo info;

	(void)!read(fd, &info, sizeof(info));
}
