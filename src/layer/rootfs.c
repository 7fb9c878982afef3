/* SPDX-License-Identifier: MIT */
/*
 * The container's root mount: taken from the bundle, made /, and the host's
 * tree gone (config.md "Root", config-linux.md "Rootfs Mount Propagation").
 *
 * Kernel rules behind the order: pivot_root(2) refuses a root whose parent
 * mount is shared, and a mount put on a shared parent would appear on the host,
 * so propagation comes first. A clone of the rootfs is made private before it is
 * attached, so that nothing mounted in it ever leaves the container, even when
 * rootfsPropagation is shared because single volumes must be.
 *
 * In the host's mount namespace that clone covers the rootfs on the host, and has all
 * mounts of the container on it: delete takes them off as one. There is only chroot(2).
 */
#include "hako/layer.h"
#include "hako/mountinfo.h"
#include "hako/observed.h"
#include "hako/path.h"
#include "hako/rootfs.h"
#include "hako/rootfs_move.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

LAYER_PLAN(rootfs_plan)
{
	const struct config *config = p->config;
	struct plan *plan = p->plan;
	unsigned long propagation = (unsigned long)config->linux_->rootfs_propagation;

	(void)e;
	plan->rootfs =
		config->root->path[0] == '/'
			? config->root->path
			: arena_printf(p->arena, "%s/%s", plan->options.bundle, config->root->path);
	plan->root_readonly = config->root->readonly;
	plan->host_mounts = !plan_isolates(plan, CLONE_NEWNS) &&
	                    (config->mounts.count > 0 || config->root->readonly ||
	                     config->linux_->masked_paths.count > 0 ||
	                     config->linux_->readonly_paths.count > 0);
	plan->root_propagation = propagation != 0 ? propagation | MS_REC : MS_SLAVE | MS_REC;
	if ((propagation & (MS_SHARED | MS_UNBINDABLE)) != 0)
		plan->root_propagation_after = propagation;
	if ((propagation & MS_UNBINDABLE) != 0) /* the rootfs could not be cloned any more */
		plan->root_propagation = MS_PRIVATE | MS_REC;
	return 0;
}

static int
fail(const struct plan *plan, struct error *e, const char *what)
{
	return json_error(json_member(plan->config->root->at, "path"), e, errno, "rootfs-failed",
	                  "%s %s", what, plan->rootfs);
}

