/* SPDX-License-Identifier: MIT */
#ifndef HAKO_STEP_H
#define HAKO_STEP_H

#include "hako/layer.h"
#include "hako/state.h"

/* Who acts when; the order of the rows within a phase is the order of acting. */
enum phase {
	PHASE_PREPARE, /* parent: opens and makes what init needs */
	PHASE_MAP,     /* parent: what init of a user namespace waits for */
	PHASE_ATTACH,  /* parent, while init builds: limits, device filter, seccomp program */
	PHASE_LIMIT,   /* parent, when init is ready: what was in the way before */
	PHASE_BUILD,   /* init: the container's view of the world, up to the pivot */
	PHASE_CONFINE, /* init: privileges only shrink */
	PHASE_START,   /* init, released: nothing but execve comes after it */
};

enum when { WHEN_CREATE = 1, WHEN_EXEC = 2, WHEN_BOTH = 3 };

struct step {
	enum phase phase;
	enum when when;
	const char *name;    /* what it does, for errors and logs: "attach mounts" */
	const char *pointer; /* the property that it serves */
	int (*plan)(struct planner *p, struct error *e);
	int (*run)(const struct plan *plan, struct handles *h, struct error *e);
	/* Remove what the host can see. Idempotent; needs nothing but the state. */
	int (*undo)(const struct state *state, struct handles *h, struct error *e);
	/* Would it work here? Looks at the host, changes nothing; any user. */
	int (*probe)(const struct plan *plan, struct error *e);
	/* Is it still as the plan has it? Looks at the process, changes nothing. */
	void (*verify)(const struct plan *plan, struct observed *o, struct verdicts *v);
};

/* THE table: ends with a NULL name. */
extern const struct step steps[];

/*
 * Decide everything: the planners of all steps, in order. Pure. When problems are
 * collected, all planners have their say.
 */
int
steps_plan(struct planner *p, enum when when, struct error *e);

/* Look at the host for all steps. For a config whose problems are collected. */
int
steps_probe(const struct plan *plan, enum when when, struct error *e);

/* Look at a process of the container for all steps. */
void
steps_verify(const struct plan *plan, struct observed *o, struct verdicts *v);

/* Run the steps of a phase. An error says which step, and where in config.json. */
int
steps_run(enum phase phase, enum when when, const struct plan *plan, struct handles *h,
          struct error *e);

/* "PREPARE", "MAP", ... */
const char *
step_phase_name(enum phase phase);

/* Undo in reverse order; goes on after a failure and returns the first. */
int
steps_undo(const struct state *state, struct handles *h, struct error *e);

#endif
