/* SPDX-License-Identifier: MIT */
/*
 * linux.netDevices (config-linux.md "Network Devices"): links of the runtime's
 * network namespace are moved into the container's, under another name if asked,
 * with their permanent global addresses, and brought up. The parent does it while
 * init waits, so that sysctls of a link find it there.
 *
 * The kernel brings a link down that changes its namespace, and takes its
 * addresses: they are listed before. One that cannot move stays as it is. A name
 * is looked for in the container first, because a move that fails over it may
 * leave the link there under its old name. Until the program runs, a failure
 * brings everything back; a namespace that dies takes its virtual links with it,
 * so it is held by a descriptor that long. Afterwards they are the container's
 * (the specification wants no return).
 */
#include "hako/netdevices.h"
#include "hako/error.h"
#include "hako/layer.h"
#include "hako/log.h"
#include "hako/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A link that is on its way, or has arrived; and what it was before. */
struct net_move {
	struct net_link link;
	struct net_addresses addresses;
	char name[IFNAMSIZ]; /* in the container */
	bool begun;
};

LAYER_PLAN(netdevices_plan)
{
	const struct objects *list = &p->config->linux_->net_devices;
	const struct config_net_device *rows = list->items;
	struct plan *plan = p->plan;

	(void)e;
	plan->net_devices = arena_array(p->arena, list->count, sizeof(*plan->net_devices));
	for (size_t i = 0; i < list->count; i++)
		plan->net_devices[plan->net_device_count++] = (struct net_device_plan){
			.at = rows[i].at,
			.name = rows[i].key,
			.new_name = rows[i].name != NULL ? rows[i].name : rows[i].key,
		};
	return 0;
}

static int
fail(const struct net_device_plan *device, struct error *e, const char *what)
{
	return json_error(device->at, e, errno, "net-device-failed", "%s %s", what, device->name);
}

/* Sockets ------------------------------------------------------------------------- */

/* Links and addresses of both sides. */
struct sides {
	int own;   /* the runtime's network namespace */
	int here;  /* a socket in it */
	int there; /* a socket in the container's */
};

static int
open_there(int own, int net_ns)
{
	int sock, code;

	if (setns(net_ns, CLONE_NEWNET) < 0)
		return -1;
	sock = link_open_socket();
	code = errno;
	if (setns(own, CLONE_NEWNET) < 0) {
		close_cleaner(&sock);
		return -1;
	}
	errno = code;
	return sock;
}

static int
open_sides(struct sides *s, int net_ns)
{
	s->here = s->there = -1;
	s->own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (s->own < 0)
		return -1;
	s->here = link_open_socket();
	s->there = open_there(s->own, net_ns);
	return s->here < 0 || s->there < 0 ? -1 : 0;
}

static void
close_sides(struct sides *s)
{
	close_cleaner(&s->own);
	close_cleaner(&s->here);
	close_cleaner(&s->there);
}

/* Names --------------------------------------------------------------------------- */

static bool
is_taken(int sock, const char *name)
{
	struct net_link other;

	return link_find(sock, name, &other) == 0;
}

/* "eth%d": the first of eth0, eth1, ... that is free, as the kernel would choose. */
static int
choose_name(int there, const char *wanted, char ret[static IFNAMSIZ])
{
	const char *number = strstr(wanted, "%d");
	int length;

	for (unsigned i = 0; number != NULL; i++) {
		length = snprintf(ret, IFNAMSIZ, "%.*s%u%s", (int)(number - wanted), wanted, i,
		                  number + 2);
		if (length >= IFNAMSIZ)
			break;
		if (!is_taken(there, ret))
			return 0;
	}
	snprintf(ret, IFNAMSIZ, "%s", wanted);
	errno = EEXIST;
	return number != NULL || is_taken(there, wanted) ? -1 : 0;
}

/* Move ---------------------------------------------------------------------------- */

static int
fail_move(const struct net_device_plan *device, struct error *e)
{
	if (errno == EINVAL)
		return json_error(device->at, e, EINVAL, "net-device-failed",
		                  "move %s: this kind of device stays in its namespace",
		                  device->name);
	return fail(device, e, "move");
}

static int
take_link(const struct sides *s, int net_ns, const struct net_device_plan *device,
          struct net_move *move, struct error *e)
{
	if (link_find(s->here, device->name, &move->link) < 0)
		return fail(device, e, "find the network device");
	if (move->link.loopback) {
		errno = EINVAL;
		return fail_move(device, e);
	}
	if (choose_name(s->there, device->new_name, move->name) < 0)
		return json_error(device->at, e, EEXIST, "net-device-exists",
		                  "move %s: the name %s is taken in the container", device->name,
		                  device->new_name);
	if (link_list_addresses(s->here, move->link.index, &move->addresses) < 0)
		return fail(device, e, "list the addresses of");
	move->begun = true;
	if (link_move(s->here, move->link.index, net_ns, move->name) == 0)
		return 0;
	return fail_move(device, e);
}

