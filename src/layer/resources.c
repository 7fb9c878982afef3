/* SPDX-License-Identifier: MIT */
/*
 * linux.resources as lines for files of the cgroup (config-linux.md; the
 * conversions from cgroup v1 units are those that runc and crun use). A resource
 * is a row: its file, the controller that must be there, and how the value is
 * written. Written by the parent while init builds the root; the limit of memory when
 * that is done, because to build takes more than to run: limits take effect as late as
 * is safe. Hooks find all of them there. `unified` comes last, so that it has the last
 * word.
 */
#include "hako/resources.h"
#include "hako/file.h"
#include "hako/problem.h"
#include "hako/words.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cgroup_value *
plan_cgroup_value(const struct cgroup_plan *cgroup, const char *file)
{
	for (size_t i = cgroup->value_count; i-- > 0;)
		if (strcmp(cgroup->values[i].file, file) == 0)
			return &cgroup->values[i];
	return NULL;
}

struct cgroup_value *
resources_add(struct planner *p, const struct json *at, const char *controller, const char *file,
              const char *value)
{
	struct cgroup_plan *cgroup = &p->plan->cgroup;
	struct cgroup_value *values = cgroup->values;

	if (cgroup->value_count == cgroup->value_room) {
		cgroup->value_room = cgroup->value_room * 2 + 16;
		values = arena_array(p->arena, cgroup->value_room, sizeof(*values));
		if (cgroup->value_count > 0)
			memcpy(values, cgroup->values, cgroup->value_count * sizeof(*values));
		cgroup->values = values;
	}
	values[cgroup->value_count] = (struct cgroup_value){
		.at = at, .controller = controller, .file = file, .value = value};
	return &values[cgroup->value_count++];
}

/* No limit needs no controller: without the file it is as it should be. */
static void
add_limit(struct planner *p, const struct json *at, const char *controller, const char *file,
          const char *value)
{
	resources_add(p, at, strcmp(value, "max") == 0 ? NULL : controller, file, value);
}

/* -1 and below mean no limit. */
static const char *
limit_text(struct arena *arena, int64_t limit)
{
	return limit < 0 ? "max" : arena_printf(arena, "%" PRId64, limit);
}

/*
 * What cgroup v2 cannot express: skipped with a warning, because engines send it (an
 * error under --strict).
 */
int
resources_skip(const struct json *object, const char *property, bool set, struct error *e)
{
	const struct json *at = json_member(object, property);

	if (!set)
		return 0;
	return json_stops(at, json_fallback(at, e, "cgroup-v1-only",
	                                    "cgroup v2 has no such setting: ignored"))
	               ? -1
	               : 0;
}

/* Memory -------------------------------------------------------------------- */

/* v1 counted memory and swap together, v2 counts swap alone. */
static void
plan_swap(struct planner *p, const struct config_memory *memory)
{
	const struct json *at = json_member(memory->at, "swap");
	int64_t swap, limit = memory->limit != NULL ? *memory->limit : 0;

	if (memory->swap == NULL || *memory->swap == 0) {
		if (limit < 0)
			add_limit(p, json_member(memory->at, "limit"), NULL, "memory.swap.max",
			          "max");
		return;
	}
	/* not below the limit: resources_check() */
	swap = *memory->swap < 0 ? -1 : *memory->swap - limit;
	/* without swap accounting in the kernel there is nothing to limit */
	add_limit(p, at, swap == 0 ? NULL : "memory", "memory.swap.max",
	          limit_text(p->arena, swap));
}

static int
plan_memory(struct planner *p, const struct config_memory *memory, struct error *e)
{
	if (memory == NULL)
		return 0;
	if (memory->limit != NULL && *memory->limit != 0)
		add_limit(p, json_member(memory->at, "limit"), "memory", "memory.max",
		          limit_text(p->arena, *memory->limit));
	if (memory->reservation != NULL && *memory->reservation != 0)
		add_limit(p, json_member(memory->at, "reservation"), "memory", "memory.low",
		          limit_text(p->arena, *memory->reservation));
	plan_swap(p, memory);
	if (resources_skip(memory->at, "kernel", memory->kernel != NULL && *memory->kernel > 0, e) <
	            0 ||
	    resources_skip(memory->at, "kernelTCP",
	                   memory->kernel_tcp != NULL && *memory->kernel_tcp > 0, e) < 0 ||
	    resources_skip(memory->at, "swappiness", memory->swappiness != NULL, e) < 0)
		return -1;
	return resources_skip(memory->at, "disableOOMKiller", memory->disable_oom_killer, e);
}

