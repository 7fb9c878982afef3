/* SPDX-License-Identifier: MIT */
/*
 * Namespaces: new ones by the flags of one clone3, existing ones joined by path
 * (config-linux.md "Namespaces", "Offset for Time Namespace").
 *
 * Kernel rules behind the order: a pid namespace is joined by the parent, for
 * the children it makes; a user namespace before any other, by an intermediate
 * (spawn.c), so that the new namespaces belong to it; all others by init itself.
 * Time offsets can be written only while nobody is in the namespace: init makes
 * it with unshare, which moves children only, writes, and then enters it.
 */
#include "hako/layer.h"
#include "hako/file.h"
#include "hako/names.h"
#include "hako/proc.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

bool
plan_creates(const struct plan *plan, uint64_t type)
{
	return (plan->clone_flags & type) != 0 ||
	       (type == CLONE_NEWCGROUP && plan->cgroup.late_namespace) ||
	       (type == CLONE_NEWTIME && plan->time_offsets.text);
}

bool
plan_joins(const struct plan *plan, uint64_t type)
{
	for (size_t i = 0; i < plan->join_count; i++)
		if (((uint64_t)plan->joins[i].type & type) != 0)
			return true;
	return false;
}

bool
plan_isolates(const struct plan *plan, uint64_t type)
{
	return plan_creates(plan, type) || plan_joins(plan, type);
}

bool
plan_may_mount(const struct plan *plan)
{
	return plan_isolates(plan, CLONE_NEWNS) || plan->host_mounts;
}

bool
plan_waits(const struct plan *plan)
{
	/* only root may look into /proc/PID, and write there, of who is not dumpable any more */
	return plan_isolates(plan, CLONE_NEWUSER) || plan_joins(plan, CLONE_NEWPID) ||
	       !plan->options.privileged || plan->cgroup.unit != NULL || plan->net_device_count > 0;
}

static const char *
offset_line(struct arena *arena, const char *clock, const struct config_time_offset *offset)
{
	if (offset == NULL)
		return "";
	return arena_printf(arena, "%s %lld %llu\n", clock,
	                    offset->secs != NULL ? (long long)*offset->secs : 0LL,
	                    offset->nanosecs != NULL ? (unsigned long long)*offset->nanosecs
	                                             : 0ULL);
}

static void
plan_time_offsets(struct planner *p, const struct config_time_offsets *offsets)
{
	if (offsets == NULL || (offsets->monotonic == NULL && offsets->boottime == NULL))
		return;
	p->plan->time_offsets.text = arena_printf(
		p->arena, "%s%s", offset_line(p->arena, "monotonic", offsets->monotonic),
		offset_line(p->arena, "boottime", offsets->boottime));
	p->plan->clone_flags &= ~(uint64_t)CLONE_NEWTIME;
}

LAYER_PLAN(namespaces_plan)
{
	const struct objects *namespaces = &p->config->linux_->namespaces;
	const struct config_namespace *rows = namespaces->items;
	struct plan *plan = p->plan;

	(void)e;
	for (size_t i = 0; i < namespaces->count; i++) {
		if (rows[i].path == NULL || rows[i].path[0] == '\0')
			plan->clone_flags |= (uint64_t)rows[i].type;
		else
			plan->joins[plan->join_count++] = (struct namespace_join){
				.at = rows[i].at, .type = rows[i].type, .path = rows[i].path};
	}
	plan_time_offsets(p, p->config->linux_->time_offsets);
	return 0;
}

static int
fail(const struct namespace_join *join, struct error *e, const char *what)
{
	return json_error(json_member(join->at, "path"), e, errno, "namespace-failed", "%s %s %s",
	                  what, name_of(namespace_names, (uint64_t)join->type), join->path);
}

static bool
is_own(const struct namespace_join *join, int fd)
{
	struct stat own, other;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/ns/%s",
	         name_of(namespace_files, (uint64_t)join->type));
	return stat(path, &own) == 0 && fstat(fd, &other) == 0 && file_is_same(&own, &other);
}

