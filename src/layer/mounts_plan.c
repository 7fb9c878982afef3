/* SPDX-License-Identifier: MIT */
/*
 * What mounts[] asks for, resolved: attributes, propagation, superblock flags
 * and data apart, as the mount API of Linux 5.2 takes them. Refused here, as
 * any user: options without a meaning for a bind mount, targets inside /proc
 * (a container must not be able to disguise what the kernel says), the root.
 */
#include "hako/mounts.h"
#include "hako/log.h"
#include "hako/mount_options.h"
#include "hako/path.h"
#include "hako/problem.h"
#include "hako/syscall.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

static void
add_flag(struct arena *arena, struct mount_plan *m, const char *flag)
{
	/* an array as long as all options could need was made by plan_mount() */
	m->flags.items[m->flags.count++] = arena_strdup(arena, flag);
}

static void
add_data(struct arena *arena, struct mount_plan *m, const char *key, size_t length,
         const char *value)
{
	struct string_pair *pair = &m->data.items[m->data.count++];

	pair->key = arena_strndup(arena, key, length);
	pair->value = arena_strdup(arena, value);
}

/* A comma can belong to a value as well, for which filesystems have rules of their own. */
static size_t
option_length(const struct mount_plan *m, const char *text)
{
	bool overlay = strcmp(m->type, "overlay") == 0, tmpfs = strcmp(m->type, "tmpfs") == 0;
	const char *p = text;

	for (; *p != '\0' && (*p != ',' || (tmpfs && isdigit((unsigned char)p[1]))); p++)
		if (overlay && *p == '\\' && p[1] != '\0')
			p++;
	return (size_t)(p - text);
}

/* Filesystem options: each "key" or "key=value", also several with commas between. */
static void
plan_data(struct arena *arena, struct mount_plan *m, const char *option)
{
	for (size_t length; *option != '\0'; option += length + (option[length] == ',')) {
		char *word, *equal;

		length = option_length(m, option);
		if (length == 0)
			continue;
		word = arena_strndup(arena, option, length);
		equal = strchr(word, '=');
		if (equal == NULL)
			add_flag(arena, m, word);
		else
			add_data(arena, m, word, (size_t)(equal - word), equal + 1);
	}
}

struct option_state {
	bool bind;
	bool remount;
	size_t propagations;
	struct idmap_option idmap;
};

static void
plan_kind(struct mount_plan *m, struct option_state *s, const struct mount_option *o,
          const char *word, const struct json *at)
{
	s->bind |= o->bind;
	s->remount |= o->remount;
	m->recursive |= o->bind && o->recursive;
	m->tmpcopyup |= o->tmpcopyup;
	m->source_nofollow |= o->source_nofollow;
	m->destination_nofollow |= o->destination_nofollow;
	m->copy_symlink |= o->copy_symlink;
	if (o->idmap) {
		const char *equal = strchr(word, '=');

		s->idmap = (struct idmap_option){
			.at = at,
			.maps = equal != NULL ? equal + 1 : NULL,
			.recursive = o->recursive,
		};
	}
}

static int
plan_option(struct planner *p, struct mount_plan *m, struct option_state *s, const char *word,
            const struct json *at, struct error *e)
{
	const struct mount_option *o = mount_option_find(word);
	uint64_t *set = &m->attr_set, *clear = &m->attr_clear;

	if (o == NULL) {
		plan_data(p->arena, m, word);
		return 0;
	}
	if (o->recursive && !o->bind) {
		set = &m->recursive_set;
		clear = &m->recursive_clear;
	}
	*set = (*set & ~o->attr_clear) | o->attr_set;
	*clear = (*clear & ~o->attr_set) | o->attr_clear;
	plan_kind(m, s, o, word, at);
	if (o->superblock != NULL)
		add_flag(p->arena, m, o->superblock);
	if (o->propagation != 0) {
		if (s->propagations == ARRAY_SIZE(m->propagation))
			return json_error(at, e, 0, "mount-invalid",
			                  "more than %zu propagation options",
			                  ARRAY_SIZE(m->propagation));
		m->propagation[s->propagations++] = o->propagation;
	}
	return 0;
}

