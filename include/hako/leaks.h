/* SPDX-License-Identifier: MIT */
#ifndef HAKO_LEAKS_H
#define HAKO_LEAKS_H

#include "hako/mountinfo.h"
#include "hako/plan.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a container has left behind on the host after it was deleted. */

enum leak { LEAK_MOUNTS, LEAK_CGROUPS, LEAK_PROCESSES, LEAK_LINKS, LEAK_STATE, LEAKS };

/* "mounts", "cgroups", ... */
extern const char *const leak_names[LEAKS];

enum { LEAK_NAMESPACES = 5 };

/* One of the container's own; held, because its inode would soon be another's. */
struct leak_namespace {
	int fd; /* -1: none, or unknown */
	uint64_t inode;
};

struct leaks {
	struct arena *arena;
	const struct mountinfo *mounts_before; /* NULL: unknown */
	struct if_nameindex *links_before;     /* NULL: unknown */
	struct leak_namespace namespaces[LEAK_NAMESPACES];
	struct leak_list {
		bool known; /* it could be determined */
		const char *items[64];
		size_t count; /* not more than are there */
	} found[LEAKS];
};

/* Look at the host before anything is made. */
void
leaks_begin(struct leaks *l, struct arena *arena);

/*
 * Which namespaces are the container's; they are held until leaks_find(). May be called
 * again when init has made more of them.
 */
void
leaks_know(struct leaks *l, const struct plan *plan, pid_t init);

/* Look again, when it was deleted; h still has the descriptors of the host's folders. */
void
leaks_find(struct leaks *l, const struct plan *plan, const struct handles *h);

/* How many were found, of all kinds. */
size_t
leaks_count(const struct leaks *l);

#endif
