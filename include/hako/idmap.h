/* SPDX-License-Identifier: MIT */
#ifndef HAKO_IDMAP_H
#define HAKO_IDMAP_H

#include "hako/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum idmap_kind { IDMAP_UIDS, IDMAP_GIDS };

/* idmap_grants.c ------------------------------------------------------------------ */

/* newuidmap(1) or newgidmap(1), and the file that it goes by. */
struct idmap_helper {
	const char *program;
	const char *file;
};
extern const struct idmap_helper idmap_helpers[]; /* enum idmap_kind */

/* The names in the lines that are meant for a user. */
struct idmap_user {
	char name[64]; /* its number, when it has no other */
	char number[16];
};
struct idmap_user
idmap_user_of(uint32_t uid);

/* What the lines of a user grant: how many ids from `id` on, and the first line's for a message. */
struct idmap_grants {
	uint64_t count;
	uint64_t first, last; /* last 0: there is no line */
};
struct idmap_grants
idmap_read_grants(enum idmap_kind kind, const struct idmap_user *user, uint64_t id);

/* May the user have that row? own_id may be mapped alone without a line. */
bool
idmap_is_granted(enum idmap_kind kind, const struct idmap_user *user,
                 const struct config_id_mapping *row, uint32_t own_id);

/* idmap_helper.c ------------------------------------------------------------------ */

/*
 * Let newuidmap(1) or newgidmap(1) write the map of a process. A refusal is an
 * error with what the program said, at the row that /etc/subuid or /etc/subgid
 * does not grant to the caller, own_id. -1 with *e.
 */
int
idmap_run_helper(enum idmap_kind kind, pid_t pid, const struct objects *mappings, uint32_t own_id,
                 struct error *e);

#endif
