/* SPDX-License-Identifier: MIT */
/*
 * The scope of the systemd cgroup driver as a plan: its slice, its name and its
 * properties (config-linux.md "Cgroups Path", systemd.resource-control(5)). A property
 * is text in GVariant's format until it is sent (cgroup_systemd.c).
 */
#include "hako/cgroup.h"
#include "hako/layer.h"
#include "hako/number_set.h"
#include "hako/problem.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names --------------------------------------------------------------------------- */

/* A unit's name has no "+", ids of containers may. */
static const char *
escape(struct arena *arena, const char *text)
{
	char *escaped = arena_alloc(arena, strlen(text) * 4 + 1), *p = escaped;

	for (; *text != '\0'; text++)
		if (*text == '+')
			p = stpcpy(p, "\\x2b");
		else
			*p++ = *text;
	return escaped;
}

static bool
is_slice(const char *name)
{
	size_t length = strlen(name);

	return length > 6 && strcmp(name + length - 6, ".slice") == 0 &&
	       strchr(name, '/') == NULL && (name[0] != '-' || strcmp(name, "-.slice") == 0) &&
	       strstr(name, "--") == NULL;
}

/* "SLICE:PREFIX:NAME" in three pieces; what is empty has a default. */
static int
plan_names(struct planner *p, const char *path, struct error *e)
{
	struct cgroup_plan *cgroup = &p->plan->cgroup;
	char *slice = arena_strdup(p->arena, path != NULL ? path : "::");
	char *prefix = strchr(slice, ':');
	char *name = prefix != NULL ? strchr(prefix + 1, ':') : NULL;

	if (name == NULL || strchr(name + 1, ':') != NULL || strchr(prefix, '/') != NULL)
		return json_error(cgroup->at, e, 0, "cgroup-invalid",
		                  "the systemd cgroup driver wants \"SLICE:PREFIX:NAME\", not "
		                  "\"%.100s\"",
		                  path);
	*prefix++ = '\0';
	*name++ = '\0';
	cgroup->slice = strcmp(slice, "-") == 0       ? "-.slice"
	                : slice[0] != '\0'            ? slice
	                : p->plan->options.privileged ? "system.slice"
	                                              : "user.slice";
	if (!is_slice(cgroup->slice))
		return json_error(cgroup->at, e, 0, "cgroup-invalid",
		                  "\"%.100s\" is not the name of a slice", cgroup->slice);
	cgroup->unit = arena_printf(p->arena, "%s%s%s.scope", path != NULL ? prefix : "hako",
	                            path != NULL && prefix[0] == '\0' ? "" : "-",
	                            name[0] != '\0' ? name : escape(p->arena, p->plan->options.id));
	return 0;
}

int
cgroup_plan_scope(struct planner *p, const char *path, struct error *e)
{
	struct plan *plan = p->plan;

	if (plan_names(p, path != NULL && path[0] != '\0' ? path : NULL, e) < 0)
		return -1;
	/* relative to the cgroup of systemd itself; where that is shows when it has run */
	plan->cgroup.path = arena_printf(p->arena, "/%s/%s", plan->cgroup.slice, plan->cgroup.unit);
	if (plan_creates(plan, CLONE_NEWCGROUP)) {
		plan->clone_flags &= ~(uint64_t)CLONE_NEWCGROUP;
		plan->cgroup.late_namespace = true;
	}
	return 0;
}

/* Properties ------------------------------------------------------------------------ */

static void
add(struct arena *arena, struct string_map *properties, const char *name, const char *value)
{
	struct string_pair *more = arena_array(arena, properties->count + 1, sizeof(*more));

	if (properties->count > 0)
		memcpy(more, properties->items, properties->count * sizeof(*more));
	more[properties->count++] = (struct string_pair){.key = name, .value = value};
	properties->items = more;
}

static void
add_number(struct arena *arena, struct string_map *properties, const char *name, uint64_t value)
{
	add(arena, properties, name, arena_printf(arena, "uint64 %" PRIu64, value));
}

/* "max" is what systemd calls infinity. */
static void
convert_limit(struct arena *arena, struct string_map *properties, const char *name,
              const char *value)
{
	add_number(arena, properties, name,
	           strcmp(value, "max") == 0 ? UINT64_MAX : strtoull(value, NULL, 10));
}

static void
convert_weight(struct arena *arena, struct string_map *properties, const char *name,
               const char *value)
{
	if (strncmp(value, "default ", 8) == 0)
		value += 8;
	if (*value >= '0' && *value <= '9')
		add_number(arena, properties, name, strtoull(value, NULL, 10));
}

/* systemd's word for an idle cgroup is a weight of 0. */
static void
convert_idle(struct arena *arena, struct string_map *properties, const char *name,
             const char *value)
{
	if (strcmp(value, "1") == 0)
		add_number(arena, properties, name, 0);
}

/* "QUOTA PERIOD" in microseconds; systemd counts in steps of 10 ms a second. */
static void
convert_cpu_max(struct arena *arena, struct string_map *properties, const char *name,
                const char *value)
{
	enum { SECOND = 1000000, STEP = 10000, DEFAULT_PERIOD = 100000 };
	const char *space = strchr(value, ' ');
	uint64_t period = space != NULL ? strtoull(space + 1, NULL, 10) : DEFAULT_PERIOD;
	uint64_t quota = strtoull(value, NULL, 10), per_second = UINT64_MAX;

	if (period == 0)
		return;
	if (value[0] != 'm' && quota < UINT64_MAX / SECOND)
		per_second = (quota * SECOND / period + STEP - 1) / STEP * STEP;
	add_number(arena, properties, name, per_second);
	add_number(arena, properties, "CPUQuotaPeriodUSec", period);
}

