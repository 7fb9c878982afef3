/* SPDX-License-Identifier: MIT */
/*
 * `update`: other limits for a container that runs. What is not given stays as it is;
 * the rest goes the way of config.json, through the same field tables and the same
 * plan, and into the cgroup as a whole or not at all.
 */
#include "hako/cgroup.h"
#include "hako/container.h"
#include "hako/file.h"
#include "hako/intel_rdt.h"
#include "hako/resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number in a file of the cgroup; "max" and a missing file are -1. */
static int64_t
read_number(int cgroup, const char *file)
{
	char text[64];

	if (file_read_at(cgroup, file, text, sizeof(text)) <= 0 || text[0] < '0' || text[0] > '9')
		return -1;
	return strtoll(text, NULL, 10);
}

/* Quota and period are one file, and one property of systemd: what is not given stays. */
static void
complete_cpu(struct arena *arena, struct config_cpu *cpu, int cgroup)
{
	int64_t *quota = arena_alloc(arena, sizeof(*quota));
	uint64_t *period = arena_alloc(arena, sizeof(*period));
	char text[64];

	if (file_read_at(cgroup, "cpu.max", text, sizeof(text)) <= 0)
		return;
	*quota = text[0] == 'm' ? -1 : strtoll(text, NULL, 10);
	*period = strtoull(text + strcspn(text, " "), NULL, 10);
	if (cpu->quota == NULL)
		cpu->quota = quota;
	if (cpu->period == NULL && *period > 0)
		cpu->period = period;
}

/* And memory with swap counts from the limit there is. */
static void
complete(struct arena *arena, struct config_resources *resources, int cgroup)
{
	if (resources->cpu != NULL &&
	    (resources->cpu->period != NULL) != (resources->cpu->quota != NULL)) {
		struct config_cpu *cpu = arena_alloc(arena, sizeof(*cpu));

		*cpu = *resources->cpu;
		complete_cpu(arena, cpu, cgroup);
		resources->cpu = cpu;
	}
	if (resources->memory != NULL && resources->memory->swap != NULL &&
	    *resources->memory->swap > 0 && resources->memory->limit == NULL) {
		struct config_memory *memory = arena_alloc(arena, sizeof(*memory));
		int64_t *limit = arena_alloc(arena, sizeof(*limit));

		*limit = read_number(cgroup, "memory.max");
		*memory = *resources->memory;
		memory->limit = limit;
		resources->memory = memory;
	}
}

static int
check_usage(const struct config_memory *memory, int cgroup, struct error *e)
{
	int64_t usage;

	if (memory == NULL || !memory->check_before_update || memory->limit == NULL ||
	    *memory->limit <= 0)
		return 0;
	usage = read_number(cgroup, "memory.current");
	if (usage <= *memory->limit)
		return 0;
	return json_error(json_member(memory->at, "limit"), e, 0, "memory-in-use",
	                  "rejecting memory limit %" PRId64 ": the container uses %" PRId64
	                  " bytes",
	                  *memory->limit, usage);
}

static int
plan_limits(struct arena *arena, const struct container *c, const struct json *document, int cgroup,
            struct plan *plan, struct error *e)
{
	struct config_resources *resources = arena_alloc(arena, sizeof(*resources));
	struct config_linux *lin = arena_alloc(arena, sizeof(*lin));
	struct config *config = arena_alloc(arena, sizeof(*config));
	struct planner planner = {.arena = arena, .config = config, .plan = plan};

	if (decode_object(arena, &resources_fields, document, resources, e) < 0)
		return -1;
	complete(arena, resources, cgroup);
	if (resources_check(resources, e) < 0 || check_usage(resources->memory, cgroup, e) < 0)
		return -1;
	lin->resources = resources;
	config->linux_ = lin;
	plan->config = config;
	plan->cgroup.wanted = true;
	plan->cgroup.path = c->state->cgroup_path;
	return resources_plan(&planner, e);
}

/* In a scope without a quota systemd has just set its own period. */
static int
keep_period(const struct cgroup_plan *limits, const struct handles *h, struct error *e)
{
	const struct cgroup_value *v = plan_cgroup_value(limits, "cpu.max");

	if (v == NULL || strncmp(v->value, "max ", 4) != 0 ||
	    file_write_at(h->cgroup, v->file, v->value) == 0)
		return 0;
	return resources_refuse(h, v, e);
}

