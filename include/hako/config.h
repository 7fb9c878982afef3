/* SPDX-License-Identifier: MIT */
#ifndef HAKO_CONFIG_H
#define HAKO_CONFIG_H

#include "hako/decode.h"

#include <stdbool.h>
#include <stdint.h>

/* The versions of the specification that are understood. */
#define OCI_VERSION_MIN "1.0.0"
#define OCI_VERSION_MAX "1.3.0"

/*
 * config.json of OCI runtime-spec 1.3 for Linux, property by property. A
 * pointer is NULL when the property is absent; an array has a count of 0 and an
 * `at` of NULL. Enumerations are 0 when absent.
 */

struct config_root {
	const struct json *at;
	const char *path;
	bool readonly;
};

struct config_id_mapping {
	const struct json *at;
	uint32_t container_id;
	uint32_t host_id;
	uint32_t size;
};

struct config_mount {
	const struct json *at;
	const char *destination;
	const char *type;
	const char *source;
	struct strings options;
	struct objects uid_mappings; /* struct config_id_mapping */
	struct objects gid_mappings;
};

struct config_console_size {
	const struct json *at;
	const uint64_t *height;
	const uint64_t *width;
};

struct config_user {
	const struct json *at;
	uint32_t uid;
	uint32_t gid;
	const uint64_t *umask;
	struct uints additional_gids;
};

struct config_capabilities {
	const struct json *at;
	struct strings bounding;
	struct strings effective;
	struct strings permitted;
	struct strings inheritable;
	struct strings ambient;
};

struct config_rlimit {
	const struct json *at;
	int type; /* RLIMIT_... + 1 */
	const uint64_t *soft;
	const uint64_t *hard;
};

struct config_scheduler {
	const struct json *at;
	int policy; /* SCHED_... + 1 */
	const int64_t *nice;
	const int64_t *priority;
	struct flags flags;
	const uint64_t *runtime_ns;
	const uint64_t *deadline_ns;
	const uint64_t *period_ns;
};

struct config_io_priority {
	const struct json *at;
	int class; /* IOPRIO_CLASS_... */
	const int64_t *priority;
};

struct config_affinity {
	const struct json *at;
	const char *initial;
	const char *final;
};

struct config_process {
	const struct json *at;
	bool terminal;
	const struct config_console_size *console_size;
	const struct config_user *user;
	struct strings args;
	struct strings env;
	const char *cwd;
	const struct config_capabilities *capabilities;
	struct objects rlimits; /* struct config_rlimit */
	bool no_new_privileges;
	const int64_t *oom_score_adj;
	const char *apparmor_profile;
	const char *selinux_label;
	const struct config_scheduler *scheduler;
	const struct config_io_priority *io_priority;
	const struct config_affinity *exec_cpu_affinity;
};

struct config_hook {
	const struct json *at;
	const char *path;
	struct strings args;
	struct strings env;
	const int64_t *timeout_s;
};

/* Arrays of struct config_hook. */
struct config_hooks {
	const struct json *at;
	struct objects prestart;
	struct objects create_runtime;
	struct objects create_container;
	struct objects start_container;
	struct objects poststart;
	struct objects poststop;
};

struct config_namespace {
	const struct json *at;
	int type; /* CLONE_NEW... */
	const char *path;
};

struct config_device {
	const struct json *at;
	const char *path;
	const char *type; /* "c", "b", "u", "p" */
	const int64_t *major;
	const int64_t *minor;
	const uint64_t *file_mode;
	const uint64_t *uid;
	const uint64_t *gid;
};

struct config_net_device {
	const struct json *at;
	const char *key; /* name on the host */
	const char *name;
};

struct config_device_rule {
	const struct json *at;
	bool allow;
	const char *type; /* "a", "b", "c" or NULL */
	const int64_t *major;
	const int64_t *minor;
	const char *access;
};

struct config_memory {
	const struct json *at;
	const int64_t *limit;
	const int64_t *reservation;
	const int64_t *swap;
	const int64_t *kernel;
	const int64_t *kernel_tcp;
	const uint64_t *swappiness;
	bool disable_oom_killer;
	bool use_hierarchy;
	bool check_before_update;
};

struct config_cpu {
	const struct json *at;
	const uint64_t *shares;
	const int64_t *quota;
	const uint64_t *burst;
	const uint64_t *period;
	const int64_t *realtime_runtime;
	const uint64_t *realtime_period;
	const char *cpus;
	const char *mems;
	const int64_t *idle;
};

