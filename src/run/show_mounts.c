/* SPDX-License-Identifier: MIT */
/* `hako plan`: the container's files. */
#include "hako/mem.h"
#include "hako/mount_options.h"
#include "hako/names.h"
#include "hako/show.h"
#include "hako/syscall.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Is that the word for the atime mode? They overlap: the plain ones are shown. */
static bool
names_atime(const struct mount_option *o, uint64_t set, uint64_t clear, bool recursive)
{
	if (strcmp(o->name, recursive ? "rnoatime" : "noatime") == 0)
		return (set & MOUNT_ATTR__ATIME) == MOUNT_ATTR_NOATIME;
	return (clear & MOUNT_ATTR__ATIME) != 0 && strstr(o->name, "no") == NULL &&
	       strstr(o->name, "time") != NULL && (set & MOUNT_ATTR__ATIME) == o->attr_set &&
	       strcmp(o->name, "atime") != 0 && strcmp(o->name, "ratime") != 0;
}

static bool
names_attribute(const struct mount_option *o, uint64_t set, uint64_t clear)
{
	if (o->attr_set != 0 && (set & o->attr_set) == o->attr_set)
		return true;
	return o->attr_clear != 0 && (clear & o->attr_clear) == o->attr_clear &&
	       (set & o->attr_clear) == 0;
}

static void
show_attributes(struct sheet *s, uint64_t set, uint64_t clear, bool recursive)
{
	for (const struct mount_option *o = mount_options; o->name != NULL; o++) {
		bool tree = o->recursive && !o->bind;

		if (tree != recursive || (o->attr_set | o->attr_clear) == 0)
			continue;
		if (o->attr_clear == MOUNT_ATTR__ATIME ? names_atime(o, set, clear, recursive)
		                                       : names_attribute(o, set, clear))
			sheet_word(s, "options", o->name);
	}
}

static void
show_propagation(struct sheet *s, const struct mount_plan *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(m->propagation) && m->propagation[i] != 0; i++)
		for (const struct mount_option *o = mount_options; o->name != NULL; o++)
			if (o->propagation == m->propagation[i])
				sheet_word(s, "options", o->name);
}

/* "0 1000 10\n5 2000 1\n" as "0-1000-10#5-2000-1": how an option would have it. */
static void
show_map(struct sheet *s, const char *key, const char *before, const char *map)
{
	autofree char *text = strdup(map);

	if (text == NULL)
		return;
	for (char *c = text; *c != '\0'; c++)
		*c = *c == ' ' ? '-' : *c != '\n' ? *c : c[1] != '\0' ? '#' : '\0';
	sheet_put(s, key, before, text);
}

static void
show_idmap(struct sheet *s, const struct mount_idmap *map)
{
	sheet_put(s, "idmap", " ", map->recursive ? "ridmap" : "idmap");
	if (map->uid_map == NULL) {
		sheet_flag(s, "containerIds", " as the container's user namespace");
		return;
	}
	show_map(s, "uids", " uids=", map->uid_map);
	show_map(s, "gids", " gids=", map->gid_map);
}

static void
show_data(struct sheet *s, const struct plan *plan, const struct mount_plan *m)
{
	bool readonly = (m->attr_set & MOUNT_ATTR_RDONLY) != 0; /* so is its filesystem then */

	for (size_t i = 0; i < m->flags.count; i++)
		if (!readonly || strcmp(m->flags.items[i], "ro") != 0)
			sheet_word(s, "superblock", m->flags.items[i]);
	for (size_t i = 0; i < m->data.count; i++) {
		autofree char *text = NULL;

		if (asprintf(&text, "%s=%s", m->data.items[i].key, m->data.items[i].value) >= 0)
			sheet_word(s, "data", text);
	}
	if (m->label != MOUNT_LABEL_NONE)
		sheet_printf(s, "label",
		             m->label == MOUNT_LABEL_OPTION ? " context=" : " label=", "%s",
		             plan->mount_label.value);
}

static void
show_mount(struct sheet *s, const struct plan *plan, const struct mount_plan *m)
{
	static const char *const kinds[] = {
		[MOUNT_FILESYSTEM] = "mount", [MOUNT_BIND] = "bind",
		[MOUNT_REMOUNT] = "remount",  [MOUNT_BIND_REMOUNT] = "remount bind",
		[MOUNT_CGROUP] = "mount",
	};

	sheet_line(s, kinds[m->kind]);
	sheet_put(s, "destination", " ", m->destination);
	if (m->kind == MOUNT_FILESYSTEM || m->kind == MOUNT_CGROUP)
		sheet_put(s, "type", " ", m->type);
	if (m->source != NULL && m->kind != MOUNT_REMOUNT)
		sheet_put(s, "source", " from ", m->source);
	if (m->recursive)
		sheet_flag(s, "recursive", " (recursive)");
	show_attributes(s, m->attr_set, m->attr_clear, false);
	show_attributes(s, m->recursive_set, m->recursive_clear, true);
	show_propagation(s, m);
	show_data(s, plan, m);
	if (m->idmap != NULL)
		show_idmap(s, m->idmap);
	if (m->tmpcopyup)
		sheet_flag(s, "tmpcopyup", " tmpcopyup");
	if (m->copy_symlink)
		sheet_flag(s, "copySymlink", " copy-symlink");
	if (m->source_nofollow)
		sheet_flag(s, "sourceNofollow", " src-nofollow");
	if (m->destination_nofollow)
		sheet_flag(s, "destinationNofollow", " dest-nofollow");
}

void
show_mounts(struct sheet *s, const struct plan *plan)
{
	for (size_t i = 0; i < plan->mount_count; i++)
		show_mount(s, plan, &plan->mounts[i]);
}

void
show_late_mounts(struct sheet *s, const struct plan *plan)
{
	for (size_t i = 0; i < plan->mount_count; i++)
		if (plan->mounts[i].readonly_late)
			sheet_value(s, "read-only", "%s", plan->mounts[i].destination);
}

void
show_rootfs(struct sheet *s, const struct plan *plan)
{
	if (plan->host_mounts)
		sheet_value(s, "covers", "%s", "the rootfs, in the mount namespace of hako");
	if (!plan_creates(plan, CLONE_NEWNS))
		return;
	sheet_value(s, "propagation", "%s", name_of(propagation_names, plan->root_propagation));
	if (plan->root_propagation_after != 0)
		sheet_value(s, "and then", "%s",
		            name_of(propagation_names, plan->root_propagation_after));
}

static void
show_device(struct sheet *s, const struct device_plan *d)
{
	sheet_line(s, "node");
	sheet_put(s, "path", " ", d->path);
	sheet_put(s, "type", " ", S_ISBLK(d->mode) ? "b" : S_ISFIFO(d->mode) ? "p" : "c");
	sheet_number(s, "major", " ", major(d->device));
	sheet_number(s, "minor", ":", minor(d->device));
	sheet_printf(s, "mode", " ", "%04o", (unsigned)d->mode & 07777);
	sheet_number(s, "uid", " ", d->uid);
	sheet_number(s, "gid", ":", d->gid);
}

void
show_devices(struct sheet *s, const struct plan *plan)
{
	for (size_t i = 0; i < plan->device_count; i++)
		show_device(s, &plan->devices[i]);
	for (size_t i = 0; i < plan->symlink_count; i++) {
		sheet_line(s, "link");
		sheet_printf(s, "path", " ", "/dev/%s", plan->symlinks[i].path);
		sheet_put(s, "target", " -> ", plan->symlinks[i].target);
	}
}
