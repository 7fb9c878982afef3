/* SPDX-License-Identifier: MIT */
/* Id maps of a new user namespace, as every member of it shows them. */
#include "hako/layer.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* Three numbers a line, however far apart; newlines become commas. */
static const char *
normalise(struct arena *arena, const char *text)
{
	const char *list = "";
	unsigned a, b, c;

	for (; *text != '\0'; text += strcspn(text, "\n"), text += *text != '\0')
		if (sscanf(text, "%u %u %u", &a, &b, &c) == 3)
			list = arena_printf(arena, "%s%s%u %u %u", list,
			                    list[0] != '\0' ? ", " : "", a, b, c);
	return list;
}

static void
verify_map(const struct observed *o, struct verdicts *v, struct claim claim, const char *file,
           const char *expected)
{
	const char *text = observed_read(o, file, NULL);

	verdict_compare(v, claim, normalise(v->arena, expected),
	                text != NULL ? normalise(v->arena, text) : NULL);
}

LAYER_VERIFY(idmap_verify)
{
	const struct config_linux *lin = plan->config->linux_;
	const struct idmap_plan *map = &plan->idmap;

	if (map->uid_map == NULL)
		return;
	verify_map(o, v, (struct claim){CHECK_UID_MAP, lin->uid_mappings.at}, "uid_map",
	           map->uid_map);
	verify_map(o, v, (struct claim){CHECK_GID_MAP, lin->gid_mappings.at}, "gid_map",
	           map->gid_map);
	verdict_compare(v, (struct claim){CHECK_SETGROUPS, lin->gid_mappings.at},
	                map->setgroups_denied ? "deny" : "allow",
	                observed_read(o, "setgroups", NULL));
}
