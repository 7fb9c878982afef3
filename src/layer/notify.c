/* SPDX-License-Identifier: MIT */
/*
 * A socket in the container for sd_notify(3), when the caller has one for hako
 * (NOTIFY_SOCKET). It is bound in a small tmpfs that the mounts of the plan end with
 * (mounts_plan.c), so that nothing of the host is to be seen there, and nothing is
 * left on the host. Whoever starts the container reads from it (ready.c): the
 * socket is made by the parent, and what init binds is the same one.
 */
#include "hako/layer.h"
#include "hako/log.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A mount in another namespace would be somebody else's, and stay. */
LAYER_PLAN(notify_plan)
{
	if (p->plan->options.notify_socket == NULL)
		return 0;
	p->plan->notify = plan_creates(p->plan, CLONE_NEWNS);
	if (p->plan->notify)
		return 0;
	return log_fallback(e, "notify-none",
	                    "NOTIFY_SOCKET: without a new mount namespace there is no place for "
	                    "a socket in the container");
}

LAYER_RUN(notify_open)
{
	if (!plan->notify)
		return 0;
	h->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return h->notify < 0 ? error_set(e, errno, "notify-failed", "make a socket") : 0;
}

/* By its name alone: an address has no room for a path. Whoever the process is, it may write. */
LAYER_RUN(notify_bind)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (!plan->notify)
		return 0;
	strcpy(address.sun_path, NOTIFY_NAME);
	/* the last mount, which is still to become read-only */
	if (fchdir(h->late_readonly[plan->mount_count - 1]) < 0 ||
	    bind(h->notify, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(e, errno, "notify-failed", "bind " NOTIFY_FOLDER "/" NOTIFY_NAME);
	return 0;
}
