/* SPDX-License-Identifier: MIT */
#ifndef HAKO_COMMAND_H
#define HAKO_COMMAND_H

#include "hako/error.h"
#include "hako/log.h"

#include <stdbool.h>
#include <stddef.h>

/* Limits that `update` takes as options. */
enum limit {
	LIMIT_MEMORY,
	LIMIT_MEMORY_RESERVATION,
	LIMIT_MEMORY_SWAP,
	LIMIT_CPU_SHARE,
	LIMIT_CPU_PERIOD,
	LIMIT_CPU_QUOTA,
	LIMIT_CPU_BURST,
	LIMIT_CPU_IDLE,
	LIMIT_CPU_RT_PERIOD,
	LIMIT_CPU_RT_RUNTIME,
	LIMIT_CPUSET_CPUS,
	LIMIT_CPUSET_MEMS,
	LIMIT_PIDS,
	LIMIT_BLKIO_WEIGHT,
	LIMITS,
};

/* What the command line says; every option of every command has one place here. */
struct options {
	/* global */
	const char *root;
	const char *log;
	const char *log_format;
	const char *log_level;
	bool debug;
	bool strict;
	const char *trace;
	bool help;
	bool version;
	const char *cgroup_manager;
	bool systemd_cgroup;
	const char *rootless_mode;
	const char *criu;

	/* create, run, exec */
	const char *bundle;
	const char *config;
	const char *pid_file;
	const char *console_socket;
	const char *pidfd_socket;
	const char *preserve_fds;
	unsigned listen_count;    /* of LISTEN_FDS */
	const char *listen_names; /* LISTEN_FDNAMES */
	unsigned preserve_count;  /* of both: all that the process gets */
	bool no_pivot;
	bool no_new_keyring;
	bool no_subreaper;
	bool detach;
	bool keep;
	const char *timeout;
	const char *report;
	bool summary;
	bool verify;
	const char *process;
	const char *cwd;
	const char *user;
	struct option_list {
		const char **items;
		size_t count;
	} env, caps, groups;
	const char *apparmor;
	const char *process_label;
	bool no_new_privs;
	bool ignore_paused;
	bool tty;
	const char *cgroup;

	/* update, events */
	const char *resources;
	const char *limits[LIMITS];
	const char *l3_cache_schema;
	const char *mem_bw_schema;
	const char *ignored;
	bool stats;
	const char *interval;

	/* verify */
	struct option_list only, skip;
	const char *pid;
	bool list;

	/* kill, delete, list, ps, check, spec */
	bool all;
	bool regex;
	bool force;
	bool quiet;
	const char *format;
	const char *fail_on;
	bool host;
	bool rootless;
	const char *profile;
	struct option_list set;
	const char *file;

	char **args; /* what is left of it */
	int arg_count;
};

struct command {
	const char *name;
	unsigned bit;         /* of the options table */
	const char *operands; /* "ID [SIGNAL]" */
	const char *summary;
	int min_args;
	int max_args;                                         /* -1: any */
	int (*run)(const struct options *o, struct error *e); /* exit status, or -1 with *e */
	int failure;                                          /* exit status of a failure */
};

enum command_bit {
	FOR_GLOBAL = 1 << 0,
	FOR_CREATE = 1 << 1,
	FOR_RUN = 1 << 2,
	FOR_START = 1 << 3,
	FOR_STATE = 1 << 4,
	FOR_KILL = 1 << 5,
	FOR_DELETE = 1 << 6,
	FOR_EXEC = 1 << 7,
	FOR_LIST = 1 << 8,
	FOR_PS = 1 << 9,
	FOR_SPEC = 1 << 10,
	FOR_FEATURES = 1 << 11,
	FOR_PLAN = 1 << 12,
	FOR_PAUSE = 1 << 13,
	FOR_RESUME = 1 << 14,
	FOR_UPDATE = 1 << 15,
	FOR_EVENTS = 1 << 16,
	FOR_CHECK = 1 << 17,
	FOR_VERIFY = 1 << 18,
	FOR_EXPLAIN = 1 << 19,
};

/* All commands; ends with a NULL name. */
extern const struct command commands[];

/*
 * Parse the options of argv that belong to `bit`, up to "--" or, where words of
 * others follow (exec, ps, kill), up to the first operand. The words of argv are put
 * in order: returns the index of the first operand, the others stand behind it; or
 * -1 with *e (id "usage").
 */
int
options_parse(int argc, char **argv, unsigned bit, struct options *o, struct error *e);

/*
 * Settle which descriptors the process gets, from --preserve-fds and LISTEN_FDS:
 * o->preserve_count of them from 3 upwards, of which the first o->listen_count
 * are sockets of a service manager. -1 with *e when they are not there.
 */
int
descriptors_keep(struct options *o, struct error *e);

/* Help for the whole program (command NULL), or for one command. */
void
options_help(const struct command *command);

/* --root or its default, opened. */
int
command_root(const struct options *o, bool make, struct error *e);
/* The same for a container that ought to be there: without a root there is none. */
int
command_root_of_container(const struct options *o, struct error *e);

/* Is that the cgroup manager which was asked for? */
bool
command_has_manager(const struct options *o, const char *name);

/* Names of the folders below root, sorted; the caller frees each and the list. */
char **
command_ids(int root, size_t *ret_count);

/* The commands: the exit status, or -1 with *e. */
int
command_create(const struct options *o, struct error *e);
int
command_run(const struct options *o, struct error *e);
int
command_start(const struct options *o, struct error *e);
int
command_state(const struct options *o, struct error *e);
int
command_kill(const struct options *o, struct error *e);
int
command_delete(const struct options *o, struct error *e);
int
command_exec(const struct options *o, struct error *e);
int
command_list(const struct options *o, struct error *e);
int
command_ps(const struct options *o, struct error *e);
int
command_spec(const struct options *o, struct error *e);
int
command_features(const struct options *o, struct error *e);
int
command_check(const struct options *o, struct error *e);
int
command_verify(const struct options *o, struct error *e);
int
command_explain(const struct options *o, struct error *e);
int
command_plan(const struct options *o, struct error *e);
int
command_pause(const struct options *o, struct error *e);
int
command_update(const struct options *o, struct error *e);
int
command_events(const struct options *o, struct error *e);
int
command_resume(const struct options *o, struct error *e);

/* NOTIFY_SOCKET: where a service manager waits for sd_notify(3); NULL: nowhere. */
const char *
command_notify_socket(void);

/* The exit status of a failure with that error, `otherwise` for most of them. */
int
command_failure(const struct error *e, int otherwise);

/* "1m30s", "500ms", "1.5s"; a bare number is seconds. From 1 ms to 11 days; -1: it is none. */
int
command_duration(const char *text, int *ret_ms);

/*
 * Which of the words, of which NULL is the last, is the value of an option; 0 when it was
 * not given (NULL). -1 with *e (id "usage") when it is none of them.
 */
int
command_choose(const char *option, const char *value, const char *const words[], struct error *e);

/* Text to standard output, checked. -1 with *e. */
int
command_print(const char *text, struct error *e);

/* The same, then free it. NULL: there was no memory for it. */
int
command_print_owned(char *text, struct error *e);

#endif