struct config_pids {
	const struct json *at;
	const int64_t *limit;
};

struct config_weight_device {
	const struct json *at;
	const int64_t *major;
	const int64_t *minor;
	const uint64_t *weight;
	const uint64_t *leaf_weight;
};

struct config_throttle_device {
	const struct json *at;
	const int64_t *major;
	const int64_t *minor;
	const uint64_t *rate;
};

struct config_block_io {
	const struct json *at;
	const uint64_t *weight;
	const uint64_t *leaf_weight;
	struct objects weight_device;     /* struct config_weight_device */
	struct objects throttle_read_bps; /* struct config_throttle_device */
	struct objects throttle_write_bps;
	struct objects throttle_read_iops;
	struct objects throttle_write_iops;
};

struct config_hugepage_limit {
	const struct json *at;
	const char *page_size;
	const uint64_t *limit;
};

struct config_network_priority {
	const struct json *at;
	const char *name;
	const uint64_t *priority;
};

struct config_network {
	const struct json *at;
	const uint64_t *class_id;
	struct objects priorities; /* struct config_network_priority */
};

struct config_rdma {
	const struct json *at;
	const char *key; /* device */
	const uint64_t *hca_handles;
	const uint64_t *hca_objects;
};

struct config_resources {
	const struct json *at;
	struct objects devices; /* struct config_device_rule */
	const struct config_memory *memory;
	const struct config_cpu *cpu;
	const struct config_pids *pids;
	const struct config_block_io *block_io;
	struct objects hugepage_limits; /* struct config_hugepage_limit */
	const struct config_network *network;
	struct objects rdma; /* struct config_rdma */
	struct string_map unified;
};

struct config_seccomp_arg {
	const struct json *at;
	const uint64_t *index;
	const uint64_t *value;
	const uint64_t *value_two;
	int op; /* enum seccomp_operator */
};

struct config_syscall {
	const struct json *at;
	struct strings names;
	int action; /* enum seccomp_action */
	const uint64_t *errno_ret;
	struct objects args; /* struct config_seccomp_arg */
};

enum seccomp_action {
	SECCOMP_ACTION_KILL_THREAD = 1, /* also SCMP_ACT_KILL */
	SECCOMP_ACTION_KILL_PROCESS,
	SECCOMP_ACTION_TRAP,
	SECCOMP_ACTION_ERRNO,
	SECCOMP_ACTION_TRACE,
	SECCOMP_ACTION_ALLOW,
	SECCOMP_ACTION_LOG,
	SECCOMP_ACTION_NOTIFY,
};

enum seccomp_operator {
	SECCOMP_OPERATOR_NE = 1,
	SECCOMP_OPERATOR_LT,
	SECCOMP_OPERATOR_LE,
	SECCOMP_OPERATOR_EQ,
	SECCOMP_OPERATOR_GE,
	SECCOMP_OPERATOR_GT,
	SECCOMP_OPERATOR_MASKED_EQ,
};

struct config_seccomp {
	const struct json *at;
	int default_action; /* enum seccomp_action */
	const uint64_t *default_errno_ret;
	struct strings architectures; /* of seccomp_arch_names */
	struct flags flags;
	const char *listener_path;
	const char *listener_metadata;
	struct objects syscalls; /* struct config_syscall */
};

struct config_intel_rdt {
	const struct json *at;
	const char *clos_id;
	struct strings schemata;
	const char *l3_cache_schema;
	const char *mem_bw_schema;
	bool enable_monitoring;
};

struct config_memory_policy {
	const struct json *at;
	int mode; /* MPOL_... + 1 */
	const char *nodes;
	struct flags flags;
};

struct config_personality {
	const struct json *at;
	int domain; /* PER_... + 1 */
	struct strings flags;
};

struct config_time_offset {
	const struct json *at;
	const int64_t *secs;
	const uint64_t *nanosecs;
};

struct config_time_offsets {
	const struct json *at;
	const struct config_time_offset *monotonic;
	const struct config_time_offset *boottime;
};

