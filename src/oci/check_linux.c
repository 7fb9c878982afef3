/* SPDX-License-Identifier: MIT */
/*
 * The rules of config-linux.md: namespaces given once, id mappings that the
 * kernel takes and that cover the process, devices, seccomp rules that mean
 * something. Limits and sysctl have files of their own.
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

static bool
same_number(const void *a, const void *b)
{
	return a == b || (a != NULL && b != NULL && memcmp(a, b, sizeof(uint64_t)) == 0);
}

static bool
same_device(const struct config_device *a, const struct config_device *b)
{
	return strcmp(a->path, b->path) == 0 && strcmp(a->type, b->type) == 0 &&
	       same_number(a->major, b->major) && same_number(a->minor, b->minor) &&
	       same_number(a->file_mode, b->file_mode) && same_number(a->uid, b->uid) &&
	       same_number(a->gid, b->gid);
}

/* Docker lists one device as often as it was told of it: as itself, and with its folder. */
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
		    !same_device(sorted[i - 1], sorted[i]) &&
		    json_stops(sorted[i]->at,
		               config_error(sorted[i]->at, "path", e, "config-duplicate",
		                            "this path was given before, for another device")))
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
check_errno(const struct json *at, const char *of, int action, const char *member,
            const uint64_t *errno_ret, struct error *e)
{
	if (errno_ret == NULL || action == SECCOMP_ACTION_ERRNO || action == SECCOMP_ACTION_TRACE)
		return 0;
	return config_error(at, member, e, "config-value",
	                    "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE take an errno, not %s",
	                    json_member(at, of)->text);
}

static int
check_syscall(const struct config_syscall *rule, struct error *e)
{
	return check_errno(rule->at, "action", rule->action, "errnoRet", rule->errno_ret, e);
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
	               check_errno(seccomp->at, "defaultAction", seccomp->default_action,
	                           "defaultErrnoRet", seccomp->default_errno_ret, e)))
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
