/* SPDX-License-Identifier: MIT */
/*
 * `events`: a line of JSON with what the container uses, once or again and again, and
 * a line whenever the kernel has killed one of its processes for lack of memory.
 */
#include "hako/cgroup.h"
#include "hako/container.h"
#include "hako/json.h"
#include "hako/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

struct events {
	const struct container *container;
	int cgroup;
	print_line *print;
};

static int
print_event(const struct events *events, const char *type, bool stats, struct error *e)
{
	struct json_writer *w = json_writer_new(JSON_COMPACT);
	int rc;

	json_begin_object(w, NULL);
	json_put_string(w, "type", type);
	json_put_string(w, "id", events->container->id);
	if (stats) {
		json_begin_object(w, "data");
		cgroup_put_stats(w, events->cgroup);
		json_end_object(w);
	}
	json_end_object(w);
	rc = events->print(json_writer_text(w, NULL), e);
	json_writer_free(w);
	return rc;
}

/* The kernel notifies when memory.events changes; without the memory controller it never does. */
static int
watch_memory(int cgroup)
{
	char path[64];
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	snprintf(path, sizeof(path), "/proc/self/fd/%d/memory.events", cgroup);
	if (fd >= 0)
		(void)inotify_add_watch(fd, path, IN_MODIFY);
	return fd;
}

static int
report_oom(const struct events *events, uint64_t *kills, struct error *e)
{
	uint64_t now = cgroup_oom_kills(events->cgroup);
	bool more = now > *kills;

	*kills = now;
	return more ? print_event(events, "oom", false, e) : 0;
}

/* Until init has ended. */
static int
follow(const struct events *events, int init, int interval_ms, struct error *e)
{
	autoclose int watch = watch_memory(events->cgroup);
	uint64_t kills = cgroup_oom_kills(events->cgroup);
	char changes[4096];

	for (;;) {
		struct pollfd fds[] = {{.fd = init, .events = POLLIN},
		                       {.fd = watch, .events = POLLIN}};
		int n = poll(fds, ARRAY_SIZE(fds), interval_ms);

		if (n < 0 && errno != EINTR)
			return error_set(e, errno, "wait-failed", "wait for events");
		while (fds[1].revents != 0 && read(watch, changes, sizeof(changes)) > 0)
			;
		if (report_oom(events, &kills, e) < 0)
			return -1;
		if (fds[0].revents != 0)
			return 0;
		if (n == 0 && print_event(events, "stats", true, e) < 0)
			return -1;
	}
}

int
container_events(const struct container *c, int interval_ms, print_line *print, struct error *e)
{
	struct events events = {.container = c, .print = print};
	autoclose int init = container_pidfd(c, e);
	autoclose int cgroup = -1;

	if (init < 0)
		return -1;
	cgroup = container_cgroup(c, e);
	if (cgroup < 0)
		return -1;
	events.cgroup = cgroup;
	return interval_ms == 0 ? print_event(&events, "stats", true, e)
	                        : follow(&events, init, interval_ms, e);
}
