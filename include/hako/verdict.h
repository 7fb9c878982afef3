/* SPDX-License-Identifier: MIT */
#ifndef HAKO_VERDICT_H
#define HAKO_VERDICT_H

#include "hako/json.h"
#include "hako/mem.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * What `verify` finds: a list of verdicts, each about one check of a container. The
 * ids of the checks are stable; tests, scripts and --only name them.
 */
enum check {
	CHECK_NAMESPACE,
	CHECK_ROOT_PATH,
	CHECK_ROOT_PIVOT,
	CHECK_ROOT_READONLY,
	CHECK_ROOT_PROPAGATION,
	CHECK_MOUNT_TYPE,
	CHECK_MOUNT_SOURCE,
	CHECK_MOUNT_READONLY,
	CHECK_MOUNT_OPTIONS,
	CHECK_MOUNT_DATA,
	CHECK_MOUNT_PROPAGATION,
	CHECK_MOUNT_IDMAP,
	CHECK_MOUNTS_EXTRA,
	CHECK_CGROUP_PATH,
	CHECK_CGROUP_PROCESSES,
	CHECK_OOM_SCORE,
	CHECK_RLIMIT,
	CHECK_AFFINITY,
	CHECK_SCHEDULER,
	CHECK_IO_PRIORITY,
	CHECK_UID_MAP,
	CHECK_GID_MAP,
	CHECK_SETGROUPS,
	CHECK_NET_DEVICE,
	CHECK_NET_EXTRA,
	CHECK_LOOPBACK,
	CHECK_CGROUP_LIMIT,
	CHECK_DEVICE_FILTER,
	CHECK_RESCTRL,
	CHECK_TIME_OFFSET,
	CHECK_HOSTNAME,
	CHECK_DOMAINNAME,
	CHECK_DEVICE,
	CHECK_SYSCTL,
	CHECK_APPARMOR,
	CHECK_SELINUX,
	CHECK_READONLY_PATH,
	CHECK_MASKED_PATH,
	CHECK_KEYRING,
	CHECK_PERSONALITY,
	CHECK_CWD,
	CHECK_ENV,
	CHECK_DESCRIPTORS,
	CHECK_UID,
	CHECK_GID,
	CHECK_GROUPS,
	CHECK_UMASK,
	CHECK_CAPS_BOUNDING,
	CHECK_CAPS_EFFECTIVE,
	CHECK_CAPS_PERMITTED,
	CHECK_CAPS_INHERITABLE,
	CHECK_CAPS_AMBIENT,
	CHECK_NO_NEW_PRIVS,
	CHECK_MEMORY_POLICY,
	CHECK_SECCOMP_MODE,
	CHECK_SECCOMP_COUNT,
	CHECK_SECCOMP_FILTER,
	CHECKS,
};

struct check_row {
	const char *begin;   /* of the id; with a subject it goes on with that, then with end */
	const char *subject; /* "DESTINATION"; NULL: there is only one */
	const char *end;
	bool own; /* also the process itself may have changed it */
	const char *summary;
};

/* By enum check. */
extern const struct check_row checks[CHECKS];

/* In the order of their weight for the result as a whole. */
enum outcome {
	VERDICT_HOLDS,
	VERDICT_PENDING, /* the container is not started yet: it comes with execve */
	VERDICT_UNKNOWN, /* could not be determined */
	VERDICT_DRIFT,
	VERDICTS,
};

struct verdict {
	enum check check;
	enum outcome outcome;
	const char *id;
	const struct json *at; /* the value of config.json; NULL: its rule is hako's own */
	const char *expected;
	const char *found; /* VERDICT_UNKNOWN, VERDICT_PENDING: why */
};

struct patterns {
	const char *const *items;
	size_t count;
};

enum verdict_event { VERDICT_STEP, VERDICT_BEGIN, VERDICT_FOUND };

struct verdicts {
	struct arena *arena;
	struct patterns only; /* ids, beginnings of ids up to a dot, or glob(7) patterns */
	struct patterns skip;
	struct verdict *items;
	size_t count;
	size_t room;
	size_t counts[VERDICTS]; /* by outcome */
	size_t step;             /* the row of steps[] that is being asked; where to begin */
	struct patterns done;    /* ids that it need not look at again */
	/* told of every verdict, and of what is looked at; NULL: nobody listens */
	void (*tell)(void *listener, enum verdict_event event, const struct verdict *verdict);
	void *listener;
};

/* What a verdict is about. */
struct claim {
	enum check check;
	const struct json *at;
	const char *subject;
};

/*
 * To be said before something of the container is looked at that may never answer, as a
 * file of a FUSE server. false: leave it, for it has been looked at, or did not answer, or
 * is not asked for.
 */
bool
verdict_begin(struct verdicts *v, struct claim claim);
/* The same for the first of several checks that have to look at the same: any may be asked for. */
bool
verdict_begin_first(struct verdicts *v, struct claim claim);

/* One that is filtered already. */
void
verdicts_put(struct verdicts *v, const struct verdict *verdict);

/* Of what was asked for by name and got no verdict, in the end, nothing is known. */
void
verdicts_note_unanswered(struct verdicts *v);

/* Is that one asked for? Worth a question only where the answer costs much. */
bool
verdicts_want(const struct verdicts *v, enum check check, const char *subject);

/* It holds, or not; the texts are what was expected and what was found. */
void
verdict_add(struct verdicts *v, struct claim claim, bool holds, const char *expected,
            const char *found);
/* It holds when both texts are the same. found NULL: unknown, for the reason in errno. */
void
verdict_compare(struct verdicts *v, struct claim claim, const char *expected, const char *found);
void
verdict_unknown(struct verdicts *v, struct claim claim, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void
verdict_pending(struct verdicts *v, struct claim claim);

/* Does any pattern (there must be one) match any check at all? Else the word is a mistake. */
bool
check_pattern_is_known(const char *pattern);

/* "mounts.DESTINATION.type": how the id of a check is made. */
const char *
check_id_form(enum check check, char *buf, size_t size);

#endif
