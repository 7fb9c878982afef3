/* SPDX-License-Identifier: MIT */
#ifndef HAKO_SYNC_H
#define HAKO_SYNC_H

#include "hako/error.h"

#include <stdint.h>

/*
 * What processes say to each other while a container is made. One SEQPACKET
 * pair, one packet a message; what is not in this table is not said. (Init answers the
 * START of `start` with its notify socket when it has one: unixsock_send_fd().)
 *
 *   name       route            meaning
 */
#define SYNC_MESSAGES(X)                                                                           \
	X(FAILED, "child -> parent: an error, the last word")                                      \
	X(MAPPED, "parent -> init: user ids are mapped")                                           \
	X(SPAWNED, "intermediate -> parent: value is the pid of init")                             \
	X(MOUNTED, "init -> parent: the root is built; run the hooks of the runtime namespace")    \
	X(HOOKED, "parent -> init: those, if any, have run; the state is saved; run yours")        \
	X(READY, "init -> parent: confined, nothing left but the program")                         \
	X(START, "parent -> init: execute it; with the trace of `start`, if any")                  \
	X(RELEASE, "parent -> init: created; wait for `start` on the socket")                      \
	X(LISTENER, "init -> parent: the filter is loaded; with its listener's descriptor")        \
	X(LISTENED, "parent -> init: an agent has the listener")

enum sync_type {
#define SYNC_ENUM(name, meaning) SYNC_##name,
	SYNC_MESSAGES(SYNC_ENUM)
#undef SYNC_ENUM
};

/* One end of the conversation. */
struct sync {
	int fd;
	int interrupt; /* readable: a signal wants this process to give up waiting; -1: none */
	int peer;      /* pidfd of who shall speak, where others hold its end, too; -1: none */
};

/* A connected pair, close-on-exec. */
int
sync_pair(int ret[2], struct error *e);

int
sync_send(const struct sync *sync, enum sync_type type, int64_t value, struct error *e);

/* The same with a descriptor beside it. */
int
sync_send_fd(const struct sync *sync, enum sync_type type, int fd, struct error *e);

/* START: with the trace of this command, if there is one, for an init that knows of none. */
int
sync_send_start(const struct sync *sync, struct error *e);

/* Pass an error on; the peer's sync_expect() returns it as its own. */
void
sync_send_error(int fd, const struct error *e);

/*
 * Wait for that message. The peer's failure, its death (id "peer-died") or
 * another message is an error. *ret_value may be NULL.
 */
int
sync_expect(const struct sync *sync, enum sync_type type, int64_t *ret_value, struct error *e);

/* The same for a message that may bring a descriptor, close-on-exec; -1 without. */
int
sync_expect_with_fd(const struct sync *sync, enum sync_type type, int *ret_fd, struct error *e);

/* The same for a message of sync_send_fd(): the descriptor, close-on-exec. */
int
sync_expect_fd(const struct sync *sync, enum sync_type type, struct error *e);

/*
 * When both have failed, the peer knows the reason and this side only met a dead
 * peer: replace *e by the error that the peer has sent, if there is one.
 */
void
sync_prefer_error(const struct sync *sync, struct error *e);

/*
 * Wait until the peer has closed its end: execve closes it. 0 for that; -1 with
 * the error that it sent instead.
 */
int
sync_expect_end(const struct sync *sync, struct error *e);

#endif
