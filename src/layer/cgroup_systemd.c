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
#include "hako/decode.h"
#include "hako/layer.h"
#include "hako/log.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
	METHOD("GetUnit", "s"),
	METHOD("SetUnitProperties", "sba(sv)"),
	METHOD("AttachProcessesToUnit", "ssau"),
	METHOD("Subscribe", ""),
};
enum { START, KILL, STOP, RESET, GET, SET, ATTACH, SUBSCRIBE };

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
	if (dbus_call(bus, &m, job, sizeof(job), e) < 0) {
		/* no answer: it may have been started, and undo has to ask */
		if (strcmp(e->id, "dbus-failed") == 0)
			h->systemd_unit = plan->cgroup.unit;
		return -1;
	}
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
	if (start_unit(bus, plan, h, e) == 0)
		return 0;
	return strcmp(e->id, "UnitExists") == 0
	               ? error_context(e, "container's cgroup is not empty")
	               : -1;
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

	if (cgroup_scope_limits(arena, &properties, limits, e) < 0)
		return -1;
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

/* 1 with its Description, 0 when there is no such unit. */
static int
describe_unit(struct dbus *bus, const char *unit, char *ret_text, size_t size, struct error *e)
{
	char path[512];
	const struct dbus_method get = {methods[GET].destination, path,
	                                "org.freedesktop.DBus.Properties", "Get", "ss"};
	struct dbus_message m;

	if (call_with_unit(bus, GET, unit, path, sizeof(path), e) < 0)
		return strcmp(e->id, "NoSuchUnit") == 0 ? 0 : -1;
	dbus_begin(&m, &get);
	dbus_put_string(&m, "org.freedesktop.systemd1.Unit");
	dbus_put_string(&m, "Description");
	return dbus_call(bus, &m, ret_text, size, e) < 0 ? -1 : 1;
}

/* As cgroup_plan_properties() has it, unless an annotation says otherwise. */
static bool
is_description(const struct state *state, const char *text)
{
	char key[64], expected[512], quoted[516];
	const char *asked;

	snprintf(key, sizeof(key), "%sDescription", annotation_names[ANNOTATION_SYSTEMD_PROPERTY]);
	asked = string_map_find(&state->annotations, key);
	snprintf(expected, sizeof(expected), "'container %s'", state->id);
	snprintf(quoted, sizeof(quoted), "'%s'", text);
	return strcmp(quoted, asked != NULL ? asked : expected) == 0;
}

/*
 * What is known of the container may be from before its scope was started, or nothing but
 * its name, and that may be somebody else's: hako's own is told by its Description.
 */
static int
is_ours(struct dbus *bus, const struct state *state, struct error *e)
{
	char found[512];
	int rc = describe_unit(bus, state->systemd_unit, found, sizeof(found), e);

	if (rc <= 0 || is_description(state, found))
		return rc;
	log_always(LOG_LEVEL_WARNING, "%s is left alone: it is somebody else's, \"%s\"",
	           state->systemd_unit, found);
	return 0;
}

int
cgroup_undo_scope(const struct state *state, struct handles *h, struct error *e)
{
	struct dbus bus;
	int rc = 1;

	(void)h;
	if (state->systemd_unit == NULL)
		return 0;
	if (connect_systemd(&bus, e) < 0)
		return -1;
	if (state->cgroup_path == NULL)
		rc = is_ours(&bus, state, e);
	if (rc > 0)
		rc = stop_scope(&bus, state->systemd_unit, e);
	close(bus.fd);
	return rc < 0 ? error_context(e, "stop %s", state->systemd_unit) : 0;
}