/* CPU ------------------------------------------------------------------------- */

/* log2, one bit of the fraction at a time: every start of hako would have to load libm. */
static double
log2_of(uint64_t n)
{
	int whole = 63 - __builtin_clzll(n);
	double x = (double)n / (double)(1ULL << whole), bit = 0.5, result = whole;

	for (int i = 0; i < 50; i++, bit /= 2) {
		x *= x;
		if (x >= 2) {
			x /= 2;
			result += bit;
		}
	}
	return result;
}

/* 10^x for 0 <= x < 5: the series of e^(x ln 10) converges well. */
static double
power_of_10(double x)
{
	double y = x * 2.302585092994046, term = 1, sum = 1;

	for (int i = 1; i < 80; i++) {
		term *= y / i;
		sum += term;
	}
	return sum;
}

/*
 * shares (2..262144, default 1024) -> weight (1..10000, default 100): a
 * quadratic in log2 through the three points that must meet.
 */
static unsigned
cpu_weight(uint64_t shares)
{
	double l, weight;
	unsigned whole;

	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	l = log2_of(shares);
	weight = power_of_10((l * l + 125 * l) / 612.0 - 7.0 / 34.0);
	whole = (unsigned)weight;
	return weight - whole > 1e-9 ? whole + 1 : whole;
}

/* Only the quota, or only the period with "max", when the other is not said. */
static struct cgroup_value *
plan_cpu_max(struct planner *p, const struct config_cpu *cpu)
{
	bool quota = cpu->quota != NULL && *cpu->quota != 0;
	bool period = cpu->period != NULL && *cpu->period != 0;
	bool limited = quota && *cpu->quota > 0;
	const char *value = limited ? limit_text(p->arena, *cpu->quota) : "max";

	if (!quota && !period)
		return NULL;
	if (period)
		value = arena_printf(p->arena, "%s %" PRIu64, value, *cpu->period);
	return resources_add(p, json_member(cpu->at, quota ? "quota" : "period"),
	                     limited || period ? "cpu" : NULL, "cpu.max", value);
}

/* A quota below the burst there was is refused, and a burst above the quota there was. */
static void
plan_cpu_bandwidth(struct planner *p, const struct config_cpu *cpu)
{
	struct cgroup_value *first = plan_cpu_max(p, cpu);

	if (cpu->burst == NULL)
		return;
	if (first != NULL)
		first->tentative = true;
	resources_add(p, json_member(cpu->at, "burst"), "cpu", "cpu.max.burst",
	              arena_printf(p->arena, "%" PRIu64, *cpu->burst));
	(void)plan_cpu_max(p, cpu);
}

static int
plan_cpu(struct planner *p, const struct config_cpu *cpu, struct error *e)
{
	bool idle = cpu != NULL && cpu->idle != NULL;

	if (cpu == NULL)
		return 0;
	if (idle)
		resources_add(p, json_member(cpu->at, "idle"), "cpu", "cpu.idle",
		              arena_printf(p->arena, "%" PRId64, *cpu->idle));
	if (idle && *cpu->idle == 1 && cpu->shares != NULL && *cpu->shares != 0 &&
	    json_fallback_shown(
		    json_member(cpu->at, "shares"), e, "cpu-weight-none",
		    "unable to apply both shares and idle: an idle cgroup has no weight") < 0)
		return -1;
	if (cpu->shares != NULL && *cpu->shares != 0 && !(idle && *cpu->idle == 1))
		resources_add(p, json_member(cpu->at, "shares"), "cpu", "cpu.weight",
		              arena_printf(p->arena, "%u", cpu_weight(*cpu->shares)));
	plan_cpu_bandwidth(p, cpu);
	if (cpu->cpus != NULL && cpu->cpus[0] != '\0')
		resources_add(p, json_member(cpu->at, "cpus"), "cpuset", "cpuset.cpus", cpu->cpus);
	if (cpu->mems != NULL && cpu->mems[0] != '\0')
		resources_add(p, json_member(cpu->at, "mems"), "cpuset", "cpuset.mems", cpu->mems);
	if (resources_skip(cpu->at, "realtimePeriod",
	                   cpu->realtime_period && *cpu->realtime_period > 0, e) < 0)
		return -1;
	return resources_skip(cpu->at, "realtimeRuntime",
	                      cpu->realtime_runtime && *cpu->realtime_runtime > 0, e);
}

