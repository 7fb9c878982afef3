/* SPDX-License-Identifier: MIT */
/*
 * What newuidmap(1) and newgidmap(1) will say: they are installed, and
 * /etc/subuid and /etc/subgid (subuid(5)) grant this user the host's ids. Where
 * another source of them is configured (nsswitch.conf, "subid:") nothing can be
 * known.
 */
#include "hako/file.h"
#include "hako/layer.h"
#include "hako/passwd.h"
#include "hako/syscall.h"
#include "hako/words.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct helper {
	const char *program;
	const char *file; /* what it goes by */
	uint32_t own;     /* the caller's id: may be mapped alone */
	const struct objects *mappings;
};

static bool
is_on_path(const char *program)
{
	const char *dirs = getenv("PATH");

	while (dirs != NULL && *dirs != '\0') {
		size_t length = strcspn(dirs, ":");
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%.*s/%s", (int)length, dirs, program);
		if (sys_faccessat2(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
			return true;
		dirs += length + (dirs[length] == ':');
	}
	return false;
}

/* "NAME:FIRST:COUNT", by name or by number. */
static bool
parse_range(char *line, const char *name, const char *number, uint64_t *ret_first,
            uint64_t *ret_count)
{
	const char *owner = words_take(&line, ":\n");
	const char *first = words_take(&line, ":\n"), *count = words_take(&line, ":\n");

	return count != NULL && (strcmp(owner, name) == 0 || strcmp(owner, number) == 0) &&
	       parse_uint(first, UINT32_MAX, ret_first) == 0 &&
	       parse_uint(count, UINT32_MAX, ret_count) == 0;
}

/* The end of the granted range that id is in; id itself when there is none. */
static uint64_t
granted_until(const char *file, const char *name, const char *number, uint64_t id)
{
	FILE *ranges = fopen(file, "re");
	autofree char *line = NULL;
	uint64_t first, count, end = id;
	size_t size = 0;

	while (ranges != NULL && getline(&line, &size, ranges) > 0)
		if (parse_range(line, name, number, &first, &count) && id >= first &&
		    id - first < count && first + count > end)
			end = first + count;
	if (ranges != NULL)
		fclose(ranges);
	return end;
}

static bool
is_granted(const struct helper *h, const struct config_id_mapping *mapping, const char *name,
           const char *number)
{
	uint64_t id = mapping->host_id, end = id + mapping->size;

	if (mapping->size == 1 && mapping->host_id == h->own)
		return true;
	while (id < end) {
		uint64_t next = granted_until(h->file, name, number, id);

		if (next == id)
			return false;
		id = next;
	}
	return true;
}

static bool
has_other_source(void)
{
	char text[4096] = "\n";

	return file_read_at(AT_FDCWD, "/etc/nsswitch.conf", text + 1, sizeof(text) - 1) > 0 &&
	       strstr(text, "\nsubid:") != NULL;
}

static void
user_name(uint32_t uid, char *buf, size_t size)
{
	autoclose int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	buf[0] = '\0';
	if (fd >= 0)
		(void)passwd_lookup(fd, uid, PASSWD_NAME, buf, size);
}

static void
probe_helper(const struct helper *h, uint32_t uid, struct error *e)
{
	const struct config_id_mapping *rows = h->mappings->items;
	char name[64], number[16];

	if (!is_on_path(h->program)) {
		json_error(h->mappings->at, e, 0, "idmap-failed",
		           "%s is not installed (package uidmap)", h->program);
		return;
	}
	if (has_other_source())
		return;
	user_name(uid, name, sizeof(name));
	snprintf(number, sizeof(number), "%u", uid);
	for (size_t i = 0; i < h->mappings->count; i++)
		if (!is_granted(h, &rows[i], name, number))
			json_error(json_member(rows[i].at, "hostID"), e, 0, "idmap-failed",
			           "%s does not grant user %s the ids from %u to %u", h->file,
			           name[0] != '\0' ? name : number, rows[i].host_id,
			           rows[i].host_id + rows[i].size - 1);
}

LAYER_PROBE(idmap_probe)
{
	const struct config_linux *lin = plan->config->linux_;
	const struct plan_options *o = &plan->options;

	if (plan->idmap.uid_map == NULL)
		return 0;
	if (plan->idmap.uid_helper)
		probe_helper(&(struct helper){"newuidmap", "/etc/subuid", o->host_uid,
		                              &lin->uid_mappings},
		             o->host_uid, e);
	if (plan->idmap.gid_helper)
		probe_helper(&(struct helper){"newgidmap", "/etc/subgid", o->host_gid,
		                              &lin->gid_mappings},
		             o->host_uid, e);
	return 0;
}
