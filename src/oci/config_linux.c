/* SPDX-License-Identifier: MIT */
/*
 * The properties of config-linux.md (runtime-spec 1.3), one row each, from the
 * innermost object outwards.
 */
#include "hako/config.h"

#include <stddef.h>
#include <sys/stat.h>

#define MAX_ID (UINT32_MAX - 1)

/* The kernel's dev_t: 12 bits of major, 20 of minor. */
enum { MAX_MAJOR = 0xfff, MAX_MINOR = 0xfffff };

static const struct name device_type_names[] = {
	{"c", 'c'}, {"b", 'b'}, {"u", 'u'}, {"p", 'p'}, {NULL, 0},
};
static const struct name rule_type_names[] = {
	{"a", 'a'},
	{"b", 'b'},
	{"c", 'c'},
	{NULL, 0},
};

static const struct field namespace_rows[] = {
	FIELD(ENUM, "type", config_namespace, type, .names = namespace_names,
              .flags = FIELD_REQUIRED),
	FIELD(STRING, "path", config_namespace, path, .flags = FIELD_ABSOLUTE),
};
static const struct field_table namespace_fields = FIELD_TABLE(config_namespace, namespace_rows);

static const struct field device_rows[] = {
	FIELD(STRING, "path", config_device, path, .flags = FIELD_REQUIRED | FIELD_ABSOLUTE),
	FIELD(STRING, "type", config_device, type, .names = device_type_names,
              .flags = FIELD_REQUIRED),
	FIELD(INT, "major", config_device, major, .max = MAX_MAJOR),
	FIELD(INT, "minor", config_device, minor, .max = MAX_MINOR),
	/* with the bits of its type, as stat(2) has them: engines copy a host's device */
	FIELD(UINT, "fileMode", config_device, file_mode, .max = S_IFMT | 07777),
	FIELD(UINT, "uid", config_device, uid, .max = MAX_ID),
	FIELD(UINT, "gid", config_device, gid, .max = MAX_ID),
};
static const struct field_table device_fields = FIELD_TABLE(config_device, device_rows);

static const struct field net_device_rows[] = {
	FIELD(STRING, "name", config_net_device, name),
};
static const struct field_table net_device_fields = FIELD_TABLE(config_net_device, net_device_rows);

static const struct field device_rule_rows[] = {
	FIELD(BOOL, "allow", config_device_rule, allow, .flags = FIELD_REQUIRED),
	FIELD(STRING, "type", config_device_rule, type, .names = rule_type_names),
	FIELD(INT, "major", config_device_rule, major, .min = -1, .max = UINT32_MAX),
	FIELD(INT, "minor", config_device_rule, minor, .min = -1, .max = UINT32_MAX),
	FIELD(STRING, "access", config_device_rule, access),
};
static const struct field_table device_rule_fields =
	FIELD_TABLE(config_device_rule, device_rule_rows);

static const struct field memory_rows[] = {
	FIELD(INT, "limit", config_memory, limit, .min = -1, .max = INT64_MAX),
	FIELD(INT, "reservation", config_memory, reservation, .min = -1, .max = INT64_MAX),
	FIELD(INT, "swap", config_memory, swap, .min = -1, .max = INT64_MAX),
	FIELD(INT, "kernel", config_memory, kernel),
	FIELD(INT, "kernelTCP", config_memory, kernel_tcp),
	FIELD(UINT, "swappiness", config_memory, swappiness),
	FIELD(BOOL, "disableOOMKiller", config_memory, disable_oom_killer),
	FIELD(BOOL, "useHierarchy", config_memory, use_hierarchy),
	FIELD(BOOL, "checkBeforeUpdate", config_memory, check_before_update),
};
static const struct field_table memory_fields = FIELD_TABLE(config_memory, memory_rows);