/* Pids, huge pages, RDMA, network, unified ------------------------------------ */

/* 0 is a real limit, but even init would not fit in it. */
static void
plan_pids(struct planner *p, const struct config_pids *pids)
{
	if (pids == NULL || pids->limit == NULL)
		return;
	add_limit(p, json_member(pids->at, "limit"), "pids", "pids.max",
	          *pids->limit == 0 ? "1" : limit_text(p->arena, *pids->limit));
}

static void
plan_unified(struct planner *p, const struct string_map *unified)
{
	for (size_t i = 0; i < unified->count; i++) {
		const struct string_pair *pair = &unified->items[i];
		const char *controller =
			arena_strndup(p->arena, pair->key, strcspn(pair->key, "."));
		char *rest = arena_strdup(p->arena, pair->value), *line;

		while ((line = words_take(&rest, "\n")) != NULL)
			resources_add(p, pair->at, controller, pair->key, line);
	}
}

/* A file for each size, and where the kernel counts reservations, one for those. */
static void
plan_hugepages(struct planner *p, const struct objects *limits)
{
	const struct config_hugepage_limit *rows = limits->items;

	for (size_t i = 0; i < limits->count; i++) {
		const char *size = rows[i].page_size;
		const char *limit = arena_printf(p->arena, "%" PRIu64, *rows[i].limit);

		resources_add(p, rows[i].at, "hugetlb",
		              arena_printf(p->arena, "hugetlb.%s.max", size), limit);
		resources_add(p, rows[i].at, NULL,
		              arena_printf(p->arena, "hugetlb.%s.rsvd.max", size), limit);
	}
}

static void
plan_rdma(struct planner *p, const struct objects *devices)
{
	const struct config_rdma *rows = devices->items;

	for (size_t i = 0; i < devices->count; i++) {
		const struct config_rdma *d = &rows[i];
		const char *line = d->key;

		if (d->hca_handles != NULL)
			line = arena_printf(p->arena, "%s hca_handle=%" PRIu64, line,
			                    *d->hca_handles);
		if (d->hca_objects != NULL)
			line = arena_printf(p->arena, "%s hca_object=%" PRIu64, line,
			                    *d->hca_objects);
		if (line != d->key)
			resources_add(p, d->at, "rdma", "rdma.max", line);
	}
}

static int
skip_network(const struct config_network *network, struct error *e)
{
	if (network == NULL)
		return 0;
	if (resources_skip(network->at, "classID", network->class_id && *network->class_id, e) < 0)
		return -1;
	return resources_skip(network->at, "priorities", network->priorities.count > 0, e);
}

static bool
is_late(const char *file)
{
	return strcmp(file, "memory.max") == 0 || strcmp(file, "memory.swap.max") == 0;
}

/* With several values for a file the last has the last word: all of them are written together. */
static bool
is_limited(const struct cgroup_plan *cgroup, const char *file)
{
	for (size_t i = 0; i < cgroup->value_count; i++)
		if (strcmp(cgroup->values[i].file, file) == 0 &&
		    strcmp(cgroup->values[i].value, "max") != 0)
			return true;
	return false;
}

static void
plan_late(struct planner *p)
{
	struct cgroup_plan *cgroup = &p->plan->cgroup;

	for (size_t i = 0; i < cgroup->value_count && p->config->hooks == NULL; i++)
		if (is_late(cgroup->values[i].file) && is_limited(cgroup, cgroup->values[i].file))
			cgroup->values[i].late = cgroup->late_limit = true;
}

LAYER_PLAN(resources_plan)
{
	const struct config_resources *resources = p->config->linux_->resources;

	if (resources == NULL)
		return 0;
	if (plan_memory(p, resources->memory, e) < 0 || plan_cpu(p, resources->cpu, e) < 0)
		return -1;
	plan_pids(p, resources->pids);
	if (resources_plan_io(p, resources->block_io, e) < 0 ||
	    skip_network(resources->network, e) < 0)
		return -1;
	plan_hugepages(p, &resources->hugepage_limits);
	plan_rdma(p, &resources->rdma);
	plan_unified(p, &resources->unified);
	plan_late(p);
	if (p->plan->cgroup.value_count > 0 && !p->plan->cgroup.wanted)
		return json_error(
			resources->at, e, 0, "cgroup-disabled",
			"limits need a cgroup, and cgroups are disabled on the command line");
	return 0;
}

/* Write ---------------------------------------------------------------------------- */

