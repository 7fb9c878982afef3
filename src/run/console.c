/* SPDX-License-Identifier: MIT */
/*
 * The caller's end of a terminal in the foreground: bytes go from standard input
 * to the pty and from the pty to standard output. The caller's own terminal is raw
 * meanwhile, so that ^C and ^Z are the container's business, and gets its modes
 * back whatever happens. As a job in the background hako leaves the terminal alone
 * until it is continued in the foreground.
 */
#include "hako/console.h"
#include "hako/mem.h"
#include "hako/unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { FLUSH_MAX = 256 }; /* reads of a pty, which give 4 kB at most */

/* The first of the standard streams that is a terminal. */
static int
find_terminal(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (isatty(fd))
			return fd;
	return -1;
}

static bool
is_foreground(const struct console *c)
{
	return c->terminal < 0 || tcgetpgrp(c->terminal) == getpgrp();
}

static void
make_raw(struct console *c)
{
	struct termios raw;

	if (c->terminal < 0 || !is_foreground(c) || tcgetattr(c->terminal, &raw) < 0)
		return;
	if (!c->raw)
		c->saved = raw;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST;
	c->raw = tcsetattr(c->terminal, TCSANOW, &raw) == 0;
}

void
console_resize(const struct console *c)
{
	struct winsize size;

	if (c->terminal >= 0 && ioctl(c->terminal, TIOCGWINSZ, &size) == 0)
		ioctl(c->pty, TIOCSWINSZ, &size);
}

int
console_begin(struct console *c, int sock, struct error *e)
{
	*c = (struct console){
		.pty = unixsock_receive_fd(sock),
		.terminal = find_terminal(),
	};
	if (c->pty < 0)
		return error_set(e, errno, "terminal-failed", "receive the pty");
	fcntl(c->pty, F_SETFL, O_RDWR | O_NONBLOCK);
	make_raw(c);
	return 0;
}

void
console_continue(struct console *c)
{
	make_raw(c);
	console_resize(c);
}

/* Moving bytes -------------------------------------------------------------------- */

static bool
is_empty(const struct console_stream *s)
{
	return s->begin == s->end;
}

/* What is read first; false: nothing will ever come again. */
static bool
fill(struct console_stream *s, int fd)
{
	ssize_t n = read(fd, s->bytes, sizeof(s->bytes));

	if (n > 0) {
		s->begin = 0;
		s->end = (size_t)n;
		s->last = s->bytes[n - 1];
	}
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* A reader that has gone takes nothing: what was for it is lost, as in any pipe. */
static void
drain(struct console_stream *s, int fd)
{
	ssize_t n = write(fd, s->bytes + s->begin, s->end - s->begin);

	if (n > 0)
		s->begin += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		s->begin = s->end;
}

/*
 * The end of a file is nothing that a pty can pass on: the character for it is, to
 * a program that reads lines. After half a line the first one only completes that.
 */
static void
end_input(struct console *c)
{
	struct termios modes;
	size_t count = c->input.last == '\n' || c->input.last == '\0' ? 1 : 2;

	c->input_ended = true;
	if (tcgetattr(c->pty, &modes) < 0 || (modes.c_lflag & ICANON) == 0)
		return;
	memset(c->input.bytes, modes.c_cc[VEOF], count);
	c->input.begin = 0;
	c->input.end = count;
}

static void
read_input(struct console *c)
{
	/* in the background there would be EIO, which is not the end */
	if (!fill(&c->input, STDIN_FILENO) && is_foreground(c))
		end_input(c);
}

/* EIO: nobody has the terminal open at the moment; somebody may open it again. */
static void
read_output(struct console *c)
{
	c->output_paused = !fill(&c->output, c->pty);
}

int
console_poll(const struct console *c, struct pollfd fds[CONSOLE_FDS])
{
	bool read_pty = is_empty(&c->output) && !c->output_paused;
	bool read_stdin = is_empty(&c->input) && !c->input_ended && is_foreground(c);
	bool write_pty = !is_empty(&c->input), write_stdout = !is_empty(&c->output);
	short pty_events = (short)((read_pty ? POLLIN : 0) | (write_pty ? POLLOUT : 0));

	fds[0] = (struct pollfd){.fd = read_stdin ? STDIN_FILENO : -1, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = pty_events != 0 ? c->pty : -1, .events = pty_events};
	fds[2] = (struct pollfd){.fd = write_stdout ? STDOUT_FILENO : -1, .events = POLLOUT};
	return c->output_paused ? CONSOLE_RETRY_MS : -1;
}

void
console_move(struct console *c, const struct pollfd fds[CONSOLE_FDS])
{
	bool pty = fds[1].fd >= 0 && fds[1].revents != 0;

	c->output_paused = false;
	if (fds[0].fd >= 0 && fds[0].revents != 0)
		read_input(c);
	if (pty && (fds[1].events & POLLOUT) != 0)
		drain(&c->input, c->pty);
	if (pty && (fds[1].events & POLLIN) != 0)
		read_output(c);
	/* only now: a reader that does not read must not keep us from all else */
	if (fds[2].fd >= 0 && fds[2].revents != 0)
		drain(&c->output, STDOUT_FILENO);
}

/* Nobody is left to pass a signal on to: what would end us does, and so the deadline. */
static bool
is_told_to_end(int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return false;
	switch (info.ssi_signo) {
	case SIGALRM:
	case SIGHUP:
	case SIGINT:
	case SIGQUIT:
	case SIGTERM:
		return true;
	default:
		return false;
	}
}

static bool
deliver(struct console_stream *s, int signals, int timeout_ms)
{
	struct pollfd fds[] = {{.fd = STDOUT_FILENO, .events = POLLOUT},
	                       {.fd = signals, .events = POLLIN}};

	while (!is_empty(s)) {
		if (poll(fds, ARRAY_SIZE(fds), timeout_ms) <= 0 && errno != EINTR)
			return false;
		if (fds[0].revents != 0)
			drain(s, STDOUT_FILENO);
		else if (fds[1].revents != 0 && is_told_to_end(signals))
			return false;
	}
	return true;
}

/*
 * What the process has written before it ended is still to be delivered. It is no
 * more than a pty holds; others who have the terminal open may write for ever.
 */
static void
flush(struct console *c, int signals, int timeout_ms)
{
	bool goes_on = deliver(&c->output, signals, timeout_ms);

	for (int i = 0; goes_on && i < FLUSH_MAX; i++)
		goes_on = fill(&c->output, c->pty) && !is_empty(&c->output) &&
		          deliver(&c->output, signals, timeout_ms);
}

void
console_end(struct console *c, int signals, bool waits)
{
	flush(c, signals, waits ? -1 : 0);
	if (c->raw)
		tcsetattr(c->terminal, TCSANOW, &c->saved);
	close(c->pty);
}