static size_t
count_words(const struct strings *options)
{
	size_t words = 2;

	for (size_t i = 0; i < options->count; i++)
		for (const char *s = options->items[i]; s != NULL; s = strchr(s + 1, ','))
			words++;
	return words;
}

/* devpts' gid=5 is what engines write; a user namespace without that group has no use for it. */
static int
drop_unmapped_gid(struct planner *p, struct mount_plan *m, struct error *e)
{
	const struct config_linux *lin = p->config->linux_;

	if (m->kind != MOUNT_FILESYSTEM || strcmp(m->type, "devpts") != 0 ||
	    !plan_creates(p->plan, CLONE_NEWUSER) || lin->gid_mappings.count == 0)
		return 0;
	for (size_t i = 0; i < m->data.count; i++) {
		uint64_t gid;

		if (strcmp(m->data.items[i].key, "gid") != 0 ||
		    parse_uint(m->data.items[i].value, UINT32_MAX, &gid) < 0 ||
		    id_mappings_find(&lin->gid_mappings, (uint32_t)gid) != NULL)
			continue;
		if (json_fallback(mount_option_at(m, "gid"), e, "gid-unmapped",
		                  "gid=%s of %s is not mapped: left out", m->data.items[i].value,
		                  m->destination) < 0)
			return -1;
		memmove(&m->data.items[i], &m->data.items[i + 1],
		        (m->data.count - i - 1) * sizeof(m->data.items[0]));
		m->data.count--;
		break;
	}
	return 0;
}

static void
decide_kind(struct planner *p, struct mount_plan *m, const struct option_state *s)
{
	bool readonly = (m->attr_set & MOUNT_ATTR_RDONLY) != 0;

	if (s->remount)
		m->kind = s->bind ? MOUNT_BIND_REMOUNT : MOUNT_REMOUNT;
	else if (s->bind)
		m->kind = MOUNT_BIND;
	else if (strcmp(m->type, "cgroup") == 0 || strcmp(m->type, "cgroup2") == 0)
		m->kind = MOUNT_CGROUP;
	else
		m->kind = MOUNT_FILESYSTEM;
	if (m->kind == MOUNT_CGROUP)
		m->type = "cgroup2";
	if (!readonly || m->kind == MOUNT_REMOUNT || m->kind == MOUNT_BIND_REMOUNT)
		return;
	m->readonly_late = (m->kind == MOUNT_FILESYSTEM && strcmp(m->type, "tmpfs") == 0) ||
	                   strcmp(m->destination, "/dev") == 0;
	if (m->readonly_late)
		m->attr_set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	else if (m->kind == MOUNT_FILESYSTEM)
		add_flag(p->arena, m, "ro");
}

static bool
has_word(const char *option, const char *name)
{
	size_t length = strlen(name);

	for (; option != NULL; option = strchr(option, ',')) {
		option += *option == ',';
		if (strncmp(option, name, length) == 0 && strchr("=,", option[length]) != NULL)
			return true;
	}
	return false;
}

const struct json *
mount_option_at(const struct mount_plan *m, const char *name)
{
	const struct json *options = json_member(m->at, "options");
	const struct json *item = options != NULL ? options->first : NULL;

	while (item != NULL && !has_word(item->text, name))
		item = item->next;
	return item != NULL ? item : options != NULL ? options : m->at;
}

/* A word that the kernel would ignore on a bind mount is a mistake. */
static int
check_bind(const struct mount_plan *m, struct error *e)
{
	if (m->kind != MOUNT_BIND && m->kind != MOUNT_BIND_REMOUNT)
		return 0;
	if (m->data.count > 0)
		return json_error(mount_option_at(m, m->data.items[0].key), e, 0, "mount-invalid",
		                  "option \"%s=%s\" has no meaning for a bind mount",
		                  m->data.items[0].key, m->data.items[0].value);
	for (size_t i = 0; i < m->flags.count; i++) {
		const struct mount_option *o = mount_option_find(m->flags.items[i]);

		if (o == NULL)
			return json_error(
				mount_option_at(m, m->flags.items[i]), e, 0, "mount-invalid",
				"option \"%s\" has no meaning for a bind mount", m->flags.items[i]);
	}
	if (m->kind == MOUNT_BIND && m->source == NULL)
		return json_error(m->at, e, 0, "mount-invalid", "a bind mount needs a source");
	return 0;
}

