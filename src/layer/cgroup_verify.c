/* SPDX-License-Identifier: MIT */
/*
 * In which cgroup the processes are: each one's own /proc/PID/cgroup says so. A
 * container may make cgroups below its own and move about in there.
 */
#include "hako/cgroup.h"
#include "hako/layer.h"
#include "hako/syscall.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
is_inside(pid_t pid, const char *cgroup)
{
	char path[PATH_MAX];

	/* gone meanwhile */
	return cgroup_of(pid, path, sizeof(path)) < 0 || path_below(cgroup, path) != NULL;
}

static void
verify_own(struct observed *o, struct verdicts *v, struct claim claim)
{
	char path[PATH_MAX];

	if (cgroup_of(o->pid, path, sizeof(path)) < 0)
		verdict_unknown(v, claim, "/proc/PID/cgroup: %s", error_text(errno));
	else
		verdict_add(v, claim, path_below(o->cgroup_path, path) != NULL, o->cgroup_path,
		            path);
}

/* Whoever has the same pid namespace. */
static const char *
list_outside(const struct observed *o, DIR *proc, const char *namespace)
{
	const struct dirent *entry;
	const char *list = "";

	while ((entry = readdir(proc)) != NULL) {
		char link[NAME_MAX + 16], other[64];
		pid_t pid = atoi(entry->d_name);
		ssize_t n;

		snprintf(link, sizeof(link), "%s/ns/pid", entry->d_name);
		n = pid > 0 ? readlinkat(dirfd(proc), link, other, sizeof(other) - 1) : -1;
		other[n > 0 ? n : 0] = '\0';
		if (n > 0 && strcmp(other, namespace) == 0 && !is_inside(pid, o->cgroup_path))
			list = arena_printf(o->arena, "%s%s%d", list,
			                    list[0] != '\0' ? ", " : "process ", (int)pid);
	}
	return list;
}

static void
verify_others(struct observed *o, struct verdicts *v, struct claim claim)
{
	const char *namespace = observed_link(o, "ns/pid"), *found;
	DIR *proc = namespace != NULL ? opendir("/proc") : NULL;

	if (proc == NULL) {
		verdict_unknown(v, claim, "list the processes: %s", error_text(errno));
		return;
	}
	found = list_outside(o, proc, namespace);
	closedir(proc);
	verdict_compare(v, claim, "all of them",
	                found[0] != '\0' ? arena_printf(v->arena, "not %s", found) : "all of them");
}

LAYER_VERIFY(cgroup_verify)
{
	if (o->cgroup_path == NULL)
		return;
	verify_own(o, v, (struct claim){CHECK_CGROUP_PATH, plan->cgroup.at});
	if (plan_creates(plan, CLONE_NEWPID) && verdicts_want(v, CHECK_CGROUP_PROCESSES, NULL))
		verify_others(o, v, (struct claim){CHECK_CGROUP_PROCESSES, plan->cgroup.at});
}
