/* SPDX-License-Identifier: MIT */
#ifndef HAKO_PLAN_H
#define HAKO_PLAN_H

#include "hako/config.h"
#include "hako/error.h"
#include "hako/fd.h"
#include "hako/mem.h"
#include "hako/number_set.h"
#include "hako/sync.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The vocabulary of the create path. A config becomes a plan: resolved values
 * only, no side effects, printable by `hako plan`. Processes inherit it by
 * clone; nobody parses twice. What a process holds while it carries the plan
 * out are its handles: descriptors and pids.
 */

enum { NAMESPACE_TYPES = 8 };

/* Where a container finds its socket for sd_notify(3). */
#define NOTIFY_FOLDER "/run/notify"
#define NOTIFY_NAME "notify.sock"

/* A namespace to join by path; the descriptor is in handles.namespaces[i]. */
struct namespace_join {
	const struct json *at;
	int type; /* CLONE_NEW... */
	const char *path;
};

struct idmap_plan {
	const char *uid_map; /* text for /proc/PID/uid_map, NULL without a new user namespace */
	const char *gid_map;
	bool uid_helper; /* newuidmap(1) must write it */
	bool gid_helper;
	bool setgroups_denied; /* an unprivileged mapping: setgroups must be given up first */
};

enum mount_kind { MOUNT_FILESYSTEM, MOUNT_BIND, MOUNT_REMOUNT, MOUNT_BIND_REMOUNT, MOUNT_CGROUP };

/* How a filesystem takes linux.mountLabel: not at all, as a mount option, on its root. */
enum mount_label { MOUNT_LABEL_NONE, MOUNT_LABEL_OPTION, MOUNT_LABEL_ROOT };

/* Which ids a bind mount shows instead of those of its filesystem. */
struct mount_idmap {
	const struct json *at;
	const char *uid_map; /* lines as of /proc/PID/uid_map; NULL: the container's own */
	const char *gid_map;
	bool recursive;
};

struct mount_plan {
	const struct json *at;
	enum mount_kind kind;
	enum mount_label label;
	const char *destination; /* absolute, as in the container */
	const char *source;      /* a bind's source made absolute */
	const char *type;
	bool recursive;            /* rbind */
	bool source_nofollow;      /* a link is mounted, not what it leads to */
	bool destination_nofollow; /* a link is mounted upon */
	bool copy_symlink;         /* a source that is a link is made again, not mounted */
	bool tmpcopyup;
	bool readonly_late; /* made read-only after every mount is in place */
	uint64_t attr_set;  /* MOUNT_ATTR_... for the top mount */
	uint64_t attr_clear;
	uint64_t recursive_set; /* the same for the whole tree (rro, rnosuid, ...) */
	uint64_t recursive_clear;
	uint64_t propagation[2]; /* MS_SHARED, ... | MS_REC, in order; 0: none */
	struct strings flags;    /* FSCONFIG_SET_FLAG: of the superblock, data without a value */
	struct string_map data;  /* for fsconfig(FSCONFIG_SET_STRING) */
	const struct mount_idmap *idmap; /* NULL: ids are those of the filesystem */
};

struct device_plan {
	const struct json *at; /* NULL: a default device */
	const char *path;
	mode_t mode; /* type and permissions */
	dev_t device;
	uid_t uid;
	gid_t gid;
};

struct symlink_plan {
	const char *path;
	const char *target;
};

/* One line to write into a file of the cgroup. */
struct cgroup_value {
	const struct json *at;
	const char *controller; /* "memory": named when the file does not exist; NULL: never mind */
	const char *file;
	const char *value;
	bool alternative; /* only where the file of the row before does not exist */
	bool tentative;   /* may be refused now: a later row says it again */
	bool late;        /* written when init is ready */
};

struct rlimit_plan {
	const struct json *at;
	int resource;
	uint64_t soft;
	uint64_t hard;
};

struct capability_sets {
	uint64_t bounding;
	uint64_t effective;
	uint64_t permitted;
	uint64_t inheritable;
	uint64_t ambient;
};