static int
check_type(const struct config_mount *c, const struct mount_plan *m, struct error *e)
{
	static const char advice[] = "a bind mount has bind or rbind among its options";

	if (m->kind != MOUNT_FILESYSTEM)
		return 0;
	if (c->type == NULL)
		return config_error(c->at, "type", e, "mount-invalid", "type is missing; %s",
		                    advice);
	if (strcmp(c->type, "bind") != 0 && strcmp(c->type, "none") != 0)
		return 0;
	return config_error(c->at, "type", e, "mount-invalid", "\"%s\" is no filesystem: %s",
	                    c->type, advice);
}

static int
check_links(const struct mount_plan *m, struct error *e)
{
	const char *word = m->copy_symlink           ? "copy-symlink"
	                   : m->source_nofollow      ? "src-nofollow"
	                   : m->destination_nofollow ? "dest-nofollow"
	                                             : NULL;

	if (word != NULL && m->kind != MOUNT_BIND)
		return json_error(mount_option_at(m, word), e, 0, "mount-invalid",
		                  "%s is only for bind mounts", word);
	if (m->copy_symlink && (m->source_nofollow || m->destination_nofollow))
		return json_error(mount_option_at(m, "copy-symlink"), e, 0, "mount-invalid",
		                  "copy-symlink excludes src-nofollow and dest-nofollow");
	return 0;
}

/* Below /proc only the files that lxcfs provides may be covered: the rest is the kernel's word. */
static const char *const proc_files[] = {
	"/proc/cpuinfo",
	"/proc/diskstats",
	"/proc/loadavg",
	"/proc/meminfo",
	"/proc/slabinfo",
	"/proc/stat",
	"/proc/swaps",
	"/proc/uptime",
	"/proc/net/dev",
	"/proc/sys/kernel/ns_last_pid",
	"/proc/sys/crypto/fips_enabled",
};

static int
check_destination(const struct mount_plan *m, struct error *e)
{
	if (strcmp(m->destination, "/") == 0)
		return config_error(m->at, "destination", e, "mount-invalid",
		                    "a mount over / would hide the root filesystem");
	if (strcmp(m->destination, "/proc") == 0 && m->kind == MOUNT_FILESYSTEM &&
	    strcmp(m->type, "proc") != 0)
		return config_error(m->at, "destination", e, "mount-invalid",
		                    "/proc must be of type proc");
	if (strncmp(m->destination, "/proc/", 6) != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(proc_files); i++)
		if (strcmp(m->destination, proc_files[i]) == 0)
			return 0;
	return config_error(m->at, "destination", e, "mount-invalid",
	                    "cannot mount %s: it is inside /proc", m->destination);
}

/*
 * proc, sysfs and cgroup2 are labelled by the policy; a message queue filesystem
 * belongs to the IPC namespace, was mounted before, and takes no other context.
 */
static void
plan_label(const struct plan *plan, struct mount_plan *m)
{
	if (plan->mount_label.value == NULL || m->kind != MOUNT_FILESYSTEM ||
	    strcmp(m->type, "proc") == 0 || strcmp(m->type, "sysfs") == 0)
		return;
	m->label = strcmp(m->type, "mqueue") == 0 ? MOUNT_LABEL_ROOT : MOUNT_LABEL_OPTION;
}

/* The host's name of a place in the rootfs: runc takes it for that place, and so do its callers. */
static const char *
strip_rootfs(const struct plan *plan, const char *destination)
{
	size_t length = strlen(plan->rootfs);

	return length > 1 && strncmp(destination, plan->rootfs, length) == 0 &&
	                       destination[length] == '/'
	               ? destination + length
	               : destination;
}

static int
plan_destination(struct planner *p, const struct config_mount *c, struct mount_plan *m,
                 struct error *e)
{
	size_t room = strlen(c->destination) + sizeof("/"); /* it may lack the first one */
	char *path = arena_alloc(p->arena, room);

	if (path_normalise(c->destination, path, room < PATH_MAX ? room : PATH_MAX) < 0)
		return json_error(json_member(c->at, "destination"), e, errno, "mount-invalid",
		                  "destination");
	m->destination = strip_rootfs(p->plan, path);
	return 0;
}

