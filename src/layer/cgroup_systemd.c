/* SPDX-License-Identifier: MIT */
/*
 * The systemd cgroup driver (--systemd-cgroup): the container's cgroup is a scope
 * unit that systemd makes, and hako's by Delegate=. A scope is started with
 * processes in it, so init comes first, waits (plan_waits()) until it has been moved
 * there, and makes its cgroup namespace only then.
 *
 * Limits are written into the cgroup as always; the scope has them as properties too,
 * because systemd writes those again whenever it is reloaded.
 */
#include "hako/cgroup.h"
#include "hako/dbus.h"
#include "hako/layer.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
	enum { CPUS_MAX = 8192 };
	unsigned char mask[CPUS_MAX / 8] = {0};
	unsigned long highest = 0;
	char *text, *p;

	for (const char *rest = value; *rest != '\0';) {
		char *end;
		unsigned long first = strtoul(rest, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (end == rest || last >= CPUS_MAX || last < first)
			return; /* writing the file will say so */
		for (unsigned long i = first; i <= last; i++)
			mask[i / 8] |= (unsigned char)(1U << i % 8);
		highest = last > highest ? last : highest;
		rest = *end == ',' ? end + 1 : end;
		if (*end != ',' && *end != '\0')
			return;
	}
	text = p = arena_alloc(arena, (highest / 8 + 1) * 10 + 3);
	p += sprintf(p, "[");
	for (unsigned long i = 0; i <= highest / 8; i++)
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

static void
add_limits(struct arena *arena, struct string_map *properties, const struct cgroup_plan *cgroup)
{
	for (size_t i = 0; i < cgroup->value_count; i++)
		for (size_t k = 0; k < ARRAY_SIZE(conversions); k++)
			if (strcmp(cgroup->values[i].file, conversions[k].file) == 0)
				conversions[k].convert(arena, properties, conversions[k].property,
				                       cgroup->values[i].value);
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
	add_limits(p->arena, properties, cgroup);
	for (size_t i = 0; i < annotations->count; i++)
		if (strncmp(annotations->items[i].key, prefix, length) == 0 &&
		    add_annotation(p, &annotations->items[i], annotations->items[i].key + length,
		                   e) < 0)
			return -1;
	return 0;
}

/* Conversation with systemd ------------------------------------------------------------ */

static const struct dbus_method methods[] = {
#define METHOD(member, signature)                                                                  \
	{                                                                                          \
		"org.freedesktop.systemd1", "/org/freedesktop/systemd1",                           \
			"org.freedesktop.systemd1.Manager", member, signature                      \
	}
	METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))"),
	METHOD("KillUnit", "ssi"),
	METHOD("StopUnit", "ss"),
	METHOD("ResetFailedUnit", "s"),
	METHOD("SetUnitProperties", "sba(sv)"),
	METHOD("AttachProcessesToUnit", "ssau"),
	METHOD("Subscribe", ""),
};
enum { START, KILL, STOP, RESET, SET, ATTACH, SUBSCRIBE };

/*
 * systemd listens for itself; behind a message bus too, where only that is to be had. In a
 * user namespace, root is root for systemd where the socket belongs to root there; else
 * the user, as in Podman's, has an instance.
 */
static int
connect_systemd(struct dbus *bus, struct error *e)
{
	const char *runtime_dir = getenv("XDG_RUNTIME_DIR");
	char direct[PATH_MAX] = "/run/systemd/private", path[PATH_MAX];
	struct dbus_message m;
	struct stat st;
	bool root = geteuid() == 0 && stat(direct, &st) == 0 && st.st_uid == 0;

	snprintf(path, sizeof(path), "/run/dbus/system_bus_socket");
	if (!root && runtime_dir != NULL) {
		snprintf(direct, sizeof(direct), "%s/systemd/private", runtime_dir);
		snprintf(path, sizeof(path), "%s/bus", runtime_dir);
	}
	if (dbus_open(direct, false, bus, e) == 0)
		return 0;
	if (dbus_open(path, true, bus, e) < 0)
		return error_context(e, "the systemd cgroup driver (cgroupfs needs no systemd)");
	dbus_begin(&m, &methods[SUBSCRIBE]);
	return dbus_call(bus, &m, NULL, 0, e);
}

