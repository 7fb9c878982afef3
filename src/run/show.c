/* SPDX-License-Identifier: MIT */
/*
 * `hako plan`: what create would do with a bundle, step by step. The rows of
 * parts[] say what a step of steps[] has to show; a step without a row always acts
 * and has no values. Everything comes from struct plan; what is not in the plan is
 * not decided, and cannot be shown.
 */
#include "hako/show.h"
#include "hako/devices.h"
#include "hako/names.h"
#include "hako/process.h"
#include "hako/step.h"

#include <inttypes.h>
#include <sched.h>
#include <string.h>

/* PREPARE --------------------------------------------------------------------- */

static void
show_namespaces(struct sheet *s, const struct plan *plan)
{
	for (const struct name *n = namespace_names; n->name != NULL; n++)
		if (plan_creates(plan, n->value))
			sheet_value(s, n->name, "new");
	for (size_t i = 0; i < plan->join_count; i++)
		sheet_value(s, name_of(namespace_names, (uint64_t)plan->joins[i].type), "join %s",
		            plan->joins[i].path);
	for (const struct name *n = namespace_names; n->name != NULL; n++)
		if (!plan_isolates(plan, n->value))
			sheet_value(s, n->name, "the host's");
}

static void
show_root(struct sheet *s, const struct plan *plan)
{
	sheet_value(s, "rootfs", "%s", plan->rootfs);
}

static void
show_notify(struct sheet *s, const struct plan *plan)
{
	if (plan->notify)
		sheet_acts(s);
}

static void
show_sources(struct sheet *s, const struct plan *plan)
{
	if (plan->mount_count > 0)
		sheet_acts(s);
}

static void
show_node_making(struct sheet *s, const struct plan *plan)
{
	if (devices_are_prepared(plan) && plan->device_count > 0)
		sheet_acts(s);
}

static void
show_announcing(struct sheet *s, const struct plan *plan)
{
	if (plan->options.pidfd_socket != NULL)
		sheet_acts(s);
}

static void
show_hooks_at_all(struct sheet *s, const struct plan *plan)
{
	if (plan->config->hooks != NULL)
		sheet_acts(s);
}

/* MAP, ATTACH --------------------------------------------------------------- */

static void
show_oom_score(struct sheet *s, const struct plan *plan)
{
	if (plan->process.oom_score_adj != NULL)
		sheet_value(s, "oom score", "%" PRId64, *plan->process.oom_score_adj);
}

static void
show_raising(struct sheet *s, const struct plan *plan)
{
	if (plan->process.rlimit_count > 0)
		sheet_acts(s);
}

void
show_lines(struct sheet *s, const char *what, const char *text)
{
	for (const char *p = text; p != NULL && *p != '\0'; p += strcspn(p, "\n") + 1)
		sheet_value(s, what, "%.*s", (int)strcspn(p, "\n"), p);
}

static void
show_maps(struct sheet *s, const struct plan *plan)
{
	show_lines(s, plan->idmap.uid_helper ? "newuidmap" : "uid_map", plan->idmap.uid_map);
	show_lines(s, plan->idmap.gid_helper ? "newgidmap" : "gid_map", plan->idmap.gid_map);
	if (plan->idmap.setgroups_denied)
		sheet_value(s, "setgroups", "deny");
}

static void
show_mount_maps(struct sheet *s, const struct plan *plan)
{
	for (size_t i = 0; i < plan->mount_count; i++)
		if (plan->mounts[i].idmap != NULL)
			sheet_acts(s);
}

static void
show_net_devices(struct sheet *s, const struct plan *plan)
{
	for (size_t i = 0; i < plan->net_device_count; i++) {
		sheet_line(s, "net device");
		sheet_put(s, "name", " ", plan->net_devices[i].name);
		sheet_put(s, "newName", " as ", plan->net_devices[i].new_name);
	}
}

static void
show_seccomp(struct sheet *s, const struct plan *plan)
{
	const struct config_seccomp *seccomp = plan->config->linux_->seccomp;

	sheet_line(s, "seccomp");
	if (plan->seccomp == NULL || seccomp == NULL) {
		sheet_put(s, "default", " ", "none");
	} else {
		sheet_put(s, "default", " ",
		          name_of(seccomp_action_names, (uint64_t)seccomp->default_action));
		sheet_number(s, "rules", " rules ", (int64_t)seccomp->syscalls.count);
	}
	if (plan->listener.path != NULL)
		sheet_value(s, "listener", "%s", plan->listener.path);
}