/* Allow or refuse an access to a device; the last rule that matches decides. */
struct device_rule {
	bool allow;
	char type;     /* 'a', 'b', 'c' */
	int64_t major; /* -1: any */
	int64_t minor;
	unsigned access; /* BPF_DEVCG_ACC_... or'ed */
};

struct sysctl_plan {
	const struct json *at;
	const char *path; /* below /proc/sys, with slashes */
	const char *value;
};

/* A link to move from the runtime's network namespace into the container's. */
struct net_device_plan {
	const struct json *at;
	const char *name;
	const char *new_name; /* in the container; may hold one %d, for a number that is free */
};

struct time_offset_plan {
	const char *text; /* for /proc/PID/timens_offsets, NULL: none */
};

/*
 * A compiled filter. program points into a mapping shared between parent and
 * init: the parent compiles while init mounts.
 */
struct seccomp_program {
	uint32_t length;   /* instructions (struct sock_filter); 0: not there yet */
	uint32_t flags;    /* SECCOMP_FILTER_FLAG_... */
	uint64_t filter[]; /* struct sock_filter */
};

struct scheduler_plan {
	const struct json *at; /* NULL: leave */
	int policy;            /* SCHED_... */
	uint64_t flags;        /* SCHED_FLAG_... */
	int nice;
	unsigned priority;
	uint64_t runtime_ns;
	uint64_t deadline_ns;
	uint64_t period_ns;
};

struct io_priority_plan {
	const struct json *at; /* NULL: leave */
	int class;             /* IOPRIO_CLASS_... */
	int level;
};

/* exec only; init always gets every processor that its cgroup allows. */
struct affinity_plan {
	const struct json *at; /* NULL: as for init */
	const char *initial;   /* as given */
	const char *final;
	const struct number_set *initial_cpus; /* NULL: leave */
	const struct number_set *final_cpus;
};

struct memory_policy_plan {
	const struct json *at; /* NULL: leave */
	int mode;              /* MPOL_... */
	int flags;             /* MPOL_F_... */
	const char *nodes;     /* as given; NULL: none */
	const struct number_set *node_set;
};

/* A group of resctrl to put the processes in. */
struct intel_rdt_plan {
	const struct json *at; /* NULL: stay away from resctrl */
	const char *group;     /* its directory below the root of resctrl, "/" for the root */
	bool named;            /* by closID: it is not ours to remove */
	const char *required;  /* lines that an existing group must have, NULL: none */
	const char *schemata;  /* lines to write, NULL: none */
	const char *monitor;   /* monitoring group to make, below the root; NULL: none */
};

/* What the security modules are told to make of the program. */
struct label_plan {
	const char *apparmor; /* NULL: leave */
	const char *selinux;
};

/* Who is told of system calls that a filter notifies. */
struct listener_plan {
	const struct json *at;
	const char *path; /* an agent's socket; NULL: the filter notifies nobody */
	const char *metadata;
	bool early; /* `create` may load the filter: it does not touch what waits for `start` */
};

struct process_plan {
	const struct json *at;
	char *const *args; /* NULL: the config has no process */
	char *const *env;  /* duplicates gone; HOME is added by init when it is missing */
	bool home_missing;
	char *listen_pid; /* an entry of env with room for the pid, which init knows; or NULL */
	const char *search_path; /* PATH of env */
	const char *cwd;
	mode_t umask;
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t group_count;
	bool keep_groups;
	bool capabilities_set; /* false: leave the sets alone */
	struct capability_sets capabilities;
	struct rlimit_plan *rlimits;
	size_t rlimit_count;
	bool no_new_privileges;
	const int64_t *oom_score_adj;
	struct scheduler_plan scheduler;
	struct io_priority_plan io_priority;
	struct affinity_plan affinity;
	struct label_plan label;
};

struct terminal_plan {
	bool wanted;
	unsigned short rows; /* 0: not said */
	unsigned short columns;
};

