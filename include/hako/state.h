/* SPDX-License-Identifier: MIT */
#ifndef HAKO_STATE_H
#define HAKO_STATE_H

#include "hako/config.h"
#include "hako/plan.h"

#define STATE_FIRST "first.json"

/*
 * What is remembered of a container, in <root>/<id>/: state.json (this struct),
 * config.json (a copy of what it was made from, for exec), start.sock (while it
 * waits for `start`), STATE_FIRST (what state.json was at first, while mounts of the
 * container are the host's). The folder's existence is the claim on the id; a lock on it
 * keeps create, start and delete apart.
 */
struct state {
	const struct json *at;
	const char *oci_version;
	const char *id;
	const int64_t *pid;         /* of init; 0: not made yet; NULL: unknown */
	const uint64_t *start_time; /* of init, clock ticks since boot; 0 with a pid of 0 */
	const char *bundle;
	const char *rootfs;
	const char *created; /* RFC 3339, UTC */
	uint32_t owner;
	const char *cgroup_path;     /* below the v2 mount; NULL: no cgroup */
	const char *systemd_unit;    /* the scope that has the cgroup; NULL: hako's own */
	const char *resctrl_path;    /* below the root of resctrl; NULL: nothing to remove */
	const uint64_t *mount_below; /* rootfs_mount_below(); NULL: nothing to unmount */
	bool own_pid_namespace;      /* everything dies with init */
	bool notify_socket;          /* init passes it on to who starts the container */
	bool start_socket;     /* it was made by `create`: start.sock is there until `start` */
	bool without_process;  /* config.json has none */
	bool caller_keyring;   /* --no-new-keyring */
	uint32_t preserve_fds; /* descriptors from 3 upwards that the caller has given it */
	const char *seccomp_listener; /* the agent that `start` gives the listener to, or NULL */
	bool seccomp_early;           /* `create` has done it */
	const char *seccomp_metadata;
	struct string_map annotations;
	const struct config_hooks *hooks; /* poststart and poststop */
	struct string_map places;         /* where config.json has them, and what they use */
};

enum status { STATUS_CREATING, STATUS_CREATED, STATUS_RUNNING, STATUS_PAUSED, STATUS_STOPPED };

/* "creating", "created", ... */
const char *
status_name(enum status status);

/*
 * Save the state of the container being made into h->state_dir; h->init_pid is 0
 * before there is one. Replaced atomically.
 */
int
state_save(const struct plan *plan, const struct handles *h, struct error *e);

/* Read <dir>/<name>, checked in full: pid > 1 or 0, no property missing. */
int
state_load(struct arena *arena, int dir, const char *name, const struct state **ret,
           struct error *e);

/* The state as `state` and hooks show it; pid as its reader sees it. Freed by the caller. */
char *
state_json(const struct state *state, enum status status, pid_t pid);

/* The same for a container that is being made. */
char *
state_json_of_plan(const struct plan *plan, enum status status, pid_t pid);

/*
 * The container process state (config-linux.md) that goes with the listener of a
 * seccomp filter: of the process pid, in the container of that state.
 */
char *
state_json_of_process(const struct state *state, enum status status, pid_t pid,
                      const char *metadata);
/* The same for the process of a container that is being made. */
char *
state_json_of_init(const struct plan *plan, enum status status, pid_t pid);

#endif
