/* SPDX-License-Identifier: MIT */
/*
 * The create path, whole: the rows below, in order. The loops at the end give
 * every step its error context, its debug line, its span of the trace and its
 * undo. The order you see is the order you get.
 */
#include "hako/step.h"
#include "hako/cgroup.h"
#include "hako/container.h"
#include "hako/init.h"
#include "hako/intel_rdt.h"
#include "hako/log.h"
#include "hako/netdevices.h"
#include "hako/problem.h"
#include "hako/rootfs.h"
#include "hako/seccomp.h"
#include "hako/trace.h"

/* clang-format off */
const struct step steps[] = {
	/* phase, when, name, property, plan, run, undo, probe, verify */
	{PHASE_PREPARE, WHEN_CREATE, "open namespaces", "/linux/namespaces", namespaces_plan, namespaces_open, NULL, namespaces_probe, namespaces_verify},
	{PHASE_PREPARE, WHEN_CREATE, "open the rootfs", "/root", rootfs_plan, rootfs_open, NULL, rootfs_probe, rootfs_verify},
	{PHASE_PREPARE, WHEN_CREATE, "make the notify socket", "", notify_plan, notify_open, NULL},
	{PHASE_PREPARE, WHEN_CREATE, "open mount sources", "/mounts", mounts_plan, mounts_open, NULL, mounts_probe, mounts_verify},
	{PHASE_PREPARE, WHEN_CREATE, "make device nodes", "/linux/devices", NULL, devices_prepare, NULL},
	{PHASE_PREPARE, WHEN_BOTH, "connect the console", "/process/terminal", terminal_plan, terminal_connect, NULL},
	{PHASE_PREPARE, WHEN_CREATE, "open the output of hooks", "/annotations", NULL, hooks_open, NULL},
	{PHASE_PREPARE, WHEN_BOTH, "connect the pidfd socket", "", NULL, announce_connect, NULL},
	{PHASE_PREPARE, WHEN_EXEC, "set the CPU affinity of hako", "/process/execCPUAffinity/initial", affinity_plan, affinity_set_initial, NULL},
	{PHASE_PREPARE, WHEN_EXEC, "open procfs for the label", "/process/selinuxLabel", label_plan, label_open, NULL},
	{PHASE_PREPARE, WHEN_CREATE, "find the resctrl group", "/linux/intelRdt", NULL, intel_rdt_find, NULL, intel_rdt_probe},
	{PHASE_PREPARE, WHEN_CREATE, "create the cgroup", "/linux/cgroupsPath", cgroup_plan, cgroup_create, cgroup_undo, cgroup_probe, cgroup_verify},

	{PHASE_MAP, WHEN_BOTH, "set the OOM score", "/process/oomScoreAdj", process_plan, process_set_oom_score, NULL, NULL, process_verify_oom_score},
	{PHASE_MAP, WHEN_BOTH, "raise resource limits", "/process/rlimits", rlimits_plan, rlimits_raise, NULL, rlimits_probe, rlimits_verify},
	{PHASE_MAP, WHEN_BOTH, "give away the standard streams", "/process/user", NULL, process_give_streams, NULL},
	{PHASE_MAP, WHEN_CREATE, "start the scope", "/linux/cgroupsPath", NULL, cgroup_start_scope, cgroup_undo_scope},
	{PHASE_MAP, WHEN_EXEC, "enter the scope", "/linux/cgroupsPath", NULL, cgroup_enter_scope, NULL},
	{PHASE_MAP, WHEN_CREATE, "reset the CPU affinity", "", NULL, affinity_reset, NULL, NULL, affinity_verify},
	{PHASE_MAP, WHEN_EXEC, "set the CPU affinity", "/process/execCPUAffinity/final", NULL, affinity_set_final, NULL},
	{PHASE_MAP, WHEN_BOTH, "set the scheduler", "/process/scheduler", scheduler_plan, scheduler_set, NULL, scheduler_probe, scheduler_verify},
	{PHASE_MAP, WHEN_BOTH, "set the I/O priority", "/process/ioPriority", io_priority_plan, io_priority_set, NULL, NULL, io_priority_verify},
	{PHASE_MAP, WHEN_CREATE, "map ids", "/linux/uidMappings", idmap_plan, idmap_write, NULL, idmap_probe, idmap_verify},
	{PHASE_MAP, WHEN_CREATE, "map ids of mounts", "/mounts", NULL, mounts_map, NULL},
	{PHASE_MAP, WHEN_CREATE, "move network devices", "/linux/netDevices", netdevices_plan, netdevices_move, netdevices_undo, netdevices_probe, netdevices_verify},

	{PHASE_ATTACH, WHEN_CREATE, "write limits", "/linux/resources", resources_plan, resources_write, NULL, NULL, resources_verify},
	{PHASE_ATTACH, WHEN_CREATE, "hand over the cgroup", "/linux/cgroupsPath", NULL, cgroup_hand_over, NULL},
	{PHASE_ATTACH, WHEN_CREATE, "attach the device filter", "/linux/resources/devices", device_filter_plan, device_filter_attach, NULL, NULL, device_filter_verify},
	{PHASE_ATTACH, WHEN_CREATE, "make the resctrl group", "/linux/intelRdt", NULL, intel_rdt_make, intel_rdt_undo},
	{PHASE_ATTACH, WHEN_BOTH, "join the resctrl group", "/linux/intelRdt", intel_rdt_plan, intel_rdt_join, NULL, NULL, intel_rdt_verify},
	{PHASE_ATTACH, WHEN_BOTH, "compile seccomp", "/linux/seccomp", seccomp_plan, seccomp_compile, NULL, seccomp_probe},

	{PHASE_LIMIT, WHEN_CREATE, "limit memory", "/linux/resources/memory", NULL, resources_write_late, NULL},

	{PHASE_BUILD, WHEN_CREATE, "make the cgroup namespace", "/linux/namespaces", cgroup_plan_properties, cgroup_make_namespace, NULL},
	{PHASE_BUILD, WHEN_CREATE, "join namespaces", "/linux/namespaces", NULL, namespaces_join, NULL},
	{PHASE_BUILD, WHEN_CREATE, "set time offsets", "/linux/timeOffsets", NULL, namespaces_set_time, NULL, NULL, namespaces_verify_time},
	{PHASE_BUILD, WHEN_CREATE, "set the hostname", "/hostname", hostname_plan, hostname_set, NULL, NULL, hostname_verify},
	{PHASE_BUILD, WHEN_CREATE, "bring up loopback", "/linux/namespaces", loopback_plan, loopback_bring_up, NULL, NULL, loopback_verify},
	{PHASE_BUILD, WHEN_CREATE, "attach the rootfs", "/root", NULL, rootfs_attach, rootfs_undo},
	{PHASE_BUILD, WHEN_CREATE, "attach mounts", "/mounts", NULL, mounts_attach, NULL, NULL, mounts_verify_extra},
	{PHASE_BUILD, WHEN_CREATE, "bind the notify socket", "", NULL, notify_bind, NULL},
	{PHASE_BUILD, WHEN_CREATE, "create devices", "/linux/devices", devices_plan, devices_create, NULL, devices_probe, devices_verify},
	{PHASE_BUILD, WHEN_CREATE, "open the terminal", "/process/terminal", NULL, terminal_open, NULL},
	{PHASE_BUILD, WHEN_CREATE, "make the working directory", "/process/cwd", NULL, process_make_cwd, NULL, process_probe_cwd},
	{PHASE_BUILD, WHEN_CREATE, "run hooks before the pivot", "/hooks", NULL, init_run_build_hooks, NULL, hooks_probe},
	{PHASE_BUILD, WHEN_CREATE, "write sysctls", "/linux/sysctl", sysctl_plan, sysctl_write, NULL, sysctl_probe, sysctl_verify},
	{PHASE_BUILD, WHEN_CREATE, "set the label", "/process/selinuxLabel", NULL, label_write, NULL, label_probe, label_verify},
	{PHASE_BUILD, WHEN_CREATE, "make paths read-only", "/linux/readonlyPaths", masks_plan, masks_make_readonly, NULL, NULL, masks_verify_readonly},
	{PHASE_BUILD, WHEN_CREATE, "mask paths", "/linux/maskedPaths", NULL, masks_cover, NULL, NULL, masks_verify},
	{PHASE_BUILD, WHEN_CREATE, "make mounts read-only", "/mounts", NULL, mounts_make_readonly, NULL},
	{PHASE_BUILD, WHEN_CREATE, "make the rootfs read-only", "/root/readonly", NULL, rootfs_make_readonly, NULL},
	{PHASE_BUILD, WHEN_CREATE, "enter the rootfs", "/root", NULL, rootfs_enter, NULL},

	{PHASE_CONFINE, WHEN_EXEC, "set the label", "/process/selinuxLabel", NULL, label_write, NULL},
	{PHASE_CONFINE, WHEN_BOTH, "join a session keyring", "", NULL, process_join_keyring, NULL, NULL, process_verify_keyring},
	{PHASE_CONFINE, WHEN_BOTH, "set the personality", "/linux/personality", NULL, process_set_personality, NULL, NULL, process_verify_personality},
	{PHASE_CONFINE, WHEN_EXEC, "open the terminal", "/process/terminal", NULL, terminal_open, NULL},
	{PHASE_CONFINE, WHEN_BOTH, "take the terminal", "/process/terminal", NULL, terminal_take, NULL},
	{PHASE_CONFINE, WHEN_BOTH, "own the standard streams", "/process/user", NULL, process_own_streams, NULL, NULL, process_verify_descriptors},
	{PHASE_CONFINE, WHEN_BOTH, "enter the working directory", "/process/cwd", NULL, process_enter_cwd, NULL, NULL, process_verify_cwd},
	{PHASE_CONFINE, WHEN_BOTH, "find the home directory", "/process/env", NULL, process_find_home, NULL, NULL, process_verify_env},
	{PHASE_CONFINE, WHEN_BOTH, "name the owner of sockets", "/process/env", NULL, process_tell_pid, NULL},
	{PHASE_CONFINE, WHEN_BOTH, "set resource limits", "/process/rlimits", NULL, rlimits_set, NULL},
	{PHASE_CONFINE, WHEN_BOTH, "apply credentials", "/process/capabilities", credentials_plan, credentials_apply, NULL, credentials_probe, credentials_verify},
	{PHASE_CONFINE, WHEN_BOTH, "check the working directory", "/process/cwd", NULL, process_check_cwd, NULL},
	{PHASE_CONFINE, WHEN_BOTH, "find the program", "/process/args", NULL, process_find_program, NULL, process_probe_program},

	{PHASE_START, WHEN_BOTH, "set the memory policy", "/linux/memoryPolicy", memory_policy_plan, memory_policy_set, NULL, memory_policy_probe, memory_policy_verify},
	{PHASE_START, WHEN_CREATE, "run startContainer hooks", "/hooks/startContainer", NULL, init_run_start_hooks, NULL},
	{PHASE_START, WHEN_BOTH, "load seccomp", "/linux/seccomp", NULL, seccomp_install, NULL, NULL, seccomp_verify},
	{0},
};
/* clang-format on */

