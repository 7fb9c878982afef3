/* SPDX-License-Identifier: MIT */
/*
 * What a container has left behind: asked from the kernel, not from what hako did. On a
 * busy host others make mounts and links at the same time, so only what can come from
 * this container counts: mounts below its folders, processes in its namespaces or
 * adopted from it, its cgroup, its state, the links that it was given or, sharing the
 * network, could make.
 */
#include "hako/leaks.h"
#include "hako/cgroup.h"
#include "hako/file.h"
#include "hako/mem.h"
#include "hako/names.h"
#include "hako/proc.h"
#include "hako/words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

const char *const leak_names[LEAKS] = {
	[LEAK_MOUNTS] = "mounts", [LEAK_CGROUPS] = "cgroups", [LEAK_PROCESSES] = "processes",
	[LEAK_LINKS] = "links",   [LEAK_STATE] = "state",
};

/* Not the mount namespace: to hold it would hold the mounts as well. */
static const uint64_t namespaces[LEAK_NAMESPACES] = {CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC,
                                                     CLONE_NEWUTS, CLONE_NEWUSER};

static void __attribute__((format(printf, 3, 4)))
add(struct leaks *l, enum leak kind, const char *format, ...)
{
	struct leak_list *list = &l->found[kind];
	char text[PATH_MAX + 64];
	va_list args;

	if (list->count == ARRAY_SIZE(list->items))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	list->items[list->count++] = arena_strdup(l->arena, text);
}

/* Before ------------------------------------------------------------------------- */

static const struct mountinfo *
read_mounts(struct arena *arena)
{
	return mountinfo_read(arena, AT_FDCWD, "/proc/thread-self/mountinfo");
}

void
leaks_begin(struct leaks *l, struct arena *arena)
{
	*l = (struct leaks){
		.arena = arena,
		.mounts_before = read_mounts(arena),
		.links_before = if_nameindex(),
	};
	for (size_t i = 0; i < LEAK_NAMESPACES; i++)
		l->namespaces[i].fd = -1;
}

void
leaks_know(struct leaks *l, const struct plan *plan, pid_t init)
{
	struct stat st;

	for (size_t i = 0; i < LEAK_NAMESPACES; i++) {
		struct leak_namespace *n = &l->namespaces[i];

		if (n->fd >= 0 || !plan_creates(plan, namespaces[i]))
			continue;
		n->fd = proc_open_namespace(init, name_of(namespace_files, namespaces[i]));
		if (n->fd >= 0 && fstat(n->fd, &st) == 0)
			n->inode = st.st_ino;
	}
}

/* With the last holder they end, and the links in them. */
static void
let_go(struct leaks *l)
{
	for (size_t i = 0; i < LEAK_NAMESPACES; i++) {
		close_cleaner(&l->namespaces[i].fd);
		l->namespaces[i].fd = -1;
	}
}

/* Mounts --------------------------------------------------------------------------- */

/* What lies below / may be anybody's. */
static bool
is_below(const char *point, const char *folder)
{
	char real[PATH_MAX];

	return folder != NULL && realpath(folder, real) != NULL && real[1] != '\0' &&
	       path_below(real, point) != NULL;
}

/* Of its bundle, its rootfs, or what it binds in such a way that its mounts come back. */
static bool
is_ours(const struct plan *plan, const char *point)
{
	if (is_below(point, plan->options.bundle) || is_below(point, plan->rootfs))
		return true;
	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct mount_plan *m = &plan->mounts[i];
		uint64_t propagation = m->propagation[0] | m->propagation[1];

		if (m->kind == MOUNT_BIND && (propagation & MS_SHARED) != 0 &&
		    is_below(point, m->source))
			return true;
	}
	return false;
}

static bool
was_there(const struct mountinfo *before, const struct mount_line *m)
{
	const struct mount_line *b = mountinfo_find(before, m->id);

	return b != NULL && b->parent == m->parent && b->major == m->major &&
	       b->minor == m->minor && strcmp(b->root, m->root) == 0 &&
	       strcmp(b->point, m->point) == 0;
}

static void
find_mounts(struct leaks *l, const struct plan *plan)
{
	const struct mountinfo *now = read_mounts(l->arena);

	l->found[LEAK_MOUNTS].known = now != NULL && l->mounts_before != NULL;
	if (!l->found[LEAK_MOUNTS].known)
		return;
	for (size_t i = 0; i < now->count; i++)
		if (is_ours(plan, now->lines[i].point) &&
		    !was_there(l->mounts_before, &now->lines[i]))
			add(l, LEAK_MOUNTS, "%s", now->lines[i].point);
}

