/* SPDX-License-Identifier: MIT */
/*
 * A mount that a later one hides, on the same place or above it, is hardly what
 * was meant: `check` warns of it (config.md "Mounts": they are mounted in the
 * order of the list).
 */
#include "hako/mounts.h"
#include "hako/problem.h"
#include "hako/table.h"

#include <string.h>

/* The last of those in the table that are at or above path; NULL: there is none. */
static const struct mount_plan *
last_over(struct table *later, const char *path)
{
	const struct mount_plan *last = NULL, *m;
	const char *end = path;

	do {
		end = strchrnul(end + 1, '/');
		m = *table_at(later, path, (size_t)(end - path));
		if (m != NULL && (last == NULL || m > last))
			last = m;
	} while (*end != '\0');
	return last;
}

void
mounts_warn_of_hidden(struct arena *arena, const struct plan *plan)
{
	struct table later;

	table_init(&later, arena, plan->mount_count);
	for (size_t i = plan->mount_count; i-- > 0;) {
		const struct mount_plan *m = &plan->mounts[i], *over;
		const void **place;

		if (m->kind == MOUNT_REMOUNT || m->kind == MOUNT_BIND_REMOUNT)
			continue;
		over = last_over(&later, m->destination);
		if (over != NULL)
			json_warning(m->at, "config-hidden", "hidden by a later mount: %s on %s",
			             json_pointer(arena, over->at), over->destination);
		place = table_at(&later, m->destination, strlen(m->destination));
		if (*place == NULL)
			*place = m;
	}
}