struct cgroup_plan {
	bool wanted;      /* false: --cgroup-manager disabled */
	const char *path; /* below the cgroup v2 mount, begins with / */
	const struct json *at;
	struct cgroup_value *values; /* in the order of writing */
	size_t value_count;
	size_t value_room;
	const char *unit; /* the scope that systemd makes of it; NULL: cgroupfs */
	const char *slice;
	const char *below;            /* exec: where in the scope systemd moves the process to */
	struct string_map properties; /* of the scope; values are GVariant text */
	bool late_limit;              /* of memory: there is a value that is late */
	bool late_namespace;          /* a new cgroup namespace, once init is in the scope */
};

/* What the command line adds to the config. */
struct plan_options {
	const char *id;
	const char *bundle;         /* absolute */
	bool pivot;                 /* false: --no-pivot, the root may also be moved over / */
	bool new_keyring;           /* false: --no-new-keyring */
	unsigned preserve_fds;      /* descriptors from 3 upwards that the process gets */
	unsigned listen_fds;        /* the first of them: sockets of a service manager */
	const char *listen_names;   /* what it calls them, NULL: nothing */
	bool detached;              /* nobody stays to serve the process: create, --detach */
	const char *console_socket; /* where the pty goes; NULL: to hako itself */
	const char *notify_socket;  /* NOTIFY_SOCKET: who wants to know when it is ready */
	const char *pidfd_socket;   /* where a pidfd of the process goes; NULL: nowhere */
	bool is_root;               /* euid 0, if only of the user namespace that hako runs in */
	bool privileged; /* euid 0 in the initial user namespace: over the whole machine */
	uid_t host_uid;
	gid_t host_gid;
	bool cgroup_disabled;
	bool cgroup_systemd;          /* the systemd driver */
	const char *cgroup_parent;    /* for relative paths: "", or a cgroup of the caller's */
	const char *seccomp_receiver; /* the socket of an agent, when config.json names none */
};

struct plan {
	const struct config *config;
	struct plan_options options;

	uint64_t clone_flags;     /* CLONE_NEW... to create */
	uint64_t exec_namespaces; /* exec: CLONE_NEW... of init to enter */
	struct namespace_join joins[NAMESPACE_TYPES];
	size_t join_count;
	struct idmap_plan idmap;
	struct time_offset_plan time_offsets;

	struct cgroup_plan cgroup;
	struct device_rule *device_rules;
	size_t device_rule_count;

	const char *rootfs; /* absolute path on the host */
	bool root_readonly;
	bool host_mounts; /* the container's mounts are made in the runtime's mount namespace */
	unsigned long root_propagation;       /* MS_... for / before anything is mounted */
	unsigned long root_propagation_after; /* after the pivot; 0: none */
	struct mount_plan *mounts;
	size_t mount_count;
	struct string_pair mount_label; /* the option "context" and its value; NULL: none */
	struct device_plan *devices;
	size_t device_count;
	struct symlink_plan *symlinks; /* of /dev */
	size_t symlink_count;
	struct strings readonly_paths;
	struct strings masked_paths;
	struct sysctl_plan *sysctls;
	size_t sysctl_count;
	const char *hostname;
	const char *domainname;
	const int *personality; /* PER_..., NULL: leave */
	struct memory_policy_plan memory_policy;
	struct intel_rdt_plan intel_rdt;
	bool loopback_up;
	struct net_device_plan *net_devices;
	size_t net_device_count;

	bool notify; /* a socket for sd_notify(3), in NOTIFY_FOLDER */
	struct process_plan process;
	struct terminal_plan terminal;
	struct seccomp_program *seccomp; /* shared mapping; NULL: no filter */
	struct listener_plan listener;
};

/* Is that namespace (CLONE_NEW...) a new one, or joined by path? */
bool
plan_creates(const struct plan *plan, uint64_t type);
bool
plan_joins(const struct plan *plan, uint64_t type);
/* New or joined: not the runtime's own. */
bool
plan_isolates(const struct plan *plan, uint64_t type);
/* The process's user as hako sees it; false: a namespace that was made elsewhere knows. */
bool
plan_host_user(const struct plan *plan, uid_t *ret_uid);