/* The job's end is a signal: id, job, unit, result. */
static int
wait_job(struct dbus *bus, const char *job, struct error *e)
{
	struct dbus_signal s;

	do
		if (dbus_wait(bus, &s, e) < 0)
			return error_context(e, "wait for systemd");
	while (strcmp(s.member, "JobRemoved") != 0 || s.count < 3 ||
	       strcmp(s.strings[0], job) != 0);
	return strcmp(s.strings[2], "done") == 0
	               ? 0
	               : error_set(e, 0, "systemd-failed", "systemd's job for %s ended with \"%s\"",
	                           s.strings[1], s.strings[2]);
}

static int
call_with_unit(struct dbus *bus, int method, const char *unit, char *ret_job, size_t size,
               struct error *e)
{
	struct dbus_message m;

	dbus_begin(&m, &methods[method]);
	dbus_put_string(&m, unit);
	if (method == STOP)
		dbus_put_string(&m, "replace");
	if (method == KILL) {
		dbus_put_string(&m, "all");
		dbus_put_u32(&m, SIGKILL);
	}
	return dbus_call(bus, &m, ret_job, size, e);
}

static int
put_properties(struct dbus_message *m, const struct string_map *properties, struct error *e)
{
	for (size_t i = 0; i < properties->count; i++) {
		const struct string_pair *pair = &properties->items[i];

		dbus_begin_struct(m);
		dbus_put_string(m, pair->key);
		if (dbus_put_variant(m, pair->value) < 0)
			return error_set(e, 0, "annotation-invalid",
			                 "property %s of systemd: \"%.100s\" is no value",
			                 pair->key, pair->value);
	}
	return 0;
}

static int
start_unit(struct dbus *bus, const struct plan *plan, struct handles *h, struct error *e)
{
	char pids[32], job[512];
	struct dbus_message m;
	uint32_t array;

	dbus_begin(&m, &methods[START]);
	dbus_put_string(&m, plan->cgroup.unit);
	dbus_put_string(&m, "fail");
	array = dbus_begin_array(&m, 8);
	snprintf(pids, sizeof(pids), "[uint32 %d]", (int)h->init_pid);
	dbus_begin_struct(&m);
	dbus_put_string(&m, "PIDs");
	(void)dbus_put_variant(&m, pids);
	if (put_properties(&m, &plan->cgroup.properties, e) < 0)
		return -1;
	dbus_end_array(&m, array, 8);
	array = dbus_begin_array(&m, 8); /* no further units */
	dbus_end_array(&m, array, 8);
	if (dbus_call(bus, &m, job, sizeof(job), e) < 0)
		return -1;
	/* only now it is ours to stop: one of that name may be somebody else's */
	h->systemd_unit = plan->cgroup.unit;
	return wait_job(bus, job, e);
}

/* A unit that failed once stays in systemd's memory, and in the way, until it is told. */
static int
start_scope(struct dbus *bus, const struct plan *plan, struct handles *h, struct error *e)
{
	struct error ignored;

	if (start_unit(bus, plan, h, e) == 0)
		return 0;
	if (strcmp(e->id, "UnitExists") != 0 ||
	    call_with_unit(bus, RESET, plan->cgroup.unit, NULL, 0, &ignored) < 0)
		return -1;
	return start_unit(bus, plan, h, e);
}

/* Start, namespace, undo ------------------------------------------------------------------ */

LAYER_RUN(cgroup_start_scope)
{
	autoclose int cgroup = -1;
	char path[PATH_MAX];
	struct dbus bus;
	int rc;

	if (plan->cgroup.unit == NULL)
		return 0;
	if (connect_systemd(&bus, e) < 0)
		return -1;
	rc = start_scope(&bus, plan, h, e);
	close(bus.fd);
	if (rc < 0)
		return error_context(e, "start %s in %s", plan->cgroup.unit, plan->cgroup.slice);
	if (cgroup_of(h->init_pid, path, sizeof(path)) < 0)
		return error_set(e, errno, "cgroup-failed", "find the cgroup of %s",
		                 plan->cgroup.unit);
	cgroup = cgroup_open(h->cgroup_root, path);
	if (cgroup < 0 || strstr(path, plan->cgroup.unit) == NULL)
		return error_set(e, cgroup < 0 ? errno : 0, "cgroup-failed",
		                 "%s is not in the cgroup v2 hierarchy: init is in %s",
		                 plan->cgroup.unit, path);
	h->cgroup = take_fd(&cgroup);
	h->cgroup_path = strdup(path);
	return 0;
}

