/* SPDX-License-Identifier: MIT */
/*
 * Can the cgroup be made, and will it have the controllers of the limits
 * (cgroups(7))? What exists of its path is walked down from the root: at each
 * level a controller must be there, and be handed down or let itself be; the
 * level where something is missing must be this user's to write.
 */
#include "hako/cgroup.h"
#include "hako/file.h"
#include "hako/layer.h"
#include "hako/problem.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct level {
	const char *mount;
	char path[PATH_MAX]; /* "" for the root of the hierarchy */
	int fd;
};

static bool
may_write(int cgroup, const char *file)
{
	return sys_faccessat2(cgroup, file, W_OK, AT_EACCESS) == 0;
}

static bool
has_processes(int cgroup)
{
	char text[65536];
	ssize_t n = file_read_at(cgroup, "cgroup.procs", text, sizeof(text));

	return n > 0 || (n < 0 && errno == EFBIG);
}

static int
probe_available(const struct level *level, const struct cgroup_value *v, struct error *e)
{
	if (file_has_word_at(level->fd, "cgroup.controllers", v->controller))
		return 0;
	return json_error(v->at, e, 0, "cgroup-controller", "the %s controller is not in %s%s%s",
	                  v->controller, level->mount, level->path,
	                  level->path[0] != '\0' ? ""
	                                         : " (on a hybrid host cgroup v1 has it: boot with "
	                                           "systemd.unified_cgroup_hierarchy=1)");
}

/* Will its children have that controller? */
static int
probe_controller(const struct level *level, const struct cgroup_value *v, struct error *e)
{
	if (probe_available(level, v, e) < 0)
		return -1;
	if (file_has_word_at(level->fd, "cgroup.subtree_control", v->controller))
		return 0;
	if (!may_write(level->fd, "cgroup.subtree_control"))
		return json_error(v->at, e, 0, "cgroup-controller",
		                  "%s%s does not hand the %s controller down, and is not this "
		                  "user's to change",
		                  level->mount, level->path, v->controller);
	/* the root of all alone may have both, and no type */
	if (faccessat(level->fd, "cgroup.type", F_OK, 0) == 0 && has_processes(level->fd))
		return json_error(v->at, e, 0, "cgroup-controller",
		                  "%s%s has processes of its own: it cannot hand the %s controller "
		                  "down",
		                  level->mount, level->path, v->controller);
	return 0;
}

static void
probe_level(const struct plan *plan, const struct level *level, bool *done, struct error *e)
{
	for (size_t i = 0; i < plan->cgroup.value_count; i++) {
		const struct cgroup_value *v = &plan->cgroup.values[i];

		if (v->controller == NULL || strcmp(v->controller, "cgroup") == 0 || done[i])
			continue;
		/* systemd hands down what a scope wants */
		done[i] = (plan->cgroup.unit != NULL ? probe_available(level, v, e)
		                                     : probe_controller(level, v, e)) < 0;
	}
}

/* Down to the last that exists; its descriptor, or -1. */
static int
walk_down(const struct plan *plan, int root, const char *mount, bool *done, struct error *e)
{
	struct level level = {.mount = mount, .path = "", .fd = root};
	const char *path = plan->cgroup.path, *end = path;

	for (;;) {
		int next;

		probe_level(plan, &level, done, e);
		end += 1 + strcspn(end + 1, "/");
		snprintf(level.path, sizeof(level.path), "%.*s", (int)(end - path), path);
		if (*end == '\0')
			return level.fd; /* the parent of the container's */
		next = cgroup_open(root, level.path);
		if (next < 0)
			return level.fd;
		if (level.fd != root)
			close(level.fd);
		level.fd = next;
	}
}

static int
probe_parent(const struct plan *plan, int parent, struct error *e)
{
	bool limits = plan->cgroup.value_count > 0;

	if (may_write(parent, "."))
		return 0;
	if (limits || plan->options.privileged)
		return json_error(limits ? plan->cgroup.values[0].at : plan->cgroup.at, e, errno,
		                  "cgroup-denied",
		                  "a cgroup %s cannot be made: delegate a cgroup to this user",
		                  plan->cgroup.path);
	/* as in cgroup_create(): none was asked for, so that is no fallback */
	json_warning(plan->config->at, "cgroup-none",
	             "the container will have no cgroup of its own");
	return 0;
}

/* Whoever has one of that name already keeps it. */
static int
probe_existing(const struct plan *plan, int root, struct error *e)
{
	autoclose int cgroup = plan->cgroup.at != NULL ? cgroup_open(root, plan->cgroup.path) : -1;

	if (cgroup < 0)
		return 0;
	if (has_processes(cgroup))
		return json_error(plan->cgroup.at, e, 0, "cgroup-busy",
		                  "container's cgroup %s is not empty", plan->cgroup.path);
	if (cgroup_is_frozen(cgroup) == 1)
		return json_error(plan->cgroup.at, e, 0, "cgroup-frozen",
		                  "container's cgroup %s is frozen", plan->cgroup.path);
	return 0;
}

LAYER_PROBE(cgroup_probe)
{
	const char *mount;
	autoclose int root = -1;
	autoclose int parent = -1;
	bool done[1024] = {false};
	int above;

	if (!plan->cgroup.wanted || plan->cgroup.path == NULL ||
	    plan->cgroup.value_count > ARRAY_SIZE(done))
		return 0;
	root = cgroup_open_root(&mount, e);
	if (root < 0)
		return plan->options.privileged || plan->cgroup.value_count > 0 ? -1 : 0;
	if (plan->cgroup.unit != NULL) {
		probe_level(plan, &(struct level){.mount = mount, .fd = root}, done, e);
		return 0;
	}
	above = walk_down(plan, root, mount, done, e);
	if (above != root)
		parent = above;
	(void)probe_parent(plan, above, e);
	return probe_existing(plan, root, e);
}
