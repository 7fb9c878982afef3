/* SPDX-License-Identifier: MIT */
/*
 * The rules of mounts[] (config.md "Mounts"): none over the root filesystem; a
 * filesystem that shows a namespace can be mounted in a user namespace only if
 * that namespace is one of the container's own (user_namespaces(7)); one that a
 * later one hides is not what was meant. What single options mean is known to
 * the mounts layer.
 */
#include "hako/config.h"
#include "hako/path.h"
#include "hako/problem.h"

#include <limits.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>

/* Does the path, read without following links, lead to /? */
static bool
is_root(const char *path)
{
	size_t depth = 0;

	while (*path != '\0') {
		size_t length = strcspn(path, "/");
		bool up = length == 2 && memcmp(path, "..", 2) == 0;
		bool here = length == 0 || (length == 1 && path[0] == '.');

		if (up && depth > 0)
			depth--;
		else if (!up && !here)
			depth++;
		path += length;
		path += *path == '/';
	}
	return depth == 0;
}

static bool
has_option(const struct config_mount *mount, const char *option)
{
	size_t i;

	for (i = 0; i < mount->options.count; i++) {
		if (strcmp(mount->options.items[i], option) == 0)
			return true;
	}
	return false;
}

/* Type and source mean something: no bind mount, no change of one that exists. */
static bool
is_filesystem(const struct config_mount *mount)
{
	return mount->type != NULL && !has_option(mount, "bind") && !has_option(mount, "rbind") &&
	       !has_option(mount, "remount");
}

static int
check_type(const struct config *config, const struct config_mount *mount, struct error *e)
{
	if (config_namespace(config, CLONE_NEWUSER) == NULL || !is_filesystem(mount) ||
	    strcmp(mount->type, "mqueue") != 0)
		return 0;
	return config_need_namespace(config, CLONE_NEWIPC, mount->at, "type", e);
}

/* Both or none: the kernel maps nothing else. */
static int
check_mount_mappings(const struct config_mount *mount, struct error *e)
{
	const struct objects *uids = &mount->uid_mappings, *gids = &mount->gid_mappings;

	if ((uids->count == 0) != (gids->count == 0) && !json_is_faulty(mount->at))
		return json_error(uids->count > 0 ? uids->at : gids->at, e, 0, "config-missing",
		                  "%s needs %s beside it",
		                  uids->count > 0 ? "uidMappings" : "gidMappings",
		                  uids->count > 0 ? "gidMappings" : "uidMappings");
	if (json_stops(mount->at, id_mappings_check(uids, e)))
		return -1;
	return id_mappings_check(gids, e);
}

static int
check_mount(const struct config *config, const struct config_mount *mount, struct error *e)
{
	if (is_root(mount->destination))
		return config_error(mount->at, "destination", e, "config-value",
		                    "a mount over / would hide the root filesystem");
	if (json_stops(mount->at, check_mount_mappings(mount, e)))
		return -1;
	return check_type(config, mount, e);
}

/* What lies where, and the last of the mounts that lie there or above. */
struct place {
	const struct config_mount *mount;
	const char *path; /* normalised */
	const struct place *last;
};

/* A directory comes right before what is in it; on the same place the last comes first. */
static int
compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	const char *s = x->path, *t = y->path;

	while (*s == *t && *s != '\0') {
		s++;
		t++;
	}
	if (*s == *t)
		return (x->mount < y->mount) - (x->mount > y->mount);
	if (*s == '\0' || *t == '\0')
		return *s == '\0' ? -1 : 1;
	if (*s == '/' || *t == '/')
		return *s == '/' ? -1 : 1;
	return (unsigned char)*s < (unsigned char)*t ? -1 : 1;
}

static bool
is_at_or_below(const char *path, const char *directory)
{
	size_t length = strlen(directory);

	return strncmp(path, directory, length) == 0 &&
	       (path[length] == '\0' || path[length] == '/');
}

static size_t
list_places(const struct config *config, struct arena *arena, struct place *places)
{
	const struct config_mount *mounts = config->mounts.items;
	char path[PATH_MAX];
	size_t count = 0, i;

	for (i = 0; i < config->mounts.count; i++) {
		if (has_option(&mounts[i], "remount") || is_root(mounts[i].destination) ||
		    path_normalise(mounts[i].destination, path, sizeof(path)) < 0)
			continue;
		places[count++] = (struct place){&mounts[i], arena_strdup(arena, path), NULL};
	}
	return count;
}

/* For check alone: walk through the tree of places with the way up to / in `above`. */
static void
warn_of_hidden(const struct config *config, struct arena *arena)
{
	const struct config_mount *first = config->mounts.items;
	struct place *places = arena_array(arena, config->mounts.count, sizeof(*places));
	struct place **above = arena_array(arena, config->mounts.count, sizeof(struct place *));
	size_t count = list_places(config, arena, places), depth = 0, i;

	qsort(places, count, sizeof(*places), compare_places);
	for (i = 0; i < count; i++) {
		struct place *place = &places[i];

		while (depth > 0 && !is_at_or_below(place->path, above[depth - 1]->path))
			depth--;
		place->last = depth > 0 ? above[depth - 1]->last : place;
		if (place->last->mount > place->mount)
			json_warning(place->mount->at, "config-hidden",
			             "hidden by a later mount: /mounts/%zu on %s",
			             (size_t)(place->last->mount - first), place->last->path);
		else
			place->last = place;
		above[depth++] = place;
	}
}

int
mounts_check(const struct config *config, struct error *e)
{
	const struct config_mount *mounts = config->mounts.items;
	size_t i;

	for (i = 0; i < config->mounts.count; i++) {
		if (json_stops(mounts[i].at, check_mount(config, &mounts[i], e)))
			return -1;
	}
	if (config->mounts.count > 1 && json_goes_on(config->at))
		warn_of_hidden(config, json_problems(config->at)->arena);
	return 0;
}
