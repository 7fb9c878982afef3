/* SPDX-License-Identifier: MIT */
/*
 * A container says that it is ready (sd_notify(3)), and the service manager is told:
 * that, and whom to watch from now on. Nothing else is passed on, because the rest of
 * what may be said there speaks of a service as a whole, and who says it is not to be
 * trusted with that. Once it has been said the socket is closed: it must not keep a
 * process waiting that says more.
 *
 * A manager that is not there, or does not listen, is no reason for a container not
 * to run: it is a warning.
 */
#include "hako/ready.h"
#include "hako/error.h"
#include "hako/log.h"
#include "hako/mem.h"
#include "hako/unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_MAX = 4096, BARRIER_MS = 30000 }; /* those of systemd */

static void
close_socket(struct ready *r)
{
	close_cleaner(&r->sock);
	r->sock = -1;
}

struct ready
ready_begin(int sock, const char *path, pid_t main_pid)
{
	struct ready r = {.sock = sock, .manager = -1, .main_pid = main_pid};

	if (sock < 0)
		return r;
	if (path != NULL)
		r.manager = unixsock_connect(path, SOCK_DGRAM);
	if (path != NULL && r.manager < 0)
		log_warning("nobody is told when the container is ready: connect to %s: %s", path,
		            error_text(errno));
	if (r.manager < 0)
		close_socket(&r);
	return r;
}

void
ready_signal(const struct ready *r)
{
	if (r->sock < 0)
		return;
	fcntl(r->sock, F_SETOWN, getpid());
	fcntl(r->sock, F_SETSIG, SIGURG);
	fcntl(r->sock, F_SETFL, O_NONBLOCK | O_ASYNC);
}

/* Assignments, one a line. */
static bool
says_ready(char *message)
{
	const char *line;

	while ((line = strsep(&message, "\n")) != NULL)
		if (strcmp(line, "READY=1") == 0)
			return true;
	return false;
}

static void
tell(const struct ready *r)
{
	char text[48];
	pid_t pid = r->main_pid != 0 ? r->main_pid : getpid();
	int length = snprintf(text, sizeof(text), "READY=1\nMAINPID=%d", (int)pid);

	if (send(r->manager, text, (size_t)length, MSG_NOSIGNAL) != length)
		log_warning("tell the service manager that the container is ready: %s",
		            error_text(errno));
}

void
ready_look(struct ready *r)
{
	char message[MESSAGE_MAX + 1];
	ssize_t n;

	/* descriptors that come along are closed by the kernel, which is the answer to a barrier */
	while (r->sock >= 0 && (n = recv(r->sock, message, MESSAGE_MAX, MSG_DONTWAIT)) >= 0) {
		message[n] = '\0';
		if (!says_ready(message))
			continue;
		tell(r);
		close_socket(r);
	}
}

/*
 * The manager asks who has sent a message when it reads it, which may be after we have
 * gone: it closes this descriptor when it has read all that came before.
 */
static void
wait_until_heard(const struct ready *r)
{
	struct pollfd p = {.events = POLLIN};
	int ends[2], rc;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	rc = unixsock_send_fd(r->manager, "BARRIER=1", ends[1]);
	close(ends[1]);
	p.fd = ends[0];
	if (rc == 0 && poll(&p, 1, BARRIER_MS) == 0)
		log_warning("the service manager has not answered");
	close(ends[0]);
}

void
ready_wait(struct ready *r, int pidfd)
{
	struct pollfd fds[2] = {{.fd = r->sock, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};

	if (r->sock < 0)
		return;
	for (;;) {
		bool ended = pidfd < 0 || fds[1].revents != 0;

		ready_look(r);
		if (r->sock < 0)
			break;
		if (ended)
			return;
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return;
	}
	wait_until_heard(r);
}
