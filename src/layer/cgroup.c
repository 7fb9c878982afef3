/* SPDX-License-Identifier: MIT */
/*
 * The container's cgroup (config-linux.md "Control groups", cgroups(7)): made
 * before the container, so that clone3 can start it inside; nothing is ever
 * moved by writing cgroup.procs, which waits for an RCU grace period. Only the
 * v2 hierarchy is used; on a hybrid host it still gives tracking, freezing and
 * killing. Every name is resolved beneath the hierarchy's root without links,
 * so that no cgroupsPath leads out of it.
 */
#include "hako/cgroup.h"
#include "hako/file.h"
#include "hako/layer.h"
#include "hako/log.h"
#include "hako/path.h"
#include "hako/words.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REMOVE_MS = 10000 };

/* Plan ---------------------------------------------------------------------- */

LAYER_PLAN(cgroup_plan)
{
	const struct config_linux *lin = p->config->linux_;
	const char *path = lin->cgroups_path;
	struct plan *plan = p->plan;
	char normal[PATH_MAX];

	plan->cgroup.at = json_member(lin->at, "cgroupsPath");
	plan->cgroup.wanted = !plan->options.cgroup_disabled;
	if (plan->options.cgroup_systemd)
		return cgroup_plan_scope(p, path, e);
	if (path == NULL || path[0] == '\0')
		path = arena_printf(p->arena, "%s/%s", plan->options.cgroup_parent,
		                    plan->options.id);
	else if (path[0] != '/')
		path = arena_printf(p->arena, "%s/%s", plan->options.cgroup_parent, path);
	if (path_normalise(path, normal, sizeof(normal)) < 0)
		return json_error(plan->cgroup.at, e, errno, "cgroup-invalid", "cgroupsPath");
	if (strcmp(normal, "/") == 0)
		return json_error(plan->cgroup.at, e, 0, "cgroup-invalid",
		                  "cgroupsPath is the root of the cgroup tree");
	plan->cgroup.path = arena_strdup(p->arena, normal);
	return 0;
}

/* Create -------------------------------------------------------------------- */