static const char *const phase_names[] = {
	[PHASE_PREPARE] = "PREPARE", [PHASE_MAP] = "MAP",     [PHASE_ATTACH] = "ATTACH",
	[PHASE_LIMIT] = "LIMIT",     [PHASE_BUILD] = "BUILD", [PHASE_CONFINE] = "CONFINE",
	[PHASE_START] = "START",
};

const char *
step_phase_name(enum phase phase)
{
	return phase_names[phase];
}

static int
plan_step(const struct step *s, struct planner *p, struct error *e)
{
	unsigned span = trace_begin("plan", s->name, s->pointer);
	int rc = s->plan(p, e);

	trace_end(span, rc < 0 ? e->msg : NULL);
	return rc;
}

static int
plan_steps(struct planner *p, enum when when, struct error *e)
{
	struct problems *problems = json_problems(p->config->at);

	for (const struct step *s = steps; s->name != NULL; s++) {
		size_t found = problems != NULL ? problems->found : 0;

		if (s->plan == NULL || (s->when & when) == 0 || plan_step(s, p, e) == 0)
			continue;
		if (problems == NULL)
			return -1;
		problems_note(problems, found, e);
	}
	return 0;
}

int
steps_plan(struct planner *p, enum when when, struct error *e)
{
	unsigned span = trace_begin("plan", "plan", NULL);
	int rc = plan_steps(p, when, e);

	trace_end(span, rc < 0 ? e->msg : NULL);
	return rc;
}

