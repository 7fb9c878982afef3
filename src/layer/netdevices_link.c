/* SPDX-License-Identifier: MIT */
/*
 * What netdevices.c asks of rtnetlink(7), message by message; libmnl builds and
 * reads them. A namespace is spoken to through a socket that was opened in it.
 */
#include "hako/netdevices.h"
#include "hako/mem.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for any answer: the kernel fills up to 32 kB of a dump at once. */
enum { BUFFER_SIZE = 32768, REQUEST_SIZE = 4096 };

int
link_open_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

/* Send a request; collect is given each message of the answer (NULL: only an error can come). */
static int
ask(int sock, struct nlmsghdr *request, mnl_cb_t collect, void *data)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	char buf[BUFFER_SIZE] __attribute__((aligned(8)));
	ssize_t n;
	int more = MNL_CB_OK;

	request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (sendto(sock, request, request->nlmsg_len, 0, (const struct sockaddr *)&kernel,
	           sizeof(kernel)) < 0)
		return -1;
	while (more > MNL_CB_STOP) {
		n = recv(sock, buf, sizeof(buf), MSG_TRUNC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if ((size_t)n > sizeof(buf)) {
			errno = EMSGSIZE;
			return -1;
		}
		more = mnl_cb_run(buf, (size_t)n, request->nlmsg_seq, 0, collect, data);
	}
	return more;
}

/* Links -------------------------------------------------------------------------- */

static struct nlmsghdr *
link_request(char *buf, uint16_t type, int index, struct ifinfomsg **ret_info)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));

	request->nlmsg_type = type;
	info->ifi_index = index;
	if (ret_info != NULL)
		*ret_info = info;
	return request;
}

static int
read_name(const struct nlattr *attr, void *data)
{
	struct net_link *link = data;

	if (mnl_attr_get_type(attr) == IFLA_IFNAME)
		strncpy(link->name, mnl_attr_get_str(attr), sizeof(link->name) - 1);
	return MNL_CB_OK;
}

static int
read_link(const struct nlmsghdr *message, void *data)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	struct net_link *link = data;

	link->index = info->ifi_index;
	link->up = (info->ifi_flags & IFF_UP) != 0;
	link->loopback = (info->ifi_flags & IFF_LOOPBACK) != 0;
	return mnl_attr_parse(message, sizeof(*info), read_name, link);
}

int
link_find(int sock, const char *name, struct net_link *ret)
{
	char buf[REQUEST_SIZE] __attribute__((aligned(8)));
	struct nlmsghdr *request = link_request(buf, RTM_GETLINK, 0, NULL);

	*ret = (struct net_link){0};
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	return ask(sock, request, read_link, ret);
}

int
link_set_up(int sock, int index, bool up)
{
	char buf[REQUEST_SIZE] __attribute__((aligned(8)));
	struct ifinfomsg *info;
	struct nlmsghdr *request = link_request(buf, RTM_NEWLINK, index, &info);

	info->ifi_change = IFF_UP;
	info->ifi_flags = up ? IFF_UP : 0;
	return ask(sock, request, NULL, NULL);
}

int
link_move(int sock, int index, int net_ns, const char *name)
{
	char buf[REQUEST_SIZE] __attribute__((aligned(8)));
	struct nlmsghdr *request = link_request(buf, RTM_NEWLINK, index, NULL);

	mnl_attr_put_u32(request, IFLA_NET_NS_FD, (uint32_t)net_ns);
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	return ask(sock, request, NULL, NULL);
}

/* Addresses ----------------------------------------------------------------------- */

struct collection {
	int index;
	struct net_addresses *addresses;
};

