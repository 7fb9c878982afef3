/* SPDX-License-Identifier: MIT */
/*
 * Out of memory (cgroups(7), "memory.events"): the kernel kills without a word, and a
 * process of hako's that it kills could only be missed. Its cgroup knows. Limits count
 * what the container needs in the kernel too, so that also a call may fail (ENOMEM).
 */
#include "hako/cgroup.h"
#include "hako/cgroup_keyed.h"
#include "hako/file.h"
#include "hako/layer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct memory_events {
	uint64_t kills, refusals;
};

static uint64_t
count_of(const char *text, const char *key)
{
	const char *value = keyed_find(text, key);

	return value != NULL ? strtoull(value, NULL, 10) : 0;
}

static struct memory_events
read_events(int cgroup)
{
	char text[512];
	ssize_t n = file_read_at(cgroup, "memory.events", text, sizeof(text));

	if (n <= 0)
		return (struct memory_events){0};
	return (struct memory_events){
		.kills = count_of(text, "oom_kill"),
		.refusals = count_of(text, "max"),
	};
}

uint64_t
cgroup_oom_kills(int cgroup)
{
	return read_events(cgroup).kills;
}

/* "the limit of N bytes", or that of a cgroup above when this one has none. */
static const char *
limit_text(int cgroup, char *buf, size_t size)
{
	char limit[32];

	if (file_read_at(cgroup, "memory.max", limit, sizeof(limit)) <= 0 ||
	    strcmp(limit, "max") == 0)
		return "the limit of a cgroup above it";
	snprintf(buf, size, "its limit of %s bytes (memory.max)", limit);
	return buf;
}

int
cgroup_explain_end(const struct plan *plan, const struct handles *h, struct error *e)
{
	const struct config_resources *resources = plan->config->linux_->resources;
	const struct json *at = resources != NULL && resources->memory != NULL
	                                ? json_member(resources->memory->at, "limit")
	                                : NULL;
	struct memory_events events;
	char limit[80];

	if (h->cgroup < 0 || (strcmp(e->id, "peer-died") != 0 && e->code != ENOMEM))
		return -1;
	events = read_events(h->cgroup);
	if (events.kills > 0)
		return json_error(at, e, 0, "out-of-memory",
		                  "the kernel has killed a process of the container for lack of "
		                  "memory: %s is too low",
		                  limit_text(h->cgroup, limit, sizeof(limit)));
	if (e->code == ENOMEM && events.refusals > 0)
		return error_advise(e, "%s is too low",
		                    limit_text(h->cgroup, limit, sizeof(limit)));
	return -1;
}
