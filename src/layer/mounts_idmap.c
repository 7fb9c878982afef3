/* SPDX-License-Identifier: MIT */
/*
 * Idmapped mounts (config.md "Mounts": uidMappings, gidMappings, idmap, ridmap):
 * a bind mount shows files as owned by others than the filesystem says
 * (mount_setattr(2), MOUNT_ATTR_IDMAP). The kernel takes the maps as a user
 * namespace: the container's own where they are the same, else one that a child
 * makes and leaves to a descriptor. It wants privileges over the filesystem and
 * over that namespace, and a tree that was never attached: so it is done by the
 * parent, before init attaches the tree; with the container's own namespace, when
 * that has its maps.
 */
#include "hako/mounts.h"
#include "hako/proc.h"
#include "hako/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* Plan: the maps of an option -------------------------------------------------- */

/* "C-H-S": three numbers. */
static int
parse_mapping(char *text, struct config_id_mapping *ret)
{
	uint64_t numbers[3];

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		const char *number = strsep(&text, "-");

		if (number == NULL || parse_uint(number, UINT32_MAX, &numbers[i]) < 0)
			return -1;
	}
	ret->container_id = (uint32_t)numbers[0];
	ret->host_id = (uint32_t)numbers[1];
	ret->size = (uint32_t)numbers[2];
	if (text != NULL || numbers[2] == 0)
		return -1;
	return numbers[0] + numbers[2] > UINT32_MAX || numbers[1] + numbers[2] > UINT32_MAX ? -1
	                                                                                    : 0;
}

static void
add_row(struct objects *rows, const struct config_id_mapping *row)
{
	((struct config_id_mapping *)rows->items)[rows->count++] = *row;
}

/* "@": H is an id of the container; on the host it may come in several pieces. */
static int
add_relative(struct objects *rows, const struct objects *own, struct config_id_mapping row)
{
	while (row.size > 0) {
		const struct config_id_mapping *outer = id_mappings_find(own, row.host_id);
		struct config_id_mapping piece = row;
		uint32_t skip;

		if (outer == NULL)
			return -1;
		skip = row.host_id - outer->container_id;
		piece.host_id = outer->host_id + skip;
		if (piece.size > outer->size - skip)
			piece.size = outer->size - skip;
		add_row(rows, &piece);
		row.container_id += piece.size;
		row.host_id += piece.size;
		row.size -= piece.size;
	}
	return 0;
}

static size_t
count_char(const char *text, char c)
{
	size_t n = 0;

	while ((text = strchr(text, c)) != NULL) {
		text++;
		n++;
	}
	return n;
}

/* "C-H-S#@C-H-S#...": own are the mappings that @ refers to. */
static int
parse_maps(struct planner *p, const struct json *at, char *text, const struct objects *own,
           struct objects *ret, struct error *e)
{
	size_t most = (count_char(text, '#') + 1) * (own->count + 1);
	struct config_id_mapping row = {.at = at};
	char *word;

	*ret = (struct objects){.items = arena_array(p->arena, most, sizeof(row)), .at = at};
	while ((word = strsep(&text, "#")) != NULL) {
		bool relative = word[0] == '@';
		const char *shown = arena_strdup(p->arena, word);

		if (parse_mapping(word + relative, &row) < 0)
			return json_error(at, e, 0, "mount-invalid",
			                  "\"%s\" is not a mapping: expected ID-ID-SIZE", shown);
		if (!relative)
			add_row(ret, &row);
		else if (add_relative(ret, own, row) < 0)
			return json_error(at, e, 0, "mount-invalid",
			                  "\"%s\" is not within the mappings of the container's "
			                  "user namespace",
			                  shown);
	}
	return id_mappings_check(ret, e);
}

/* "uids=...;gids=..." */
static int
parse_option(struct planner *p, const struct idmap_option *option, struct objects *ret_uids,
             struct objects *ret_gids, struct error *e)
{
	const struct config_linux *lin = p->config->linux_;
	char *text = arena_strdup(p->arena, option->maps), *word;

	while ((word = strsep(&text, ";")) != NULL) {
		bool uids = strncmp(word, "uids=", 5) == 0;

		if (!uids && strncmp(word, "gids=", 5) != 0)
			return json_error(option->at, e, 0, "mount-invalid",
			                  "\"%s\" is neither uids=... nor gids=...", word);
		if (parse_maps(p, option->at, word + 5,
		               uids ? &lin->uid_mappings : &lin->gid_mappings,
		               uids ? ret_uids : ret_gids, e) < 0)
			return -1;
	}
	if (ret_uids->count == 0 || ret_gids->count == 0)
		return json_error(option->at, e, 0, "mount-invalid",
		                  "both uids=... and gids=... are needed");
	return 0;
}

/* Plan -------------------------------------------------------------------------- */

/* Texts that are those of the container's own new user namespace need no other. */
static void
set_maps(struct planner *p, struct mount_idmap *map, const struct objects *uids,
         const struct objects *gids)
{
	const struct config_linux *lin = p->config->linux_;

	map->uid_map = id_mappings_text(p->arena, uids);
	map->gid_map = id_mappings_text(p->arena, gids);
	if (plan_creates(p->plan, CLONE_NEWUSER) &&
	    strcmp(map->uid_map, id_mappings_text(p->arena, &lin->uid_mappings)) == 0 &&
	    strcmp(map->gid_map, id_mappings_text(p->arena, &lin->gid_mappings)) == 0)
		map->uid_map = map->gid_map = NULL;
}