static int
plan_mount(struct planner *p, const struct config_mount *c, struct mount_plan *m, struct error *e)
{
	struct option_state s = {0};
	size_t words = count_words(&c->options);
	const struct json *at = c->options.at != NULL ? c->options.at->first : NULL;

	if (plan_destination(p, c, m, e) < 0)
		return -1;
	m->at = c->at;
	m->type = c->type != NULL ? c->type : "none";
	m->source = c->source;
	m->flags.items = arena_array(p->arena, words, sizeof(char *));
	m->data.items = arena_array(p->arena, words, sizeof(struct string_pair));
	for (size_t i = 0; i < c->options.count; i++, at = at != NULL ? at->next : NULL)
		if (plan_option(p, m, &s, c->options.items[i], at, e) < 0)
			return -1;
	decide_kind(p, m, &s);
	plan_label(p->plan, m);
	if (check_type(c, m, e) < 0 || drop_unmapped_gid(p, m, e) < 0 || check_bind(m, e) < 0 ||
	    check_links(m, e) < 0 || check_destination(m, e) < 0 ||
	    mount_idmap_plan(p, c, &s.idmap, m, e) < 0)
		return -1;
	if (m->kind == MOUNT_BIND && m->source[0] != '/')
		m->source = arena_printf(p->arena, "%s/%s", p->plan->options.bundle, m->source);
	if (m->tmpcopyup && strcmp(m->type, "tmpfs") != 0)
		return json_error(mount_option_at(m, "tmpcopyup"), e, 0, "mount-invalid",
		                  "tmpcopyup is only for tmpfs");
	return 0;
}

static const char *const context_types[] = {"context", "fscontext", "defcontext", "rootcontext"};

/* Which of SELinux's mount options says the label (mount(8)); Podman has a use for rootcontext. */
static int
plan_mount_label(struct planner *p, struct error *e)
{
	const struct string_map *annotations = &p->config->annotations;
	struct string_pair *label = &p->plan->mount_label;
	const char *name = annotation_names[ANNOTATION_MOUNT_CONTEXT];
	const char *wanted = string_map_find(annotations, name);

	label->value = p->config->linux_->mount_label;
	label->key = context_types[0];
	if (wanted == NULL)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(context_types); i++)
		if (strcmp(wanted, context_types[i]) == 0) {
			label->key = context_types[i];
			return 0;
		}
	return json_error(json_member(annotations->at, name), e, 0, "mount-invalid",
	                  "expected context, fscontext, defcontext or rootcontext, found \"%.40s\"",
	                  wanted);
}

/* Where the socket of notify.c is bound. The last of all: another one may cover /run. */
static void
plan_notify_folder(struct planner *p)
{
	static const char *const data[][2] = {{"mode", "755"}, {"size", "4k"}, {"nr_inodes", "2"}};
	struct mount_plan *m = &p->plan->mounts[p->plan->mount_count++];

	*m = (struct mount_plan){
		.kind = MOUNT_FILESYSTEM,
		.destination = NOTIFY_FOLDER,
		.type = "tmpfs",
		.source = "tmpfs",
		.readonly_late = true,
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
	};
	m->data.items = arena_array(p->arena, ARRAY_SIZE(data), sizeof(*m->data.items));
	for (size_t i = 0; i < ARRAY_SIZE(data); i++)
		add_data(p->arena, m, data[i][0], strlen(data[i][0]), data[i][1]);
	plan_label(p->plan, m);
}

LAYER_PLAN(mounts_plan)
{
	const struct config_mount *rows = p->config->mounts.items;
	struct plan *plan = p->plan;

	if (plan_mount_label(p, e) < 0)
		return -1;
	plan->mounts = arena_array(p->arena, p->config->mounts.count + 1, sizeof(*plan->mounts));
	for (size_t i = 0; i < p->config->mounts.count; i++) {
		struct mount_plan *m = &plan->mounts[plan->mount_count];

		if (json_is_faulty(rows[i].at))
			continue;
		if (plan_mount(p, &rows[i], m, e) == 0)
			plan->mount_count++;
		else if (json_goes_on(rows[i].at))
			*m = (struct mount_plan){0};
		else
			return -1;
	}
	if (json_goes_on(p->config->at))
		mounts_warn_of_hidden(p->arena, plan);
	if (plan->notify)
		plan_notify_folder(p);
	return 0;
}