/* The kernel refuses a weight while the cgroup is idle; for systemd a weight ends that. */
static int
write_limits(const struct container *c, const struct cgroup_plan *limits, struct handles *h,
             struct error *e)
{
	bool woken = c->state->systemd_unit != NULL &&
	             plan_cgroup_value(limits, "cpu.weight") != NULL &&
	             plan_cgroup_value(limits, "cpu.idle") == NULL &&
	             read_number(h->cgroup, "cpu.idle") == 1 &&
	             file_write_at(h->cgroup, "cpu.idle", "0") == 0;

	if (resources_update(limits, h, e) == 0)
		return 0;
	if (woken)
		(void)file_write_at(h->cgroup, "cpu.idle", "1");
	return -1;
}

static int
update_limits(struct arena *arena, const struct container *c, const struct json *document,
              struct error *e)
{
	struct plan *plan = arena_alloc(arena, sizeof(*plan));
	struct handles h;

	handles_init(&h);
	h.cgroup = container_cgroup(c, e);
	if (h.cgroup < 0)
		return -1;
	h.cgroup_path = c->state->cgroup_path;
	h.cgroup_root = cgroup_open_root(&h.cgroup_mount, e);
	if (h.cgroup_root < 0 || plan_limits(arena, c, document, h.cgroup, plan, e) < 0 ||
	    write_limits(c, &plan->cgroup, &h, e) < 0)
		return -1;
	if (c->state->systemd_unit == NULL)
		return 0;
	if (cgroup_scope_set(c->state->systemd_unit, &plan->cgroup, arena, e) < 0)
		return -1;
	return keep_period(&plan->cgroup, &h, e);
}

/* A group that has a name is not this container's alone. */
static int
plan_schemata(struct arena *arena, const struct container *c, const struct update_request *request,
              struct plan *plan, struct error *e)
{
	struct planner planner = {.arena = arena, .plan = plan};
	struct config_intel_rdt *rdt = arena_alloc(arena, sizeof(*rdt));
	struct config_linux *lin = arena_alloc(arena, sizeof(*lin));
	struct config *config = arena_alloc(arena, sizeof(*config));
	const struct config *saved;
	struct json_doc *doc;

	if (json_load(arena, c->dir, "config.json", "config.json", &doc, e) < 0 ||
	    config_decode(arena, doc, &saved, e) < 0)
		return -1;
	if (saved->linux_->intel_rdt == NULL)
		return error_set(e, 0, "rdt-no-group",
		                 "the container has no resctrl group (linux.intelRdt)");
	if (saved->linux_->intel_rdt->clos_id != NULL)
		return json_error(json_member(saved->linux_->intel_rdt->at, "closID"), e, 0,
		                  "rdt-shared", "group %s may be that of others, too",
		                  saved->linux_->intel_rdt->clos_id);
	rdt->at = saved->linux_->intel_rdt->at;
	rdt->l3_cache_schema = request->l3_cache_schema;
	rdt->mem_bw_schema = request->mem_bw_schema;
	lin->intel_rdt = rdt;
	config->linux_ = lin;
	planner.config = config;
	plan->options.id = c->id;
	return intel_rdt_plan(&planner, e);
}

static int
update_all(struct arena *arena, const struct container *c, const struct update_request *request,
           struct error *e)
{
	struct plan *plan = arena_alloc(arena, sizeof(*plan));
	struct error ignored;
	struct handles h;
	const char *before;

	handles_init(&h);
	if (plan_schemata(arena, c, request, plan, e) < 0 ||
	    intel_rdt_update(&plan->intel_rdt, &h, arena, &before, e) < 0)
		return -1;
	if (request->resources->count == 0 || update_limits(arena, c, request->resources, e) == 0)
		return 0;
	plan->intel_rdt.schemata = before;
	(void)intel_rdt_update(&plan->intel_rdt, &h, arena, &before, &ignored);
	return -1;
}

int
container_update(struct arena *arena, const struct container *c,
                 const struct update_request *request, struct error *e)
{
	if (c->status == STATUS_STOPPED || c->status == STATUS_CREATING)
		return error_set(e, 0, "container-not-running", "container not running");
	if (request->l3_cache_schema != NULL || request->mem_bw_schema != NULL)
		return update_all(arena, c, request, e);
	return update_limits(arena, c, request->resources, e);
}
