/* SPDX-License-Identifier: MIT */
#ifndef HAKO_IDMAP_H
#define HAKO_IDMAP_H

#include "hako/config.h"

#include <sys/types.h>

enum idmap_kind { IDMAP_UIDS, IDMAP_GIDS };

/*
 * Let newuidmap(1) or newgidmap(1) write the map of a process. A refusal is an
 * error with what the program said, at the row that /etc/subuid or /etc/subgid
 * does not grant to the caller, own_id. -1 with *e.
 */
int
idmap_run_helper(enum idmap_kind kind, pid_t pid, const struct objects *mappings, uint32_t own_id,
                 struct error *e);

#endif
