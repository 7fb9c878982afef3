/* SPDX-License-Identifier: MIT */
#ifndef HAKO_REPORT_H
#define HAKO_REPORT_H

#include "hako/cgroup.h"
#include "hako/container.h"
#include "hako/leaks.h"
#include "hako/plan.h"
#include "hako/verdict.h"

/*
 * `run --report`, `--summary`: how a container has ended, what it has used and what it
 * has left behind. The functions but report_open() do nothing when r is NULL.
 */

struct report {
	struct arena arena;
	const char *id;
	int dir; /* of the file; -1: see fd */
	int fd;  /* where it goes otherwise; -1: nowhere */
	const char *name;
	int timeout_ms;          /* 0: none */
	const struct plan *plan; /* NULL: it did not come to one */
	char started[48];        /* RFC 3339 */
	int64_t begin_us;        /* of the command */
	int64_t executed_us;     /* the program; 0: it was not */
	int64_t ended_us;        /* 0: it has not */
	int64_t deleted_us;      /* 0: it was not */
	struct ending ending;    /* valid with ended_us */
	int audit;               /* see audit.h */
	bool killed_by_filter;
	const char *syscall;     /* what the filter has killed it for, NULL: unknown */
	const char *cgroup_path; /* NULL: it had none */
	struct cgroup_record cgroup;
	const struct verdicts *verdicts; /* NULL: it was not verified */
	struct leaks leaks;
	bool leaks_looked_for;
};

/*
 * Begin. path is the file (NULL: none, "-": standard output), which is written when all
 * is over, in one piece. -1 with *e when it could not be.
 */
int
report_open(struct report *r, const char *id, const char *path, int timeout_ms, struct error *e);

/* It is known what will be made. */
void
report_planned(struct report *r, const struct plan *plan);

/* The container is made, and waits. */
void
report_created(struct report *r, const struct handles *h);

/* It was verified; v lives on. */
void
report_verified(struct report *r, const struct verdicts *v);

/* Its program is being executed. */
void
report_executed(struct report *r, const struct handles *h);

/* Its process has ended; its cgroup is still there. */
void
report_ended(struct report *r, const struct served *served, const struct handles *h);

/* It was deleted, or could not be made. */
void
report_deleted(struct report *r, const struct handles *h);

/* Write it: status is that of the command, which failure (NULL: none) explains. -1 with *e. */
int
report_write(struct report *r, int status, const struct error *failure, struct error *e);

/* The same as a few lines for people, freed by the caller. */
char *
report_summary(const struct report *r, const struct error *failure);

#endif
