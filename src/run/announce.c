/* SPDX-License-Identifier: MIT */
/*
 * Who the process is, said to callers that have asked for it: by its pid in a file,
 * or by a pidfd, which goes on naming it when the pid is used again. The socket for
 * that is connected before anything is made.
 */
#include "hako/container.h"
#include "hako/file.h"
#include "hako/unixsock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int
announce_connect(const struct plan *plan, struct handles *h, struct error *e)
{
	const char *path = plan->options.pidfd_socket;

	if (path == NULL)
		return 0;
	h->pidfd_sock = unixsock_connect(path, SOCK_STREAM);
	return h->pidfd_sock < 0 ? error_set(e, errno, "pidfd-socket-failed",
	                                     "connect to the pidfd socket %s", path)
	                         : 0;
}

/* The words are those of runc: a receiver can tell a container from a process added to it. */
static int
send_pidfd(const struct plan *plan, struct handles *h, struct error *e)
{
	const char *word = h->target_pidfd < 0 ? "standard" : "setns";

	if (h->pidfd_sock < 0)
		return 0;
	if (unixsock_send_fd(h->pidfd_sock, word, h->init_pidfd) < 0)
		return error_set(e, errno, "pidfd-socket-failed",
		                 "send the pidfd through the pidfd socket %s",
		                 plan->options.pidfd_socket);
	close(h->pidfd_sock);
	h->pidfd_sock = -1;
	return 0;
}

static int
write_pid_file(const char *path, pid_t pid, struct error *e)
{
	char text[16];
	const char *name;
	autoclose int dir = file_open_parent(path, &name);
	int length = snprintf(text, sizeof(text), "%d", (int)pid);

	if (dir < 0 || file_replace_at(dir, name, 0666, text, (size_t)length) < 0)
		return error_set(e, errno, "pid-file-failed", "write the pid file %s", path);
	return 0;
}

int
announce_process(const struct plan *plan, struct handles *h, const char *pid_file, struct error *e)
{
	if (send_pidfd(plan, h, e) < 0)
		return -1;
	/* last: conmon takes its existence for success */
	return pid_file != NULL ? write_pid_file(pid_file, h->init_pid, e) : 0;
}
