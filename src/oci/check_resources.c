/* SPDX-License-Identifier: MIT */
/*
 * The rules of linux.resources (config-linux.md "Cgroups"), for config.json and
 * for `update`: what the kernel's files would refuse, and limits that need one
 * another.
 */
#include "hako/config.h"
#include "hako/problem.h"

#include <string.h>

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

/* Files of a cgroup that are no settings: hako itself would be moved, or the container stopped. */
static bool
is_order(const char *file)
{
	static const char *const orders[] = {"cgroup.procs", "cgroup.threads", "cgroup.freeze",
	                                     "cgroup.kill"};

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		if (strcmp(file, orders[i]) == 0)
			return true;
	return false;
}

static int
check_unified_file(const struct string_pair *pair, struct error *e)
{
	if (strchr(pair->key, '/') != NULL || strspn(pair->key, ".") == strlen(pair->key))
		return json_error(pair->at, e, 0, "config-value",
		                  "the name of a file in the cgroup must not be empty nor hold /");
	if (is_order(pair->key))
		return json_error(pair->at, e, 0, "config-value", "%s is not a setting of a cgroup",
		                  pair->key);
	return 0;
}

static int
check_unified(const struct config_resources *resources, struct error *e)
{
	for (size_t i = 0; i < resources->unified.count; i++)
		if (json_stops(resources->at, check_unified_file(&resources->unified.items[i], e)))
			return -1;
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
