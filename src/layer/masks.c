/* SPDX-License-Identifier: MIT */
/*
 * Masked and read-only paths (config-linux.md). Done before the pivot, while the
 * host's /dev/null can still be reached: what covers a file is the host's device
 * node, checked to be 1:3, never a name of the container's /dev
 * (CVE-2025-31133). Directories are covered by one empty read-only tmpfs,
 * mounted once and cloned. Paths that do not exist need no cover.
 */
#include "hako/layer.h"
#include "hako/path.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* In one spelling; but ".." behind a link leads elsewhere than its text says. */
static struct strings
tidy(struct arena *arena, const struct strings *paths)
{
	struct strings tidied = {arena_array(arena, paths->count, sizeof(*tidied.items)),
	                         paths->count, paths->at};
	char path[PATH_MAX];

	for (size_t i = 0; i < paths->count; i++) {
		bool is_text = strstr(paths->items[i], "/..") == NULL &&
		               path_normalise(paths->items[i], path, sizeof(path)) == 0;

		tidied.items[i] = is_text ? arena_strdup(arena, path) : paths->items[i];
	}
	return tidied;
}

LAYER_PLAN(masks_plan)
{
	(void)e;
	p->plan->masked_paths = tidy(p->arena, &p->config->linux_->masked_paths);
	p->plan->readonly_paths = tidy(p->arena, &p->config->linux_->readonly_paths);
	return 0;
}

static int
fail(const struct strings *paths, size_t i, struct error *e, const char *what)
{
	return json_error(strings_at(paths, i), e, errno, "mask-failed", "%s %s", what,
	                  paths->items[i]);
}

static int
make_path_readonly(const struct plan *plan, struct handles *h, size_t i, struct error *e)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	int target = path_open_in_root(h->rootfs, plan->readonly_paths.items[i], O_PATH), tree;

	if (target < 0)
		return errno == ENOENT ? 0
		                       : fail(&plan->readonly_paths, i, e, "open read-only path");
	tree = open_tree(target, "",
	                 AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 ||
	    mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ||
	    sys_attach(tree, target) < 0)
		return fail(&plan->readonly_paths, i, e, "make read-only");
	fd_drop(&h->dropped, target);
	fd_drop(&h->dropped, tree);
	return 0;
}

/* Engines add to a list without looking: one cover is enough. */
LAYER_RUN(masks_make_readonly)
{
	for (size_t i = 0; i < plan->readonly_paths.count; i++)
		if (!strings_repeat(&plan->readonly_paths, i) &&
		    make_path_readonly(plan, h, i, e) < 0)
			return -1;
	return 0;
}

/* What masked paths are covered with; made when first needed. */
struct covers {
	int null;  /* the host's /dev/null, read-only */
	int empty; /* a tmpfs */
	const struct string_pair *label;
	struct fd_pile *dropped;
};

/* Read-only, or root of the container could change the mode of the host's. */
static int
clone_null(const struct string_pair *label)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
	                                      MOUNT_ATTR_NOEXEC};
	autoclose int tree = open_tree(AT_FDCWD, "/dev/null",
	                               OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	struct stat st;

	(void)label; /* the node has its own */
	if (tree < 0 || fstat(tree, &st) < 0)
		return -1;
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3)) {
		errno = ENODEV;
		return -1;
	}
	return mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? -1
	                                                                       : take_fd(&tree);
}

static int
mount_empty(const struct string_pair *label)
{
	autoclose int context = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (context >= 0 && label->value != NULL &&
	    fsconfig(context, FSCONFIG_SET_STRING, label->key, label->value, 0) < 0)
		return -1;
	if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "source", "tmpfs", 0) < 0 ||
	    fsconfig(context, FSCONFIG_SET_STRING, "nr_inodes", "1", 0) < 0 ||
	    fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(context, FSMOUNT_CLOEXEC,
	               MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
	                       MOUNT_ATTR_NOEXEC);
}

static int
attach_clone(struct covers *covers, int of, int target)
{
	int tree = open_tree(of, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	fd_drop(covers->dropped, tree);
	return tree >= 0 ? sys_attach(tree, target) : -1;
}

/* The first target gets the tree itself, the others clones of it. */
static int
cover(struct covers *covers, int *tree, int (*make)(const struct string_pair *label), int target)
{
	if (*tree >= 0)
		return attach_clone(covers, *tree, target);
	*tree = make(covers->label);
	return *tree >= 0 ? sys_attach(*tree, target) : -1;
}

static int
mask_path(const struct plan *plan, const struct handles *h, struct covers *covers, size_t i,
          struct error *e)
{
	int target = path_open_in_root(h->rootfs, plan->masked_paths.items[i], O_PATH), rc;
	struct stat st;

	if (target < 0) /* not there, or below something that is not a directory */
		return errno == ENOENT || errno == ENOTDIR
		               ? 0
		               : fail(&plan->masked_paths, i, e, "open masked path");
	rc = fstat(target, &st);
	if (rc == 0)
		rc = S_ISDIR(st.st_mode) ? cover(covers, &covers->empty, mount_empty, target)
		                         : cover(covers, &covers->null, clone_null, target);
	fd_drop(covers->dropped, target);
	return rc < 0 ? fail(&plan->masked_paths, i, e, "mask") : 0;
}

LAYER_RUN(masks_cover)
{
	struct covers covers = {
		.null = -1, .empty = -1, .label = &plan->mount_label, .dropped = &h->dropped};
	int rc = 0;

	for (size_t i = 0; i < plan->masked_paths.count && rc == 0; i++)
		if (!strings_repeat(&plan->masked_paths, i))
			rc = mask_path(plan, h, &covers, i, e);
	fd_drop(&h->dropped, covers.null);
	fd_drop(&h->dropped, covers.empty);
	return rc;
}