/* Processes -------------------------------------------------------------------------- */

static bool
is_inside(const struct leaks *l, const char *pid)
{
	struct stat st;
	char path[80];

	for (size_t i = 0; i < LEAK_NAMESPACES; i++) {
		snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid,
		         name_of(namespace_files, namespaces[i]));
		if (l->namespaces[i].fd >= 0 && stat(path, &st) == 0 &&
		    st.st_ino == l->namespaces[i].inode)
			return true;
	}
	return false;
}

static void
add_process(struct leaks *l, const char *pid)
{
	char path[80], name[64] = "?";

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	(void)file_read_at(AT_FDCWD, path, name, sizeof(name));
	add(l, LEAK_PROCESSES, "%s %s", pid, name);
}

/* Orphans of a container without a pid namespace of its own are our children now. */
static void
find_children(struct leaks *l)
{
	char text[4096] = "", *rest = text, *pid;

	while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
		;
	(void)file_read_at(AT_FDCWD, "/proc/thread-self/children", text, sizeof(text));
	while ((pid = words_take(&rest, " ")) != NULL)
		if (!is_inside(l, pid))
			add_process(l, pid);
}

static void
find_processes(struct leaks *l)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	for (size_t i = 0; i < LEAK_NAMESPACES; i++)
		l->found[LEAK_PROCESSES].known |= l->namespaces[i].fd >= 0;
	find_children(l);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
		    is_inside(l, entry->d_name))
			add_process(l, entry->d_name);
	if (dir != NULL)
		closedir(dir);
}

/* Links ------------------------------------------------------------------------------ */

static bool
has_link(const struct if_nameindex *links, const char *name)
{
	for (; links->if_name != NULL; links++)
		if (strcmp(links->if_name, name) == 0)
			return true;
	return false;
}

/* Those that were lent to it have to be back; those it made in a shared network, gone. */
static void
find_links(struct leaks *l, const struct plan *plan)
{
	struct if_nameindex *now = if_nameindex();

	l->found[LEAK_LINKS].known = now != NULL && l->links_before != NULL;
	if (!l->found[LEAK_LINKS].known)
		return;
	for (size_t i = 0; i < plan->net_device_count; i++)
		if (has_link(l->links_before, plan->net_devices[i].name) &&
		    !has_link(now, plan->net_devices[i].name))
			add(l, LEAK_LINKS, "%s is missing", plan->net_devices[i].name);
	for (const struct if_nameindex *link = now; link->if_name != NULL; link++)
		if (!plan_isolates(plan, CLONE_NEWNET) && !has_link(l->links_before, link->if_name))
			add(l, LEAK_LINKS, "%s", link->if_name);
	if_freenameindex(now);
}

/* Folders ------------------------------------------------------------------------------ */

static void
find_cgroup(struct leaks *l, const struct handles *h)
{
	int fd;

	if (h->cgroup_root < 0 || h->cgroup_path == NULL)
		return;
	fd = cgroup_open(h->cgroup_root, h->cgroup_path);
	l->found[LEAK_CGROUPS].known = fd >= 0 || errno == ENOENT;
	if (fd >= 0)
		add(l, LEAK_CGROUPS, "%s", h->cgroup_path);
	close_cleaner(&fd);
}

static void
find_state(struct leaks *l, const struct plan *plan, const struct handles *h)
{
	bool there;

	if (h->state_dir < 0)
		return; /* there was one of that name before */
	there = faccessat(h->root_dir, plan->options.id, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	l->found[LEAK_STATE].known = there || errno == ENOENT;
	if (there)
		add(l, LEAK_STATE, "%s", plan->options.id);
}

void
leaks_find(struct leaks *l, const struct plan *plan, const struct handles *h)
{
	find_mounts(l, plan);
	find_cgroup(l, h);
	find_processes(l);
	let_go(l);
	find_links(l, plan);
	find_state(l, plan, h);
}

size_t
leaks_count(const struct leaks *l)
{
	size_t count = 0;

	for (size_t i = 0; i < LEAKS; i++)
		count += l->found[i].count;
	return count;
}