static int
probe_step(const struct step *s, const struct plan *plan, struct error *e)
{
	unsigned span = trace_begin("probe", s->name, s->pointer);
	int rc;

	log_debug("probe: %s", s->name);
	rc = s->probe(plan, e);
	trace_end(span, rc < 0 ? e->msg : NULL);
	return rc;
}

int
steps_probe(const struct plan *plan, enum when when, struct error *e)
{
	struct problems *problems = json_problems(plan->config->at);

	for (const struct step *s = steps; s->name != NULL; s++) {
		size_t found = problems->found;

		if (s->probe == NULL || (s->when & when) == 0)
			continue;
		if (probe_step(s, plan, e) < 0)
			problems_note(problems, found, e);
	}
	return 0;
}

static int
run_step(const struct step *s, const struct plan *plan, struct handles *h, struct error *e)
{
	unsigned span = trace_begin(phase_names[s->phase], s->name, s->pointer);
	int rc;

	log_debug("%s: %s", phase_names[s->phase], s->name);
	rc = s->run(plan, h, e);
	trace_end(span, rc < 0 ? e->msg : NULL);
	return rc < 0 ? error_context(e, "%s", s->name) : 0;
}

void
steps_verify(const struct plan *plan, struct observed *o, struct verdicts *v)
{
	for (const struct step *s = steps + v->step; s->name != NULL; s++) {
		unsigned span;

		if (s->verify == NULL)
			continue;
		if (s != steps + v->step)
			v->done.count = 0; /* those were another step's */
		v->step = (size_t)(s - steps);
		if (v->tell != NULL)
			v->tell(v->listener, VERDICT_STEP, NULL);
		span = trace_begin("verify", s->name, s->pointer);
		log_debug("verify: %s", s->name);
		s->verify(plan, o, v);
		trace_end(span, NULL);
	}
}

int
steps_run(enum phase phase, enum when when, const struct plan *plan, struct handles *h,
          struct error *e)
{
	for (const struct step *s = steps; s->name != NULL; s++) {
		if (s->phase != phase || (s->when & when) == 0)
			continue;
		if (run_step(s, plan, h, e) < 0)
			return -1;
	}
	return 0;
}

static int
undo_step(const struct step *s, const struct state *state, struct handles *h, struct error *e)
{
	unsigned span = trace_begin("undo", s->name, s->pointer);
	int rc = s->undo(state, h, e);

	trace_end(span, rc < 0 ? e->msg : NULL);
	return rc;
}

int
steps_undo(const struct state *state, struct handles *h, struct error *e)
{
	const struct step *s = steps;
	struct error other;
	int rc = 0;

	while (s->name != NULL)
		s++;
	while (s-- > steps)
		if (s->undo != NULL && undo_step(s, state, h, rc == 0 ? e : &other) < 0)
			rc = -1;
	return rc;
}
