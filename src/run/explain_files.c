/* SPDX-License-Identifier: MIT */
/*
 * `hako explain`: mounts, paths, devices, hooks. Each function looks for one kind
 * of thing; the row of explain_rules.c says for which.
 */
#include "hako/explain.h"
#include "hako/path.h"
#include "hako/syscall.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* Mounts ---------------------------------------------------------------------- */

static bool
is_readonly(const struct mount_plan *m)
{
	return ((m->attr_set | m->recursive_set) & MOUNT_ATTR_RDONLY) != 0;
}

static bool
is_bind(const struct mount_plan *m)
{
	return m->kind == MOUNT_BIND && m->source != NULL;
}

/* Does the whole tree of that bind mount refuse to be written? */
static bool
is_readonly_throughout(const struct mount_plan *m)
{
	return (m->recursive_set & MOUNT_ATTR_RDONLY) != 0 || (!m->recursive && is_readonly(m));
}

static const char *
clean_path(struct arena *arena, const char *path)
{
	size_t size = strlen(path) + 2; /* enough for every path in its normal form */
	char *clean = arena_alloc(arena, size);

	(void)path_normalise(path, clean, size);
	return clean;
}

static const char *
describe(struct finder *f, const struct mount_plan *m, const char *source)
{
	return arena_printf(f->problems->arena, "%s%s as %s", source,
	                    is_readonly(m) ? " (read-only)" : "", m->destination);
}

void
find_source(struct finder *f)
{
	for (size_t i = 0; i < f->plan->mount_count; i++) {
		const struct mount_plan *m = &f->plan->mounts[i];
		uint64_t unwanted = is_readonly_throughout(m) ? SOURCE_WRITABLE : SOURCE_READONLY;
		const char *source;

		if (!is_bind(m) || m->source[0] != '/' || f->claimed_mounts[i] ||
		    (f->rule->number & unwanted) != 0)
			continue;
		source = clean_path(f->problems->arena, m->source);
		if (!explain_matches(source, f->rule->text, (unsigned)f->rule->number))
			continue;
		f->claimed_mounts[i] = true;
		explain_found(f, m->at, describe(f, m, source));
	}
}

/* The rest: what is not of the bundle is of the host. */
void
find_other_source(struct finder *f)
{
	bool writable = (f->rule->number & SOURCE_WRITABLE) != 0;
	const char *bundle = clean_path(f->problems->arena, f->plan->options.bundle);

	for (size_t i = 0; i < f->plan->mount_count; i++) {
		const struct mount_plan *m = &f->plan->mounts[i];

		if (!is_bind(m) || m->source[0] != '/' || f->claimed_mounts[i] ||
		    writable == is_readonly_throughout(m) ||
		    explain_is_there(clean_path(f->problems->arena, m->source), bundle, PATH_BELOW))
			continue;
		explain_found(f, m->at, describe(f, m, m->source));
	}
}

static bool
is_one_of(const char *word, const char *list)
{
	return word != NULL && explain_matches(word, list, PATH_AT);
}

void
find_filesystem(struct finder *f)
{
	for (size_t i = 0; i < f->plan->mount_count; i++) {
		const struct mount_plan *m = &f->plan->mounts[i];

		if (m->kind == MOUNT_FILESYSTEM && is_one_of(m->type, f->rule->text))
			explain_found(f, m->at,
			              arena_printf(f->problems->arena, "%s as %s", m->type,
			                           m->destination));
	}
}

void
find_disk(struct finder *f)
{
	for (size_t i = 0; i < f->plan->mount_count; i++) {
		const struct mount_plan *m = &f->plan->mounts[i];

		if (m->kind == MOUNT_FILESYSTEM && m->source != NULL &&
		    explain_matches(m->source, "/dev", PATH_BELOW))
			explain_found(f, m->at, describe(f, m, m->source));
	}
}

/* A filesystem of that type that may be written to. */
void
find_writable_mount(struct finder *f)
{
	for (size_t i = 0; i < f->plan->mount_count; i++) {
		const struct mount_plan *m = &f->plan->mounts[i];

		if (m->kind == MOUNT_FILESYSTEM && is_one_of(m->type, f->rule->text) &&
		    !is_readonly(m))
			explain_found(f, m->at, m->destination);
	}
}