/* 1: written; 0: there is no such file, and none is needed; -1 with *e. */
static int
write_value(const struct cgroup_plan *limits, size_t i, const struct handles *h, struct error *e)
{
	const struct cgroup_value *v = &limits->values[i];
	bool replaceable = i + 1 < limits->value_count && v[1].alternative;

	if (file_write_at(h->cgroup, v->file, v->value) == 0)
		return 1;
	if (v->tentative || (errno == ENOENT && (v->controller == NULL || replaceable)))
		return 0;
	return resources_refuse(h, v, e);
}

static int
write_values(const struct cgroup_plan *limits, bool late, const struct handles *h, struct error *e)
{
	for (size_t i = 0; i < limits->value_count; i++) {
		int rc = limits->values[i].late == late ? write_value(limits, i, h, e) : 0;

		if (rc < 0)
			return -1;
		while (rc > 0 && i + 1 < limits->value_count && limits->values[i + 1].alternative)
			i++;
	}
	return 0;
}

LAYER_RUN(resources_write)
{
	return write_values(&plan->cgroup, false, h, e);
}

LAYER_RUN(resources_write_late)
{
	for (size_t i = 0; i < plan->cgroup.value_count; i++)
		if (plan->cgroup.values[i].late &&
		    strcmp(plan->cgroup.values[i].file, "memory.max") == 0)
			resources_settle(h, plan->cgroup.values[i].value);
	return write_values(&plan->cgroup, true, h, e);
}

/* Update ------------------------------------------------------------------------- */

/* What a file held before: of one with a line for each device, the line of this one. */
struct previous {
	const char *file;
	char *text;
};

static bool
has_devices(const struct cgroup_value *v)
{
	return strcmp(v->file, "io.max") == 0 || strcmp(v->file, "rdma.max") == 0 ||
	       (strchr(v->value, ':') != NULL && strncmp(v->file, "io.", 3) == 0);
}

/* "8:0 rbps=1": the line that begins with the first word of the value; a default without one. */
static char *
find_line(const struct cgroup_value *v, const char *text)
{
	size_t length = strcspn(v->value, " ");
	char *line;

	for (const char *p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, v->value, length) == 0 && p[length] == ' ')
			return strndup(p, strcspn(p, "\n"));
	if (asprintf(&line, "%.*s %s", (int)length, v->value,
	             strcmp(v->file, "io.max") == 0     ? "rbps=max wbps=max riops=max wiops=max"
	             : strcmp(v->file, "rdma.max") == 0 ? "hca_handle=max hca_object=max"
	                                                : "default") < 0)
		return NULL;
	return line;
}

static char *
remember(const struct handles *h, const struct cgroup_value *v)
{
	char text[16384], effective[64];

	if (file_read_at(h->cgroup, v->file, text, sizeof(text)) < 0)
		return NULL;
	/* a cpuset with processes cannot be emptied again: what it amounted to must do */
	snprintf(effective, sizeof(effective), "%s.effective", v->file);
	if (text[0] == '\0' && file_read_at(h->cgroup, effective, text, sizeof(text)) < 0)
		return NULL;
	if (has_devices(v))
		return find_line(v, text);
	return strndup(text, strcspn(text, "\n")); /* of a weight that is the default */
}

/*
 * Backwards, so that a burst comes down before the quota that allowed it; and twice,
 * because some depend on each other.
 */
static void
restore(const struct handles *h, const struct previous *previous, size_t count)
{
	for (int round = 0; round < 2; round++)
		for (size_t i = count; i-- > 0;)
			if (previous[i].text != NULL)
				(void)file_write_at(h->cgroup, previous[i].file, previous[i].text);
}

int
resources_update(const struct cgroup_plan *limits, struct handles *h, struct error *e)
{
	struct previous *previous = calloc(limits->value_count + 1, sizeof(*previous));
	int rc = previous != NULL ? 0 : error_set(e, ENOMEM, "out-of-memory", "update");
	size_t i;

	for (i = 0; rc >= 0 && i < limits->value_count; i++) {
		previous[i].file = limits->values[i].file;
		previous[i].text = remember(h, &limits->values[i]);
		rc = write_value(limits, i, h, e);
		while (rc > 0 && i + 1 < limits->value_count && limits->values[i + 1].alternative)
			i++;
	}
	if (rc < 0 && previous != NULL)
		restore(h, previous, i);
	for (size_t k = 0; previous != NULL && k < limits->value_count; k++)
		free(previous[k].text);
	free(previous);
	return rc < 0 ? -1 : 0;
}
