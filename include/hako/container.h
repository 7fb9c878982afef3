/* SPDX-License-Identifier: MIT */
#ifndef HAKO_CONTAINER_H
#define HAKO_CONTAINER_H

#include "hako/plan.h"
#include "hako/ready.h"
#include "hako/state.h"

#include <stdbool.h>
#include <sys/resource.h>

/* Containers as the commands see them. -1 with *e everywhere. */

/* The folder of all containers (--root), made 0700 when `make` is true. Its descriptor. */
int
root_open(const char *path, bool make, struct error *e);

/*
 * Default of --root: /run/hako for root; $XDG_RUNTIME_DIR/hako for an ordinary user, who
 * may be root of a user namespace. NULL: unknown.
 */
const char *
root_default(void);

/* Is an ordinary user's folder of containers the user's own, and nobody else's to write? */
int
root_check_owner(int root, struct error *e);

/* [A-Za-z0-9_+-][A-Za-z0-9_+.-]*, at most 255 bytes. */
int
id_check(const char *id, struct error *e);

struct container {
	int root_dir;
	int dir; /* <root>/<id> */
	const char *id;
	const struct state *state; /* NULL: no usable state file */
	enum status status;
	bool locked;              /* by this process */
	struct error state_error; /* why state is NULL */
};

/*
 * Open a container and find out its status; id "container-missing" when there is
 * none. A damaged state file is an error unless damaged_ok.
 */
int
container_open(struct arena *arena, int root_dir, const char *id, bool damaged_ok,
               struct container *ret, struct error *e);
void
container_close(struct container *c);

/* Take the lock on it; waits up to 10 s for create, start or delete of somebody else. */
int
container_lock(struct container *c, struct error *e);

/* Look again after taking the lock. */
int
container_refresh(struct arena *arena, struct container *c, bool damaged_ok, struct error *e);

/* A descriptor of init; -1 with *e (id "container-not-running") when it has ended. */
int
container_pidfd(const struct container *c, struct error *e);

/* Its cgroup as an O_PATH descriptor; -1 with *e when it has none. */
int
container_cgroup(const struct container *c, struct error *e);

/* Freeze or thaw all its processes. */
int
container_freeze(const struct container *c, bool frozen, struct error *e);

struct update_request {
	const struct json *resources; /* config-linux.md */
	const char *l3_cache_schema;  /* linux.intelRdt; NULL: not to be changed */
	const char *mem_bw_schema;
};

/*
 * Set the limits that are given; the others stay. When the kernel refuses one of
 * them, none changes.
 */
int
container_update(struct arena *arena, const struct container *c,
                 const struct update_request *request, struct error *e);

/*
 * Print what it uses as a line of JSON: once (interval_ms 0), or every interval until it
 * ends, and between them a line for each time it has run out of memory.
 */
typedef int
print_line(const char *line, struct error *e);
int
container_events(const struct container *c, int interval_ms, print_line *print, struct error *e);

/*
 * Call visit for each of its processes, until it returns not 0. -1 with *e also when
 * they cannot be told from others.
 */
int
container_visit(const struct container *c, int (*visit)(pid_t pid, void *data), void *data,
                struct error *e);

/* Send a signal to init, or to all of them. */
int
container_signal_init(const struct container *c, int signal, struct error *e);
int
container_signal_all(const struct container *c, int signal, struct error *e);

/* Everything that config.json and the command line ask for, decided. */
int
plan_make(struct arena *arena, const struct config *config, const struct plan_options *options,
          const struct plan **ret, struct error *e);

/* Load <bundle>/config.json (or the file that `config` names). */
int
bundle_load(struct arena *arena, const char *bundle, const char *config,
            const struct config **ret_config, struct json_doc **ret_doc, struct error *e);

/* The name of that file as an editor started here would open it. */
const char *
bundle_file(struct arena *arena, const char *bundle, const char *config);

struct check_request {
	const char *bundle;
	const char *config; /* --config, or NULL */
	bool host;          /* ask this host too */
	bool cgroup_disabled;
	bool cgroup_systemd;
};
struct problems;

/*
 * All that is wrong with a bundle into problems, sorted; the document they are
 * about in *ret_doc. -1 when there was nothing to check.
 */
int
bundle_check(struct arena *arena, const struct check_request *request, struct problems *problems,
             const struct json_doc **ret_doc, struct error *e);

/* Ids, privileges and the caller's cgroup, as planners need them. */
void
plan_options_host(struct plan_options *options);

