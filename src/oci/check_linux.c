/* SPDX-License-Identifier: MIT */
/*
 * The rules of config-linux.md: namespaces given once, id mappings that the
 * kernel takes and that cover the process, devices, cgroup limits and seccomp
 * rules that mean something. sysctl has its own file.
 */
#include "hako/config.h"
#include "hako/number_set.h"
#include "hako/problem.h"

#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>

static int
check_namespaces(const struct config *config, struct error *e)
{
	const struct config_namespace *entry = config->linux_->namespaces.items;
	unsigned seen = 0;
	size_t i;

	for (i = 0; i < config->linux_->namespaces.count; i++, entry++) {
		unsigned type = (unsigned)entry->type;

		if ((seen & type) != 0 &&
		    json_stops(entry->at, config_error(entry->at, "type", e, "config-duplicate",
		                                       "the %s namespace was given before",
		                                       name_of(namespace_names, type))))
			return -1;
		seen |= type;
	}
	return 0;
}

/* Nothing there, and nothing that has an error of its own. */
static bool
is_empty(const struct config_linux *l, const char *member, const struct objects *list)
{
	return list->count == 0 && !json_is_faulty(json_member(l->at, member));
}

static int
check_mappings(const struct config *config, struct error *e)
{
	const struct config_linux *l = config->linux_;
	const struct config_namespace *user = config_namespace(config, CLONE_NEWUSER);

	if (json_stops(l->at, id_mappings_check(&l->uid_mappings, e)))
		return -1;
	if (json_stops(l->at, id_mappings_check(&l->gid_mappings, e)))
		return -1;
	if (user == NULL || user->path != NULL)
		return 0;
	if (is_empty(l, "uidMappings", &l->uid_mappings) ||
	    is_empty(l, "gidMappings", &l->gid_mappings))
		return json_error(user->at, e, 0, "config-missing",
		                  "a new user namespace needs linux.uidMappings and "
		                  "linux.gidMappings");
	return 0;
}

/* Also true when nothing is known: without a list, or with one that has errors. */
static bool
is_mapped(const struct objects *list, uint64_t id)
{
	return list->count == 0 || json_is_faulty(list->at) ||
	       id_mappings_find(list, (uint32_t)id) != NULL;
}

static int
check_groups_mapped(const struct config_user *user, const struct objects *mappings, struct error *e)
{
	const struct uints *gids = &user->additional_gids;
	const struct json *at = gids->at != NULL ? gids->at->first : NULL;
	const uint64_t *gid = gids->items;

	for (; at != NULL; at = at->next, gid++) {
		if (is_mapped(mappings, *gid))
			continue;
		json_error(at, e, 0, "config-value",
		           "cannot set additional group to unmapped gid %s in user namespace",
		           at->text);
		if (!json_goes_on(at))
			return -1;
	}
	return 0;
}

/* In a new user namespace the process can only be who is mapped. */
static int
check_process_mapped(const struct config *config, struct error *e)
{
	static const struct config_user root;
	const struct config_linux *l = config->linux_;
	const struct config_namespace *entry = config_namespace(config, CLONE_NEWUSER);
	const struct config_user *user = &root;
	const struct json *at;

	if (entry == NULL || entry->path != NULL || config->process == NULL)
		return 0;
	at = config->process->at;
	if (config->process->user != NULL) {
		user = config->process->user;
		at = user->at;
	}
	if (!is_mapped(&l->uid_mappings, user->uid) &&
	    json_stops(at, config_error(at, "uid", e, "config-value",
	                                "cannot setuid to unmapped uid %u in user namespace",
	                                user->uid)))
		return -1;
	if (!is_mapped(&l->gid_mappings, user->gid) &&
	    json_stops(at, config_error(at, "gid", e, "config-value",
	                                "cannot setgid to unmapped gid %u in user namespace",
	                                user->gid)))
		return -1;
	return check_groups_mapped(user, &l->gid_mappings, e);
}