static int
decide_maps(struct planner *p, const struct config_mount *c, const struct idmap_option *option,
            struct mount_idmap *map, struct error *e)
{
	struct objects uids = {0}, gids = {0};

	if (c->uid_mappings.count > 0) {
		set_maps(p, map, &c->uid_mappings, &c->gid_mappings);
		return 0;
	}
	if (option->maps != NULL) {
		if (parse_option(p, option, &uids, &gids, e) < 0)
			return -1;
		set_maps(p, map, &uids, &gids);
		return 0;
	}
	if (plan_isolates(p->plan, CLONE_NEWUSER))
		return 0;
	return json_error(
		option->at, e, 0, "mount-invalid",
		"an idmapped mount needs uidMappings and gidMappings, or a container with "
		"a user namespace");
}

int
mount_idmap_plan(struct planner *p, const struct config_mount *c, const struct idmap_option *option,
                 struct mount_plan *m, struct error *e)
{
	struct mount_idmap *map;

	if (option->at == NULL && c->uid_mappings.count == 0)
		return 0;
	map = arena_alloc(p->arena, sizeof(*map));
	map->at = option->at != NULL ? option->at : c->uid_mappings.at;
	map->recursive = option->recursive;
	m->idmap = map;
	if (m->kind != MOUNT_BIND)
		return json_error(map->at, e, 0, "mount-invalid",
		                  "only a bind mount can be idmapped");
	return decide_maps(p, c, option, map, e);
}

/* Map ----------------------------------------------------------------------------- */

int
mount_idmap_apply(const struct mount_plan *m, int tree, int user_ns, struct error *e)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned)user_ns};
	unsigned flags = AT_EMPTY_PATH | (m->idmap->recursive ? AT_RECURSIVE : 0);

	if (mount_setattr(tree, "", flags, &attr, sizeof(attr)) == 0)
		return 0;
	if (errno == EINVAL)
		return json_error(m->idmap->at, e, EINVAL, "mount-unsupported",
		                  "idmap %s: this kernel cannot do it for the filesystem of %s%s",
		                  m->destination, m->source,
		                  m->idmap->recursive ? " or for one below it" : "");
	if (errno == EPERM)
		return json_error(m->idmap->at, e, EPERM, "mount-failed",
		                  "idmap %s: it takes root's privileges over the filesystem of %s, "
		                  "and one that is not idmapped already",
		                  m->destination, m->source);
	return json_error(m->idmap->at, e, errno, "mount-failed", "idmap %s", m->destination);
}

static bool
is_same(const struct mount_idmap *a, const struct mount_idmap *b)
{
	return a != NULL && a->uid_map != NULL && strcmp(a->uid_map, b->uid_map) == 0 &&
	       strcmp(a->gid_map, b->gid_map) == 0;
}

/* Of the namespaces to join, the user namespace. */
static int
find_joined(const struct plan *plan, const struct handles *h)
{
	for (size_t i = 0; i < plan->join_count; i++)
		if (plan->joins[i].type == CLONE_NEWUSER)
			return h->namespaces[i];
	return -1;
}

int
mount_idmap_probe(const struct plan *plan, const struct mount_plan *m, struct error *e)
{
	return plan->options.host_uid == 0 ? 0
	                                   : json_error(m->idmap->at, e, 0, "mount-unsupported",
	                                                "only root can make idmapped mounts");
}

int
mount_idmap_open(const struct plan *plan, struct handles *h, size_t i, struct error *e)
{
	const struct mount_idmap *map = plan->mounts[i].idmap;

	if (mount_idmap_probe(plan, &plan->mounts[i], e) < 0)
		return -1;
	if (map->uid_map == NULL) {
		h->mount_users[i] = find_joined(plan, h);
		return 0;
	}
	for (size_t k = 0; k < i && h->mount_users[i] < 0; k++)
		if (is_same(plan->mounts[k].idmap, map))
			h->mount_users[i] = h->mount_users[k];
	if (h->mount_users[i] < 0)
		h->mount_users[i] = userns_make(map->uid_map, map->gid_map);
	if (h->mount_users[i] < 0)
		return json_error(map->at, e, errno, "mount-failed",
		                  "make a user namespace for the mappings");
	return 0;
}

/* Init has all of them. Only many are in the way of what the parent is still to open. */
static void
let_go(const struct plan *plan, struct handles *h)
{
	if (h->mounts == NULL || h->descriptors_soft == 0)
		return;
	for (size_t i = 0; i < plan->mount_count; i++) {
		close_cleaner(&h->mounts[i]);
		h->mounts[i] = -1;
	}
	mounts_lower_descriptors(h);
}

/* Those that were waiting for the maps of the container's user namespace. */
LAYER_RUN(mounts_map)
{
	autoclose int user_ns = -1;

	for (size_t i = 0; h->mounts != NULL && i < plan->mount_count; i++) {
		const struct mount_plan *m = &plan->mounts[i];

		if (m->idmap == NULL || h->mounts[i] < 0 || h->mount_users[i] >= 0)
			continue;
		if (user_ns < 0)
			user_ns = proc_open_namespace(h->init_pid, "user");
		if (user_ns < 0)
			return json_error(m->idmap->at, e, errno, "mount-failed",
			                  "open the container's user namespace");
		if (mount_idmap_apply(m, h->mounts[i], user_ns, e) < 0)
			return -1;
	}
	let_go(plan, h);
	return 0;
}
