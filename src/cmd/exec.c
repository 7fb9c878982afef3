/* SPDX-License-Identifier: MIT */
/* `exec`: another process in a container. Its failures exit with 255. */
#include "hako/command.h"
#include "hako/container.h"

static int
check_operands(const struct options *o, struct error *e)
{
	if (o->process != NULL && o->arg_count > 1)
		return error_set(e, 0, "usage", "--process already says what to run");
	if (o->process == NULL && o->arg_count < 2)
		return error_set(e, 0, "usage", "what to run? a COMMAND, or --process FILE");
	return 0;
}

int
command_exec(const struct options *o, struct error *e)
{
	static struct arena arena;
	struct exec_request request = {
		.process_file = o->process,
		.args = (const char *const *)o->args + 1,
		.cwd = o->cwd,
		.user = o->user,
		.env = o->env.items,
		.env_count = o->env.count,
		.caps = o->caps.items,
		.cap_count = o->caps.count,
		.groups = o->groups.items,
		.group_count = o->groups.count,
		.apparmor = o->apparmor,
		.process_label = o->process_label,
		.no_new_privs = o->no_new_privs,
		.ignore_paused = o->ignore_paused,
		.cgroup = o->cgroup,
		.terminal = o->tty,
		.detached = o->detach,
		.console_socket = o->console_socket,
		.pidfd_socket = o->pidfd_socket,
		.pid_file = o->pid_file,
		.preserve_fds = o->preserve_count,
		.listen_fds = o->listen_count,
		.listen_names = o->listen_names,
	};
	struct container c;
	struct served served;
	int root;

	if (check_operands(o, e) < 0)
		return -1;
	root = command_root_of_container(o, e);
	if (root < 0)
		return -1;
	request.interrupt = o->detach ? -1 : supervise_prepare();
	if (container_open(&arena, root, o->args[0], false, &c, e) < 0 ||
	    container_exec(&arena, &c, &request, &served, e) < 0)
		return -1;
	return o->detach ? 0 : supervise(&served, e);
}
