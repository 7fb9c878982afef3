/* SPDX-License-Identifier: MIT */
/*
 * linux.sysctl: only what a namespace of the container keeps to itself may be
 * set, everything else would change the host. Names come with dots
 * (net.ipv4.conf.eth0/1.forwarding) or with slashes
 * (net/ipv4/conf/eth0.1/forwarding), as in sysctl(8): the first separator
 * decides. They leave here as the path below /proc/sys.
 */
#include "hako/config.h"
#include "hako/problem.h"

#include <linux/sched.h>
#include <string.h>

/* A name, or everything below it when it ends in a slash. */
static const struct sysctl {
	const char *path;
	int type; /* of the namespace it belongs to: CLONE_NEW... */
} sysctls[] = {
	{"fs/mqueue/", CLONE_NEWIPC},    {"kernel/msgmax", CLONE_NEWIPC},
	{"kernel/msgmnb", CLONE_NEWIPC}, {"kernel/msgmni", CLONE_NEWIPC},
	{"kernel/sem", CLONE_NEWIPC},    {"kernel/shm_rmid_forced", CLONE_NEWIPC},
	{"kernel/shmall", CLONE_NEWIPC}, {"kernel/shmmax", CLONE_NEWIPC},
	{"kernel/shmmni", CLONE_NEWIPC}, {"kernel/domainname", CLONE_NEWUTS},
	{"net/", CLONE_NEWNET},          {"user/", CLONE_NEWUSER},
};

/* The name with slashes, in memory of its own: errors still show it as written. */
static char *
make_path(struct arena *arena, const char *name)
{
	char *path = arena_strdup(arena, name), *c;

	if (path[strcspn(path, "./")] != '.')
		return path;
	for (c = path; *c != '\0'; c++) {
		if (*c == '.' || *c == '/')
			*c = *c == '.' ? '/' : '.';
	}
	return path;
}

/* Components that are names: no "", "." or "..". */
static bool
is_plain(const char *path)
{
	for (;;) {
		size_t length = strcspn(path, "/");

		if (length == 0 || strspn(path, ".") == length)
			return false;
		if (path[length] == '\0')
			return true;
		path += length + 1;
	}
}

static const struct sysctl *
find_sysctl(const char *path)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sysctls); i++) {
		size_t length = strlen(sysctls[i].path);
		bool below = sysctls[i].path[length - 1] == '/';

		if (below ? strncmp(path, sysctls[i].path, length) == 0
		          : strcmp(path, sysctls[i].path) == 0)
			return &sysctls[i];
	}
	return NULL;
}

int
sysctl_namespace(const char *path)
{
	const struct sysctl *sysctl = find_sysctl(path);

	return sysctl != NULL ? sysctl->type : 0;
}

static int
check_one(const struct config *config, const struct string_pair *pair, struct error *e)
{
	const struct sysctl *sysctl = find_sysctl(pair->key);

	if (!is_plain(pair->key))
		return json_error(pair->at, e, 0, "config-value", "not a name below /proc/sys");
	if (strcmp(pair->key, "kernel/hostname") == 0)
		return json_error(pair->at, e, 0, "config-value",
		                  "set the property /hostname instead");
	if (sysctl == NULL)
		return json_error(pair->at, e, 0, "config-value",
		                  "this sysctl belongs to no namespace: it would change the host");
	if (sysctl->type == CLONE_NEWUTS && config->domainname != NULL &&
	    strcmp(config->domainname, pair->value) != 0)
		return json_error(pair->at, e, 0, "config-value",
		                  "the property /domainname sets this already, to \"%s\"",
		                  config->domainname);
	return config_need_namespace(config, sysctl->type, pair->at, NULL, e);
}

int
sysctl_check(struct arena *arena, const struct config *config, struct error *e)
{
	const struct string_map *map = &config->linux_->sysctl;
	size_t i;

	for (i = 0; i < map->count; i++) {
		map->items[i].key = make_path(arena, map->items[i].key);
		if (json_stops(map->at, check_one(config, &map->items[i], e)))
			return -1;
	}
	return 0;
}