/* Offsets are written before the first process enters. */
static int
check_time_offsets(const struct config *config, struct error *e)
{
	const struct config_namespace *time = config_namespace(config, CLONE_NEWTIME);

	if (config->linux_->time_offsets == NULL || time == NULL || time->path == NULL)
		return 0;
	return json_error(config->linux_->time_offsets->at, e, 0, "config-namespace",
	                  "only a new time namespace can be given offsets, not one to join");
}

enum { INTERFACE_NAME_MAX = 15 };

/* What the kernel takes as the name of a network interface (dev_valid_name()). */
static bool
is_interface_name(const char *name)
{
	return name[0] != '\0' && strlen(name) <= INTERFACE_NAME_MAX && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0 && strpbrk(name, "/: \t\n\v\f\r") == NULL;
}

/* A template holds one %d, and no other %. */
static bool
is_interface_template(const char *name)
{
	const char *percent = strchr(name, '%');

	return is_interface_name(name) &&
	       (percent == NULL || (percent[1] == 'd' && strchr(percent + 1, '%') == NULL));
}

static int
check_net_device(const struct config_net_device *first, const struct config_net_device *device,
                 struct error *e)
{
	const char *name = device->name != NULL ? device->name : device->key;

	if (!is_interface_name(device->key))
		return json_error(device->at, e, 0, "config-value",
		                  "\"%.40s\" cannot be the name of a network device", device->key);
	if (!is_interface_template(name))
		return config_error(device->at, "name", e, "config-value",
		                    "\"%.40s\" cannot be the name of a network device", name);
	for (; first < device && strchr(name, '%') == NULL; first++) {
		if (strcmp(first->name != NULL ? first->name : first->key, name) == 0)
			return config_error(device->at, "name", e, "config-duplicate",
			                    "the name %s in the container was given before", name);
	}
	return 0;
}

static int
check_net_devices(const struct config *config, struct error *e)
{
	const struct objects *list = &config->linux_->net_devices;
	const struct config_net_device *devices = list->items;
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (check_net_device(devices, &devices[i], e) < 0)
			return -1;
	}
	return 0;
}

static int
compare_devices(const void *a, const void *b)
{
	const struct config_device *x = *(const struct config_device *const *)a;
	const struct config_device *y = *(const struct config_device *const *)b;
	int order = strcmp(x->path, y->path);

	return order != 0 ? order : (x > y) - (x < y);
}

static int
check_device_paths(struct arena *arena, const struct objects *list, struct error *e)
{
	const struct config_device *devices = list->items;
	const struct config_device **sorted = arena_array(arena, list->count, sizeof(*sorted));
	size_t i;

	for (i = 0; i < list->count; i++)
		sorted[i] = &devices[i];
	qsort(sorted, list->count, sizeof(*sorted), compare_devices);
	for (i = 1; i < list->count; i++) {
		if (strcmp(sorted[i - 1]->path, sorted[i]->path) == 0 &&
		    json_stops(sorted[i]->at,
		               config_error(sorted[i]->at, "path", e, "config-duplicate",
		                            "this path was given before")))
			return -1;
	}
	return 0;
}

static int
check_devices(struct arena *arena, const struct objects *list, struct error *e)
{
	const struct config_device *device = list->items;
	size_t i;

	for (i = 0; i < list->count; i++, device++) {
		if (device->type[0] == 'p' || (device->major != NULL && device->minor != NULL) ||
		    json_is_faulty(device->at))
			continue;
		json_error(device->at, e, 0, "config-missing",
		           "a device of type %s needs major and minor", device->type);
		if (!json_goes_on(device->at))
			return -1;
	}
	return check_device_paths(arena, list, e);
}

