/* SPDX-License-Identifier: MIT */
#ifndef HAKO_CONSOLE_H
#define HAKO_CONSOLE_H

#include "hako/error.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

/* Between the caller's standard streams and the pty of a process in the foreground. */

enum { CONSOLE_FDS = 3, CONSOLE_RETRY_MS = 100 };

struct console_stream {
	char bytes[4096]; /* PIPE_BUF: what a pipe that is ready takes at once */
	size_t begin, end;
	char last; /* byte read; 0 before there was one */
};

struct console {
	int pty;
	int terminal; /* the caller's, of the standard streams; -1: none */
	bool raw;     /* it is, and has been as in `saved` */
	struct termios saved;
	struct console_stream input, output;
	bool input_ended;
	bool output_paused; /* nobody has the pty's other side open */
};

/* Receive the pty from the socket that init sends it through; the caller's terminal gets raw. */
int
console_begin(struct console *c, int sock, struct error *e);

/* What to wait for (poll(2)), and for how long at most: milliseconds, or -1. */
int
console_poll(const struct console *c, struct pollfd fds[CONSOLE_FDS]);

/* Move what can be moved. */
void
console_move(struct console *c, const struct pollfd fds[CONSOLE_FDS]);

/* SIGWINCH: the pty gets the size of the caller's terminal. */
void
console_resize(const struct console *c);

/* SIGCONT: in the foreground again, perhaps. */
void
console_continue(struct console *c);

/*
 * Deliver what is left, and give the terminal its modes back. A reader is waited for,
 * if `waits` says so, until a signal that would end hako comes; signals is a signalfd.
 */
void
console_end(struct console *c, int signals, bool waits);

#endif
