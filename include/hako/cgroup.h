/* SPDX-License-Identifier: MIT */
#ifndef HAKO_CGROUP_H
#define HAKO_CGROUP_H

#include "hako/error.h"
#include "hako/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * A container's cgroup in the v2 hierarchy, from the outside. Paths begin with
 * "/" and are relative to the mount of the hierarchy.
 */

/*
 * Open the v2 hierarchy: /sys/fs/cgroup, or /sys/fs/cgroup/unified on a hybrid
 * host. An O_PATH descriptor, and where it is mounted. -1: there is none (id
 * "cgroup-missing").
 */
int
cgroup_open_root(const char **ret_mount, struct error *e);

/* Open a cgroup below root; -1 with errno. */
int
cgroup_open(int root, const char *path);

/* The cgroup of a process (0: this one), as /proc/PID/cgroup has it; -1 with errno. */
int
cgroup_of(pid_t pid, char *buf, size_t size);

/*
 * For who is not root of the machine: the cgroup below which relative paths are, ""
 * for the root of the hierarchy. Beside the caller's own cgroup if the one above is
 * the caller's too, else below it.
 */
const char *
cgroup_parent_of_caller(void);

/* Why the cgroup could not be made, with the directory and its owner. Always returns -1. */
int
cgroup_deny_making(int root, const char *mount, const char *path, int code, struct error *e);

/* May the caller start processes in it? -1 with the file that is in the way, and its owner. */
int
cgroup_check_entry(int root, const char *mount, const char *path, struct error *e);

/*
 * Leave a cgroup for one below it, if nobody else is in it. The descriptor to go back
 * with; -1: not possible.
 */
int
cgroup_step_aside(int cgroup);
void
cgroup_step_back(int cgroup);

/* SIGKILL to every process in it and below, frozen or not; -1 with errno. */
int
cgroup_kill(int cgroup);

/* Wait until no process is left in it and below; -1 with errno (ETIMEDOUT). */
int
cgroup_wait_empty(int cgroup, int timeout_ms);

/*
 * Remove it and what is below, waiting for dying processes. 0 also when there is none;
 * -1 with errno.
 */
int
cgroup_remove(int root, const char *path, int timeout_ms);

/* Freeze or thaw, and wait until it is done; -1 with errno. */
int
cgroup_freeze(int cgroup, bool frozen);

/* Thaw for who has been killed: not waited for, because a cgroup above may be frozen as well. */
void
cgroup_thaw(int cgroup);

/* 1 frozen, 0 not, -1 with errno. */
int
cgroup_is_frozen(int cgroup);

/*
 * Call visit for every process in it and below. Stops when visit returns not 0,
 * and returns that; -1 with errno.
 */
int
cgroup_visit(int cgroup, int (*visit)(pid_t pid, void *data), void *data);

/* The members of "data" in a line of `events`: what the cgroup uses. */
struct json_writer;
void
cgroup_put_stats(struct json_writer *w, int cgroup);

/* How often the kernel has killed a process in it for lack of memory. */
uint64_t
cgroup_oom_kills(int cgroup);

/* The files of a cgroup that say what was used in it, as text; NULL: there is no such file. */
enum { CGROUP_RECORD_FILES = 12 };
struct cgroup_record {
	const char *texts[CGROUP_RECORD_FILES];
};

void
cgroup_record_read(struct cgroup_record *record, struct arena *arena, int cgroup);

/* A number of one of them, of the line of that key (NULL: the first); -1: unknown, or "max". */
int64_t
cgroup_record_number(const struct cgroup_record *record, const char *file, const char *key);

/* A member for each of them. */
void
cgroup_record_put(const struct cgroup_record *record, struct json_writer *w);

/*
 * When the container's process has ended before its time: say so if that was for lack of
 * memory, with the limit. Always returns -1.
 */
int
cgroup_explain_end(const struct plan *plan, const struct handles *h, struct error *e);

/* The systemd driver: names of slice and scope (part of cgroup_plan). */
struct planner;
int
cgroup_plan_scope(struct planner *p, const char *path, struct error *e);

/* The limits that are properties of systemd's. */
struct string_map;
int
cgroup_scope_limits(struct arena *arena, struct string_map *properties,
                    const struct cgroup_plan *cgroup, struct error *e);

/* Set them on a scope as well. */
int
cgroup_scope_set(const char *unit, const struct cgroup_plan *limits, struct arena *arena,
                 struct error *e);

/* Stop the container's scope, killing whoever is left in it (undo of cgroup_start_scope). */
int
cgroup_undo_scope(const struct state *state, struct handles *h, struct error *e);

/* Remove the container's cgroup, killing whoever is left in it (undo of cgroup_create). */
int
cgroup_undo(const struct state *state, struct handles *h, struct error *e);

#endif
