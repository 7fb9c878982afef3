/* SPDX-License-Identifier: MIT */
/*
 * User and group id maps of a new user namespace (config-linux.md "User
 * namespace mappings", user_namespaces(7)). Written by the parent while init
 * waits: the writer needs privileges in the parent namespace. Root, also that of
 * another user namespace, has them. An ordinary user may map its own id after
 * giving up setgroups; for more ids newuidmap(1) and newgidmap(1) look up what
 * /etc/subuid grants.
 */
#include "hako/idmap.h"
#include "hako/caller.h"
#include "hako/file.h"
#include "hako/layer.h"
#include "hako/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool
plan_host_user(const struct plan *plan, uid_t *ret_uid)
{
	const struct config_id_mapping *row;

	*ret_uid = plan->process.uid;
	if (!plan_isolates(plan, CLONE_NEWUSER))
		return true;
	row = id_mappings_find(&plan->config->linux_->uid_mappings, plan->process.uid);
	if (row != NULL)
		*ret_uid = row->host_id + (plan->process.uid - row->container_id);
	return row != NULL;
}

/* What the kernel lets an unprivileged process map: its own id alone. */
static bool
is_own_id(const struct objects *mappings, uint32_t id)
{
	const struct config_id_mapping *rows = mappings->items;

	return mappings->count == 1 && rows[0].size == 1 && rows[0].host_id == id;
}

LAYER_PLAN(idmap_plan)
{
	const struct config_linux *lin = p->config->linux_;
	struct plan *plan = p->plan;

	(void)e;
	if (!plan_creates(plan, CLONE_NEWUSER))
		return 0;
	plan->idmap.uid_map = id_mappings_text(p->arena, &lin->uid_mappings);
	plan->idmap.gid_map = id_mappings_text(p->arena, &lin->gid_mappings);
	if (plan->options.is_root)
		return 0;
	plan->idmap.uid_helper = !is_own_id(&lin->uid_mappings, plan->options.host_uid);
	plan->idmap.gid_helper = !is_own_id(&lin->gid_mappings, plan->options.host_gid);
	plan->idmap.setgroups_denied = !plan->idmap.gid_helper;
	return 0;
}

static int
write_file(pid_t pid, const char *file, const char *text, const struct json *at, struct error *e)
{
	if (userns_write(pid, file, text) < 0)
		return json_error(at, e, errno, "idmap-failed", "write %s", file);
	return 0;
}

/* An id that the caller's own namespace does not know cannot be handed on. */
static int
explain(enum idmap_kind kind, const struct objects *mappings, const char *text, struct error *e)
{
	enum caller_ids ids = kind == IDMAP_UIDS ? CALLER_UIDS : CALLER_GIDS;
	const struct config_id_mapping *rows = mappings->items;

	if (e->code == EINVAL && strlen(text) >= (size_t)sysconf(_SC_PAGESIZE))
		return error_advise(e, "the kernel takes less than %ld bytes, and these are %zu",
		                    sysconf(_SC_PAGESIZE), strlen(text));
	if (e->code != EPERM)
		return -1;
	for (size_t i = 0; i < mappings->count; i++)
		if (!caller_has_ids(ids, rows[i].host_id, rows[i].size))
			return json_error(
				rows[i].at, e, EPERM, "idmap-failed",
				"map host ids %u to %u: the user namespace that hako runs in does "
				"not have them all (see /proc/self/%s)",
				rows[i].host_id, rows[i].host_id + rows[i].size - 1,
				kind == IDMAP_UIDS ? "uid_map" : "gid_map");
	return error_advise(e, "it takes %s, also for root",
	                    kind == IDMAP_UIDS ? "CAP_SETUID" : "CAP_SETGID");
}

static int
write_map(const struct plan *plan, const struct handles *h, enum idmap_kind kind, struct error *e)
{
	const struct config_linux *lin = plan->config->linux_;
	const struct idmap_plan *map = &plan->idmap;
	bool uids = kind == IDMAP_UIDS;
	const struct objects *mappings = uids ? &lin->uid_mappings : &lin->gid_mappings;
	const char *text = uids ? map->uid_map : map->gid_map;

	if (uids ? map->uid_helper : map->gid_helper)
		return idmap_run_helper(kind, h->init_pid, mappings,
		                        uids ? plan->options.host_uid : plan->options.host_gid, e);
	if (write_file(h->init_pid, uids ? "uid_map" : "gid_map", text, mappings->at, e) < 0)
		return explain(kind, mappings, text, e);
	return 0;
}

LAYER_RUN(idmap_write)
{
	const struct idmap_plan *map = &plan->idmap;

	if (map->uid_map == NULL)
		return 0;
	if (map->setgroups_denied && write_file(h->init_pid, "setgroups", "deny",
	                                        plan->config->linux_->gid_mappings.at, e) < 0)
		return -1;
	return write_map(plan, h, IDMAP_GIDS, e) < 0 ? -1 : write_map(plan, h, IDMAP_UIDS, e);
}