static const struct field cpu_rows[] = {
	FIELD(UINT, "shares", config_cpu, shares),
	FIELD(INT, "quota", config_cpu, quota),
	FIELD(UINT, "burst", config_cpu, burst),
	FIELD(UINT, "period", config_cpu, period),
	FIELD(INT, "realtimeRuntime", config_cpu, realtime_runtime),
	FIELD(UINT, "realtimePeriod", config_cpu, realtime_period),
	FIELD(STRING, "cpus", config_cpu, cpus),
	FIELD(STRING, "mems", config_cpu, mems),
	FIELD(INT, "idle", config_cpu, idle, .min = 0, .max = 1),
};
static const struct field_table cpu_fields = FIELD_TABLE(config_cpu, cpu_rows);

static const struct field pids_rows[] = {
	FIELD(INT, "limit", config_pids, limit),
};
static const struct field_table pids_fields = FIELD_TABLE(config_pids, pids_rows);

static const struct field weight_device_rows[] = {
	FIELD(INT, "major", config_weight_device, major, .flags = FIELD_REQUIRED),
	FIELD(INT, "minor", config_weight_device, minor, .flags = FIELD_REQUIRED),
	FIELD(UINT, "weight", config_weight_device, weight, .max = UINT16_MAX),
	FIELD(UINT, "leafWeight", config_weight_device, leaf_weight, .max = UINT16_MAX),
};
static const struct field_table weight_device_fields =
	FIELD_TABLE(config_weight_device, weight_device_rows);

static const struct field throttle_rows[] = {
	FIELD(INT, "major", config_throttle_device, major, .flags = FIELD_REQUIRED),
	FIELD(INT, "minor", config_throttle_device, minor, .flags = FIELD_REQUIRED),
	FIELD(UINT, "rate", config_throttle_device, rate, .flags = FIELD_REQUIRED),
};
static const struct field_table throttle_fields =
	FIELD_TABLE(config_throttle_device, throttle_rows);

static const struct field block_io_rows[] = {
	FIELD(UINT, "weight", config_block_io, weight, .max = UINT16_MAX),
	FIELD(UINT, "leafWeight", config_block_io, leaf_weight, .max = UINT16_MAX),
	FIELD(OBJECTS, "weightDevice", config_block_io, weight_device,
              .table = &weight_device_fields),
	FIELD(OBJECTS, "throttleReadBpsDevice", config_block_io, throttle_read_bps,
              .table = &throttle_fields),
	FIELD(OBJECTS, "throttleWriteBpsDevice", config_block_io, throttle_write_bps,
              .table = &throttle_fields),
	FIELD(OBJECTS, "throttleReadIOPSDevice", config_block_io, throttle_read_iops,
              .table = &throttle_fields),
	FIELD(OBJECTS, "throttleWriteIOPSDevice", config_block_io, throttle_write_iops,
              .table = &throttle_fields),
};
static const struct field_table block_io_fields = FIELD_TABLE(config_block_io, block_io_rows);

static const struct field hugepage_limit_rows[] = {
	FIELD(STRING, "pageSize", config_hugepage_limit, page_size,
              .flags = FIELD_REQUIRED | FIELD_NOT_EMPTY),
	FIELD(UINT, "limit", config_hugepage_limit, limit, .flags = FIELD_REQUIRED),
};
static const struct field_table hugepage_limit_fields =
	FIELD_TABLE(config_hugepage_limit, hugepage_limit_rows);

static const struct field network_priority_rows[] = {
	FIELD(STRING, "name", config_network_priority, name,
              .flags = FIELD_REQUIRED | FIELD_NOT_EMPTY),
	FIELD(UINT, "priority", config_network_priority, priority, .max = UINT32_MAX,
              .flags = FIELD_REQUIRED),
};
static const struct field_table network_priority_fields =
	FIELD_TABLE(config_network_priority, network_priority_rows);

static const struct field network_rows[] = {
	FIELD(UINT, "classID", config_network, class_id, .max = UINT32_MAX),
	FIELD(OBJECTS, "priorities", config_network, priorities, .table = &network_priority_fields),
};
static const struct field_table network_fields = FIELD_TABLE(config_network, network_rows);