struct config_linux {
	const struct json *at;
	struct objects namespaces;   /* struct config_namespace */
	struct objects uid_mappings; /* struct config_id_mapping */
	struct objects gid_mappings;
	const struct config_time_offsets *time_offsets;
	struct objects devices;     /* struct config_device */
	struct objects net_devices; /* struct config_net_device */
	const char *cgroups_path;
	const struct config_resources *resources;
	const struct config_intel_rdt *intel_rdt;
	const struct config_memory_policy *memory_policy;
	struct string_map sysctl;
	const struct config_seccomp *seccomp;
	int rootfs_propagation; /* MS_SHARED, MS_SLAVE, ..., with MS_REC as written */
	struct strings masked_paths;
	struct strings readonly_paths;
	const char *mount_label;
	const struct config_personality *personality;
};

struct config {
	const struct json *at;
	const char *oci_version;
	const struct config_root *root;
	const struct config_process *process;
	const char *hostname;
	const char *domainname;
	struct objects mounts; /* struct config_mount */
	const struct config_hooks *hooks;
	struct string_map annotations;
	const struct config_linux *linux_; /* `linux` is a predefined macro */
};

extern const struct field_table config_fields;
extern const struct field_table hooks_fields;
extern const struct field_table resources_fields; /* update */
extern const struct field_table linux_fields;
extern const struct field_table id_mapping_fields;

/*
 * Decode a whole config.json and check the rules that hold between its
 * properties (config.md, config-linux.md): duplicate namespaces, mappings
 * without a user namespace, a hostname without a UTS namespace, ... Pure: looks
 * at nothing but the document. When problems are collected, -1 means that there
 * is no config at all; else ociVersion and what decode_object() leaves out of it
 * may be missing.
 */
int
config_decode(struct arena *arena, const struct json_doc *doc, const struct config **ret_config,
              struct error *e);

/* Decode and check a process object (exec --process FILE). */
int
process_decode(struct arena *arena, const struct json *object,
               const struct config_process **ret_process, struct error *e);

/*
 * The rules on their own: what tables cannot say. config_check() covers the
 * whole document and brings sysctl names into the form below /proc/sys, with
 * slashes; linux_check() is its part for /linux, resources_check() serves
 * `update` too. When problems are collected, all are found. Error ids:
 * config-value, config-missing, config-namespace, config-duplicate.
 */
int
config_check(struct arena *arena, const struct config *config, struct error *e);
int
process_check(const struct config_process *process, struct error *e);
int
mounts_check(const struct config *config, struct error *e);
int
linux_check(struct arena *arena, const struct config *config, struct error *e);
int
sysctl_check(struct arena *arena, const struct config *config, struct error *e);
int
resources_check(const struct config_resources *resources, struct error *e);

/* Warnings about a profile that says less than it seems to; for when problems are collected. */
void
seccomp_warn(struct arena *arena, const struct config_seccomp *seccomp);

/* The rules for a uid_map or gid_map: ranges, overlaps, the kernel's maximum of lines. */
int
id_mappings_check(const struct objects *mappings, struct error *e);
/* The mapping that holds this id of the container, or NULL. */
const struct config_id_mapping *
id_mappings_find(const struct objects *mappings, uint32_t container_id);
/* As lines of /proc/PID/uid_map. */
const char *
id_mappings_text(struct arena *arena, const struct objects *mappings);

/* CLONE_NEW... of the namespace that a sysctl belongs to (a path below /proc/sys); 0: to none. */
int
sysctl_namespace(const char *path);

/*
 * Set what the pointer leads to in a config.json to value, which is JSON or, where a
 * text is wanted, the text itself; null removes it. What is missing on the way is
 * made. -1 with *e when config.json has no such property.
 */
int
config_set(struct arena *arena, struct json *root, const char *pointer, const char *value,
           struct error *e);

/* Which entries do not count, because a later one has the same name. */
bool *
environment_repeated(struct arena *arena, const struct strings *env);

/* An error at that member of object, or at object when it is absent. Always returns -1. */
int
config_error(const struct json *object, const char *member, struct error *e, const char *id,
             const char *format, ...) __attribute__((format(printf, 5, 6)));

/*
 * e->at names a copy of that value in another file: make it the place in config.json,
 * which places has by its pointer.
 */
void
config_place(const struct string_map *places, struct error *e);

/* Unless the config has a namespace of that type: an error there, saying how to get one. */
int
config_need_namespace(const struct config *config, int type, const struct json *object,
                      const char *member, struct error *e);

/* The namespace entry of that type (CLONE_NEW...), or NULL. */
const struct config_namespace *
config_namespace(const struct config *config, int type);

#endif
