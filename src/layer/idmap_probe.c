/* SPDX-License-Identifier: MIT */
/*
 * What newuidmap(1) and newgidmap(1) will say: they are installed, and
 * /etc/subuid and /etc/subgid (subuid(5)) grant this user the host's ids. Where
 * another source of them is configured (nsswitch.conf, "subid:") nothing can be
 * known.
 */
#include "hako/file.h"
#include "hako/idmap.h"
#include "hako/layer.h"
#include "hako/syscall.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
is_on_path(const char *program)
{
	const char *dirs = getenv("PATH");

	while (dirs != NULL && *dirs != '\0') {
		size_t length = strcspn(dirs, ":");
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%.*s/%s", (int)length, dirs, program);
		if (sys_faccessat2(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
			return true;
		dirs += length + (dirs[length] == ':');
	}
	return false;
}

static bool
has_other_source(void)
{
	char text[4096] = "\n";

	return file_read_at(AT_FDCWD, "/etc/nsswitch.conf", text + 1, sizeof(text) - 1) > 0 &&
	       strstr(text, "\nsubid:") != NULL;
}

static void
probe_helper(enum idmap_kind kind, const struct plan_options *options,
             const struct objects *mappings, struct error *e)
{
	const struct idmap_helper *helper = &idmap_helpers[kind];
	const struct config_id_mapping *rows = mappings->items;
	uint32_t own_id = kind == IDMAP_UIDS ? options->host_uid : options->host_gid;
	struct idmap_user user;

	if (!is_on_path(helper->program)) {
		json_error(mappings->at, e, 0, "idmap-failed",
		           "%s is not installed (package uidmap)", helper->program);
		return;
	}
	if (has_other_source())
		return;
	user = idmap_user_of(options->host_uid);
	for (size_t i = 0; i < mappings->count; i++)
		if (!idmap_is_granted(kind, &user, &rows[i], own_id))
			json_error(json_member(rows[i].at, "hostID"), e, 0, "idmap-failed",
			           "%s does not grant user %s the ids from %u to %u", helper->file,
			           user.name, rows[i].host_id, rows[i].host_id + rows[i].size - 1);
}

LAYER_PROBE(idmap_probe)
{
	const struct config_linux *lin = plan->config->linux_;

	if (plan->idmap.uid_map == NULL)
		return 0;
	if (plan->idmap.uid_helper)
		probe_helper(IDMAP_UIDS, &plan->options, &lin->uid_mappings, e);
	if (plan->idmap.gid_helper)
		probe_helper(IDMAP_GIDS, &plan->options, &lin->gid_mappings, e);
	return 0;
}