static void
show_compiling(struct sheet *s, const struct plan *plan)
{
	if (plan->seccomp != NULL)
		sheet_acts(s);
}

/* BUILD ----------------------------------------------------------------------- */

static void
show_cgroup_namespace(struct sheet *s, const struct plan *plan)
{
	if (plan->cgroup.late_namespace)
		sheet_acts(s);
}

static void
show_joining(struct sheet *s, const struct plan *plan)
{
	if (plan->join_count > 0)
		sheet_acts(s);
}

static void
show_clocks(struct sheet *s, const struct plan *plan)
{
	show_lines(s, "clock", plan->time_offsets.text);
}

static void
show_names(struct sheet *s, const struct plan *plan)
{
	if (plan->hostname != NULL)
		sheet_value(s, "hostname", "%s", plan->hostname);
	if (plan->domainname != NULL)
		sheet_value(s, "domainname", "%s", plan->domainname);
}

static void
show_loopback(struct sheet *s, const struct plan *plan)
{
	if (plan->loopback_up)
		sheet_acts(s);
}

static void
show_terminal_at_all(struct sheet *s, const struct plan *plan)
{
	if (plan->terminal.wanted)
		sheet_acts(s);
}

static void
show_hook_list(struct sheet *s, const char *name, const struct objects *hooks)
{
	const struct config_hook *rows = hooks->items;

	for (size_t i = 0; i < hooks->count; i++) {
		sheet_line(s, name);
		sheet_put(s, "path", " ", rows[i].path);
		if (rows[i].timeout_s != NULL)
			sheet_number(s, "timeout", " timeout ", *rows[i].timeout_s);
		for (size_t k = 0; k < rows[i].args.count; k++)
			sheet_word(s, "args", rows[i].args.items[k]);
	}
}

static void
show_build_hooks(struct sheet *s, const struct plan *plan)
{
	const struct config_hooks *hooks = plan->config->hooks;

	if (hooks == NULL)
		return;
	show_hook_list(s, "prestart", &hooks->prestart);
	show_hook_list(s, "createRuntime", &hooks->create_runtime);
	show_hook_list(s, "createContainer", &hooks->create_container);
}

static void
show_sysctls(struct sheet *s, const struct plan *plan)
{
	for (size_t i = 0; i < plan->sysctl_count; i++) {
		sheet_line(s, "sysctl");
		sheet_put(s, "path", " ", plan->sysctls[i].path);
		sheet_put(s, "value", " = ", plan->sysctls[i].value);
	}
}

static void
show_readonly_paths(struct sheet *s, const struct plan *plan)
{
	for (size_t i = 0; i < plan->readonly_paths.count; i++)
		sheet_value(s, "read-only", "%s", plan->readonly_paths.items[i]);
}

static void
show_masked_paths(struct sheet *s, const struct plan *plan)
{
	for (size_t i = 0; i < plan->masked_paths.count; i++)
		sheet_value(s, "masked", "%s", plan->masked_paths.items[i]);
}

static void
show_readonly_root(struct sheet *s, const struct plan *plan)
{
	if (plan->root_readonly)
		sheet_acts(s);
}

/* CONFINE, START -------------------------------------------------------------- */

static void
show_keyring(struct sheet *s, const struct plan *plan)
{
	if (plan->options.new_keyring)
		sheet_acts(s);
}

static void
show_personality(struct sheet *s, const struct plan *plan)
{
	if (plan->personality != NULL)
		sheet_value(s, "personality", "%s",
		            name_of(personality_names, (uint64_t)*plan->personality + 1));
}

static void
show_cwd(struct sheet *s, const struct plan *plan)
{
	if (plan->process.args != NULL)
		sheet_value(s, "cwd", "%s", plan->process.cwd);
}

static void
show_giving(struct sheet *s, const struct plan *plan)
{
	uid_t uid;

	if (process_gives_streams(plan, &uid))
		sheet_value(s, "to user", "%u", uid);
}

static void
show_home(struct sheet *s, const struct plan *plan)
{
	if (plan->process.home_missing)
		sheet_value(s, "env", "HOME from the container's /etc/passwd");
}

