/* SPDX-License-Identifier: MIT */
/* Durations on the command line. */
#include "hako/command.h"
#include "hako/mem.h"

#include <stdlib.h>
#include <string.h>

int
command_duration(const char *text, int *ret_ms)
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