static int
check_device_rules(const struct config_resources *resources, struct error *e)
{
	const struct config_device_rule *rule = resources->devices.items;
	size_t i;

	for (i = 0; i < resources->devices.count; i++, rule++) {
		const struct json *at = json_member(rule->at, "access");
		int rc = 0;

		if (rule->access == NULL || rule->access[strspn(rule->access, "rwm")] == '\0')
			continue;
		if (strpbrk(rule->access, "rwm") == NULL)
			rc = json_error(at, e, 0, "config-value",
			                "expected some of r, w and m, found \"%.20s\"",
			                rule->access);
		else
			rc = json_fallback(at, e, "device-access",
			                   "of \"%.20s\" only r, w and m mean something",
			                   rule->access);
		if (rc < 0 && !json_goes_on(rule->at))
			return -1;
	}
	return 0;
}

/* swap is the limit of memory and swap together; 0 is as good as absent. */
static int
check_memory(const struct config_resources *resources, struct error *e)
{
	const struct config_memory *memory = resources->memory;

	if (memory == NULL || memory->swap == NULL || *memory->swap <= 0)
		return 0;
	if (json_is_faulty(json_member(memory->at, "limit")))
		return 0;
	if (memory->limit == NULL || *memory->limit <= 0)
		return config_error(memory->at, "swap", e, "config-value",
		                    "memory.swap needs memory.limit");
	if (*memory->swap < *memory->limit)
		return config_error(memory->at, "swap", e, "config-value",
		                    "memory.swap is memory and swap together: not below "
		                    "memory.limit");
	return 0;
}

/* "2MB", "1GB", "64KB": it is part of a file's name. */
static bool
is_page_size(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && text[0] != '0' && text[digits] != '\0' &&
	       strchr("KMG", text[digits]) != NULL && strcmp(text + digits + 1, "B") == 0;
}

static int
check_hugepages(const struct config_resources *resources, struct error *e)
{
	const struct config_hugepage_limit *limit = resources->hugepage_limits.items;

	for (size_t i = 0; i < resources->hugepage_limits.count; i++, limit++) {
		if (!is_page_size(limit->page_size) &&
		    json_stops(limit->at, config_error(limit->at, "pageSize", e, "config-value",
		                                       "expected a page size such as 2MB or 1GB, "
		                                       "found \"%.40s\"",
		                                       limit->page_size)))
			return -1;
	}
	return 0;
}

/* What cpu.max takes (cgroups-v2.rst): 1 ms to 1 s; the quota at least 1 ms. */
enum { MIN_PERIOD_US = 1000, MAX_PERIOD_US = 1000000 };

static int
check_cpu(const struct config_resources *resources, struct error *e)
{
	const struct config_cpu *cpu = resources->cpu;

	if (cpu == NULL)
		return 0;
	if (cpu->period != NULL && *cpu->period != 0 &&
	    (*cpu->period < MIN_PERIOD_US || *cpu->period > MAX_PERIOD_US) &&
	    json_stops(cpu->at,
	               config_error(cpu->at, "period", e, "config-range",
	                            "expected %d to %d microseconds, found %llu", MIN_PERIOD_US,
	                            MAX_PERIOD_US, (unsigned long long)*cpu->period)))
		return -1;
	if (cpu->quota != NULL && *cpu->quota > 0 && *cpu->quota < MIN_PERIOD_US)
		return config_error(cpu->at, "quota", e, "config-range",
		                    "expected %d microseconds or more, found %lld", MIN_PERIOD_US,
		                    (long long)*cpu->quota);
	if (cpu->quota != NULL && *cpu->quota > 0 && cpu->burst != NULL &&
	    *cpu->burst > (uint64_t)*cpu->quota)
		return config_error(cpu->at, "burst", e, "config-range",
		                    "the burst must not be over the quota");
	return 0;
}

static int
check_unified(const struct config_resources *resources, struct error *e)
{
	size_t i;

	for (i = 0; i < resources->unified.count; i++) {
		const char *file = resources->unified.items[i].key;

		if (strchr(file, '/') == NULL && strspn(file, ".") != strlen(file))
			continue;
		json_error(resources->unified.items[i].at, e, 0, "config-value",
		           "the name of a file in the cgroup must not be empty nor hold /");
		if (!json_goes_on(resources->at))
			return -1;
	}
	return 0;
}

