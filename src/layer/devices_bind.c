/* SPDX-License-Identifier: MIT */
/*
 * Device nodes where init may not make them: in a user namespace the kernel refuses
 * mknod(2) to everybody. Root of the host makes them outside, in a tmpfs that nobody
 * else ever sees, with the owners and permissions that are asked for; init binds each
 * into its place. An ordinary user has but the host's own nodes, bound as they are.
 */
#include "hako/devices.h"
#include "hako/layer.h"
#include "hako/log.h"
#include "hako/mem.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NODE_NAME_SIZE = 24 };

static const char *
node_name(const struct plan *plan, const struct device_plan *d, char buf[static NODE_NAME_SIZE])
{
	snprintf(buf, NODE_NAME_SIZE, "%zu", (size_t)(d - plan->devices));
	return buf;
}

bool
devices_are_prepared(const struct plan *plan)
{
	return plan_creates(plan, CLONE_NEWUSER) && plan_isolates(plan, CLONE_NEWNS) &&
	       plan->options.privileged;
}

/* Parent ----------------------------------------------------------------------- */

static int
mount_nodes(void)
{
	autoclose int context = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "source", "devices", 0) < 0 ||
	    fsconfig(context, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
}

/* Without a mapping of 0 the root of the host stays the owner, as of all else. */
static int
find_host_id(const struct objects *mappings, const struct device_plan *d, uint32_t id,
             const char *kind, uint32_t *ret, struct error *e)
{
	const struct config_id_mapping *row = id_mappings_find(mappings, id);

	if (row == NULL && id != 0)
		return json_error(d->at, e, 0, "device-failed",
		                  "%s %u is not mapped in the user namespace", kind, id);
	*ret = row == NULL ? 0 : row->host_id + (id - row->container_id);
	return 0;
}

static int
make_node(const struct plan *plan, const struct device_plan *d, int dir, struct error *e)
{
	const struct config_linux *lin = plan->config->linux_;
	char buf[NODE_NAME_SIZE];
	const char *name = node_name(plan, d, buf);
	uint32_t uid, gid;

	if (find_host_id(&lin->uid_mappings, d, d->uid, "user", &uid, e) < 0 ||
	    find_host_id(&lin->gid_mappings, d, d->gid, "group", &gid, e) < 0)
		return -1;
	if (mknodat(dir, name, d->mode, d->device) < 0 ||
	    fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(dir, name, d->mode & 07777, 0) < 0)
		return json_error(d->at, e, errno, "device-failed", "make the node of %s", d->path);
	return 0;
}

static int
make_nodes(const struct plan *plan, int *ret_nodes, struct error *e)
{
	autoclose int nodes = mount_nodes();

	if (nodes < 0)
		return error_set(e, errno, "device-failed", "make a tmpfs for device nodes");
	for (size_t i = 0; i < plan->device_count; i++)
		if (!S_ISFIFO(plan->devices[i].mode) &&
		    make_node(plan, &plan->devices[i], nodes, e) < 0)
			return -1;
	*ret_nodes = take_fd(&nodes);
	return 0;
}

/* Root may be a container's, which lacks the privilege: then the host's nodes have to do. */
LAYER_RUN(devices_prepare)
{
	if (!devices_are_prepared(plan) || plan->device_count == 0 ||
	    make_nodes(plan, &h->device_nodes, e) == 0)
		return 0;
	if (e->code != EPERM)
		return -1;
	log_debug("devices: the host's nodes: %s", e->msg);
	return 0;
}

/* Init ------------------------------------------------------------------------- */

/* Only from a mount in sight can one be cloned: on top of the rootfs, for a moment. */
int
device_nodes_attach(struct handles *h, struct error *e)
{
	if (h->device_nodes < 0 || sys_attach(h->device_nodes, h->rootfs) == 0)
		return 0;
	return error_set(e, errno, "device-failed", "attach the tmpfs of device nodes");
}

int
device_nodes_detach(struct handles *h, struct error *e)
{
	if (h->device_nodes < 0 ||
	    (fchdir(h->device_nodes) == 0 && umount2(".", MNT_DETACH) == 0 && chdir("/") == 0))
		return 0;
	return error_set(e, errno, "device-failed", "detach the tmpfs of device nodes");
}

static int
open_node(const struct plan *plan, const struct handles *h, const struct device_plan *d,
          struct error *e)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
	                                      MOUNT_ATTR_NOEXEC};
	char buf[NODE_NAME_SIZE];
	bool own = h->device_nodes >= 0;
	autoclose int tree =
		own ? open_tree(h->device_nodes, node_name(plan, d, buf),
	                        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
		    : open_tree(AT_FDCWD, d->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct stat st;

	if (tree < 0 || fstat(tree, &st) < 0)
		return json_error(d->at, e, errno, "device-failed",
		                  own ? "clone the node of %s"
		                      : "mknod is not allowed here, and the host has no %s",
		                  d->path);
	if (!device_matches(d, &st))
		return json_error(d->at, e, 0, "device-conflict",
		                  "mknod is not allowed here, and the host's %s is another device",
		                  d->path);
	/* or root of the container could change the mode of the host's */
	if (!own && mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return json_error(d->at, e, errno, "device-failed", "make read-only %s", d->path);
	return take_fd(&tree);
}

int
device_bind(const struct plan *plan, const struct handles *h, const struct device_plan *d,
            int parent, const char *name, struct error *e)
{
	autoclose int tree = open_node(plan, h, d, e);
	autoclose int target = -1;

	if (tree < 0)
		return -1;
	if (mknodat(parent, name, S_IFREG | 0666, 0) < 0 && errno != EEXIST)
		return json_error(d->at, e, errno, "device-failed", "make a file for %s", d->path);
	target = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 || sys_attach(tree, target) < 0)
		return json_error(d->at, e, errno, "device-failed", "bind %s", d->path);
	return 0;
}
