/* SPDX-License-Identifier: MIT */
/*
 * Why a limit cannot be written: its controller is not there, or ends at a cgroup on the
 * way down, or the file is somebody else's. The error names the file and its owner.
 */
#include "hako/caller.h"
#include "hako/file.h"
#include "hako/path.h"
#include "hako/resources.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "PATH belongs to OWNER", or nothing when that cannot be said. */
static const char *
owner_text(int cgroup, const char *path, const char *file, char *buf, size_t size)
{
	char owner[96];
	struct stat st;

	buf[0] = '\0';
	if (fstatat(cgroup, file, &st, AT_SYMLINK_NOFOLLOW) == 0)
		snprintf(buf, size, "%s/%s belongs to %s", path, file,
		         caller_user_text(st.st_uid, owner, sizeof(owner)));
	return buf;
}

/* What keeps this cgroup from handing a controller down to its children. */
static const char *
obstacle_text(int cgroup, const char *path, char *buf, size_t size)
{
	char procs[64];

	if (faccessat(cgroup, "cgroup.subtree_control", W_OK, AT_EACCESS) < 0)
		return owner_text(cgroup, path, "cgroup.subtree_control", buf, size);
	if (file_read_at(cgroup, "cgroup.procs", procs, sizeof(procs)) != 0)
		snprintf(buf, size,
		         "%s has processes of its own, perhaps hako itself: move them to a cgroup "
		         "below it",
		         path);
	else
		snprintf(buf, size, "%s does not hand it down", path);
	return buf;
}

/* The cgroup above the container's at which the controller ends: who stands in the way there. */
static const char *
find_obstacle(const struct handles *h, const char *controller, char *buf, size_t size)
{
	const char *path = h->cgroup_path;

	for (const char *end = path; end != NULL; end = strchr(end + 1, '/')) {
		char above[PATH_MAX], full[PATH_MAX];
		autoclose int cgroup = -1;

		snprintf(above, sizeof(above), "%.*s", (int)(end - path), path);
		snprintf(full, sizeof(full), "%s%s", h->cgroup_mount, above);
		cgroup = path_open_beneath(h->cgroup_root, above, O_PATH | O_DIRECTORY);
		if (cgroup >= 0 && !file_has_word_at(cgroup, "cgroup.subtree_control", controller))
			return obstacle_text(cgroup, full, buf, size);
	}
	return "a cgroup above does not hand it down";
}

enum { REASON_SIZE = PATH_MAX + 256 };

/* Why: on a hybrid host the controller may be a v1 mount, for one. That is worth saying. */
static int
fail_missing(const struct handles *h, const struct cgroup_value *v, struct error *e)
{
	const char *why = "not in the cgroup v2 hierarchy", *advice;
	char controllers[512] = "", obstacle[REASON_SIZE];

	if (file_has_word_at(h->cgroup, "cgroup.controllers", v->controller))
		return json_error(
			v->at, e, ENOENT, "cgroup-controller",
			"write %s%s/%s: the %s controller is there, and makes no such file",
			h->cgroup_mount, h->cgroup_path, v->file, v->controller);
	if (file_has_word_at(h->cgroup_root, "cgroup.controllers", v->controller)) {
		why = "not handed down to it";
		advice = find_obstacle(h, v->controller, obstacle, sizeof(obstacle));
	} else {
		advice = "on a hybrid host it belongs to v1: boot with "
			 "systemd.unified_cgroup_hierarchy=1";
	}
	(void)file_read_at(h->cgroup, "cgroup.controllers", controllers, sizeof(controllers));
	return json_error(v->at, e, 0, "cgroup-controller",
	                  "%s%s has no %s: the %s controller is %s (it has \"%s\"); %s",
	                  h->cgroup_mount, h->cgroup_path, v->file, v->controller, why, controllers,
	                  advice);
}

int
resources_refuse(const struct handles *h, const struct cgroup_value *v, struct error *e)
{
	char path[PATH_MAX], owner[REASON_SIZE];
	int code = errno;

	if (code == ENOENT)
		return fail_missing(h, v, e);
	json_error(v->at, e, code, "resource-failed", "write \"%s\" to %s", v->value, v->file);
	snprintf(path, sizeof(path), "%s%s", h->cgroup_mount, h->cgroup_path);
	if (code == EACCES || code == EPERM)
		error_advise(e, "%s", owner_text(h->cgroup, path, v->file, owner, sizeof(owner)));
	return -1;
}
