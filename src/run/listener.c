/* SPDX-License-Identifier: MIT */
/*
 * The listener of a seccomp filter on its way to the agent (config-linux.md
 * "Seccomp", listenerPath): one connection, one message with the descriptor. It is
 * sent by whoever starts the process, run, start or exec: the filter is loaded then,
 * as the last thing before execve (seccomp_notify.c). Where it does not hinder init in
 * waiting for `start`, `create` does that, and RELEASE follows instead of execve.
 *
 *   init                      the command                     agent
 *                             connect ----------------------->
 *       <-------------------- START
 *   loads the filter
 *   LISTENER, descriptor ---> the state, descriptor --------->
 *       <-------------------- LISTENED
 *   execve
 */
#include "hako/listener.h"
#include "hako/mem.h"
#include "hako/unixsock.h"

#include <errno.h>
#include <sys/socket.h>

int
listener_start(const struct sync *sync, const struct listener_plan *listener, const char *message,
               struct error *e)
{
	autoclose int agent = unixsock_connect(listener->path, SOCK_STREAM);
	autoclose int fd = -1;

	if (agent < 0)
		return json_error(listener->at, e, errno, "seccomp-agent",
		                  "connect to the seccomp agent at %s", listener->path);
	if (sync_send_start(sync, e) < 0)
		return -1;
	fd = sync_expect_fd(sync, SYNC_LISTENER, e);
	if (fd < 0)
		return -1;
	if (unixsock_send_fd(agent, message, fd) < 0)
		return json_error(listener->at, e, errno, "seccomp-agent",
		                  "send the listener to the seccomp agent at %s", listener->path);
	return sync_send(sync, SYNC_LISTENED, 0, e);
}