/* number: with a cgroup namespace of its own (1) or without (0). */
void
find_writable_cgroups(struct finder *f)
{
	for (size_t i = 0; i < f->plan->mount_count; i++) {
		const struct mount_plan *m = &f->plan->mounts[i];

		if (m->kind == MOUNT_CGROUP && !is_readonly(m) &&
		    explain_shares(f->config, CLONE_NEWCGROUP) == (f->rule->number == 0))
			explain_found(f, m->at, m->destination);
	}
}

void
find_shared_mount(struct finder *f)
{
	for (size_t i = 0; i < f->plan->mount_count; i++) {
		const struct mount_plan *m = &f->plan->mounts[i];

		if (((m->propagation[0] | m->propagation[1]) & MS_SHARED) != 0)
			explain_found(f, m->at, m->destination);
	}
}

void
find_shared_root(struct finder *f)
{
	if ((f->plan->root_propagation & MS_SHARED) != 0)
		explain_found(f, NULL, NULL);
}

/* Root and paths -------------------------------------------------------------- */

void
find_host_as_root(struct finder *f)
{
	if (strcmp(clean_path(f->problems->arena, f->plan->rootfs), "/") == 0)
		explain_found(f, NULL, NULL);
}

void
find_writable_root(struct finder *f)
{
	if (!f->plan->root_readonly)
		explain_found(f, NULL, NULL);
}

void
find_no_pivot(struct finder *f)
{
	if (!f->plan->options.pivot)
		explain_found(f, NULL, NULL);
}

void
find_keyring(struct finder *f)
{
	if (!f->plan->options.new_keyring)
		explain_found(f, NULL, NULL);
}

static bool
is_listed(const struct strings *paths, const char *path)
{
	for (size_t i = 0; i < paths->count; i++)
		if (explain_is_there(path, paths->items[i], PATH_AT | PATH_BELOW))
			return true;
	return false;
}

/* The words of the rule's list that are left open below a mount of their filesystem. */
static const char *
add_open_paths(struct finder *f, const struct mount_plan *m, bool readonly_will_do,
               const char *open)
{
	size_t root = strlen(strcmp(m->type, "proc") == 0 ? "/proc" : "/sys");
	struct arena *arena = f->problems->arena;

	for (const char *word = f->rule->text; *word != '\0'; word += strspn(word, " ")) {
		size_t length = strcspn(word, " ");
		const char *path = arena_printf(arena, "%s%.*s", m->destination,
		                                (int)(length - root), word + root);

		word += length;
		if (!is_listed(&f->plan->masked_paths, path) &&
		    !(readonly_will_do && is_listed(&f->plan->readonly_paths, path)))
			open = open != NULL ? arena_printf(arena, "%s, %s", open, path) : path;
	}
	return open;
}

/* The filesystem may be there more than once, under other names than its usual one. */
static void
find_paths(struct finder *f, bool readonly_will_do)
{
	const char *type = strncmp(f->rule->text, "/proc", 5) == 0 ? "proc" : "sysfs";
	const char *open = NULL;

	for (size_t i = 0; i < f->plan->mount_count; i++) {
		const struct mount_plan *m = &f->plan->mounts[i];

		if (m->kind == MOUNT_FILESYSTEM && strcmp(m->type, type) == 0 &&
		    !(readonly_will_do && is_readonly(m)))
			open = add_open_paths(f, m, readonly_will_do, open);
	}
	if (open != NULL)
		explain_found(f, NULL, open);
}

void
find_unmasked(struct finder *f)
{
	find_paths(f, false);
}

void
find_writable_path(struct finder *f)
{
	find_paths(f, true);
}

/* Devices --------------------------------------------------------------------- */

/* "b *:*", "c 1:1": is it one of the rule's list, which has commas in between? */
static bool
is_device(const char *list, const struct config_device *d)
{
	char text[64];

	for (; *list != '\0'; list += strspn(list, ", ")) {
		size_t length = strcspn(list, ",");
		char type = list[0];
		bool any_major = strncmp(list, "b *", 3) == 0 || strncmp(list, "c *", 3) == 0;

		snprintf(text, sizeof(text), "%c %" PRId64 ":%" PRId64, type, *d->major,
		         list[length - 1] == '*' ? 0 : *d->minor);
		if (list[length - 1] == '*')
			strcpy(strchr(text, ':') + 1, "*");
		if (type == (d->type[0] == 'b' ? 'b' : 'c') &&
		    (any_major || (strlen(text) == length && memcmp(text, list, length) == 0)))
			return true;
		list += length;
	}
	return false;
}