LAYER_RUN(cgroup_make_namespace)
{
	char path[PATH_MAX];

	if (plan->cgroup.unit == NULL)
		return 0;
	if (cgroup_of(0, path, sizeof(path)) < 0)
		return error_set(e, errno, "cgroup-failed", "read /proc/self/cgroup");
	h->cgroup_path = strdup(path); /* the parent has learned it after the clone */
	if (plan->cgroup.late_namespace && unshare(CLONE_NEWCGROUP) < 0)
		return json_error(json_member(plan->config->linux_->at, "namespaces"), e, errno,
		                  "namespace-failed", "make the cgroup namespace");
	return 0;
}

LAYER_RUN(cgroup_enter_scope)
{
	struct dbus_message m;
	struct dbus bus;
	uint32_t array;
	int rc;

	if (plan->cgroup.unit == NULL)
		return 0;
	if (connect_systemd(&bus, e) < 0)
		return -1;
	dbus_begin(&m, &methods[ATTACH]);
	dbus_put_string(&m, plan->cgroup.unit);
	dbus_put_string(&m, plan->cgroup.below);
	array = dbus_begin_array(&m, 4);
	dbus_put_u32(&m, (uint32_t)h->init_pid);
	dbus_end_array(&m, array, 4);
	rc = dbus_call(&bus, &m, NULL, 0, e);
	close(bus.fd);
	return rc < 0 ? error_context(e, "move to %s", plan->cgroup.unit) : 0;
}

int
cgroup_scope_set(const char *unit, const struct cgroup_plan *limits, struct arena *arena,
                 struct error *e)
{
	struct string_map properties = {0};
	struct dbus_message m;
	struct dbus bus;
	uint32_t array;
	int rc;

	add_limits(arena, &properties, limits);
	if (properties.count == 0)
		return 0;
	if (connect_systemd(&bus, e) < 0)
		return -1;
	dbus_begin(&m, &methods[SET]);
	dbus_put_string(&m, unit);
	dbus_put_u32(&m, true); /* until it ends */
	array = dbus_begin_array(&m, 8);
	rc = put_properties(&m, &properties, e);
	dbus_end_array(&m, array, 8);
	if (rc == 0)
		rc = dbus_call(&bus, &m, NULL, 0, e);
	close(bus.fd);
	return rc < 0 ? error_context(e, "set properties of %s", unit) : 0;
}

/*
 * Whoever is left is not given time to end by itself. systemd forgets a scope without
 * processes; one that has failed it keeps.
 */
static int
stop_scope(struct dbus *bus, const char *unit, struct error *e)
{
	struct error ignored;
	char job[512];
	int rc;

	(void)call_with_unit(bus, KILL, unit, NULL, 0, &ignored);
	rc = call_with_unit(bus, STOP, unit, job, sizeof(job), e);
	if (rc == 0)
		rc = wait_job(bus, job, e);
	(void)call_with_unit(bus, RESET, unit, NULL, 0, &ignored);
	return rc < 0 && strcmp(e->id, "NoSuchUnit") == 0 ? 0 : rc;
}

int
cgroup_undo_scope(const struct state *state, struct handles *h, struct error *e)
{
	struct dbus bus;
	int rc;

	(void)h;
	if (state->systemd_unit == NULL)
		return 0;
	if (connect_systemd(&bus, e) < 0)
		return -1;
	rc = stop_scope(&bus, state->systemd_unit, e);
	close(bus.fd);
	return rc < 0 ? error_context(e, "stop %s", state->systemd_unit) : 0;
}