static int
needs_one_of(const struct json *at, bool any, const char *first, const char *second,
             struct error *e)
{
	if (any || json_is_faulty(at))
		return 0;
	json_error(at, e, 0, "config-missing", "%s or %s is missing", first, second);
	return json_goes_on(at) ? 0 : -1;
}

static int
check_weight_devices(const struct config_resources *resources, struct error *e)
{
	const struct config_block_io *io = resources->block_io;
	const struct config_weight_device *d = io != NULL ? io->weight_device.items : NULL;

	for (size_t i = 0; io != NULL && i < io->weight_device.count; i++, d++) {
		if (needs_one_of(d->at, d->weight != NULL || d->leaf_weight != NULL, "weight",
		                 "leafWeight", e) < 0)
			return -1;
	}
	return 0;
}

static int
check_rdma(const struct config_resources *resources, struct error *e)
{
	const struct config_rdma *d = resources->rdma.items;

	for (size_t i = 0; i < resources->rdma.count; i++, d++) {
		if (needs_one_of(d->at, d->hca_handles != NULL || d->hca_objects != NULL,
		                 "hcaHandles", "hcaObjects", e) < 0)
			return -1;
	}
	return 0;
}

static int (*const resource_rules[])(const struct config_resources *resources, struct error *e) = {
	check_device_rules,   check_memory, check_cpu,     check_hugepages,
	check_weight_devices, check_rdma,   check_unified,
};

int
resources_check(const struct config_resources *resources, struct error *e)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(resource_rules); i++) {
		if (json_stops(resources->at, resource_rules[i](resources, e)))
			return -1;
	}
	return 0;
}

static int
check_errno(const struct json *at, const char *member, int action, const uint64_t *errno_ret,
            struct error *e)
{
	if (errno_ret == NULL || action == SECCOMP_ACTION_ERRNO || action == SECCOMP_ACTION_TRACE)
		return 0;
	return config_error(at, member, e, "config-value",
	                    "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take an errno, not %s",
	                    name_of(seccomp_action_names, (uint64_t)action));
}

static int
check_syscall(const struct config_syscall *rule, struct error *e)
{
	return check_errno(rule->at, "errnoRet", rule->action, rule->errno_ret, e);
}

static int
check_seccomp(struct arena *arena, const struct config_seccomp *seccomp, struct error *e)
{
	const struct config_syscall *syscalls = seccomp->syscalls.items;
	size_t i;

	if (seccomp->listener_metadata != NULL && seccomp->listener_path == NULL &&
	    !json_is_faulty(json_member(seccomp->at, "listenerPath")) &&
	    json_stops(seccomp->at,
	               config_error(seccomp->at, "listenerMetadata", e, "config-missing",
	                            "listenerMetadata needs listenerPath")))
		return -1;
	if (seccomp->default_action == SECCOMP_ACTION_NOTIFY &&
	    json_stops(seccomp->at,
	               config_error(seccomp->at, "defaultAction", e, "config-value",
	                            "SCMP_ACT_NOTIFY is for system calls that are named, not "
	                            "for all others")))
		return -1;
	if (json_stops(seccomp->at,
	               check_errno(seccomp->at, "defaultErrnoRet", seccomp->default_action,
	                           seccomp->default_errno_ret, e)))
		return -1;
	for (i = 0; i < seccomp->syscalls.count; i++) {
		if (json_stops(seccomp->at, check_syscall(&syscalls[i], e)))
			return -1;
	}
	if (json_goes_on(seccomp->at))
		seccomp_warn(arena, seccomp);
	return 0;
}

static int
check_personality(const struct config *config, struct error *e)
{
	const struct config_personality *personality = config->linux_->personality;

	if (personality == NULL || personality->flags.count == 0)
		return 0;
	return json_error(personality->flags.at, e, 0, "config-value",
	                  "the specification has no personality flags: must be empty");
}

