/* SPDX-License-Identifier: MIT */
#ifndef HAKO_INTERRUPT_H
#define HAKO_INTERRUPT_H

/*
 * A descriptor that is readable while SIGHUP, SIGINT, SIGQUIT, SIGTERM or SIGALRM
 * waits to be delivered, for a process that has blocked them; -1 with errno.
 */
int
interrupt_create(void);

/* The same; -1 when they are not blocked, and so need no looking after. */
int
interrupt_open(void);

/* Take that signal: it has been listened to. */
void
interrupt_take(int fd);

#endif