static const struct field rdma_rows[] = {
	FIELD(UINT, "hcaHandles", config_rdma, hca_handles, .max = UINT32_MAX),
	FIELD(UINT, "hcaObjects", config_rdma, hca_objects, .max = UINT32_MAX),
};
static const struct field_table rdma_fields = FIELD_TABLE(config_rdma, rdma_rows);

static const struct field resources_rows[] = {
	FIELD(OBJECTS, "devices", config_resources, devices, .table = &device_rule_fields),
	FIELD(OBJECT, "memory", config_resources, memory, .table = &memory_fields),
	FIELD(OBJECT, "cpu", config_resources, cpu, .table = &cpu_fields),
	FIELD(OBJECT, "pids", config_resources, pids, .table = &pids_fields),
	FIELD(OBJECT, "blockIO", config_resources, block_io, .table = &block_io_fields),
	FIELD(OBJECTS, "hugepageLimits", config_resources, hugepage_limits,
              .table = &hugepage_limit_fields),
	FIELD(OBJECT, "network", config_resources, network, .table = &network_fields),
	FIELD(OBJECT_MAP, "rdma", config_resources, rdma, .table = &rdma_fields),
	FIELD(MAP, "unified", config_resources, unified),
};
const struct field_table resources_fields = FIELD_TABLE(config_resources, resources_rows);

static const struct field seccomp_arg_rows[] = {
	FIELD(UINT, "index", config_seccomp_arg, index, .max = 5, .flags = FIELD_REQUIRED),
	FIELD(UINT, "value", config_seccomp_arg, value, .flags = FIELD_REQUIRED),
	FIELD(UINT, "valueTwo", config_seccomp_arg, value_two),
	FIELD(ENUM, "op", config_seccomp_arg, op, .names = seccomp_operator_names,
              .flags = FIELD_REQUIRED),
};
static const struct field_table seccomp_arg_fields =
	FIELD_TABLE(config_seccomp_arg, seccomp_arg_rows);

/* A filter returns 16 bits of data with its action. */
static const struct field syscall_rows[] = {
	FIELD(STRINGS, "names", config_syscall, names, .flags = FIELD_REQUIRED | FIELD_NOT_EMPTY),
	FIELD(ENUM, "action", config_syscall, action, .names = seccomp_action_names,
              .flags = FIELD_REQUIRED),
	FIELD(UINT, "errnoRet", config_syscall, errno_ret, .max = UINT16_MAX),
	FIELD(OBJECTS, "args", config_syscall, args, .table = &seccomp_arg_fields),
};
static const struct field_table syscall_fields = FIELD_TABLE(config_syscall, syscall_rows);

static const struct field seccomp_rows[] = {
	FIELD(ENUM, "defaultAction", config_seccomp, default_action, .names = seccomp_action_names,
              .flags = FIELD_REQUIRED),
	FIELD(UINT, "defaultErrnoRet", config_seccomp, default_errno_ret, .max = UINT16_MAX),
	FIELD(STRINGS, "architectures", config_seccomp, architectures, .names = seccomp_arch_names),
	FIELD(FLAGS, "flags", config_seccomp, flags, .names = seccomp_flag_names),
	FIELD(STRING, "listenerPath", config_seccomp, listener_path),
	FIELD(STRING, "listenerMetadata", config_seccomp, listener_metadata),
	FIELD(OBJECTS, "syscalls", config_seccomp, syscalls, .table = &syscall_fields),
};
static const struct field_table seccomp_fields = FIELD_TABLE(config_seccomp, seccomp_rows);

static const struct field intel_rdt_rows[] = {
	FIELD(STRING, "closID", config_intel_rdt, clos_id),
	FIELD(STRINGS, "schemata", config_intel_rdt, schemata),
	FIELD(STRING, "l3CacheSchema", config_intel_rdt, l3_cache_schema),
	FIELD(STRING, "memBwSchema", config_intel_rdt, mem_bw_schema),
	FIELD(BOOL, "enableMonitoring", config_intel_rdt, enable_monitoring),
};
static const struct field_table intel_rdt_fields = FIELD_TABLE(config_intel_rdt, intel_rdt_rows);

