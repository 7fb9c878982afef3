/* SPDX-License-Identifier: MIT */
/*
 * The conversation between parent, intermediate and init. A packet is a header
 * or a header and an error; a packet boundary is a message boundary, so nothing
 * can be read in halves.
 */
#include "hako/sync.h"
#include "hako/interrupt.h"
#include "hako/mem.h"
#include "hako/trace.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

struct packet {
	int64_t type;
	int64_t value;
	struct error error; /* FAILED only */
};

/* Room for one descriptor, aligned as the kernel wants it. */
union fd_control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

enum { SHORT_PACKET = offsetof(struct packet, error) };

static const char *const names[] = {
#define SYNC_NAME(name, meaning) #name,
	SYNC_MESSAGES(SYNC_NAME)
#undef SYNC_NAME
};

int
sync_pair(int ret[2], struct error *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0)
		return error_set(e, errno, "sync-failed", "make a socket pair");
	return 0;
}

int
sync_send(const struct sync *sync, enum sync_type type, int64_t value, struct error *e)
{
	struct packet packet = {.type = type, .value = value};

	if (send(sync->fd, &packet, SHORT_PACKET, MSG_NOSIGNAL) != SHORT_PACKET)
		return error_set(e, errno, "peer-died", "send %s", names[type]);
	return 0;
}

int
sync_send_fd(const struct sync *sync, enum sync_type type, int fd, struct error *e)
{
	union fd_control control = {.header = {.cmsg_len = CMSG_LEN(sizeof(fd)),
	                                       .cmsg_level = SOL_SOCKET,
	                                       .cmsg_type = SCM_RIGHTS}};
	struct packet packet = {.type = type};
	struct iovec data = {.iov_base = &packet, .iov_len = SHORT_PACKET};
	const struct msghdr message = {.msg_iov = &data,
	                               .msg_iovlen = 1,
	                               .msg_control = control.bytes,
	                               .msg_controllen = sizeof(control.bytes)};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(sync->fd, &message, MSG_NOSIGNAL) != SHORT_PACKET)
		return error_set(e, errno, "peer-died", "send %s", names[type]);
	return 0;
}

int
sync_send_start(const struct sync *sync, struct error *e)
{
	return trace_settings.buffer != NULL ? sync_send_fd(sync, SYNC_START, trace_settings.fd, e)
	                                     : sync_send(sync, SYNC_START, 0, e);
}

void
sync_send_error(int fd, const struct error *e)
{
	struct packet packet = {.type = SYNC_FAILED, .error = *e};

	/* nobody is left to tell when this fails */
	(void)!send(fd, &packet, sizeof(packet), MSG_NOSIGNAL);
}

/*
 * Until there is a packet. Without one: EINTR, a signal wants hako to end; ESRCH, who
 * should have sent it has ended. What it has sent just before that counts.
 */
static int
wait_packet(const struct sync *sync)
{
	struct pollfd fds[3] = {{.fd = sync->fd, .events = POLLIN},
	                        {.fd = sync->interrupt, .events = POLLIN},
	                        {.fd = sync->peer, .events = POLLIN}};

	if (sync->interrupt < 0 && sync->peer < 0)
		return 0;
	while (poll(fds, 3, -1) < 0)
		if (errno != EINTR)
			return -1;
	if (fds[0].revents != 0 || (fds[2].revents != 0 && poll(fds, 1, 0) > 0))
		return 0;
	errno = ESRCH;
	if (fds[1].revents != 0) {
		interrupt_take(sync->interrupt);
		errno = EINTR;
	}
	return -1;
}

static ssize_t
receive(const struct sync *sync, struct packet *packet)
{
	ssize_t n;

	if (wait_packet(sync) < 0)
		return -1;
	/* ECONNRESET: the peer has died without reading all of ours; its last words come after it */
	do
		n = recv(sync->fd, packet, sizeof(*packet), 0);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	return n;
}

