/* SPDX-License-Identifier: MIT */
#ifndef HAKO_HOOKS_H
#define HAKO_HOOKS_H

#include "hako/config.h"

struct plan;

/* How hooks are run. */
struct hook_call {
	const char *name;       /* the property: "createRuntime" */
	const char *dir;        /* where; NULL: here */
	const char *state;      /* for their standard input */
	const int *output;      /* of hooks_open_output() */
	const char *const *env; /* of those that do not say; NULL: hako's own */
	/* what the process does last before it becomes the hook; NULL: nothing */
	int (*confine)(const struct plan *plan, struct error *e);
	const struct plan *plan;         /* for confine */
	const struct string_map *places; /* of hooks that were saved: see config_place(); or NULL */
};

/*
 * Open the files that take the standard output and the standard error of hooks, as
 * the annotations run.oci.hooks.stdout and run.oci.hooks.stderr say, and append to
 * them. Relative ones are below the bundle. -1 in ret where there is none.
 */
int
hooks_open_output(const struct string_map *annotations, const char *bundle, int ret[2],
                  struct error *e);

/*
 * Run hooks (array of struct config_hook) in order, each with the state on its
 * standard input, its own environment if it has one, and in its own process group. Stops at
 * the first that fails, cannot be run, or exceeds its timeout (its group is killed):
 * -1 with *e, which ends with the last line that the hook wrote to nobody else.
 */
int
hooks_run(const struct objects *hooks, const struct hook_call *call, struct error *e);

/* poststop hooks: the failure of one is a warning, and the others still run. */
void
hooks_run_poststop(const struct objects *hooks, const struct hook_call *call);

#endif
