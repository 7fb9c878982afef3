/* SPDX-License-Identifier: MIT */
/*
 * Device nodes and the links of /dev (config-linux.md "Devices", "Default
 * Devices"). The rootfs may hold anything under these names, /dev itself may be
 * a symbolic link: /dev is opened once inside the rootfs, and every node is made
 * relative to a descriptor without following links (CVE-2026-41579,
 * CVE-2026-47766). Where mknod is not allowed, as in a user namespace, a node
 * from outside is bound instead (devices_bind.c).
 */
#include "hako/devices.h"
#include "hako/layer.h"
#include "hako/path.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const struct {
	const char *path;
	unsigned major, minor;
} default_devices[] = {
	{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
	{"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

static const struct symlink_plan default_symlinks[] = {
	{"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},         {"core", "/proc/kcore"},
};

/* Plan ---------------------------------------------------------------------- */

/* A /dev that is bound, or the host's own, is not ours to fill. */
static bool
has_foreign_dev(const struct plan *plan)
{
	char root[PATH_MAX];
	bool foreign =
		path_normalise(plan->rootfs, root, sizeof(root)) == 0 && strcmp(root, "/") == 0;

	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct mount_plan *m = &plan->mounts[i];

		if (strcmp(m->destination, "/dev") != 0)
			continue;
		if (m->kind == MOUNT_BIND)
			foreign = true;
		else if (m->kind == MOUNT_FILESYSTEM) /* there is only one devtmpfs */
			foreign = strcmp(m->type, "devtmpfs") == 0;
	}
	return foreign;
}

static bool
is_listed(const struct objects *devices, const char *path)
{
	const struct config_device *rows = devices->items;

	for (size_t i = 0; i < devices->count; i++)
		if (strcmp(rows[i].path, path) == 0)
			return true;
	return false;
}

static mode_t
device_type(char type)
{
	switch (type) {
	case 'b':
		return S_IFBLK;
	case 'p':
		return S_IFIFO;
	default: /* c and u */
		return S_IFCHR;
	}
}

static void
plan_device(const struct config_device *c, struct device_plan *d)
{
	mode_t permissions = c->file_mode != NULL ? (mode_t)*c->file_mode & 07777 : 0666;

	d->at = c->at;
	d->path = c->path;
	d->mode = device_type(c->type[0]) | permissions;
	if (c->type[0] != 'p' && c->major != NULL && c->minor != NULL)
		d->device = makedev((unsigned)*c->major, (unsigned)*c->minor);
	d->uid = c->uid != NULL ? (uid_t)*c->uid : 0;
	d->gid = c->gid != NULL ? (gid_t)*c->gid : 0;
}

/* Those that every container has, but for the ones that the config has itself. */
static void
plan_defaults(struct planner *p, const struct objects *devices)
{
	struct plan *plan = p->plan;

	for (size_t i = 0; i < ARRAY_SIZE(default_devices); i++)
		if (!is_listed(devices, default_devices[i].path))
			plan->devices[plan->device_count++] = (struct device_plan){
				.path = default_devices[i].path,
				.mode = S_IFCHR | 0666,
				.device =
					makedev(default_devices[i].major, default_devices[i].minor),
			};
	plan->symlinks = arena_array(p->arena, 1, sizeof(default_symlinks));
	memcpy(plan->symlinks, default_symlinks, sizeof(default_symlinks));
	plan->symlink_count = ARRAY_SIZE(default_symlinks);
}

LAYER_PLAN(devices_plan)
{
	const struct objects *devices = &p->config->linux_->devices;
	const struct config_device *rows = devices->items;
	struct plan *plan = p->plan;
	size_t room = ARRAY_SIZE(default_devices) + devices->count;

	(void)e;
	plan->devices = arena_array(p->arena, room, sizeof(*plan->devices));
	if (plan_may_mount(plan) && !has_foreign_dev(plan))
		plan_defaults(p, devices);
	for (size_t i = 0; i < devices->count; i++)
		if (plan->symlink_count == 0 || strcmp(rows[i].path, "/dev/ptmx") != 0)
			plan_device(&rows[i], &plan->devices[plan->device_count++]);
	return 0;
}

/* Probe ---------------------------------------------------------------------- */

/* Where they can be made they are; else others are bound. */
static bool
may_mknod(const struct plan *plan)
{
	return !plan_isolates(plan, CLONE_NEWUSER) && plan->options.privileged;
}

bool
device_matches(const struct device_plan *d, const struct stat *st)
{
	return (st->st_mode & S_IFMT) == (d->mode & S_IFMT) &&
	       (S_ISFIFO(st->st_mode) || st->st_rdev == d->device);
}

static int
probe_device(const struct plan *plan, const struct device_plan *d, struct error *e)
{
	struct stat st;

	if (plan_look_up(plan, plan->mount_count, d->path, &st) == 0 && !device_matches(d, &st))
		return json_error(
			d->at, e, 0, "device-conflict",
			"%s exists in the rootfs and is not the device that was asked for",
			d->path);
	if (may_mknod(plan) || devices_are_prepared(plan) || S_ISFIFO(d->mode))
		return 0;
	if (stat(d->path, &st) < 0)
		return json_error(d->at, e, errno, "device-failed",
		                  "mknod is not allowed here, and the host has no %s", d->path);
	if (device_matches(d, &st))
		return 0;
	return json_error(d->at, e, 0, "device-conflict",
	                  "mknod is not allowed here, and the host's %s is another device",
	                  d->path);
}

/* The default devices are on every host. */
LAYER_PROBE(devices_probe)
{
	for (size_t i = 0; i < plan->device_count; i++)
		if (plan->devices[i].at != NULL)
			(void)probe_device(plan, &plan->devices[i], e);
	return 0;
}

/* Run ------------------------------------------------------------------------ */

static int
fail(const struct device_plan *d, struct error *e, const char *call)
{
	return json_error(d->at, e, errno, "device-failed", "%s %s", call, d->path);
}

/* Parent directory of a device: /dev was opened before, all else is looked up. */
static int
open_parent(struct handles *h, const struct device_plan *d, char *name, size_t size)
{
	int fd;

	if (h->dev >= 0 && strncmp(d->path, "/dev/", 5) == 0 && strchr(d->path + 5, '/') == NULL) {
		snprintf(name, size, "%s", d->path + 5);
		return h->dev;
	}
	fd = path_open_parent_in_root(h->rootfs, d->path, true, name, size);
	fd_drop(&h->dropped, fd);
	return fd;
}

/* What is there already must be the same device (config-linux.md "Devices"). */
static int
check_existing(const struct device_plan *d, int parent, const char *name, struct error *e)
{
	struct stat st;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(d, e, "look at");
	if (device_matches(d, &st))
		return 0;
	return json_error(d->at, e, 0, "device-conflict",
	                  "%s exists in the rootfs and is not the device that was asked for",
	                  d->path);
}

static int
set_owner(const struct device_plan *d, int parent, const char *name, struct error *e)
{
	if (d->uid == 0 && d->gid == 0)
		return 0;
	if (fchownat(parent, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(d, e, "chown");
	return 0;
}

static int
make_device(const struct plan *plan, struct handles *h, const struct device_plan *d,
            struct error *e)
{
	char name[NAME_MAX + 1];
	int parent = open_parent(h, d, name, sizeof(name));

	if (parent < 0)
		return fail(d, e, "make the directory of");
	if (!may_mknod(plan) && !S_ISFIFO(d->mode))
		return device_bind(plan, h, d, parent, name, e);
	if (mknodat(parent, name, d->mode, d->device) == 0)
		return set_owner(d, parent, name, e);
	if (errno == EEXIST)
		return check_existing(d, parent, name, e);
	if (errno == EPERM)
		return device_bind(plan, h, d, parent, name, e);
	return fail(d, e, "mknod");
}

static int
make_symlink(struct handles *h, const struct symlink_plan *s, struct error *e)
{
	char target[PATH_MAX];
	ssize_t n;

	if (symlinkat(s->target, h->dev, s->path) == 0)
		return 0;
	if (errno != EEXIST)
		return error_set(e, errno, "device-failed", "symlink /dev/%s", s->path);
	n = readlinkat(h->dev, s->path, target, sizeof(target) - 1);
	if (n >= 0)
		target[n] = '\0';
	if ((n >= 0 && strcmp(target, s->target) == 0) || strcmp(s->path, "ptmx") != 0)
		return 0; /* the image has its own; only ptmx must be the container's */
	if (unlinkat(h->dev, s->path, 0) < 0 || symlinkat(s->target, h->dev, s->path) < 0)
		return error_set(e, errno, "device-failed", "replace /dev/%s", s->path);
	return 0;
}

LAYER_RUN(devices_create)
{
	if (plan->symlink_count > 0) {
		h->dev = path_make_dirs_in_root(h->rootfs, "/dev");
		if (h->dev < 0)
			return error_set(e, errno, "device-failed", "open /dev in the rootfs");
	}
	if (device_nodes_attach(h, e) < 0)
		return -1;
	for (size_t i = 0; i < plan->device_count; i++)
		if (make_device(plan, h, &plan->devices[i], e) < 0)
			return -1;
	if (device_nodes_detach(h, e) < 0)
		return -1;
	for (size_t i = 0; i < plan->symlink_count; i++)
		if (make_symlink(h, &plan->symlinks[i], e) < 0)
			return -1;
	return 0;
}