/* Are there hooks before the pivot? They may mount and connect what the config does not say. */
bool
plan_has_early_hooks(const struct plan *plan);

/* Has it a place for mounts: another mount namespace, or (host_mounts) a mount over the rootfs? */
bool
plan_may_mount(const struct plan *plan);
/* The value that is the last word on a file of the cgroup, or NULL: it is left alone. */
const struct cgroup_value *
plan_cgroup_value(const struct cgroup_plan *cgroup, const char *file);

/*
 * What the container will find under that path, its links followed, when the
 * first so many mounts are in place. -1 with errno; EAGAIN: that cannot be known
 * from here.
 */
struct stat;
int
plan_look_up(const struct plan *plan, size_t mounts, const char *path, struct stat *ret);
/*
 * Are the mounts where their names say, all of them? A link in the rootfs, or an
 * error in one of them, may have what seems to be missing be there all the same.
 */
bool
plan_knows_mounts(const struct plan *plan);

/* Init waits for MAPPED: for ids, network devices, or, made by an intermediate, its pid. */
bool
plan_waits(const struct plan *plan);

/* Descriptors and pids; -1 (0 for pids) when not held. */
struct handles {
	int root_dir;                    /* --root */
	int state_dir;                   /* <root>/<id> */
	int start_sock;                  /* listening socket of `create` */
	struct sync sync;                /* this process's end */
	int cgroup_root;                 /* the cgroup v2 mount */
	int cgroup;                      /* the container's cgroup */
	int cgroup_aside;                /* the one that hako has left for a cgroup below it */
	const char *cgroup_path;         /* its path below the v2 mount */
	const char *cgroup_mount;        /* where the v2 hierarchy stands, NULL: no cgroup */
	const char *systemd_unit;        /* the scope that systemd has started for us */
	int namespaces[NAMESPACE_TYPES]; /* as plan.joins */
	int rootfs;                      /* the container's root mount */
	uint64_t mount_below;            /* rootfs_mount_below() */
	int mount_ns;                    /* init's own, when it may stand in a chroot */
	int dev;                         /* its /dev */
	int device_nodes;                /* a tmpfs of nodes that init may not make */
	int proc;                        /* hako's own detached procfs (init) */
	int resctrl;                     /* the root of resctrl */
	const char *resctrl_path;        /* what delete must remove below it; NULL: nothing */
	bool resctrl_new;                /* the group was not there */
	bool resctrl_made;               /* now it is, by us */
	int *mounts; /* a tree per mount, opened by the parent when init could not; else NULL */
	int *mount_users; /* with mounts: the user namespace that an idmapped one takes its ids from */
	uint64_t descriptors_soft; /* the caller's limit, while it is raised for mounts; else 0 */
	int pidfd_sock;            /* the caller's: it takes a pidfd of init (parent) */
	int console;               /* the socket that takes the pty (init) */
	int console_peer;          /* its other end when hako itself serves the terminal (parent) */
	int terminal;              /* the process's side of the pty (init) */
	int notify;                /* the container's socket for sd_notify(3) */
	int hook_output[2];        /* where hooks write to; -1: nowhere */
	mode_t hook_umask;         /* the caller's, which they get and init does not build with */
	int net_ns; /* the container's, held while its devices might have to come back (parent) */
	struct net_move *net_moves; /* those devices */
	size_t net_move_count;
	int *late_readonly; /* mounts to be made read-only at the end; NULL or mount_count entries */
	bool ready;         /* init has said READY (parent) */
	bool hooked;        /* the hooks of plan_has_early_hooks() have begun (parent) */
	bool bounding_dropped; /* exec: credentials_shed() has done that part (init) */
	int init_pidfd;
	int target_pidfd;         /* exec: init of the container to enter */
	pid_t init_pid;           /* as the runtime sees it */
	uint64_t init_start_time; /* clock ticks since boot */
	const char *program;      /* what to execve, found in the container */
	struct fd_pile dropped;   /* init, while it builds: to be closed */
};

/* All of them "not held". */
void
handles_init(struct handles *h);

#endif