/* The mount that a directory is on: climb to its root. The top of a chroot need not be one. */
static int
open_mount_of(int start)
{
	autoclose int dir = fcntl(start, F_DUPFD_CLOEXEC, 0);
	struct statx sx, above;

	if (dir < 0 || statx(dir, "", AT_EMPTY_PATH, STATX_INO, &sx) < 0)
		return -1;
	while ((sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) {
		int up = openat(dir, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

		close_cleaner(&dir);
		dir = up;
		if (dir < 0 || statx(dir, "", AT_EMPTY_PATH, STATX_INO, &above) < 0)
			return -1;
		if (above.stx_ino == sx.stx_ino) {
			errno = EINVAL;
			return -1;
		}
		sx = above;
	}
	return take_fd(&dir);
}

/* The host's tree as rootfsPropagation says; the rootfs must still be put on a private mount. */
static int
prepare_tree(const struct plan *plan, int rootfs)
{
	struct mount_attr attr = {.propagation = MS_PRIVATE};
	autoclose int parent = -1;

	if (mount(NULL, "/", NULL, plan->root_propagation, NULL) < 0)
		return -1;
	if (rootfs < 0)
		return 0;
	parent = open_mount_of(rootfs);
	return parent >= 0 ? mount_setattr(parent, "", AT_EMPTY_PATH, &attr, sizeof(attr)) : -1;
}

static int
open_clone(const struct plan *plan, struct error *e)
{
	char path[PATH_MAX];
	int fd;

	/* "/." makes it a directory, or an error */
	snprintf(path, sizeof(path), "%s/.", plan->rootfs);
	fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (fd < 0)
		return fail(plan, e, "open the rootfs");
	return fd;
}

LAYER_PROBE(rootfs_probe)
{
	autoclose int fd = -1;

	if (plan->config->root->at == NULL)
		return 0;
	/* an attribute for nothing: the kernel says EBADF, if it knows the call */
	if (mount_setattr(-1, "", AT_EMPTY_PATH, &(struct mount_attr){0}, MOUNT_ATTR_SIZE_VER0) <
	            0 &&
	    errno == ENOSYS)
		return error_set(e, 0, "kernel-too-old",
		                 "the kernel has no mount_setattr: hako needs Linux 5.12 or later");
	fd = open(plan->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? fail(plan, e, "open the rootfs") : 0;
}

/*
 * A user namespace may lack the rights to reach the bundle: the parent opens it. A clone
 * of the parent's mounts is a peer of theirs, until it is made what init's tree will be.
 */
LAYER_RUN(rootfs_open)
{
	if (!plan_creates(plan, CLONE_NEWUSER) || !plan->options.is_root ||
	    !plan_isolates(plan, CLONE_NEWNS))
		return 0;
	h->rootfs = open_clone(plan, e);
	/* without rights over this mount namespace it is left to init, who has its own */
	if (h->rootfs < 0)
		return e->code != EPERM ? -1 : 0;
	return sys_propagate(h->rootfs, plan->root_propagation) < 0
	               ? fail(plan, e, "set the propagation of")
	               : 0;
}

/* All find it by its descriptor: / will do where root of a user namespace cannot reach the path. */
static int
attach_clone(const struct plan *plan, const struct handles *h)
{
	const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS;

	if (move_mount(h->rootfs, "", AT_FDCWD, plan->rootfs, flags) == 0)
		return 0;
	if (errno != EACCES || !plan_creates(plan, CLONE_NEWUSER))
		return -1;
	return move_mount(h->rootfs, "", AT_FDCWD, "/", flags);
}

/* Would a root that is not the namespace's keep the container's process in? */
static bool
may_chroot(const struct plan *plan)
{
	return (plan->process.capabilities.bounding & ((uint64_t)1 << CAP_SYS_CHROOT)) != 0;
}

/*
 * Called in a chroot, init's root is not that of its mount namespace. To join its own
 * namespace takes it there, and back by what it has kept open; rootfs_enter() will go
 * there for good, so that the host's tree can be taken off whole. Without
 * CAP_SYS_CHROOT neither init nor its program could ever go there.
 */
static int
prepare_tree_outside(const struct plan *plan, struct handles *h, int rootfs)
{
	autoclose int jail = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int own = sys_pidfd_open(plan_creates(plan, CLONE_NEWPID) ? 1 : getpid(), 0);

	if (jail < 0 || own < 0)
		return -1;
	if (setns(own, CLONE_NEWNS) < 0)
		return errno == EPERM ? prepare_tree(plan, rootfs) : -1;
	h->mount_ns = take_fd(&own);
	if (prepare_tree(plan, rootfs) < 0 || fchdir(jail) < 0)
		return -1;
	return chroot(".");
}

static int
set_propagation(const struct plan *plan, struct handles *h, struct error *e)
{
	bool shared = (plan->root_propagation & MS_SHARED) != 0;
	autoclose int rootfs = shared ? open(plan->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (shared && rootfs < 0)
		return fail(plan, e, "open the rootfs");
	if (!may_chroot(plan) && prepare_tree(plan, rootfs) == 0)
		return 0;
	/* EINVAL: / is no mount */
	if ((may_chroot(plan) || errno == EINVAL) && prepare_tree_outside(plan, h, rootfs) == 0)
		return 0;
	return error_set(e, errno, "rootfs-failed", "set the propagation of /");
}

/* The mount that a path is on, as the kernel numbers them; 0: not to be known. */
static uint64_t
mount_id(const char *path)
{
	struct statx sx;

	return statx(AT_FDCWD, path, 0, STATX_MNT_ID, &sx) == 0 && (sx.stx_mask & STATX_MNT_ID) != 0
	               ? sx.stx_mnt_id
	               : 0;
}

int
rootfs_mount_below(const struct plan *plan, uint64_t *ret, struct error *e)
{
	uint64_t id = plan->host_mounts ? mount_id(plan->rootfs) : 0;

	/* what is mounted there could not be taken off again */
	if (plan->host_mounts && id == 0)
		return fail(plan, e, "find the mount of");
	*ret = id;
	return 0;
}

int
rootfs_undo(const struct state *state, struct handles *h, struct error *e)
{
	struct arena arena = {0};
	const struct mountinfo *mounts;
	const struct mount_line *top = NULL;
	uint64_t id;
	int rc = 0;

	(void)h;
	if (state->mount_below == NULL)
		return 0;
	id = mount_id(state->rootfs);
	/* gone, and with it what was mounted there */
	if (id == 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (id == 0)
		return error_set(e, errno, "rootfs-failed", "find the mount of %s", state->rootfs);
	mounts = mountinfo_read(&arena, AT_FDCWD, "/proc/self/mountinfo");
	if (mounts != NULL)
		top = mountinfo_find(mounts, id);
	else
		rc = error_set(e, errno, "rootfs-failed", "read /proc/self/mountinfo");
	if (top != NULL && top->parent == *state->mount_below &&
	    umount2(state->rootfs, MNT_DETACH) < 0)
		rc = error_set(e, errno, "rootfs-failed", "unmount %s", state->rootfs);
	arena_free(&arena);
	return rc;
}

LAYER_RUN(rootfs_attach)
{
	if (!plan_may_mount(plan)) {
		/* chroot is all there is */
		h->rootfs = open(plan->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return h->rootfs < 0 ? fail(plan, e, "open the rootfs") : 0;
	}
	if (plan_creates(plan, CLONE_NEWNS) && set_propagation(plan, h, e) < 0)
		return -1;
	if (h->rootfs < 0)
		h->rootfs = open_clone(plan, e);
	if (h->rootfs < 0)
		return -1;
	/* a clone of a shared mount is its peer, and would mount on the host whatever is mounted here */
	if ((plan->root_propagation & MS_SHARED) != 0 && sys_propagate(h->rootfs, MS_PRIVATE) < 0)
		return fail(plan, e, "make private");
	if (attach_clone(plan, h) < 0)
		return fail(plan, e, "attach the rootfs at");
	/* so is what is attached to one */
	if (plan->host_mounts && sys_propagate(h->rootfs, MS_PRIVATE) < 0)
		return fail(plan, e, "make private");
	return 0;
}

LAYER_RUN(rootfs_make_readonly)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	if (!plan->root_readonly)
		return 0;
	if (mount_setattr(h->rootfs, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return json_error(json_member(plan->config->root->at, "readonly"), e, errno,
		                  "rootfs-failed", "make the rootfs read-only");
	return 0;
}

/* A joined mount namespace has other users: its root stays, this process alone moves. */
static int
change_root(const struct plan *plan, struct error *e)
{
	if (chroot(".") < 0)
		return fail(plan, e, "chroot to");
	return 0;
}

/* As a peer of the host's the old root would take the host's mounts with it. */
static int
make_slave(int old)
{
	/* after the pivot "." alone is the new root */
	return fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 ? -1 : 0;
}

/* An unbindable mount cannot be cloned, and would get lost. */
static int
check_bindable(const struct plan *plan, struct error *e)
{
	for (size_t i = 0; i < plan->mount_count; i++)
		for (size_t k = 0; k < ARRAY_SIZE(plan->mounts[i].propagation); k++)
			if ((plan->mounts[i].propagation[k] & MS_UNBINDABLE) != 0)
				return json_error(json_member(plan->mounts[i].at, "options"), e, 0,
				                  "rootfs-failed",
				                  "an unbindable mount needs pivot_root");
	return 0;
}

static int
move_over(const struct plan *plan, const struct handles *h, struct error *e)
{
	const struct root_move move = {
		.rootfs = h->rootfs,
		.covers_only = plan_isolates(plan, CLONE_NEWUSER) || !plan->options.privileged,
		.shared = (plan->root_propagation & MS_SHARED) != 0,
	};

	return check_bindable(plan, e) < 0 ? -1 : rootfs_move_over(&move, e);
}

static int
fail_pivot(const struct plan *plan, struct error *e)
{
	const char *hint = errno == EINVAL ? " (on an initramfs: --no-pivot)" : "";

	return json_error(json_member(plan->config->root->at, "path"), e, errno, "rootfs-failed",
	                  "pivot_root to %s%s", plan->rootfs, hint);
}

static int
pivot(const struct plan *plan, const struct handles *h, struct error *e)
{
	autoclose int old = -1;

	if ((plan->root_propagation & MS_SHARED) != 0) {
		old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (old < 0)
			return error_set(e, errno, "rootfs-failed", "open the old root");
	}
	/* the new root is its own put_old: the old root lands on top and is taken off */
	if (sys_pivot_root(".", ".") < 0)
		return plan->options.pivot ? fail_pivot(plan, e) : move_over(plan, h, e);
	if (old >= 0 && make_slave(old) < 0)
		return error_set(e, errno, "rootfs-failed", "make the old root a slave");
	if (umount2(".", MNT_DETACH) < 0)
		return error_set(e, errno, "rootfs-failed", "unmount the old root");
	return 0;
}

LAYER_RUN(rootfs_enter)
{
	bool own = plan_creates(plan, CLONE_NEWNS);

	if (h->mount_ns >= 0 && setns(h->mount_ns, CLONE_NEWNS) < 0)
		return error_set(e, errno, "rootfs-failed", "leave the chroot");
	if (fchdir(h->rootfs) < 0)
		return fail(plan, e, "chdir to");
	if ((own ? pivot(plan, h, e) : change_root(plan, e)) < 0)
		return -1;
	if (chdir("/") < 0)
		return error_set(e, errno, "rootfs-failed", "chdir to /");
	if (plan->root_propagation_after != 0 &&
	    mount(NULL, "/", NULL, plan->root_propagation_after, NULL) < 0)
		return json_error(json_member(plan->config->linux_->at, "rootfsPropagation"), e,
		                  errno, "rootfs-failed",
		                  "set the propagation of the container's root");
	return 0;
}
