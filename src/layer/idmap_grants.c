/* SPDX-License-Identifier: MIT */
/* /etc/subuid and /etc/subgid (subuid(5)): which of the host's ids a user may map. */
#include "hako/idmap.h"
#include "hako/mem.h"
#include "hako/names.h"
#include "hako/passwd.h"
#include "hako/words.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct idmap_helper idmap_helpers[] = {
	[IDMAP_UIDS] = {"newuidmap", "/etc/subuid"},
	[IDMAP_GIDS] = {"newgidmap", "/etc/subgid"},
};

struct idmap_user
idmap_user_of(uint32_t uid)
{
	autoclose int passwd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	struct idmap_user user;

	snprintf(user.number, sizeof(user.number), "%u", uid);
	snprintf(user.name, sizeof(user.name), "%u", uid);
	if (passwd >= 0)
		(void)passwd_lookup(passwd, uid, PASSWD_NAME, user.name, sizeof(user.name));
	return user;
}

/* NAME:FIRST:COUNT, where the name may be a number: is it one of the user's? */
static bool
parse_grant(char *line, const struct idmap_user *user, uint64_t *ret_first, uint64_t *ret_count)
{
	const char *owner = words_take(&line, ":\n");
	const char *first = words_take(&line, ":\n"), *count = words_take(&line, ":\n");

	return count != NULL &&
	       (strcmp(owner, user->name) == 0 || strcmp(owner, user->number) == 0) &&
	       parse_uint(first, UINT32_MAX, ret_first) == 0 &&
	       parse_uint(count, UINT32_MAX, ret_count) == 0 && *ret_count > 0;
}

struct idmap_grants
idmap_read_grants(enum idmap_kind kind, const struct idmap_user *user, uint64_t id)
{
	FILE *f = fopen(idmap_helpers[kind].file, "re");
	struct idmap_grants grants = {0};
	autofree char *line = NULL;
	uint64_t first, count;
	size_t size = 0;

	while (f != NULL && getline(&line, &size, f) > 0) {
		if (!parse_grant(line, user, &first, &count))
			continue;
		if (grants.last == 0) {
			grants.first = first;
			grants.last = first + count - 1;
		}
		if (id >= first && id - first < count && grants.count < first + count - id)
			grants.count = first + count - id;
	}
	if (f != NULL)
		fclose(f);
	return grants;
}

bool
idmap_is_granted(enum idmap_kind kind, const struct idmap_user *user,
                 const struct config_id_mapping *row, uint32_t own_id)
{
	uint64_t id = row->host_id, end = id + row->size, count;

	if (row->size == 1 && row->host_id == own_id)
		return true;
	for (; id < end; id += count) {
		count = idmap_read_grants(kind, user, id).count;
		if (count == 0)
			return false;
	}
	return true;
}