static const struct field memory_policy_rows[] = {
	FIELD(ENUM, "mode", config_memory_policy, mode, .names = memory_policy_names,
              .flags = FIELD_REQUIRED),
	FIELD(STRING, "nodes", config_memory_policy, nodes),
	FIELD(FLAGS, "flags", config_memory_policy, flags, .names = memory_policy_flag_names),
};
static const struct field_table memory_policy_fields =
	FIELD_TABLE(config_memory_policy, memory_policy_rows);

static const struct field personality_rows[] = {
	FIELD(ENUM, "domain", config_personality, domain, .names = personality_names,
              .flags = FIELD_REQUIRED),
	FIELD(STRINGS, "flags", config_personality, flags),
};
static const struct field_table personality_fields =
	FIELD_TABLE(config_personality, personality_rows);

static const struct field time_offset_rows[] = {
	FIELD(INT, "secs", config_time_offset, secs),
	FIELD(UINT, "nanosecs", config_time_offset, nanosecs, .max = 999999999),
};
static const struct field_table time_offset_fields =
	FIELD_TABLE(config_time_offset, time_offset_rows);

static const struct field time_offsets_rows[] = {
	FIELD(OBJECT, "monotonic", config_time_offsets, monotonic, .table = &time_offset_fields),
	FIELD(OBJECT, "boottime", config_time_offsets, boottime, .table = &time_offset_fields),
};
/* What has an offset; the rest of the clocks are the machine's (time_namespaces(7)). */
static const struct name clock_names[] = {
	{"monotonic", 1},
	{"boottime", 2},
	{NULL, 0},
};
static const struct field_table time_offsets_fields = {
	.size = sizeof(struct config_time_offsets),
	.rows = time_offsets_rows,
	.count = ARRAY_SIZE(time_offsets_rows),
	.keys = clock_names,
};

static const struct field linux_rows[] = {
	FIELD(OBJECTS, "namespaces", config_linux, namespaces, .table = &namespace_fields),
	FIELD(OBJECTS, "uidMappings", config_linux, uid_mappings, .table = &id_mapping_fields),
	FIELD(OBJECTS, "gidMappings", config_linux, gid_mappings, .table = &id_mapping_fields),
	FIELD(OBJECT, "timeOffsets", config_linux, time_offsets, .table = &time_offsets_fields),
	FIELD(OBJECTS, "devices", config_linux, devices, .table = &device_fields),
	FIELD(OBJECT_MAP, "netDevices", config_linux, net_devices, .table = &net_device_fields),
	FIELD(STRING, "cgroupsPath", config_linux, cgroups_path),
	FIELD(OBJECT, "resources", config_linux, resources, .table = &resources_fields),
	FIELD(OBJECT, "intelRdt", config_linux, intel_rdt, .table = &intel_rdt_fields),
	FIELD(OBJECT, "memoryPolicy", config_linux, memory_policy, .table = &memory_policy_fields),
	FIELD(MAP, "sysctl", config_linux, sysctl),
	FIELD(OBJECT, "seccomp", config_linux, seccomp, .table = &seccomp_fields),
	FIELD(ENUM, "rootfsPropagation", config_linux, rootfs_propagation,
              .names = propagation_names),
	FIELD(STRINGS, "maskedPaths", config_linux, masked_paths, .flags = FIELD_ABSOLUTE),
	FIELD(STRINGS, "readonlyPaths", config_linux, readonly_paths, .flags = FIELD_ABSOLUTE),
	FIELD(STRING, "mountLabel", config_linux, mount_label),
	FIELD(OBJECT, "personality", config_linux, personality, .table = &personality_fields),
};
const struct field_table linux_fields = FIELD_TABLE(config_linux, linux_rows);
