/* SPDX-License-Identifier: MIT */
/*
 * Unix sockets that a caller names on the command line or in the environment.
 * An address holds 107 bytes of path, and callers have longer ones: the socket is
 * then opened as a path and named by its descriptor. Connecting waits where the
 * queue of the listener is full, and sending where its buffer is; a time limit
 * on the socket covers both (unix(7), SO_SNDTIMEO).
 */
#include "hako/unixsock.h"
#include "hako/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { SEND_TIMEOUT_SECONDS = 10 };

static int
open_socket(int type)
{
	const struct timeval timeout = {.tv_sec = SEND_TIMEOUT_SECONDS};
	autoclose int sock = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return -1;
	return take_fd(&sock);
}

/* Its length tells how much of an abstract name counts: no NUL ends it. */
static int
connect_address(int sock, const struct sockaddr_un *address, size_t path_length)
{
	return connect(sock, (const struct sockaddr *)address,
	               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_length));
}

static int
connect_abstract(int sock, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(name);

	if (length + 1 > sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path + 1, name, length);
	return connect_address(sock, &address, length + 1);
}

static int
connect_path(int sock, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int fd = -1;

	if (*path == '\0') { /* would be an abstract name */
		errno = ENOENT;
		return -1;
	}
	if (strlen(path) < sizeof(address.sun_path)) {
		strcpy(address.sun_path, path);
	} else {
		fd = open(path, O_PATH | O_CLOEXEC);
		if (fd < 0)
			return -1;
		snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", fd);
	}
	return connect_address(sock, &address, sizeof(address.sun_path));
}

int
unixsock_connect(const char *path, int type)
{
	autoclose int sock = open_socket(type);

	if (sock < 0)
		return -1;
	if ((*path == '@' ? connect_abstract(sock, path + 1) : connect_path(sock, path)) < 0)
		return -1;
	return take_fd(&sock);
}

int
unixsock_send_fd(int sock, const char *payload, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
	                        .cmsg_level = SOL_SOCKET,
	                        .cmsg_type = SCM_RIGHTS}};
	struct iovec text = {.iov_base = (void *)payload, .iov_len = strlen(payload)};
	const struct msghdr message = {.msg_iov = &text,
	                               .msg_iovlen = 1,
	                               .msg_control = control.bytes,
	                               .msg_controllen = sizeof(control.bytes)};
	ssize_t n;

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	do
		n = sendmsg(sock, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0 && (size_t)n != text.iov_len)
		errno = EIO;
	return n == (ssize_t)text.iov_len ? 0 : -1;
}

int
unixsock_receive_fd(int sock)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char text[64];
	struct iovec room = {.iov_base = text, .iov_len = sizeof(text)};
	struct msghdr message = {.msg_iov = &room,
	                         .msg_iovlen = 1,
	                         .msg_control = control.bytes,
	                         .msg_controllen = sizeof(control.bytes)};
	ssize_t n;
	int fd;

	do
		n = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n >= 0 && (CMSG_FIRSTHDR(&message) == NULL || control.header.cmsg_type != SCM_RIGHTS ||
	               control.header.cmsg_len != CMSG_LEN(sizeof(int)))) {
		errno = ENOMSG;
		return -1;
	}
	if (n < 0)
		return -1;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}
