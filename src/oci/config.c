/* SPDX-License-Identifier: MIT */
/*
 * The properties of config.md (runtime-spec 1.3) that Linux has, one row each;
 * those of config-linux.md are in config_linux.c. Ranges are those of the
 * schema, narrowed where the kernel cannot take more.
 */
#include "hako/config.h"
#include "hako/problem.h"
#include "hako/trace.h"

#include <stddef.h>

/* 4294967295 is (uid_t)-1, which the kernel reads as "leave unchanged". */
#define MAX_ID (UINT32_MAX - 1)

static const struct field root_rows[] = {
	FIELD(STRING, "path", config_root, path, .flags = FIELD_REQUIRED | FIELD_NOT_EMPTY),
	FIELD(BOOL, "readonly", config_root, readonly),
};
static const struct field_table root_fields = FIELD_TABLE(config_root, root_rows);

static const struct field id_mapping_rows[] = {
	FIELD(U32, "containerID", config_id_mapping, container_id, .flags = FIELD_REQUIRED),
	FIELD(U32, "hostID", config_id_mapping, host_id, .flags = FIELD_REQUIRED),
	FIELD(U32, "size", config_id_mapping, size, .flags = FIELD_REQUIRED),
};
const struct field_table id_mapping_fields = FIELD_TABLE(config_id_mapping, id_mapping_rows);

static const struct field mount_rows[] = {
	FIELD(STRING, "destination", config_mount, destination,
              .flags = FIELD_REQUIRED | FIELD_NOT_EMPTY),
	FIELD(STRING, "type", config_mount, type),
	FIELD(STRING, "source", config_mount, source),
	FIELD(STRINGS, "options", config_mount, options),
	FIELD(OBJECTS, "uidMappings", config_mount, uid_mappings, .table = &id_mapping_fields),
	FIELD(OBJECTS, "gidMappings", config_mount, gid_mappings, .table = &id_mapping_fields),
};
static const struct field_table mount_fields = FIELD_TABLE(config_mount, mount_rows);

static const struct field console_size_rows[] = {
	/* what they need to be, process_check() says: without a terminal they are ignored */
	FIELD(UINT, "height", config_console_size, height),
	FIELD(UINT, "width", config_console_size, width),
};
static const struct field_table console_size_fields =
	FIELD_TABLE(config_console_size, console_size_rows);

static const struct field user_rows[] = {
	FIELD(U32, "uid", config_user, uid, .max = MAX_ID),
	FIELD(U32, "gid", config_user, gid, .max = MAX_ID),
	FIELD(UINT, "umask", config_user, umask, .max = 07777),
	FIELD(UINTS, "additionalGids", config_user, additional_gids, .max = MAX_ID),
	IGNORED("username", "only Windows knows users by name"),
};
static const struct field_table user_fields = FIELD_TABLE(config_user, user_rows);

static const struct field capabilities_rows[] = {
	FIELD(STRINGS, "bounding", config_capabilities, bounding),
	FIELD(STRINGS, "effective", config_capabilities, effective),
	FIELD(STRINGS, "permitted", config_capabilities, permitted),
	FIELD(STRINGS, "inheritable", config_capabilities, inheritable),
	FIELD(STRINGS, "ambient", config_capabilities, ambient),
};
static const struct field_table capabilities_fields =
	FIELD_TABLE(config_capabilities, capabilities_rows);

static const struct field rlimit_rows[] = {
	FIELD(ENUM, "type", config_rlimit, type, .names = rlimit_names, .flags = FIELD_REQUIRED),
	FIELD(UINT, "soft", config_rlimit, soft, .flags = FIELD_REQUIRED),
	FIELD(UINT, "hard", config_rlimit, hard, .flags = FIELD_REQUIRED),
};
static const struct field_table rlimit_fields = FIELD_TABLE(config_rlimit, rlimit_rows);

static const struct field scheduler_rows[] = {
	FIELD(ENUM, "policy", config_scheduler, policy, .names = scheduler_names,
              .flags = FIELD_REQUIRED),
	FIELD(INT, "nice", config_scheduler, nice, .min = -20, .max = 19),
	FIELD(INT, "priority", config_scheduler, priority, .min = 0, .max = 99),
	FIELD(FLAGS, "flags", config_scheduler, flags, .names = scheduler_flag_names),
	FIELD(UINT, "runtime", config_scheduler, runtime_ns),
	FIELD(UINT, "deadline", config_scheduler, deadline_ns),
	FIELD(UINT, "period", config_scheduler, period_ns),
};
static const struct field_table scheduler_fields = FIELD_TABLE(config_scheduler, scheduler_rows);

static const struct field io_priority_rows[] = {
	FIELD(ENUM, "class", config_io_priority, class, .names = io_class_names,
              .flags = FIELD_REQUIRED),
	FIELD(INT, "priority", config_io_priority, priority, .min = 0, .max = 7),
};
static const struct field_table io_priority_fields =
	FIELD_TABLE(config_io_priority, io_priority_rows);

static const struct field affinity_rows[] = {
	FIELD(STRING, "initial", config_affinity, initial),
	FIELD(STRING, "final", config_affinity, final),
};
static const struct field_table affinity_fields = FIELD_TABLE(config_affinity, affinity_rows);

