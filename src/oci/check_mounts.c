/* SPDX-License-Identifier: MIT */
/*
 * The rules of mounts[] (config.md "Mounts"): a filesystem that shows a namespace
 * can be mounted in a user namespace only if that namespace is one of the
 * container's own (user_namespaces(7)); mappings come in pairs. What options and
 * destinations mean is known to the mounts layer.
 */
#include "hako/config.h"
#include "hako/problem.h"

#include <linux/sched.h>
#include <string.h>

/* Type and source mean something: no bind mount, no change of one that exists. */
static bool
is_filesystem(const struct config_mount *mount)
{
	return mount->type != NULL && !strings_include(&mount->options, "bind") &&
	       !strings_include(&mount->options, "rbind") &&
	       !strings_include(&mount->options, "remount");
}

static int
check_type(const struct config *config, const struct config_mount *mount, struct error *e)
{
	if (config_namespace(config, CLONE_NEWUSER) == NULL || !is_filesystem(mount) ||
	    strcmp(mount->type, "mqueue") != 0)
		return 0;
	return config_need_namespace(config, CLONE_NEWIPC, mount->at, "type", e);
}

/* Both or none: the kernel maps nothing else. */
static int
check_mount_mappings(const struct config_mount *mount, struct error *e)
{
	const struct objects *uids = &mount->uid_mappings, *gids = &mount->gid_mappings;

	if ((uids->count == 0) != (gids->count == 0) && !json_is_faulty(mount->at))
		return json_error(uids->count > 0 ? uids->at : gids->at, e, 0, "config-missing",
		                  "%s needs %s beside it",
		                  uids->count > 0 ? "uidMappings" : "gidMappings",
		                  uids->count > 0 ? "gidMappings" : "uidMappings");
	if (json_stops(mount->at, id_mappings_check(uids, e)))
		return -1;
	return id_mappings_check(gids, e);
}

static int
check_mount(const struct config *config, const struct config_mount *mount, struct error *e)
{
	if (json_stops(mount->at, check_mount_mappings(mount, e)))
		return -1;
	return check_type(config, mount, e);
}

int
mounts_check(const struct config *config, struct error *e)
{
	const struct config_mount *mounts = config->mounts.items;
	size_t i;

	for (i = 0; i < config->mounts.count; i++) {
		if (json_stops(mounts[i].at, check_mount(config, &mounts[i], e)))
			return -1;
	}
	return 0;
}
