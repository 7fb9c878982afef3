/* SPDX-License-Identifier: MIT */
/*
 * Can these namespaces be had here? A kernel may be built without a type, an
 * administrator may have set its limit to 0 (namespaces(7), /proc/sys/user), an
 * ordinary user gets all but the user namespace only inside of one. What is to be
 * joined must be a namespace of its type; it is opened only after it is known to
 * be one, because to open a device or a FIFO may be an act of its own.
 */
#include "hako/file.h"
#include "hako/layer.h"
#include "hako/proc.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <unistd.h>

static bool
is_zero(const char *path)
{
	char text[32];

	return file_read_at(AT_FDCWD, path, text, sizeof(text)) > 0 && strcmp(text, "0") == 0;
}

static int
probe_new(const struct config_namespace *entry, struct error *e)
{
	const char *name = name_of(namespace_files, (uint64_t)entry->type);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return json_error(entry->at, e, 0, "namespace-failed",
		                  "this kernel has no such namespaces");
	snprintf(path, sizeof(path), "/proc/sys/user/max_%s_namespaces", name);
	if (is_zero(path))
		return json_error(entry->at, e, 0, "namespace-failed", "%s is 0", path);
	return 0;
}

static int
probe_join(const struct config_namespace *entry, struct error *e)
{
	const struct json *at = json_member(entry->at, "path");
	autoclose int found = open(entry->path, O_PATH | O_CLOEXEC);
	autoclose int fd = -1;
	struct statfs fs;
	int type = 0;

	if (found < 0)
		return json_error(at, e, errno, "namespace-failed", "open the namespace %s",
		                  entry->path);
	if (fstatfs(found, &fs) == 0 && fs.f_type == NSFS_MAGIC) {
		fd = open(entry->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		type = fd >= 0 ? ioctl(fd, NS_GET_NSTYPE) : 0;
	}
	if (type == entry->type)
		return 0;
	return json_error(at, e, 0, "namespace-type", "%s is not a %s namespace", entry->path,
	                  name_of(namespace_names, (uint64_t)entry->type));
}

/* Root of a user namespace may do there what root may do on the host. */
static int
probe_privileges(const struct plan *plan, struct error *e)
{
	const struct objects *namespaces = &plan->config->linux_->namespaces;

	if (namespaces->count == 0 || plan_isolates(plan, CLONE_NEWUSER) ||
	    plan->options.privileged || proc_has_capability(CAP_SYS_ADMIN))
		return 0;
	return json_error(namespaces->at, e, 0, "namespace-denied",
	                  "this user can make them only in a user namespace: add "
	                  "{\"type\": \"user\"}, uidMappings and gidMappings");
}

static int
probe_user_namespace(const struct plan *plan, const struct config_namespace *entry, struct error *e)
{
	static const char path[] = "/proc/sys/kernel/unprivileged_userns_clone";

	if (entry->type != CLONE_NEWUSER || plan->options.privileged || !is_zero(path))
		return 0;
	return json_error(entry->at, e, 0, "namespace-denied",
	                  "ordinary users may make none here: %s is 0", path);
}

LAYER_PROBE(namespaces_probe)
{
	const struct objects *namespaces = &plan->config->linux_->namespaces;
	const struct config_namespace *rows = namespaces->items;

	(void)probe_privileges(plan, e);
	for (size_t i = 0; i < namespaces->count; i++) {
		if (rows[i].path != NULL)
			(void)probe_join(&rows[i], e);
		else if (probe_new(&rows[i], e) == 0)
			(void)probe_user_namespace(plan, &rows[i], e);
	}
	return 0;
}
