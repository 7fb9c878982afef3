/* SPDX-License-Identifier: MIT */
/*
 * Are the sources of the mounts there, does the kernel know the filesystems and
 * the attributes? A filesystem may be in a module that is loaded when it is first
 * mounted (request_module("fs-NAME")).
 */
#include "hako/file.h"
#include "hako/mounts.h"
#include "hako/problem.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

static const struct json *
at(const struct mount_plan *m, const char *member)
{
	const struct json *value = json_member(m->at, member);

	return value != NULL ? value : m->at;
}

/* Binds ------------------------------------------------------------------------- */

/* In the rootfs: an earlier mount may bring it. */
static bool
is_in_rootfs(const struct plan *plan, const char *path)
{
	size_t length = strlen(plan->rootfs);

	return strncmp(path, plan->rootfs, length) == 0 && path[length] == '/';
}

static int
probe_bind(const struct plan *plan, const struct mount_plan *m, struct error *e)
{
	size_t before = (size_t)(m - plan->mounts);
	bool follow = !m->source_nofollow && !m->copy_symlink;
	struct stat source, target;

	if (fstatat(AT_FDCWD, m->source, &source, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		return is_in_rootfs(plan, m->source)
		               ? 0
		               : json_error(at(m, "source"), e, errno, "mount-failed", "open %s",
		                            m->source);
	if (m->destination_nofollow || (m->copy_symlink && S_ISLNK(source.st_mode)) ||
	    plan_look_up(plan, before, m->destination, &target) < 0)
		return 0; /* not followed, or will be made */
	if (S_ISDIR(source.st_mode) == S_ISDIR(target.st_mode))
		return 0;
	return json_error(at(m, "destination"), e, 0, "mount-failed",
	                  S_ISDIR(source.st_mode)
	                          ? "the source is a directory, and %s in the rootfs is not"
	                          : "the source is no directory, and %s in the rootfs is one",
	                  m->destination);
}

/* Filesystems --------------------------------------------------------------------- */

/* 0 no, 1 yes, -1 the file cannot be read. */
static int
file_has(const char *path, const char *text)
{
	FILE *file = fopen(path, "re");
	autofree char *line = NULL;
	size_t size = 0;
	int found = 0;

	if (file == NULL)
		return -1;
	while (found == 0 && getline(&line, &size, file) > 0)
		found = strstr(line, text) != NULL;
	fclose(file);
	return found;
}

/* Built in or loaded, or to be loaded. What follows a dot is the filesystem's own business. */
static int
is_known(const char *type)
{
	int length = (int)strcspn(type, ".");
	char path[128], text[128];
	struct utsname name;

	snprintf(text, sizeof(text), "\t%.*s\n", length, type);
	if (file_has("/proc/filesystems", text) != 0)
		return 1;
	if (uname(&name) < 0)
		return -1;
	snprintf(path, sizeof(path), "/lib/modules/%s/modules.alias", name.release);
	snprintf(text, sizeof(text), "alias fs-%.*s ", length, type);
	return file_has(path, text);
}

static int
probe_filesystem(const struct mount_plan *m, struct error *e)
{
	int known = is_known(m->type);

	if (known == 0)
		return json_error(at(m, "type"), e, ENODEV, "mount-failed",
		                  "filesystem type \"%s\"", m->type);
	if (known < 0)
		json_warning(at(m, "type"), "mount-failed",
		             "/proc/filesystems has no \"%s\": is there a module for it?", m->type);
	return 0;
}

/* Attributes ------------------------------------------------------------------------ */

/* The kernel looks at the attributes before it misses the mount. */
static bool
knows_attributes(uint64_t set, uint64_t clear)
{
	struct mount_attr attr = {.attr_set = set, .attr_clr = clear};

	return mount_setattr(-1, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0 || errno != EINVAL;
}

static int
probe_attributes(const struct mount_plan *m, struct error *e)
{
	const uint64_t newer = MOUNT_ATTR_NOSYMFOLLOW;
	uint64_t set = (m->attr_set | m->recursive_set) & newer;
	uint64_t clear = (m->attr_clear | m->recursive_clear) & newer & ~set;

	if ((set | clear) == 0 || knows_attributes(set, clear))
		return 0;
	return json_error(at(m, "options"), e, 0, "mount-failed",
	                  "nosymfollow needs Linux 5.14 or later");
}

LAYER_PROBE(mounts_probe)
{
	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct mount_plan *m = &plan->mounts[i];

		(void)probe_attributes(m, e);
		if (m->idmap != NULL)
			(void)mount_idmap_probe(plan, m, e);
		if (m->kind == MOUNT_BIND)
			(void)probe_bind(plan, m, e);
		else if (m->kind == MOUNT_FILESYSTEM)
			(void)probe_filesystem(m, e);
	}
	return 0;
}
