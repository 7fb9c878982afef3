/* SPDX-License-Identifier: MIT */
/*
 * newuidmap(1) and newgidmap(1): what an ordinary user maps beyond its own id is
 * granted by lines of subuid(5) and subgid(5), and written by these programs, which
 * have the privileges for it. When they refuse, hako looks at those files too, only
 * to say which line is missing.
 */
#include "hako/idmap.h"
#include "hako/mem.h"

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
	const char *program = idmap_helpers[kind].program, *file = idmap_helpers[kind].file;
	const struct config_id_mapping *row = mappings->items;
	const struct config_id_mapping *end = row + mappings->count;
	const struct idmap_user user = idmap_user_of(geteuid());
	struct idmap_grants grants;

	while (row < end && idmap_is_granted(kind, &user, row, own_id))
		row++;
	if (row == end)
		return json_error(mappings->at, e, 0, "idmap-failed",
		                  "%s refuses the mapping (see %s): %s", program, file,
		                  said[0] != '\0' ? said : "it does not say why");
	json_error(row->at, e, 0, "idmap-failed",
	           "%s refuses the mapping: %s: no line of %s grants the ids %u to %u to %s",
	           program, said, file, row->host_id, row->host_id + row->size - 1, user.name);
	grants = idmap_read_grants(kind, &user, 0);
	if (grants.last == 0)
		return error_advise(e, "it has no line for %s at all", user.name);
	return error_advise(e, "the first one for %s grants %" PRIu64 " to %" PRIu64, user.name,
	                    grants.first, grants.last);
}

int
idmap_run_helper(enum idmap_kind kind, pid_t pid, const struct objects *mappings, uint32_t own_id,
                 struct error *e)
{
	autofree char **words = make_words(idmap_helpers[kind].program, pid, mappings);
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
		                  idmap_helpers[kind].program);
	read_said(said_fd, said, sizeof(said));
	close_cleaner(&said_fd); /* who has more to say must not wait for us */
	said_fd = -1;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return refuse(kind, mappings, own_id, said, e);
}
