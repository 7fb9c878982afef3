/* SPDX-License-Identifier: MIT */
/*
 * newuidmap(1) and newgidmap(1): what an ordinary user maps beyond its own id is
 * granted by lines of subuid(5) and subgid(5), and written by these programs, which
 * have the privileges for it. When they refuse, hako looks at those files too, only
 * to say which line is missing.
 */
#include "hako/idmap.h"
#include "hako/caller.h"
#include "hako/passwd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *program;
	const char *file;
} helpers[] = {
	[IDMAP_UIDS] = {"newuidmap", "/etc/subuid"},
	[IDMAP_GIDS] = {"newgidmap", "/etc/subgid"},
};

/* What is granted ------------------------------------------------------------- */

/* The name in the lines that are meant for the caller, whoever its group is. */
static const char *
caller_name(char *buf, size_t size)
{
	autoclose int passwd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	snprintf(buf, size, "%u", geteuid());
	if (passwd >= 0)
		(void)passwd_lookup(passwd, geteuid(), PASSWD_NAME, buf, size);
	return buf;
}

/* NAME:FIRST:COUNT, where the name may be a number: is it one of the caller's? */
static bool
parse_grant(const char *line, const char *name, uint64_t *first, uint64_t *count)
{
	char number[16];
	size_t length = strcspn(line, ":");

	snprintf(number, sizeof(number), "%u", geteuid());
	if ((strlen(name) != length || strncmp(line, name, length) != 0) &&
	    (strlen(number) != length || strncmp(line, number, length) != 0))
		return false;
	return sscanf(line + length, ":%" SCNu64 ":%" SCNu64, first, count) == 2;
}

/* What the lines of the file grant: how many ids from `id` on, and the first line's for a message. */
struct grants {
	uint64_t count;
	uint64_t first, last; /* 0: there is no line */
};

static struct grants
read_grants(const char *file, const char *name, uint64_t id)
{
	FILE *f = fopen(file, "re");
	struct grants grants = {0};
	autofree char *line = NULL;
	uint64_t first, count;
	size_t size = 0;

	while (f != NULL && getline(&line, &size, f) > 0) {
		if (!parse_grant(line, name, &first, &count) || count == 0)
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

static bool
is_granted(const char *file, const char *name, const struct config_id_mapping *row, uint32_t own_id)
{
	uint64_t id = row->host_id, end = id + row->size, count;

	if (row->size == 1 && row->host_id == own_id)
		return true;
	for (; id < end; id += count) {
		count = read_grants(file, name, id).count;
		if (count == 0)
			return false;
	}
	return true;
}

/* Run --------------------------------------------------------------------------- */

enum { NUMBER_SIZE = sizeof("4294967295") };

/* newuidmap PID CONTAINER HOST SIZE ...: words and their letters in one piece of memory. */
static char **
make_words(const char *program, pid_t pid, const struct objects *mappings)
{
	const struct config_id_mapping *rows = mappings->items;
	size_t numbers = 1 + 3 * mappings->count;
	char **words = calloc(1, (numbers + 2) * sizeof(*words) + numbers * NUMBER_SIZE);
	char *letters;

	if (words == NULL)
		return NULL;
	letters = (char *)(words + numbers + 2);
	words[0] = (char *)program;
	for (size_t i = 0; i < numbers; i++, letters += NUMBER_SIZE) {
		const struct config_id_mapping *row = i > 0 ? &rows[(i - 1) / 3] : NULL;
		uint32_t number = i == 0       ? (uint32_t)pid
		                  : i % 3 == 1 ? row->container_id
		                  : i % 3 == 2 ? row->host_id
		                               : row->size;

		snprintf(letters, NUMBER_SIZE, "%u", number);
		words[1 + i] = letters;
	}
	return words;
}

/* What it has to say becomes part of hako's error, instead of a line of its own. */
static pid_t
start(char *const words[], int *ret_said)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int ends[2], rc;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
	posix_spawnattr_init(&attributes);
	sigemptyset(&none); /* `run` has blocked them all */
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawnp(&child, words[0], &actions, &attributes, words, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	*ret_said = ends[0];
	errno = rc;
	return rc == 0 ? child : -1;
}

static void
read_said(int fd, char *text, size_t size)
{
	size_t used = 0;
	ssize_t n = 1;

	while (n != 0 && used < size - 1) {
		n = read(fd, text + used, size - 1 - used);
		if (n < 0 && errno != EINTR)
			break;
		used += n > 0 ? (size_t)n : 0;
	}
	text[used] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

static int
refuse(enum idmap_kind kind, const struct objects *mappings, uint32_t own_id, const char *said,
       struct error *e)
{
	const char *program = helpers[kind].program, *file = helpers[kind].file;
	const struct config_id_mapping *row = mappings->items;
	const struct config_id_mapping *end = row + mappings->count;
	struct grants grants;
	char name[64];

	caller_name(name, sizeof(name));
	while (row < end && is_granted(file, name, row, own_id))
		row++;
	if (row == end)
		return json_error(mappings->at, e, 0, "idmap-failed",
		                  "%s refuses the mapping (see %s): %s", program, file,
		                  said[0] != '\0' ? said : "it does not say why");
	json_error(row->at, e, 0, "idmap-failed",
	           "%s refuses the mapping: %s: no line of %s grants the ids %u to %u to %s",
	           program, said, file, row->host_id, row->host_id + row->size - 1, name);
	grants = read_grants(file, name, 0);
	if (grants.last == 0)
		return error_advise(e, "it has no line for %s at all", name);
	return error_advise(e, "the first one for %s grants %" PRIu64 " to %" PRIu64, name,
	                    grants.first, grants.last);
}

int
idmap_run_helper(enum idmap_kind kind, pid_t pid, const struct objects *mappings, uint32_t own_id,
                 struct error *e)
{
	autofree char **words = make_words(helpers[kind].program, pid, mappings);
	autoclose int said_fd = -1;
	char said[200];
	pid_t child = -1;
	int status;

	if (words != NULL)
		child = start(words, &said_fd);
	if (child < 0)
		return json_error(mappings->at, e, errno, "idmap-failed",
		                  "run %s, which is to map more than the caller's own id (Debian "
		                  "has it in the package uidmap)",
		                  helpers[kind].program);
	read_said(said_fd, said, sizeof(said));
	close_cleaner(&said_fd); /* who has more to say must not wait for us */
	said_fd = -1;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return refuse(kind, mappings, own_id, said, e);
}