void
find_device(struct finder *f)
{
	const struct objects *list = &f->config->linux_->devices;
	const struct config_device *rows = list->items;

	for (size_t i = 0; i < list->count; i++) {
		if (f->claimed_devices[i] || rows[i].type[0] == 'p' || rows[i].major == NULL ||
		    rows[i].minor == NULL || !is_device(f->rule->text, &rows[i]))
			continue;
		f->claimed_devices[i] = true;
		explain_found(f, rows[i].at, rows[i].path);
	}
}

/* The last rule that matches decides; the ones of the config stand in front. */
static bool
find_rule(const struct finder *f, char type, int64_t major, int64_t minor, const struct json **ret)
{
	enum { READ_WRITE = 2 | 4 };
	const struct config_resources *r = f->config->linux_->resources;
	size_t count = r != NULL ? r->devices.count : 0;

	for (size_t i = f->plan->device_rule_count; i-- > 0;) {
		const struct device_rule *rule = &f->plan->device_rules[i];

		if ((rule->type != 'a' && rule->type != type) || (rule->access & READ_WRITE) == 0 ||
		    (rule->major >= 0 && rule->major != major) ||
		    (rule->minor >= 0 && rule->minor != minor))
			continue;
		*ret = i < count ? ((const struct config_device_rule *)r->devices.items)[i].at
		                 : NULL;
		return rule->allow;
	}
	return false;
}

/* What a rule opens if it does not say it closer; ANY: what the rule itself says. */
enum { ANY = -1, SOME_DISK = 8 };

static bool
find_probe(struct finder *f, const struct device_rule *rule)
{
	static const struct probe {
		char type;
		int64_t major, minor;
		const char *what;
	} probes[] = {
		{'b', ANY, ANY, "disks"},
		{'c', 1, 1, "the memory of the host"},
		{'c', 1, 2, "the memory of the kernel"},
		{'c', 1, 4, "ports of the hardware"},
	};
	const struct json *at;

	for (const struct probe *p = probes; p < probes + ARRAY_SIZE(probes); p++) {
		int64_t major = p->major != ANY      ? p->major
		                : rule->major != ANY ? rule->major
		                                     : SOME_DISK;
		int64_t minor = p->minor != ANY ? p->minor : rule->minor != ANY ? rule->minor : 0;

		if ((rule->type != 'a' && rule->type != p->type) ||
		    !find_rule(f, p->type, major, minor, &at))
			continue;
		explain_found(f, at, p->what);
		return true;
	}
	return false;
}

/* Nodes that the config makes are no matter of the filter: find_device(). */
void
find_open_devices(struct finder *f)
{
	const struct config_resources *r = f->config->linux_->resources;
	size_t count = r != NULL ? r->devices.count : 0;

	if (!f->plan->cgroup.wanted && f->confined)
		f->count++; /* no filter, but an ordinary user may not open devices either */
	else if (!f->plan->cgroup.wanted)
		explain_found(f, NULL, "there is no cgroup that a filter could be on");
	for (size_t i = 0; i < count && f->plan->cgroup.wanted; i++)
		if (f->plan->device_rules[i].allow && find_probe(f, &f->plan->device_rules[i]))
			return;
}

void
find_net_device(struct finder *f)
{
	for (size_t i = 0; i < f->plan->net_device_count; i++)
		explain_found(f, f->plan->net_devices[i].at, f->plan->net_devices[i].name);
}

/* Hooks ----------------------------------------------------------------------- */

static void
find_in_rootfs(struct finder *f, const struct objects *hooks, const char *rootfs)
{
	const struct config_hook *rows = hooks->items;

	for (size_t i = 0; i < hooks->count; i++)
		if (explain_is_there(clean_path(f->problems->arena, rows[i].path), rootfs,
		                     PATH_BELOW))
			explain_found(f, rows[i].at, rows[i].path);
}

/* Hooks of the runtime namespace; those of the container run what is in it. */
void
find_hook_in_rootfs(struct finder *f)
{
	const struct config_hooks *hooks = f->config->hooks;
	const char *rootfs = clean_path(f->problems->arena, f->plan->rootfs);

	if (hooks == NULL)
		return;
	find_in_rootfs(f, &hooks->prestart, rootfs);
	find_in_rootfs(f, &hooks->create_runtime, rootfs);
	find_in_rootfs(f, &hooks->poststart, rootfs);
	find_in_rootfs(f, &hooks->poststop, rootfs);
}