static int
settle_link(const struct sides *s, const struct net_device_plan *device,
            const struct net_move *move, struct error *e)
{
	struct net_link link;

	if (link_find(s->there, move->name, &link) < 0)
		return fail(device, e, "find in the container");
	if (link_add_addresses(s->there, link.index, &move->addresses, ADDRESSES_PERMANENT_GLOBAL) <
	    0)
		return fail(device, e, "add the addresses of");
	if (link_set_up(s->there, link.index, true) < 0)
		return fail(device, e, "bring up");
	return 0;
}

static int
open_net_ns(const struct plan *plan, const struct handles *h)
{
	for (size_t i = 0; i < plan->join_count; i++)
		if (plan->joins[i].type == CLONE_NEWNET)
			return fcntl(h->namespaces[i], F_DUPFD_CLOEXEC, 3);
	return proc_open_namespace(h->init_pid, "net");
}

static int
move_all(const struct plan *plan, struct handles *h, const struct sides *s, struct error *e)
{
	for (size_t i = 0; i < plan->net_device_count; i++) {
		const struct net_device_plan *device = &plan->net_devices[i];
		struct net_move *move = &h->net_moves[h->net_move_count++];

		if (take_link(s, h->net_ns, device, move, e) < 0 ||
		    settle_link(s, device, move, e) < 0)
			return -1;
	}
	return 0;
}

static int
check_user(const struct plan *plan, struct error *e)
{
	const struct json *at = json_member(plan->config->linux_->at, "netDevices");

	if (plan->options.host_uid == 0)
		return 0;
	return json_error(at, e, 0, "net-device-unsupported", "only root can move network devices");
}

LAYER_PROBE(netdevices_probe)
{
	if (plan->net_device_count == 0)
		return 0;
	(void)check_user(plan, e);
	for (size_t i = 0; i < plan->net_device_count; i++)
		if (if_nametoindex(plan->net_devices[i].name) == 0)
			(void)fail(&plan->net_devices[i], e, "find the network device");
	return 0;
}

LAYER_RUN(netdevices_move)
{
	const struct json *at = json_member(plan->config->linux_->at, "netDevices");
	struct sides s;
	int rc;

	if (plan->net_device_count == 0)
		return 0;
	if (check_user(plan, e) < 0)
		return -1;
	h->net_moves = calloc(plan->net_device_count, sizeof(*h->net_moves));
	h->net_ns = open_net_ns(plan, h);
	if (h->net_moves == NULL || h->net_ns < 0 || open_sides(&s, h->net_ns) < 0)
		return json_error(at, e, errno, "net-device-failed",
		                  "reach the container's network namespace");
	rc = move_all(plan, h, &s, e);
	close_sides(&s);
	return rc;
}

/* Bring back ---------------------------------------------------------------------- */

/* Where is it: at home (0), in the container (1), nowhere (-1)? */
static int
look_for(const struct sides *s, const struct net_move *move, struct net_link *ret)
{
	if (link_find(s->here, move->link.name, ret) == 0 && ret->index == move->link.index)
		return 0;
	if (link_find(s->there, move->name, ret) == 0 ||
	    link_find(s->there, move->link.name, ret) == 0)
		return 1;
	return -1;
}

static int
bring_back(const struct sides *s, const struct net_move *move)
{
	struct net_link link;
	int where = look_for(s, move, &link);

	if (where <= 0)
		return where;
	if (link_move(s->there, link.index, s->own, move->link.name) < 0 ||
	    link_find(s->here, move->link.name, &link) < 0 ||
	    link_add_addresses(s->here, link.index, &move->addresses, ADDRESSES_ALL) < 0)
		return -1;
	return move->link.up ? link_set_up(s->here, link.index, true) : 0;
}

/* h->net_ns is held only until the program runs: later there is nothing to be done. */
int
netdevices_undo(const struct state *state, struct handles *h, struct error *e)
{
	struct sides s;
	int rc = 0;

	(void)state;
	if (h->net_ns < 0)
		return 0;
	if (open_sides(&s, h->net_ns) < 0)
		rc = error_set(e, errno, "net-device-failed", "bring network devices back");
	for (size_t i = h->net_move_count; rc == 0 && i-- > 0;) {
		const struct net_move *move = &h->net_moves[i];

		if (!move->begun || bring_back(&s, move) == 0)
			continue;
		log_warning("network device %s: not brought back: %s", move->link.name,
		            error_text(errno));
	}
	close_sides(&s);
	close_cleaner(&h->net_ns);
	return rc;
}