static int
check_nodes(const struct config_memory_policy *policy, struct error *e)
{
	bool none = policy->mode - 1 == MPOL_DEFAULT || policy->mode - 1 == MPOL_LOCAL;
	bool any = none || policy->mode - 1 == MPOL_PREFERRED;
	const char *mode = name_of(memory_policy_names, (uint64_t)policy->mode);
	struct number_set nodes;
	int count = 0;

	if (policy->nodes != NULL) {
		count = number_set_parse(policy->nodes, NODE_NUMBERS, &nodes);
		if (count < 0)
			return config_error(policy->at, "nodes", e, "config-value",
			                    "expected a list of memory nodes such as 0-3,7, found "
			                    "\"%.60s\"",
			                    policy->nodes);
	}
	if (none && count > 0)
		return config_error(policy->at, "nodes", e, "config-value", "%s takes no nodes",
		                    mode);
	if (!any && count == 0 && !json_is_faulty(json_member(policy->at, "nodes")))
		return config_error(policy->at, "nodes", e, "config-missing", "%s needs nodes",
		                    mode);
	return 0;
}

/* set_mempolicy(2) */
static int
check_memory_policy(const struct config *config, struct error *e)
{
	const struct config_memory_policy *policy = config->linux_->memory_policy;
	const uint64_t both = MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES;

	if (policy == NULL)
		return 0;
	if ((policy->flags.value & both) == both)
		return json_error(policy->flags.at, e, 0, "config-value",
		                  "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each "
		                  "other");
	return check_nodes(policy, e);
}

/* The name of a directory of resctrl; "/" is its root. */
static int
check_clos_id(const struct config_intel_rdt *rdt, struct error *e)
{
	const char *id = rdt->clos_id;

	if (id == NULL || strcmp(id, "/") == 0)
		return 0;
	if (strpbrk(id, "/\n") == NULL && strspn(id, ".") != strlen(id))
		return 0;
	return config_error(rdt->at, "closID", e, "config-value",
	                    "expected the name of a directory, or \"/\"");
}

static int
check_schemata(const struct strings *schemata, struct error *e)
{
	const struct json *at = schemata->at != NULL ? schemata->at->first : NULL;
	const char *const *item = schemata->items;

	for (; at != NULL; at = at->next, item++)
		if (((*item)[0] == '\0' || strchr(*item, '\n') != NULL) &&
		    json_stops(at, json_error(at, e, 0, "config-value", "a schema is one line")))
			return -1;
	return 0;
}

static int
check_intel_rdt(const struct config *config, struct error *e)
{
	const struct config_intel_rdt *rdt = config->linux_->intel_rdt;

	if (rdt == NULL)
		return 0;
	if (json_stops(rdt->at, check_clos_id(rdt, e)))
		return -1;
	if (rdt->mem_bw_schema != NULL &&
	    (strncmp(rdt->mem_bw_schema, "MB:", 3) != 0 || strchr(rdt->mem_bw_schema, '\n')) &&
	    json_stops(rdt->at, config_error(rdt->at, "memBwSchema", e, "config-value",
	                                     "expected one line that begins with MB:")))
		return -1;
	return check_schemata(&rdt->schemata, e);
}

static int (*const rules[])(const struct config *config, struct error *e) = {
	check_namespaces,  check_mappings,      check_process_mapped, check_time_offsets,
	check_personality, check_memory_policy, check_intel_rdt,      check_net_devices,
};

int
linux_check(struct arena *arena, const struct config *config, struct error *e)
{
	const struct config_linux *l = config->linux_;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		if (json_stops(l->at, rules[i](config, e)))
			return -1;
	}
	if (json_stops(l->at, sysctl_check(arena, config, e)))
		return -1;
	if (json_stops(l->at, check_devices(arena, &l->devices, e)))
		return -1;
	if (l->resources != NULL && json_stops(l->at, resources_check(l->resources, e)))
		return -1;
	return l->seccomp != NULL ? check_seccomp(arena, l->seccomp, e) : 0;
}
