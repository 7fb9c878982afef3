/* SPDX-License-Identifier: MIT */
/*
 * Mounts that nobody has asked for. Every line of /proc/PID/mountinfo must be accounted
 * for: by the root, a mount of the plan, a cover of a masked or read-only path, a bound
 * device, the console; or, below a tree that was bound with what is mounted in it, by
 * the same filesystem at that place on the host.
 */
#include "hako/mounts.h"
#include "hako/syscall.h"
#include "hako/words.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* In a user namespace "rw" cannot change what the host has read-only. */
bool
mount_expects_readonly(const struct observed *o, const struct mount_plan *m,
                       const struct mount_line *line, uint64_t set)
{
	autoclose int source = -1;
	const struct mountinfo *host;
	const struct mount_line *own;
	bool is_root;

	if ((set & MOUNT_ATTR_RDONLY) != 0)
		return true;
	if (m->kind != MOUNT_BIND || !words_include(line->options, "ro"))
		return false;
	source = open(m->source, O_PATH | O_CLOEXEC);
	host = source >= 0 ? mountinfo_read(o->arena, AT_FDCWD, "/proc/self/mountinfo") : NULL;
	own = host != NULL ? mountinfo_find(host, observed_mount_id(source, &is_root)) : NULL;
	return own != NULL && words_include(own->options, "ro");
}

struct account {
	const struct plan *plan;
	const struct observed *o;
	const struct mountinfo *mounts;
	const struct mountinfo *host; /* may be NULL */
	size_t *allowed;              /* how many mounts may stand at the point of each */
};

/* One more mount may stand where that path leads; out of reach it stands where it was put. */
static void
allow(struct account *a, const char *path, bool follow)
{
	autoclose int fd = observed_open_path(a->o, path, follow);
	bool is_root = false;
	uint64_t id = fd >= 0 ? observed_mount_id(fd, &is_root) : 0;
	const struct mount_line *top = is_root ? mountinfo_find(a->mounts, id) : NULL;

	for (size_t i = 0; i < a->mounts->count; i++)
		if (strcmp(a->mounts->lines[i].point, top != NULL ? top->point : path) == 0)
			a->allowed[i]++;
}

/* A read-only path takes along what is mounted in it. */
static void
allow_tree(struct account *a, const char *path)
{
	allow(a, path, true);
	for (size_t i = 0; i < a->mounts->count; i++) {
		const char *rest = path_below(path, a->mounts->lines[i].point);

		if (rest != NULL && rest[0] != '\0' && a->allowed[i] > 0)
			a->allowed[i]++;
	}
}

static void
allow_planned(struct account *a)
{
	const struct plan *plan = a->plan;

	for (size_t i = 0; i < plan->mount_count; i++)
		if (plan->mounts[i].kind != MOUNT_REMOUNT &&
		    plan->mounts[i].kind != MOUNT_BIND_REMOUNT)
			allow(a, plan->mounts[i].destination,
			      !plan->mounts[i].destination_nofollow);
	for (size_t i = 0; i < plan->readonly_paths.count; i++)
		allow_tree(a, plan->readonly_paths.items[i]);
	for (size_t i = 0; i < plan->masked_paths.count; i++)
		allow(a, plan->masked_paths.items[i], true);
	for (size_t i = 0; i < plan->device_count; i++)
		if (plan_isolates(plan, CLONE_NEWUSER) || !plan->options.privileged)
			allow(a, plan->devices[i].path, false);
	if (plan->terminal.wanted)
		allow(a, "/dev/console", false);
}

static bool
has_mount(const struct mountinfo *mounts, const char *point, const struct mount_line *line)
{
	for (size_t i = 0; mounts != NULL && i < mounts->count; i++) {
		const struct mount_line *other = &mounts->lines[i];

		if (strcmp(other->point, point) == 0 && other->major == line->major &&
		    other->minor == line->minor && strcmp(other->root, line->root) == 0)
			return true;
	}
	return false;
}

/*
 * Is the same filesystem mounted on the host, at that place below the source? Who binds
 * a folder with the rootfs in it gets what was in the container until then.
 */
static bool
is_on_host(const struct account *a, const struct mount_line *line, const char *source,
           const char *rest)
{
	autofree char *resolved = realpath(source, NULL);
	const char *path, *inside;

	if (resolved == NULL)
		return false;
	path = arena_printf(a->o->arena, "%s%s", strcmp(resolved, "/") == 0 ? "" : resolved, rest);
	if (has_mount(a->host, path, line))
		return true;
	inside = path_below(a->plan->rootfs, path);
	return inside != NULL && strcmp(inside, line->point) != 0 &&
	       has_mount(a->mounts, inside[0] != '\0' ? inside : "/", line);
}

/* By a tree that was bound recursively, the rootfs itself being one. */
static bool
came_along(const struct account *a, const struct mount_line *line)
{
	const struct plan *plan = a->plan;

	for (size_t i = plan->mount_count; i-- > 0;) {
		const struct mount_plan *m = &plan->mounts[i];
		const char *rest = path_below(m->destination, line->point);

		if (m->kind == MOUNT_BIND && m->recursive && rest != NULL && rest[0] != '\0')
			return is_on_host(a, line, m->source, rest);
	}
	return is_on_host(a, line, plan->rootfs, line->point);
}

/* What came along does not count, although something was mounted over it. */
static bool
is_known(const struct account *a, size_t i)
{
	const struct mount_line *lines = a->mounts->lines;
	size_t found = 0, came = 0;

	for (size_t k = 0; k < a->mounts->count; k++)
		found += strcmp(lines[k].point, lines[i].point) == 0;
	if (strcmp(lines[i].point, "/") == 0)
		return found == 1;
	if (found <= a->allowed[i] || came_along(a, &lines[i]))
		return true;
	for (size_t k = 0; k < a->mounts->count; k++)
		came += strcmp(lines[k].point, lines[i].point) == 0 && came_along(a, &lines[k]);
	return found - came <= a->allowed[i];
}

LAYER_VERIFY(mounts_verify_extra)
{
	const struct claim claim = {CHECK_MOUNTS_EXTRA, json_member(plan->config->at, "mounts")};
	struct account a = {.plan = plan, .o = o, .mounts = observed_mounts(o)};
	const char *found = "";

	if (!plan_creates(plan, CLONE_NEWNS) || !verdict_begin(v, claim))
		return;
	if (a.mounts == NULL || o->root < 0) {
		verdict_unknown(v, claim, "/proc/PID/mountinfo: %s",
		                error_text(a.mounts == NULL ? errno : o->root_code));
		return;
	}
	a.host = mountinfo_read(v->arena, AT_FDCWD, "/proc/self/mountinfo");
	a.allowed = arena_array(v->arena, a.mounts->count, sizeof(*a.allowed));
	allow_planned(&a);
	for (size_t i = 0; i < a.mounts->count; i++)
		if (!is_known(&a, i))
			found = arena_printf(v->arena, "%s%s%s on %s", found,
			                     found[0] != '\0' ? ", " : "", a.mounts->lines[i].type,
			                     a.mounts->lines[i].point);
	if (found[0] != '\0' && plan_has_early_hooks(plan))
		verdict_unknown(v, claim, "%s: a hook may have mounted it", found);
	else
		verdict_compare(v, claim, "no other mounts",
		                found[0] != '\0' ? found : "no other mounts");
}
