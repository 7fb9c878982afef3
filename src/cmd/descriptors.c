/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of the caller that the container's process gets: those that a
 * service manager has opened for it (sd_listen_fds(3)), and after them the number
 * that --preserve-fds says. Settled before hako opens any of its own, and again
 * each time that it executes itself: the pid stays the same.
 */
#include "hako/command.h"
#include "hako/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST = 3, KEPT_MAX = 1024 };

/* The variables are inherited by everybody; the sockets are for the process that is named. */
static int
count_listening(unsigned *ret, struct error *e)
{
	const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	uint64_t number;

	*ret = 0;
	if (fds == NULL || pid == NULL || parse_uint(pid, INT32_MAX, &number) < 0 ||
	    number != (uint64_t)getpid())
		return 0;
	if (parse_uint(fds, KEPT_MAX, &number) < 0)
		return error_set(e, 0, "listen-fds-invalid",
		                 "LISTEN_FDS=%s is not a number from 0 to %d", fds, KEPT_MAX);
	*ret = (unsigned)number;
	return 0;
}

static bool
is_open(unsigned fd)
{
	return fcntl((int)fd, F_GETFD) >= 0;
}

/*
 * --preserve-fds: the last one tells whether they are there. Engines leave gaps
 * before it, and some count what LISTEN_FDS has counted already.
 */
static int
count_preserved(const struct options *o, unsigned listening, unsigned *ret, struct error *e)
{
	uint64_t count = 0;
	unsigned last;

	*ret = 0;
	if (o->preserve_fds != NULL && parse_uint(o->preserve_fds, KEPT_MAX, &count) < 0)
		return error_set(e, 0, "usage", "--preserve-fds %s is not a number from 0 to %d",
		                 o->preserve_fds, KEPT_MAX);
	last = FIRST + listening + (unsigned)count - 1;
	if (count > 0 && !is_open(last))
		return count <= listening
		               ? 0
		               : error_set(e, EBADF, "fd-missing",
		                           "--preserve-fds %s: descriptor %u is not open",
		                           o->preserve_fds, last);
	*ret = (unsigned)count;
	return 0;
}

/* A gap is filled: what hako opens there itself would get lost in the crowd. */
static int
keep(unsigned fd, struct error *e)
{
	if (fcntl((int)fd, F_SETFD, 0) == 0 || open("/dev/null", O_RDWR | O_CLOEXEC) == (int)fd)
		return 0;
	return error_set(e, errno, "init-failed", "open /dev/null as descriptor %u", fd);
}

int
descriptors_keep(struct options *o, struct error *e)
{
	unsigned preserved;

	if (count_listening(&o->listen_count, e) < 0 ||
	    count_preserved(o, o->listen_count, &preserved, e) < 0)
		return -1;
	o->listen_names = getenv("LISTEN_FDNAMES");
	o->preserve_count = o->listen_count + preserved;
	for (unsigned fd = FIRST; fd < FIRST + o->preserve_count; fd++) {
		if (fd < FIRST + o->listen_count && !is_open(fd))
			return error_set(e, EBADF, "fd-missing",
			                 "LISTEN_FDS=%u: descriptor %u is not open",
			                 o->listen_count, fd);
		if (keep(fd, e) < 0)
			return -1;
	}
	return 0;
}