/* "0-2,7" as a bit mask, the lowest byte first. */
static void
convert_set(struct arena *arena, struct string_map *properties, const char *name, const char *value)
{
	unsigned char mask[CPU_NUMBERS / 8] = {0};
	struct number_set set;
	size_t length = 1;
	char *text, *p;

	if (number_set_parse(value, CPU_NUMBERS, &set) < 0)
		return; /* writing the file will say so */
	for (unsigned i = 0; i < CPU_NUMBERS; i++)
		if (number_set_has(&set, i)) {
			mask[i / 8] |= (unsigned char)(1U << i % 8);
			length = i / 8 + 1;
		}
	text = p = arena_alloc(arena, length * sizeof(", byte 0x00") + sizeof("[]"));
	p += sprintf(p, "[");
	for (size_t i = 0; i < length; i++)
		p += sprintf(p, "%sbyte 0x%02x", i > 0 ? ", " : "", mask[i]);
	sprintf(p, "]");
	add(arena, properties, name, text);
}

/* A file of the cgroup that systemd has a property for. */
static const struct {
	const char *file;
	const char *property;
	void (*convert)(struct arena *arena, struct string_map *properties, const char *name,
	                const char *value);
} conversions[] = {
	{"memory.max", "MemoryMax", convert_limit},
	{"memory.high", "MemoryHigh", convert_limit},
	{"memory.low", "MemoryLow", convert_limit},
	{"memory.min", "MemoryMin", convert_limit},
	{"memory.swap.max", "MemorySwapMax", convert_limit},
	{"pids.max", "TasksMax", convert_limit},
	{"cpu.weight", "CPUWeight", convert_weight},
	{"cpu.idle", "CPUWeight", convert_idle},
	{"cpu.max", "CPUQuotaPerSecUSec", convert_cpu_max},
	{"cpuset.cpus", "AllowedCPUs", convert_set},
	{"cpuset.mems", "AllowedMemoryNodes", convert_set},
	{"io.weight", "IOWeight", convert_weight},
};

int
cgroup_scope_limits(struct arena *arena, struct string_map *properties,
                    const struct cgroup_plan *cgroup, struct error *e)
{
	const struct cgroup_value *idle = plan_cgroup_value(cgroup, "cpu.idle");

	if (idle != NULL && strcmp(idle->value, "1") == 0 &&
	    plan_cgroup_value(cgroup, "cpu.weight") != NULL &&
	    json_fallback_shown(
		    idle->at, e, "cpu-weight-none",
		    "systemd is unable to apply both cpu.weight and cpu.idle: it is idle") < 0)
		return -1;
	for (size_t i = 0; i < cgroup->value_count; i++)
		for (size_t k = 0; k < ARRAY_SIZE(conversions); k++)
			if (strcmp(cgroup->values[i].file, conversions[k].file) == 0)
				conversions[k].convert(arena, properties, conversions[k].property,
				                       cgroup->values[i].value);
	return 0;
}

/* org.systemd.property.NAME: a name in "Sec" is for people, systemd's own end in "USec". */
static int
add_annotation(struct planner *p, const struct string_pair *pair, const char *name, struct error *e)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	struct string_map *properties = &p->plan->cgroup.properties;
	size_t length = strlen(name);
	const char *number;
	double seconds;
	char *end;

	if (length < 3 || strspn(name, letters) != length)
		return json_error(pair->at, e, 0, "annotation-invalid",
		                  "\"%.100s\" is not the name of a property of systemd", name);
	if (strcmp(name + length - 3, "Sec") != 0 || strcmp(name + length - 4, "USec") == 0) {
		add(p->arena, properties, name, pair->value);
		return 0;
	}
	number = strrchr(pair->value, ' ') != NULL ? strrchr(pair->value, ' ') + 1 : pair->value;
	seconds = strtod(number, &end);
	if (end == number || *end != '\0' || !(seconds >= 0 && seconds < 1e12))
		return json_error(pair->at, e, 0, "annotation-invalid",
		                  "expected a number of seconds, found \"%.60s\"", pair->value);
	add_number(p->arena, properties, arena_printf(p->arena, "%.*sUSec", (int)length - 3, name),
	           (uint64_t)(seconds * 1e6));
	return 0;
}

LAYER_PLAN(cgroup_plan_properties)
{
	const char *prefix = annotation_names[ANNOTATION_SYSTEMD_PROPERTY];
	size_t length = strlen(prefix);
	const struct string_map *annotations = &p->config->annotations;
	struct cgroup_plan *cgroup = &p->plan->cgroup;
	struct string_map *properties = &cgroup->properties;

	if (cgroup->unit == NULL)
		return 0;
	add(p->arena, properties, "Description",
	    arena_printf(p->arena, "'container %s'", p->plan->options.id));
	add(p->arena, properties, "Slice", arena_printf(p->arena, "'%s'", cgroup->slice));
	add(p->arena, properties, "Delegate", "true");
	add(p->arena, properties, "DefaultDependencies", "false");
	add(p->arena, properties, "MemoryAccounting", "true");
	add(p->arena, properties, "CPUAccounting", "true");
	add(p->arena, properties, "IOAccounting", "true");
	add(p->arena, properties, "TasksAccounting", "true");
	if (cgroup_scope_limits(p->arena, properties, cgroup, e) < 0)
		return -1;
	for (size_t i = 0; i < annotations->count; i++)
		if (strncmp(annotations->items[i].key, prefix, length) == 0 &&
		    add_annotation(p, &annotations->items[i], annotations->items[i].key + length,
		                   e) < 0)
			return -1;
	return 0;
}