static int
count_lines(const char *text)
{
	int lines = text[0] != '\0';

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

/* Init would never get to run, nor say so. */
static int
check_frozen(const struct plan *plan, int cgroup, struct error *e)
{
	if (cgroup_is_frozen(cgroup) != 1)
		return 0;
	return json_error(plan->cgroup.at, e, 0, "cgroup-frozen",
	                  "container's cgroup unexpectedly frozen: %s", plan->cgroup.path);
}

/* A cgroup that somebody else uses or has frozen is not fit for a new container. */
static int
check_existing(const struct plan *plan, int cgroup, struct error *e)
{
	char text[65536];
	ssize_t n = file_read_at(cgroup, "cgroup.procs", text, sizeof(text));

	if (n < 0 && errno != EOPNOTSUPP)
		return json_error(plan->cgroup.at, e, errno, "cgroup-failed",
		                  "read cgroup.procs of %s", plan->cgroup.path);
	if (n > 0)
		return json_error(plan->cgroup.at, e, 0, "cgroup-busy",
		                  "container's cgroup is not empty: %d process(es) found in %s",
		                  count_lines(text), plan->cgroup.path);
	return check_frozen(plan, cgroup, e);
}

static int
make_leaf(const struct plan *plan, int root, bool *ret_made)
{
	const char *name = strrchr(plan->cgroup.path, '/') + 1;
	autoclose int above = -1;
	char path[PATH_MAX];
	int parent = root, leaf;

	if (name > plan->cgroup.path + 1) {
		snprintf(path, sizeof(path), "%.*s", (int)(name - plan->cgroup.path),
		         plan->cgroup.path);
		above = path_make_dirs_beneath(root, path, 0755);
		parent = above;
	}
	if (parent < 0)
		return -1;
	*ret_made = mkdirat(parent, name, 0755) == 0;
	if (!*ret_made && errno != EEXIST)
		return -1;
	leaf = path_open_beneath(parent, name, O_PATH | O_DIRECTORY);
	if (leaf < 0 && *ret_made) {
		int saved = errno;

		unlinkat(parent, name, AT_REMOVEDIR);
		errno = saved;
	}
	return leaf;
}

/* "+cpu +memory" for the controllers of `available` that `enabled` lacks; "" when none. */
static void
missing_controllers(const char *available, const char *enabled, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (const char *p = available; *p != '\0'; p += strspn(p, " ")) {
		size_t length = strcspn(p, " ");
		char word[64];

		snprintf(word, sizeof(word), "%.*s", (int)length, p);
		if (!words_include(enabled, word) && used < size)
			used += (size_t)snprintf(buf + used, size - used, "+%s ", word);
		p += length;
	}
}

static bool
is_denied(int code)
{
	return code == EACCES || code == EPERM || code == EROFS;
}

/*
 * It may be that only hako itself is in the way of a limit: with nobody else there it
 * can make room.
 */
static int
hand_down(const struct plan *plan, struct handles *h, int cgroup, const char *wanted)
{
	if (file_write_at(cgroup, "cgroup.subtree_control", wanted) == 0)
		return 0;
	if (errno != EBUSY || plan->cgroup.value_count == 0 || plan->options.detached ||
	    h->cgroup_aside >= 0)
		return -1;
	h->cgroup_aside = cgroup_step_aside(cgroup);
	if (h->cgroup_aside < 0) {
		errno = EBUSY;
		return -1;
	}
	return file_write_at(cgroup, "cgroup.subtree_control", wanted);
}

/* All at once, or, when one of them is refused here, as many as there are. */
static void
enable(const struct plan *plan, struct handles *h, int cgroup, const char *wanted)
{
	char copy[512], *rest = copy, *word;

	if (wanted[0] == '\0' || hand_down(plan, h, cgroup, wanted) == 0)
		return;
	/*
	 * EBUSY: it has processes, and to take what is left would turn it into a domain of
	 * threads. EPERM is of one controller alone: cpuset's, for somebody else's process.
	 */
	if (errno == EBUSY || errno == EACCES || errno == EROFS) {
		log_debug("cgroup: %s: %s", wanted, error_text(errno));
		return;
	}
	snprintf(copy, sizeof(copy), "%s", wanted);
	while ((word = words_take(&rest, " ")) != NULL)
		if (hand_down(plan, h, cgroup, word) < 0)
			log_debug("cgroup: %s: %s", word, error_text(errno));
}

/*
 * Controllers are handed down level by level, also when no limit needs them: engines
 * read from them what a container uses, and a container that manages its own part of
 * the tree gets them to hand on. Whether a limit that was asked for can be set shows
 * when it is written; here a refusal is only noted.
 */
static void
enable_controllers(const struct plan *plan, struct handles *h)
{
	char top[512], here[512], wanted[512], prefix[PATH_MAX];
	const char *path = plan->cgroup.path;

	if (file_read_at(h->cgroup_root, "cgroup.controllers", top, sizeof(top)) < 0 ||
	    file_read_at(h->cgroup, "cgroup.controllers", here, sizeof(here)) < 0)
		return;
	missing_controllers(top, here, wanted, sizeof(wanted));
	if (wanted[0] == '\0')
		return;
	for (const char *end = path; end != NULL; end = strchr(end + 1, '/')) {
		autoclose int level = -1;
		char enabled[512];

		snprintf(prefix, sizeof(prefix), "%.*s", (int)(end - path), path);
		level = cgroup_open(h->cgroup_root, prefix);
		if (level < 0 ||
		    file_read_at(level, "cgroup.subtree_control", enabled, sizeof(enabled)) < 0)
			return;
		missing_controllers(top, enabled, wanted, sizeof(wanted));
		enable(plan, h, level, wanted);
	}
}

/*
 * An ordinary user has no cgroup delegated. That is no reason to fail when none was
 * asked for: neither a limit nor a place.
 */
static int
go_without(const struct plan *plan, struct handles *h, struct error *e)
{
	const char *asked = plan->config->linux_->cgroups_path;
	char msg[sizeof(e->msg)];

	snprintf(msg, sizeof(msg), "%s", e->msg);
	if (plan->cgroup.value_count > 0)
		return json_error(plan->cgroup.values[0].at, e, 0, "cgroup-denied",
		                  "a limit needs a cgroup: %s", msg);
	if (asked != NULL && asked[0] != '\0')
		return json_error(plan->cgroup.at, e, 0, "cgroup-denied", "%s", msg);
	close_cleaner(&h->cgroup_root);
	h->cgroup_root = -1;
	h->cgroup_mount = NULL;
	log_write(LOG_LEVEL_INFO, "the container has no cgroup of its own: %s", msg);
	return 0;
}

/* Root has no reason to go without, and a scope was asked for by name. */
static bool
is_needed(const struct plan *plan)
{
	return plan->options.privileged || plan->cgroup.unit != NULL;
}

static int
fail_making(const struct plan *plan, const struct handles *h, struct error *e)
{
	int code = errno;

	json_error(plan->cgroup.at, e, code, "cgroup-failed", "make the cgroup %s%s",
	           h->cgroup_mount, plan->cgroup.path);
	if (code == EROFS)
		error_advise(e, "--cgroup-manager disabled goes without");
	return -1;
}

/* The cgroup, with *ret_made; -1 with *e, id "cgroup-denied" when it is not this user's to make. */
static int
make(const struct plan *plan, struct handles *h, bool *ret_made, struct error *e)
{
	autoclose int cgroup = make_leaf(plan, h->cgroup_root, ret_made);

	if (plan->options.privileged)
		return cgroup >= 0 ? take_fd(&cgroup) : fail_making(plan, h, e);
	if (cgroup < 0 && is_denied(errno))
		return cgroup_deny_making(h->cgroup_root, h->cgroup_mount, plan->cgroup.path, errno,
		                          e);
	if (cgroup < 0)
		return fail_making(plan, h, e);
	if (cgroup_check_entry(h->cgroup_root, h->cgroup_mount, plan->cgroup.path, e) == 0)
		return take_fd(&cgroup);
	if (*ret_made)
		(void)cgroup_remove(h->cgroup_root, plan->cgroup.path, 0);
	return -1;
}

LAYER_RUN(cgroup_create)
{
	autoclose int cgroup = -1;
	bool made = false;

	if (!plan->cgroup.wanted)
		return 0;
	h->cgroup_root = cgroup_open_root(&h->cgroup_mount, e);
	if (h->cgroup_root < 0)
		return is_needed(plan) ? -1 : go_without(plan, h, e);
	if (plan->cgroup.unit != NULL)
		return 0; /* see cgroup_start_scope() */
	cgroup = make(plan, h, &made, e);
	if (cgroup < 0)
		return strcmp(e->id, "cgroup-denied") == 0 ? go_without(plan, h, e) : -1;
	if (!made && check_existing(plan, cgroup, e) < 0)
		return -1;
	/* only now it is ours to remove */
	h->cgroup = take_fd(&cgroup);
	h->cgroup_path = plan->cgroup.path;
	/* it may be because a cgroup above is */
	if (made && strrchr(plan->cgroup.path, '/') != plan->cgroup.path &&
	    check_frozen(plan, h->cgroup, e) < 0)
		return -1;
	enable_controllers(plan, h);
	return 0;
}

/* Undo ---------------------------------------------------------------------- */

/*
 * A `create` that was killed before it had an init to remember may not have come to look
 * whether the cgroup is another's (check_existing()). An init of its own ends by itself,
 * with it, and has run no hooks: who does not end is not the container's.
 */
static bool
is_anothers(const struct state *state, int cgroup)
{
	bool had_init = state->pid == NULL || *state->pid != 0 || *state->start_time != 0;

	return !had_init && cgroup_wait_empty(cgroup, REMOVE_MS) < 0;
}

static int
remove_all(const struct state *state, struct handles *h, struct error *e)
{
	autoclose int cgroup = -1;

	if (state->cgroup_path == NULL || state->cgroup_path[0] != '/')
		return 0;
	if (h->cgroup_root < 0)
		h->cgroup_root = cgroup_open_root(&h->cgroup_mount, e);
	if (h->cgroup_root < 0)
		return -1;
	/* most often nobody is left; then this is the only call */
	if (cgroup_remove(h->cgroup_root, state->cgroup_path, 0) == 0)
		return 0;
	cgroup = cgroup_open(h->cgroup_root, state->cgroup_path);
	if (cgroup >= 0 && is_anothers(state, cgroup))
		return 0;
	if (cgroup >= 0 && cgroup_kill(cgroup) == 0)
		(void)cgroup_wait_empty(cgroup, REMOVE_MS);
	if (cgroup < 0 || cgroup_remove(h->cgroup_root, state->cgroup_path, REMOVE_MS) < 0)
		return error_set(e, errno, "cgroup-failed", "remove the cgroup %s%s",
		                 h->cgroup_mount, state->cgroup_path);
	return 0;
}

int
cgroup_undo(const struct state *state, struct handles *h, struct error *e)
{
	int rc = remove_all(state, h, e);

	if (h->cgroup_aside >= 0)
		cgroup_step_back(h->cgroup_aside);
	close_cleaner(&h->cgroup_aside);
	h->cgroup_aside = -1;
	return rc;
}