/*
 * Make the container: on success the lock is held, the pid file (NULL: none) is
 * written, and init waits for container_release() (wait_for_start), or goes on
 * building and will wait for container_run(). On failure nothing is left.
 */
int
container_create(const struct plan *plan, const struct json_doc *doc, const char *pid_file,
                 bool wait_for_start, struct handles *h, struct error *e);

/* Let go of a created container: it waits for `start` on its own. On failure nothing is left. */
int
container_release(const struct plan *plan, struct handles *h, const char *pid_file,
                  struct error *e);

/* Execute the program now, run the poststart hooks, and let go of the lock. */
int
container_run(const struct plan *plan, struct handles *h, const char *pid_file, struct error *e);

/* Wait until a container that is to be run is built and confined: then it can be looked at. */
int
container_settle(const struct plan *plan, struct handles *h, struct error *e);

/* Take back a container that was to be run, before container_run(), because of *e. */
void
container_abandon(const struct plan *plan, struct handles *h, const char *pid_file,
                  struct error *e);

/* Undo everything after the program of container_run() has ended, unless somebody else did. */
int
container_finish(const struct plan *plan, struct handles *h, struct error *e);

/*
 * Start a created container from another process. The service manager that listens
 * at notify_socket (NULL: none) is told when the container says that it is ready, if
 * it was made with a socket for that; until then, or its end, this waits.
 */
int
container_start(struct container *c, const char *notify_socket, struct error *e);

/* Send a signal to init; all: to every process. */
int
container_kill(const struct container *c, int signal, bool all, struct error *e);

/*
 * Undo everything and run the poststop hooks. force: kill what runs. The caller
 * holds the lock.
 */
int
container_delete(struct container *c, bool force, struct error *e);

/*
 * After container_lock() has failed: another hako may wait, perhaps for ever, for an init
 * that was stopped, or has a hook that does not end. End the container, and try again.
 */
int
container_break_lock(struct arena *arena, struct container *c, struct error *e);

/* container_delete() of one that has failed, whatever can be found of it. */
int
container_take_down(struct container *c, struct error *e);

/* How a process has ended. */
struct ending {
	int status; /* as wait(2) has it */
	struct rusage usage;
	bool timed_out; /* it was killed at the deadline */
};

/* A process in the foreground, a child of hako's. */
struct served {
	pid_t pid;
	int pidfd;
	int cgroup;           /* of the container, to be killed with it at the deadline; -1: none */
	struct ending ending; /* found out by supervise() */
	int console;          /* where the other side of its terminal comes from; -1: it has none */
	struct ready ready;   /* what it says of itself, and who is to hear it */
};

/*
 * Wait for it, passing signals on and serving its terminal; reaps whatever else is
 * inherited. The exit status as a shell has it: 128 + n for signal n.
 */
int
supervise(struct served *served, struct error *e);
/*
 * Block all signals, so that none is lost before supervise(). A descriptor that
 * becomes readable when one of them wants hako to end, or -1.
 */
int
supervise_prepare(void);

/*
 * From now on waiting ends after that time: before there is a process as with any signal
 * that wants hako to end, later by killing all of the container. 0: no more. For who has
 * blocked all signals.
 */
void
supervise_until(int timeout_ms);

struct exec_request {
	const char *process_file; /* --process, or NULL */
	const char *const *args;  /* with process_file NULL */
	const char *cwd;
	const char *user;       /* UID[:GID] */
	const char *const *env; /* NAME=VALUE to add */
	size_t env_count;
	const char *const *caps;
	size_t cap_count;
	const char *const *groups;
	size_t group_count;
	const char *apparmor;
	const char *process_label;
	bool no_new_privs;
	bool ignore_paused;
	const char *cgroup; /* sub-cgroup */
	bool terminal;      /* also when the process file says no */
	bool detached;
	const char *console_socket;
	const char *pidfd_socket;
	const char *pid_file;
	unsigned preserve_fds; /* as in struct plan_options */
	unsigned listen_fds;
	const char *listen_names;
	int interrupt; /* of supervise_prepare(), or -1 */
};

/* Run a process in a container; on success it is executing. */
int
container_exec(struct arena *arena, const struct container *c, const struct exec_request *request,
               struct served *ret, struct error *e);

/* PREPARE, parent: connect to --pidfd-socket. */
int
announce_connect(const struct plan *plan, struct handles *h, struct error *e);

/* Send the pidfd there, and write the pid file (NULL: none): decimal, no newline, atomic. */
int
announce_process(const struct plan *plan, struct handles *h, const char *pid_file, struct error *e);

#endif
