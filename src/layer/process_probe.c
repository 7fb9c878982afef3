/* SPDX-License-Identifier: MIT */
/*
 * Will the process find its working directory and its program? Looked up in the
 * rootfs and the bind mounts by the rules that init goes by, from outside. Only
 * what is certain is an error: permissions are asked of the bits that nobody has.
 */
#include "hako/process.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

LAYER_PROBE(process_probe_cwd)
{
	const char *cwd = plan->process.cwd;
	struct stat st;

	if (cwd == NULL || plan->process.at == NULL)
		return 0;
	/* what is missing will be made */
	if (plan_look_up(plan, plan->mount_count, cwd, &st) < 0 ? errno != ENOTDIR
	                                                        : S_ISDIR(st.st_mode))
		return 0;
	return json_error(json_member(plan->process.at, "cwd"), e, ENOTDIR, "cwd-failed",
	                  "chdir to %s", cwd);
}

/* A name that does not begin with a slash counts from the working directory. */
static int
try_in_rootfs(const struct plan *plan, const char *path)
{
	char absolute[PATH_MAX];
	struct stat st;

	if (snprintf(absolute, sizeof(absolute), "%s/%s", path[0] == '/' ? "" : plan->process.cwd,
	             path) >= (int)sizeof(absolute))
		return ENAMETOOLONG;
	if (plan_look_up(plan, plan->mount_count, absolute, &st) < 0)
		return errno == EAGAIN ? 0 : errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	return (st.st_mode & 0111) == 0 ? EACCES : 0;
}

LAYER_PROBE(process_probe_program)
{
	const struct process_plan *process = &plan->process;
	const char *program;

	if (process->args == NULL || process->args[0] == NULL || process->cwd == NULL ||
	    !plan_knows_mounts(plan))
		return 0;
	return process_find(plan, try_in_rootfs, &program, e);
}