static const struct field process_rows[] = {
	FIELD(BOOL, "terminal", config_process, terminal),
	FIELD(OBJECT, "consoleSize", config_process, console_size, .table = &console_size_fields),
	FIELD(OBJECT, "user", config_process, user, .table = &user_fields),
	FIELD(STRINGS, "args", config_process, args, .flags = FIELD_REQUIRED | FIELD_NOT_EMPTY),
	IGNORED("commandLine", "only Windows has it"),
	FIELD(STRINGS, "env", config_process, env),
	FIELD(STRING, "cwd", config_process, cwd, .flags = FIELD_REQUIRED | FIELD_ABSOLUTE),
	FIELD(OBJECT, "capabilities", config_process, capabilities, .table = &capabilities_fields),
	FIELD(OBJECTS, "rlimits", config_process, rlimits, .table = &rlimit_fields),
	FIELD(BOOL, "noNewPrivileges", config_process, no_new_privileges),
	FIELD(INT, "oomScoreAdj", config_process, oom_score_adj, .min = -1000, .max = 1000),
	FIELD(STRING, "apparmorProfile", config_process, apparmor_profile),
	FIELD(STRING, "selinuxLabel", config_process, selinux_label),
	FIELD(OBJECT, "scheduler", config_process, scheduler, .table = &scheduler_fields),
	FIELD(OBJECT, "ioPriority", config_process, io_priority, .table = &io_priority_fields),
	FIELD(OBJECT, "execCPUAffinity", config_process, exec_cpu_affinity,
              .table = &affinity_fields),
};
static const struct field_table process_fields = FIELD_TABLE(config_process, process_rows);

static const struct field hook_rows[] = {
	FIELD(STRING, "path", config_hook, path, .flags = FIELD_REQUIRED | FIELD_ABSOLUTE),
	FIELD(STRINGS, "args", config_hook, args),
	FIELD(STRINGS, "env", config_hook, env),
	FIELD(INT, "timeout", config_hook, timeout_s, .min = 1, .max = INT32_MAX),
};
static const struct field_table hook_fields = FIELD_TABLE(config_hook, hook_rows);

static const struct field hooks_rows[] = {
	FIELD(OBJECTS, "prestart", config_hooks, prestart, .table = &hook_fields),
	FIELD(OBJECTS, "createRuntime", config_hooks, create_runtime, .table = &hook_fields),
	FIELD(OBJECTS, "createContainer", config_hooks, create_container, .table = &hook_fields),
	FIELD(OBJECTS, "startContainer", config_hooks, start_container, .table = &hook_fields),
	FIELD(OBJECTS, "poststart", config_hooks, poststart, .table = &hook_fields),
	FIELD(OBJECTS, "poststop", config_hooks, poststop, .table = &hook_fields),
};
const struct field_table hooks_fields = FIELD_TABLE(config_hooks, hooks_rows);

static const struct field config_rows[] = {
	FIELD(STRING, "ociVersion", config, oci_version, .flags = FIELD_REQUIRED),
	FIELD(OBJECT, "root", config, root, .table = &root_fields, .flags = FIELD_REQUIRED),
	FIELD(OBJECT, "process", config, process, .table = &process_fields, .flags = FIELD_KEPT),
	FIELD(STRING, "hostname", config, hostname),
	FIELD(STRING, "domainname", config, domainname),
	FIELD(OBJECTS, "mounts", config, mounts, .table = &mount_fields),
	FIELD(OBJECT, "hooks", config, hooks, .table = &hooks_fields),
	FIELD(MAP, "annotations", config, annotations),
	FIELD(OBJECT, "linux", config, linux_, .table = &linux_fields),
	IGNORED("freebsd", "hako makes containers of Linux"),
	IGNORED("solaris", "hako makes containers of Linux"),
	IGNORED("vm", "hako starts no virtual machine"),
	IGNORED("windows", "hako makes containers of Linux"),
	IGNORED("zos", "hako makes containers of Linux"),
};
const struct field_table config_fields = FIELD_TABLE(config, config_rows);

static int
decode(struct arena *arena, const struct json_doc *doc, const struct config **ret_config,
       struct error *e)
{
	static const struct config_linux nothing;
	static const struct config_root no_root = {.path = ""};
	struct config *config = arena_alloc(arena, sizeof(*config));
	bool goes_on = doc->problems != NULL && doc->root->type == JSON_OBJECT;

	problems_step(doc->problems, PROBLEM_SCHEMA, false);
	if (decode_object(arena, &config_fields, doc->root, config, e) < 0 && !goes_on)
		return -1;
	if (config->root == NULL)
		config->root = &no_root;
	problems_step(doc->problems, PROBLEM_RULE, false);
	if (config_check(arena, config, e) < 0)
		return -1;
	if (config->linux_ == NULL) /* nothing in it is required: to be absent is to be empty */
		config->linux_ = &nothing;
	*ret_config = config;
	return 0;
}

int
config_decode(struct arena *arena, const struct json_doc *doc, const struct config **ret_config,
              struct error *e)
{
	unsigned span = trace_begin("parse", "decode", doc->name);
	int rc = decode(arena, doc, ret_config, e);

	trace_end(span, rc < 0 ? e->msg : NULL);
	return rc;
}

int
process_decode(struct arena *arena, const struct json *object,
               const struct config_process **ret_process, struct error *e)
{
	struct config_process *process = arena_alloc(arena, sizeof(*process));

	if (decode_object(arena, &process_fields, object, process, e) < 0 ||
	    process_check(process, e) < 0)
		return -1;
	*ret_process = process;
	return 0;
}

const struct config_namespace *
config_namespace(const struct config *config, int type)
{
	const struct config_namespace *namespaces;
	size_t i;

	if (config->linux_ == NULL)
		return NULL;
	namespaces = config->linux_->namespaces.items;
	for (i = 0; i < config->linux_->namespaces.count; i++) {
		if (namespaces[i].type == type)
			return &namespaces[i];
	}
	return NULL;
}
