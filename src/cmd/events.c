/* SPDX-License-Identifier: MIT */
/* `events`: what a container uses, line by line. */
#include "hako/command.h"
#include "hako/container.h"

enum { DEFAULT_MS = 5000 };

static int
print_line_now(const char *line, struct error *e)
{
	return command_print(line, e) < 0 ? -1 : command_print("\n", e);
}

int
command_events(const struct options *o, struct error *e)
{
	static struct arena arena;
	int interval_ms = DEFAULT_MS, root;
	struct container c;

	if (o->interval != NULL && command_duration(o->interval, &interval_ms) < 0)
		return error_set(e, 0, "usage", "--interval %s is not a duration such as 5s",
		                 o->interval);
	root = command_root_of_container(o, e);
	if (root < 0 || container_open(&arena, root, o->args[0], false, &c, e) < 0)
		return -1;
	return container_events(&c, o->stats ? 0 : interval_ms, print_line_now, e);
}