/* The kernel lists IPv6 addresses from the newest: they come first here, turned around. */
static int
keep_address(const struct nlmsghdr *message, void *data)
{
	const struct ifaddrmsg *address = mnl_nlmsg_get_payload(message);
	struct collection *c = data;
	size_t used = c->addresses->length, size = NLMSG_ALIGN((size_t)message->nlmsg_len);
	char *messages;

	if (message->nlmsg_type != RTM_NEWADDR || (int)address->ifa_index != c->index)
		return MNL_CB_OK;
	messages = realloc(c->addresses->messages, used + size);
	if (messages == NULL)
		return MNL_CB_ERROR;
	if (address->ifa_family == AF_INET6)
		memmove(messages + size, messages, used);
	memcpy(messages + (address->ifa_family == AF_INET6 ? 0 : used), message,
	       message->nlmsg_len);
	c->addresses->messages = messages;
	c->addresses->length = used + size;
	return MNL_CB_OK;
}

/* EINTR: addresses were changed meanwhile, the list may lack some (NLM_F_DUMP_INTR). */
int
link_list_addresses(int sock, int index, struct net_addresses *ret)
{
	struct net_addresses addresses;
	struct collection c = {.index = index, .addresses = &addresses};
	char buf[REQUEST_SIZE] __attribute__((aligned(8)));
	int rc;

	for (unsigned tries = 0; tries < 10; tries++) {
		struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
		struct ifaddrmsg *any = mnl_nlmsg_put_extra_header(request, sizeof(*any));

		request->nlmsg_type = RTM_GETADDR;
		request->nlmsg_flags = NLM_F_DUMP;
		any->ifa_family = AF_UNSPEC;
		addresses = (struct net_addresses){0};
		rc = ask(sock, request, keep_address, &c);
		if (rc == 0) {
			*ret = addresses;
			return 0;
		}
		free_cleaner(&addresses.messages);
		if (errno != EINTR)
			break;
	}
	return -1;
}

/* In the header there is room for eight of them only. */
static int
read_flags(const struct nlattr *attr, void *data)
{
	uint32_t *flags = data;

	if (mnl_attr_get_type(attr) == IFA_FLAGS)
		*flags = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static bool
is_chosen(const struct nlmsghdr *message, enum address_choice choice)
{
	const struct ifaddrmsg *address = mnl_nlmsg_get_payload(message);
	uint32_t flags = address->ifa_flags;

	if (choice == ADDRESSES_ALL)
		return address->ifa_family != AF_INET6 || address->ifa_scope != RT_SCOPE_LINK;
	(void)mnl_attr_parse(message, sizeof(*address), read_flags, &flags);
	return address->ifa_scope == RT_SCOPE_UNIVERSE && (flags & IFA_F_PERMANENT) != 0;
}

struct copy {
	struct nlmsghdr *to;
	bool with_label; /* it begins with the name that the link had */
};

static int
copy_attribute(const struct nlattr *attr, void *data)
{
	const struct copy *copy = data;

	if (copy->with_label || mnl_attr_get_type(attr) != IFA_LABEL)
		mnl_attr_put(copy->to, mnl_attr_get_type(attr), mnl_attr_get_payload_len(attr),
		             mnl_attr_get_payload(attr));
	return MNL_CB_OK;
}

/* What was listed is what the kernel takes: only the link is another. */
static int
add_address(int sock, int index, const struct nlmsghdr *message, enum address_choice choice)
{
	char buf[REQUEST_SIZE] __attribute__((aligned(8)));
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *address = mnl_nlmsg_put_extra_header(request, sizeof(*address));
	struct copy copy = {.to = request, .with_label = choice == ADDRESSES_ALL};

	if (message->nlmsg_len > REQUEST_SIZE) {
		errno = EMSGSIZE;
		return -1;
	}
	request->nlmsg_type = RTM_NEWADDR;
	request->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	memcpy(address, mnl_nlmsg_get_payload(message), sizeof(*address));
	address->ifa_index = (uint32_t)index;
	(void)mnl_attr_parse(message, sizeof(*address), copy_attribute, &copy);
	return ask(sock, request, NULL, NULL);
}

int
link_add_addresses(int sock, int index, const struct net_addresses *addresses,
                   enum address_choice choice)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)(void *)addresses->messages;
	int left = (int)addresses->length;

	for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
		if (is_chosen(message, choice) && add_address(sock, index, message, choice) < 0)
			return -1;
	return 0;
}
