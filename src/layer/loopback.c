/* SPDX-License-Identifier: MIT */
/*
 * The loopback interface of a new network namespace is brought up, as every
 * runtime does: programs expect 127.0.0.1 to answer. Two calls; a netlink
 * library would be loaded by every start for nothing more.
 */
#include "hako/layer.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

LAYER_PLAN(loopback_plan)
{
	(void)e;
	p->plan->loopback_up = plan_creates(p->plan, CLONE_NEWNET);
	return 0;
}

LAYER_RUN(loopback_bring_up)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int sock;

	if (!plan->loopback_up)
		return 0;
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &request) < 0)
		return error_set(e, errno, "loopback-failed", "bring up lo");
	fd_drop(&h->dropped, sock);
	return 0;
}

LAYER_VERIFY(loopback_verify)
{
	const struct json *at = json_member(plan->config->linux_->at, "namespaces");

	if (plan->loopback_up)
		verdict_compare(v, (struct claim){CHECK_LOOPBACK, at}, "up",
		                observed_net_link(o, "lo"));
}