/* One descriptor of a message that may bring it, -1 in *ret_fd without. */
static ssize_t
receive_fd(const struct sync *sync, struct packet *packet, int *ret_fd)
{
	union fd_control control = {0};
	struct iovec data = {.iov_base = packet, .iov_len = sizeof(*packet)};
	struct msghdr message = {.msg_iov = &data,
	                         .msg_iovlen = 1,
	                         .msg_control = control.bytes,
	                         .msg_controllen = sizeof(control.bytes)};
	const struct cmsghdr *header;
	ssize_t n;

	*ret_fd = -1;
	if (wait_packet(sync) < 0)
		return -1;
	do
		n = recvmsg(sync->fd, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header != NULL && header->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(header), sizeof(*ret_fd));
	return n;
}

static int
fail_receive(struct error *e, const char *what)
{
	if (errno == EINTR)
		return error_set(e, 0, "interrupted", "interrupted by a signal");
	return error_set(e, errno, "sync-failed", "wait for %s", what);
}

static int
take_error(const struct packet *packet, struct error *e)
{
	*e = packet->error;
	e->id[sizeof(e->id) - 1] = '\0';
	e->at[sizeof(e->at) - 1] = '\0';
	e->msg[sizeof(e->msg) - 1] = '\0';
	return -1;
}

/* Is this packet of n bytes the one that was expected? */
static int
check_packet(const struct packet *packet, ssize_t n, enum sync_type type, struct error *e)
{
	if (n == 0 || (n < 0 && (errno == ECONNRESET || errno == ESRCH)))
		return error_set(e, 0, "peer-died",
		                 "the other process ended while this one waited for %s",
		                 names[type]);
	if (n < 0)
		return fail_receive(e, names[type]);
	if (n == sizeof(*packet) && packet->type == SYNC_FAILED)
		return take_error(packet, e);
	if (n != SHORT_PACKET || packet->type != (int64_t)type)
		return error_set(e, 0, "sync-failed", "expected %s, got another message",
		                 names[type]);
	return 0;
}

int
sync_expect(const struct sync *sync, enum sync_type type, int64_t *ret_value, struct error *e)
{
	unsigned span = trace_begin("wait", names[type], NULL);
	struct packet packet;
	ssize_t n = receive(sync, &packet);

	trace_end(span, NULL);
	if (check_packet(&packet, n, type, e) < 0)
		return -1;
	if (ret_value != NULL)
		*ret_value = packet.value;
	return 0;
}

int
sync_expect_with_fd(const struct sync *sync, enum sync_type type, int *ret_fd, struct error *e)
{
	unsigned span = trace_begin("wait", names[type], NULL);
	struct packet packet = {0};
	autoclose int fd = -1;
	ssize_t n = receive_fd(sync, &packet, &fd);

	trace_end(span, NULL);
	if (check_packet(&packet, n, type, e) < 0)
		return -1;
	*ret_fd = take_fd(&fd);
	return 0;
}

int
sync_expect_fd(const struct sync *sync, enum sync_type type, struct error *e)
{
	int fd = -1;

	if (sync_expect_with_fd(sync, type, &fd, e) < 0)
		return -1;
	if (fd < 0)
		return error_set(e, 0, "sync-failed", "%s came without its descriptor",
		                 names[type]);
	return fd;
}

void
sync_prefer_error(const struct sync *sync, struct error *e)
{
	struct pollfd p = {.fd = sync->fd, .events = POLLIN};
	struct error other;

	while (sync->fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & POLLIN) != 0) {
		if (sync_expect(sync, SYNC_READY, NULL, &other) == 0)
			continue;
		if (strcmp(other.id, "peer-died") != 0 && strcmp(other.id, "sync-failed") != 0)
			*e = other;
		if (strcmp(other.id, "sync-failed") != 0)
			return;
	}
}

int
sync_expect_end(const struct sync *sync, struct error *e)
{
	unsigned span = trace_begin("wait", "execve", NULL);
	struct packet packet;
	ssize_t n = receive(sync, &packet);

	trace_end(span, NULL);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return 0;
	if (n == sizeof(packet) && packet.type == SYNC_FAILED)
		return take_error(&packet, e);
	if (n < 0)
		return fail_receive(e, "the program to be executed");
	return error_set(e, 0, "sync-failed", "expected the end, got another message");
}