/* What the config sets in a namespace must not reach the runtime's own, named by its path. */
static int
check_foreign(const struct plan *plan, const struct namespace_join *join, int fd, struct error *e)
{
	const char *type = name_of(namespace_names, (uint64_t)join->type);
	const struct json *at = NULL;

	for (size_t i = 0; i < plan->sysctl_count && at == NULL; i++)
		if (sysctl_namespace(plan->sysctls[i].path) == join->type)
			at = plan->sysctls[i].at;
	if (at == NULL && join->type == CLONE_NEWUTS)
		at = json_member(plan->config->at,
		                 plan->hostname != NULL ? "hostname" : "domainname");
	if (at == NULL && join->type == CLONE_NEWNET)
		at = json_member(plan->config->linux_->at, "netDevices");
	if (at == NULL || !is_own(join, fd))
		return 0;
	return json_error(at, e, 0, "namespace-own",
	                  "this would change the host: %s is the %s namespace that hako runs in",
	                  join->path, type);
}

LAYER_RUN(namespaces_open)
{
	for (size_t i = 0; i < plan->join_count; i++) {
		const struct namespace_join *join = &plan->joins[i];
		int type;

		h->namespaces[i] = open(join->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (h->namespaces[i] < 0)
			return fail(join, e, "open the namespace");
		type = ioctl(h->namespaces[i], NS_GET_NSTYPE);
		if (type < 0 && errno != EINVAL && errno != ENOTTY)
			return fail(join, e, "ask for the type of the namespace");
		if (type != join->type)
			return json_error(json_member(join->at, "path"), e, 0, "namespace-type",
			                  "%s is not a %s namespace", join->path,
			                  name_of(namespace_names, (uint64_t)join->type));
		if (check_foreign(plan, join, h->namespaces[i], e) < 0)
			return -1;
	}
	return 0;
}

LAYER_RUN(namespaces_join)
{
	for (size_t i = 0; i < plan->join_count; i++) {
		const struct namespace_join *join = &plan->joins[i];

		if (join->type == CLONE_NEWUSER || join->type == CLONE_NEWPID ||
		    h->namespaces[i] < 0) /* joined before init was made: spawn.c */
			continue;
		if (setns(h->namespaces[i], join->type) < 0)
			return fail(join, e, "join the namespace");
	}
	return 0;
}

/*
 * A process that is not dumpable belongs to the host's root in /proc, so that root
 * of a user namespace may not write there. For the moment of the write init is
 * dumpable, if nobody else is in its pid namespace to look into it.
 */
static int
write_time_offsets(const struct plan *plan, const struct handles *h)
{
	bool dumpable = plan_isolates(plan, CLONE_NEWUSER) && plan_creates(plan, CLONE_NEWPID);
	char path[48];
	int rc, code;

	/* "self" is a link, and links are not followed there */
	snprintf(path, sizeof(path), "%d/timens_offsets", (int)getpid());
	if (dumpable)
		prctl(PR_SET_DUMPABLE, 1);
	rc = proc_write(h->proc, path, plan->time_offsets.text);
	code = errno;
	if (dumpable)
		prctl(PR_SET_DUMPABLE, 0);
	errno = code;
	return rc;
}

LAYER_RUN(namespaces_set_time)
{
	const struct json *at = json_member(plan->config->linux_->at, "timeOffsets");
	autoclose int fd = -1;

	if (plan->time_offsets.text == NULL)
		return 0;
	if (h->proc < 0)
		h->proc = proc_mount();
	if (h->proc < 0 || unshare(CLONE_NEWTIME) < 0)
		return json_error(at, e, errno, "namespace-failed", "make a time namespace");
	if (write_time_offsets(plan, h) < 0)
		return json_error(at, e, errno, "namespace-failed", "write the time offsets");
	fd = openat(h->proc, "self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
		return json_error(at, e, errno, "namespace-failed", "enter the time namespace");
	return 0;
}
