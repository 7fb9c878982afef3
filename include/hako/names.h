/* SPDX-License-Identifier: MIT */
#ifndef HAKO_NAMES_H
#define HAKO_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/* A word of the specification and the kernel's number for it; a table ends with a NULL name. */
struct name {
	const char *name;
	uint64_t value;
};

/* The row of that name, or NULL. */
const struct name *
name_find(const struct name *table, const char *name);
/* The name of a value, or NULL. */
const char *
name_of(const struct name *table, uint64_t value);

/*
 * How far one word is from another: letters to add, leave out, change or swap
 * with their neighbour; case does not count. More than NAME_FAR are no typing error.
 */
enum { NAME_FAR = 1000 };
unsigned
name_distance(const char *a, const char *b);

/* Which of many words is the nearest to the one that was written? */
struct name_search {
	const char *word;
	const char *nearest; /* of those that were looked at; NULL: all are far */
	unsigned distance;
};

/* Nothing was looked at yet. */
struct name_search
name_search_for(const char *word);
/* Look at one more; of those at the same distance the first is the nearest. */
void
name_search_look(struct name_search *search, const char *other);
/* Is the nearest so near that it may have been meant? */
bool
name_search_is_near(const struct name_search *search);

/*
 * Strict numbers: digits only (one leading '-' for the signed), the whole
 * string, in range. 0, or -1 and nothing changed.
 */
int
parse_uint(const char *text, uint64_t max, uint64_t *ret);
int
parse_int(const char *text, int64_t min, int64_t max, int64_t *ret);

/* "9", "KILL", "SIGKILL", "sigkill", "RTMIN+3" -> number, or -1. */
int
signal_from_name(const char *text);

extern const struct name namespace_names[];   /* CLONE_NEW... */
extern const struct name namespace_files[];   /* the same, as in /proc/PID/ns */
extern const struct name rlimit_names[];      /* RLIMIT_... + 1, so that 0 means absent */
extern const struct name propagation_names[]; /* MS_SHARED, ...; with MS_REC for rshared, ... */
extern const struct name personality_names[]; /* PER_LINUX + 1, PER_LINUX32 + 1 */
extern const struct name seccomp_action_names[];
extern const struct name seccomp_arch_names[];
extern const struct name seccomp_operator_names[];
extern const struct name seccomp_flag_names[]; /* SECCOMP_FILTER_FLAG_... */
extern const struct name scheduler_names[];    /* SCHED_... + 1 */
extern const struct name scheduler_flag_names[];
extern const struct name io_class_names[];      /* IOPRIO_CLASS_... */
extern const struct name memory_policy_names[]; /* MPOL_... + 1 */
extern const struct name memory_policy_flag_names[];

/* Annotations that change what is done with a config; sorted. One that ends in "." is a prefix. */
enum annotation {
	ANNOTATION_SYSTEMD_PROPERTY,
	ANNOTATION_HOOKS_STDERR,
	ANNOTATION_HOOKS_STDOUT,
	ANNOTATION_KEEP_GROUPS,
	ANNOTATION_MOUNT_CONTEXT,
	ANNOTATION_SECCOMP_RECEIVER,
	ANNOTATION_SECCOMP_UNKNOWN,
	ANNOTATIONS,
};
extern const char *const annotation_names[ANNOTATIONS];

#endif