static void
show_socket_owner(struct sheet *s, const struct plan *plan)
{
	if (plan->process.listen_pid != NULL)
		sheet_acts(s);
}

static void
show_start_hooks(struct sheet *s, const struct plan *plan)
{
	if (plan->config->hooks != NULL)
		show_hook_list(s, "startContainer", &plan->config->hooks->start_container);
}

/* ----------------------------------------------------------------------------- */

struct part {
	const char *step; /* its name in steps[] */
	void (*show)(struct sheet *s, const struct plan *plan);
};

/* clang-format off */
static const struct part parts[] = {
	{"open namespaces", show_namespaces},
	{"open the rootfs", show_root},
	{"make the notify socket", show_notify},
	{"open mount sources", show_sources},
	{"make device nodes", show_node_making},
	{"connect the console", show_terminal_at_all},
	{"open the output of hooks", show_hooks_at_all},
	{"connect the pidfd socket", show_announcing},
	{"find the resctrl group", show_resctrl_group},
	{"create the cgroup", show_cgroup},
	{"set the OOM score", show_oom_score},
	{"raise resource limits", show_raising},
	{"give away the standard streams", show_giving},
	{"start the scope", show_scope},
	{"set the scheduler", show_scheduler},
	{"set the I/O priority", show_io_priority},
	{"map ids", show_maps},
	{"map ids of mounts", show_mount_maps},
	{"move network devices", show_net_devices},
	{"write limits", show_limits},
	{"hand over the cgroup", show_handover},
	{"attach the device filter", show_device_rules},
	{"make the resctrl group", show_resctrl_lines},
	{"join the resctrl group", show_resctrl_joining},
	{"compile seccomp", show_compiling},
	{"limit memory", show_late_limits},
	{"make the cgroup namespace", show_cgroup_namespace},
	{"join namespaces", show_joining},
	{"set time offsets", show_clocks},
	{"set the hostname", show_names},
	{"bring up loopback", show_loopback},
	{"attach the rootfs", show_rootfs},
	{"attach mounts", show_mounts},
	{"bind the notify socket", show_notify},
	{"create devices", show_devices},
	{"open the terminal", show_terminal},
	{"run hooks before the pivot", show_build_hooks},
	{"write sysctls", show_sysctls},
	{"set the label", show_label},
	{"make paths read-only", show_readonly_paths},
	{"mask paths", show_masked_paths},
	{"make mounts read-only", show_late_mounts},
	{"make the rootfs read-only", show_readonly_root},
	{"join a session keyring", show_keyring},
	{"set the personality", show_personality},
	{"take the terminal", show_terminal_at_all},
	{"enter the working directory", show_cwd},
	{"find the home directory", show_home},
	{"name the owner of sockets", show_socket_owner},
	{"set resource limits", show_rlimits},
	{"apply credentials", show_credentials},
	{"find the program", show_program},
	{"set the memory policy", show_memory_policy},
	{"run startContainer hooks", show_start_hooks},
	{"load seccomp", show_seccomp},
	{NULL},
};
/* clang-format on */

static void
show_step(struct sheet *s, const struct step *step, const struct plan *plan)
{
	const struct part *part = parts;

	sheet_phase(s, step_phase_name(step->phase));
	sheet_step(s, step->name, step->pointer);
	while (part->step != NULL && strcmp(part->step, step->name) != 0)
		part++;
	if (part->step != NULL)
		part->show(s, plan);
	else
		sheet_acts(s);
}

/* What `start` and `delete` do when the process has begun, and when it has ended. */
static void
show_later_hooks(struct sheet *s, const struct config_hooks *hooks)
{
	if (hooks == NULL)
		return;
	sheet_phase(s, "LATER");
	sheet_step(s, "run poststart hooks", "/hooks/poststart");
	show_hook_list(s, "poststart", &hooks->poststart);
	sheet_step(s, "run poststop hooks", "/hooks/poststop");
	show_hook_list(s, "poststop", &hooks->poststop);
}

char *
plan_show(const struct plan *plan, enum sheet_format format)
{
	struct sheet *s = sheet_new(format, plan->options.id, plan->options.bundle);

	if (s == NULL)
		return NULL;
	for (const struct step *step = steps; step->name != NULL; step++)
		if ((step->when & WHEN_CREATE) != 0)
			show_step(s, step, plan);
	show_later_hooks(s, plan->config->hooks);
	return sheet_end(s);
}
