/* SPDX-License-Identifier: MIT */
#ifndef HAKO_VERIFY_H
#define HAKO_VERIFY_H

#include "hako/container.h"
#include "hako/verdict.h"

#include <sys/types.h>

struct verify_request {
	pid_t pid; /* another process of the container; 0: init */
	struct patterns only;
	struct patterns skip;
	const char *bundle; /* for process_verify() */
	const char *config; /* --config, or NULL */
	bool systemd;       /* its cgroup is systemd's to name */
};

/*
 * Compare a created or running container with the config that it was made from.
 * Changes nothing; needs no lock. *ret lives in the arena. -1 when it could not be
 * done at all: there is no such container, or it has ended.
 */
int
container_verify(struct arena *arena, const struct container *c, const struct verify_request *r,
                 struct verdicts *ret, struct error *e);

/* The same for one that this process is making, after container_settle(). */
int
container_verify_made(struct arena *arena, const struct plan *plan, const struct handles *h,
                      struct verdicts *ret, struct error *e);

/* Compare a process that somebody else has made, from a bundle. */
int
process_verify(struct arena *arena, const struct verify_request *r, struct verdicts *ret,
               struct error *e);

/*
 * Ask every step what it finds of its work (verify_look.c), in bounded time: what does not
 * answer is unknown. -1 with *e.
 */
struct observed;
int
verify_look(const struct plan *plan, struct observed *o, struct verdicts *v, struct error *e);

/* 0: all hold, or will when the container is started; 1: drift; 2: something is unknown, or all. */
int
verdicts_status(const struct verdicts *v);

/* verify_show.c: texts, freed by the caller; name is what was verified. */
struct json_writer;

/* For people: what does not hold, with `all` everything, and a line with the numbers. */
char *
verdicts_show_text(const struct verdicts *v, const char *name, bool all);
char *
verdicts_show_json(const struct verdicts *v, const char *name);
/* TAP 13, https://testanything.org */
char *
verdicts_show_tap(const struct verdicts *v, const char *name);
/* What JUnit's Ant task writes, as CI systems read it. */
char *
verdicts_show_junit(const struct verdicts *v, const char *name);

/* The members of that JSON document, for one that holds more: call between begin and end. */
void
verdicts_put_json(struct json_writer *w, const struct verdicts *v);

/* All checks there are, a line each. */
char *
checks_show(void);

#endif
