/* SPDX-License-Identifier: MIT */
/*
 * The kernel tells nobody which system call a seccomp filter has killed a process for,
 * neither by wait(2) nor in /proc, but it writes an audit record of it, whether audit
 * rules are in use or not. Those can be read by many at once (netlink multicast), and
 * nothing is changed by it.
 */
#include "hako/audit.h"
#include "hako/mem.h"

#include <linux/audit.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The record is written by a thread of the kernel, a little later. In slices: of a machine that
 * stands still both must have their time afterwards.
 */
enum { SLICES = 10, SLICE_MS = 50 };

int
audit_open(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK,
	                              .nl_groups = 1 << (AUDIT_NLGRP_READLOG - 1)};
	autoclose int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_AUDIT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return take_fd(&fd);
}

/* What a process chooses, its name and its file's, cannot hold spaces here: audit quotes them. */
static bool
find_number(const char *text, const char *name, int base, unsigned long *ret)
{
	const char *p = strstr(text, name);

	if (p == NULL)
		return false;
	*ret = strtoul(p + strlen(name), NULL, base);
	return true;
}

static bool
is_about(const char *text, pid_t pid, struct audit_kill *ret)
{
	unsigned long found, signal, arch, number;

	if (!find_number(text, " pid=", 10, &found) || found != (unsigned long)pid ||
	    !find_number(text, " sig=", 10, &signal) || signal != SIGSYS ||
	    !find_number(text, " arch=", 16, &arch) || !find_number(text, " syscall=", 10, &number))
		return false;
	*ret = (struct audit_kill){.arch = (uint32_t)arch, .number = (int)number};
	return true;
}

static bool
wait_for_record(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (int i = 0; i < SLICES; i++)
		if (poll(&p, 1, SLICE_MS) > 0)
			return true;
	return false;
}

bool
audit_find_kill(int fd, pid_t pid, struct audit_kill *ret)
{
	union {
		struct nlmsghdr header;
		char bytes[9000];
	} message;

	while (wait_for_record(fd)) {
		ssize_t n = recv(fd, message.bytes, sizeof(message.bytes) - 1, 0);

		if (n < (ssize_t)sizeof(message.header))
			return false;
		message.bytes[n] = '\0';
		if (message.header.nlmsg_type == AUDIT_SECCOMP &&
		    is_about(message.bytes + sizeof(message.header), pid, ret))
			return true;
	}
	return false;
}
