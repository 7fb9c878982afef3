/* SPDX-License-Identifier: MIT */
/* `events`: what a container uses, line by line. */
#include "hako/command.h"
#include "hako/container.h"
#include "hako/mem.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_MS = 5000 };

/* "1m30s", "500ms", "1.5s"; a bare number is seconds. */
static int
parse_duration(const char *text, int *ret_ms)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"ms", 1}, {"us", 1e-3}, {"ns", 1e-6}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}};
	double total = 0;

	for (const char *p = text; p == text || *p != '\0';) {
		char *end;
		double value = strtod(p, &end), ms = *end == '\0' && p == text ? 1e3 : 0;

		for (size_t i = 0; ms == 0 && i < ARRAY_SIZE(units); i++)
			if (strncmp(end, units[i].name, strlen(units[i].name)) == 0) {
				ms = units[i].ms;
				end += strlen(units[i].name);
			}
		if (end == p || ms == 0 || *p < '0' || *p > '9')
			return -1;
		total += value * ms;
		p = end;
	}
	if (!(total >= 1 && total < 1e9))
		return -1;
	*ret_ms = (int)total;
	return 0;
}

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

	if (o->interval != NULL && parse_duration(o->interval, &interval_ms) < 0)
		return error_set(e, 0, "usage", "--interval %s is not a duration such as 5s",
		                 o->interval);
	root = command_root_of_container(o, e);
	if (root < 0 || container_open(&arena, root, o->args[0], false, &c, e) < 0)
		return -1;
	return container_events(&c, o->stats ? 0 : interval_ms, print_line_now, e);
}
