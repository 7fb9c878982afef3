/* SPDX-License-Identifier: MIT */
#ifndef HAKO_UNIXSOCK_H
#define HAKO_UNIXSOCK_H

/*
 * Sockets of the caller: it listens, hako connects and says one thing. None of
 * them may keep hako waiting: what takes longer than ten seconds fails with
 * EAGAIN. -1 with errno.
 */

/*
 * Connect a socket of that type (SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET) to the
 * one at path, which may be as long as any path, and relative to the current
 * directory. "@name" is an abstract socket, as Go and sd_notify(3) spell it.
 */
int
unixsock_connect(const char *path, int type);

/* One message: payload, which must not be empty, with the descriptor beside it. */
int
unixsock_send_fd(int sock, const char *payload, int fd);

/* The descriptor that comes with such a message, close-on-exec; ENOMSG when there is none. */
int
unixsock_receive_fd(int sock);

#endif
