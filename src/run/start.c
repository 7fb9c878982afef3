/* SPDX-License-Identifier: MIT */
/*
 * `start`: tell the waiting init to go on, and learn whether it did. Init keeps
 * the connection until execve closes it, so an error of its last steps comes back
 * here, and the end of the stream means that the program is executing.
 */
#include "hako/container.h"
#include "hako/hooks.h"
#include "hako/listener.h"
#include "hako/ready.h"
#include "hako/sync.h"
#include "hako/unixsock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int
check_status(const struct container *c, struct error *e)
{
	switch (c->status) {
	case STATUS_CREATED:
		if (!c->state->without_process)
			return 0;
		return error_set(e, 0, "process-missing",
		                 "config.json has no /process: there is nothing to start");
	case STATUS_CREATING: /* the lock is ours: its creator has died */
		return error_set(e, 0, "container-broken",
		                 "cannot start a container that was not created completely");
	case STATUS_STOPPED:
		return error_set(e, 0, "container-stopped",
		                 "cannot start a container that has stopped");
	case STATUS_PAUSED:
		return error_set(e, 0, "container-paused",
		                 "cannot start a container in the paused state");
	default:
		return error_set(e, 0, "container-running",
		                 "cannot start an already running container");
	}
}

static int
connect_to_init(const struct container *c, struct error *e)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/start.sock", c->dir);
	if (sock < 0 || connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(e, errno, "container-stopped", "connect to the container's init");
	return take_fd(&sock);
}

/* While it has a name the container counts as created. */
static int
take_socket(const struct container *c, struct error *e)
{
	if (unlinkat(c->dir, "start.sock", 0) < 0)
		return error_set(e, errno, "state-failed", "remove the socket for start");
	return 0;
}

static int
run_poststart(const struct container *c, struct error *e)
{
	int output[2] = {-1, -1};
	struct hook_call call = {.name = "poststart",
	                         .dir = c->state->bundle,
	                         .output = output,
	                         .places = &c->state->places};
	autofree char *text = NULL;

	if (c->state->hooks == NULL || c->state->hooks->poststart.count == 0)
		return 0;
	if (hooks_open_output(&c->state->annotations, c->state->bundle, output, e) < 0) {
		config_place(call.places, e);
		return -1;
	}
	call.state = text = state_json(c->state, STATUS_RUNNING, (pid_t)*c->state->pid);
	return hooks_run(&c->state->hooks->poststart, &call, e);
}

/* What was bound in the container when it was made. */
static int
receive_notify(const struct container *c, int sock, int *ret, struct error *e)
{
	if (!c->state->notify_socket)
		return 0;
	*ret = unixsock_receive_fd(sock);
	return *ret < 0 ? error_set(e, errno, "peer-died", "receive the notify socket") : 0;
}

/* It runs: whoever wants to stop or delete it need not wait as well. */
static void
wait_until_ready(struct container *c, int notify, const char *notify_socket)
{
	struct ready ready = ready_begin(notify, notify_socket, (pid_t)*c->state->pid);
	struct error ignored;
	autoclose int pidfd = -1;

	if (ready.sock < 0)
		return;
	flock(c->dir, LOCK_UN);
	c->locked = false;
	pidfd = container_pidfd(c, &ignored);
	ready_wait(&ready, pidfd);
}

static int
start_init(const struct container *c, const struct sync *sync, struct error *e)
{
	const struct state *state = c->state;
	const struct listener_plan listener = {.path = state->seccomp_listener};
	autofree char *message = NULL;

	if (state->seccomp_listener == NULL || state->seccomp_early)
		return sync_send_start(sync, e);
	message = state_json_of_process(state, STATUS_CREATED, (pid_t)*state->pid,
	                                state->seccomp_metadata);
	return listener_start(sync, &listener, message, e);
}

int
container_start(struct container *c, const char *notify_socket, struct error *e)
{
	autoclose int sock = -1;
	autoclose int notify = -1;
	struct sync sync = {.fd = -1, .interrupt = -1, .peer = -1};
	struct error ignored;

	if (check_status(c, e) < 0)
		return -1;
	sock = connect_to_init(c, e);
	if (sock < 0)
		return -1;
	sync.fd = sock;
	if (take_socket(c, e) == 0 && receive_notify(c, sock, &notify, e) == 0 &&
	    start_init(c, &sync, e) == 0 && sync_expect_end(&sync, e) == 0 &&
	    run_poststart(c, e) == 0) {
		wait_until_ready(c, take_fd(&notify), notify_socket);
		return 0;
	}
	/* steps 7 and 9 of the lifecycle: a failing hook ends the container */
	c->status = STATUS_RUNNING;
	(void)container_take_down(c, &ignored);
	return -1;
}
