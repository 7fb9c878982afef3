/* SPDX-License-Identifier: MIT */
#ifndef HAKO_READY_H
#define HAKO_READY_H

#include <sys/types.h>

/*
 * From the notify socket of a container to the service manager that waits for its
 * readiness: sd_notify(3).
 */
struct ready {
	int sock;       /* where the container says it; -1: it has, or nobody would hear it */
	int manager;    /* the socket of the manager */
	pid_t main_pid; /* whom it is to watch; 0: this process */
};

/* Begin to listen; takes over sock (-1: there is none). path is NOTIFY_SOCKET, or NULL. */
struct ready
ready_begin(int sock, const char *path, pid_t main_pid);

/* Have SIGURG sent to this process whenever something arrives: then ready_look() is due. */
void
ready_signal(const struct ready *r);

/* Pass on what has arrived. */
void
ready_look(struct ready *r);

/* Wait until it is ready and the manager knows, or its process has ended (pidfd -1: it has). */
void
ready_wait(struct ready *r, int pidfd);

#endif
