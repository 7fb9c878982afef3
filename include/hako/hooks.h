/* SPDX-License-Identifier: MIT */
#ifndef HAKO_HOOKS_H
#define HAKO_HOOKS_H

#include "hako/config.h"

/*
 * Run hooks (array of struct config_hook) in order, each with the state on its
 * standard input, only its own environment, and in its own process group. name
 * is the property ("createRuntime"), dir where they run (NULL: here). Stops at the first that fails, cannot be
 * run, or exceeds its timeout (its group is killed): -1 with *e, which ends with
 * the last line that the hook wrote.
 */
int
hooks_run(const struct objects *hooks, const char *name, const char *dir, const char *state,
          struct error *e);

/* poststop hooks: the failure of one is a warning, and the others still run. */
void
hooks_run_poststop(const struct objects *hooks, const char *dir, const char *state);

#endif
