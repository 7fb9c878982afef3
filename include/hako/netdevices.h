/* SPDX-License-Identifier: MIT */
#ifndef HAKO_NETDEVICES_H
#define HAKO_NETDEVICES_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

struct error;
struct handles;
struct state;

/* While nothing has run in the container: its links go back to where they came from. */
int
netdevices_undo(const struct state *state, struct handles *h, struct error *e);

/* netdevices_link.c: links and their addresses over rtnetlink. -1 with errno. */

/* A link in some network namespace. */
struct net_link {
	int index;
	bool up;
	bool loopback;
	char name[IFNAMSIZ];
};

/* Addresses of a link: RTM_NEWADDR messages, in the order to add them in. */
struct net_addresses {
	char *messages;
	size_t length;
};

/* A socket for the network namespace that this process is in. */
int
link_open_socket(void);

/* The link of that name; ENODEV when there is none. */
int
link_find(int sock, const char *name, struct net_link *ret);

int
link_set_up(int sock, int index, bool up);

/*
 * Put a link into another namespace under that name; it arrives down and without
 * addresses. When this fails it can be in either namespace, under either name.
 */
int
link_move(int sock, int index, int net_ns, const char *name);

/* All addresses of a link. Freed by the caller. */
int
link_list_addresses(int sock, int index, struct net_addresses *ret);

enum address_choice {
	ADDRESSES_PERMANENT_GLOBAL, /* IFA_F_PERMANENT, RT_SCOPE_UNIVERSE; labels are left out */
	ADDRESSES_ALL,              /* but those that the kernel makes by itself */
};

/* Give these addresses to a link. */
int
link_add_addresses(int sock, int index, const struct net_addresses *addresses,
                   enum address_choice choice);

#endif
