/* SPDX-License-Identifier: MIT */
/*
 * A JSON file into memory and through the parser. What the name leads to is
 * not trusted: a FIFO, a device or a file without end must neither block nor
 * fill the memory, and the file may be changing while it is read. Only a file
 * that the caller names may be a pipe: `exec --process <(...)`.
 */
#include "hako/json.h"
#include "hako/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPE_ROOM = 65536 };

/* Read fd, a file of that size, in one read(2); it may be changing, so look for the end. */
static char *
read_all(struct arena *arena, int fd, size_t size, size_t *ret_length)
{
	size_t room = size > 0 ? size + 1 : PIPE_ROOM, length = 0;
	char *text = arena_alloc(arena, room);

	for (;;) {
		ssize_t n = read(fd, text + length, room - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return NULL;
		length += (size_t)n;
		if (n == 0 || length == size || length > JSON_MAX_BYTES)
			break;
		if (length == room) {
			room *= 2;
			text = memcpy(arena_alloc(arena, room), text, length);
		}
	}
	*ret_length = length;
	return text;
}

int
json_read(struct arena *arena, int dir, const char *path, const char *name,
          struct json_doc **ret_doc, struct error *e)
{
	autoclose int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct json_doc *doc;
	struct stat status;
	size_t length;
	char *text;

	if (fd < 0)
		return error_set(e, errno, "config-unreadable", "open %s", name);
	if (fstat(fd, &status) < 0)
		return error_set(e, errno, "config-unreadable", "stat %s", name);
	if (S_ISFIFO(status.st_mode) && dir == AT_FDCWD)
		fcntl(fd, F_SETFL, 0); /* what its writers have to say; none: the end */
	else if (!S_ISREG(status.st_mode))
		return error_set(e, 0, "config-unreadable", "%s is not a regular file", name);
	if (status.st_size > JSON_MAX_BYTES)
		return error_set(e, 0, "json-too-large", "%s is larger than %d bytes", name,
		                 JSON_MAX_BYTES);
	text = read_all(arena, fd, (size_t)status.st_size, &length);
	if (text == NULL)
		return error_set(e, errno, "config-unreadable", "read %s", name);
	doc = arena_alloc(arena, sizeof(*doc));
	*doc = (struct json_doc){.name = name, .text = text, .length = length};
	*ret_doc = doc;
	return 0;
}

int
json_load(struct arena *arena, int dir, const char *path, const char *name,
          struct json_doc **ret_doc, struct error *e)
{
	unsigned span = trace_begin("parse", "parse JSON", name);
	struct json_doc *doc;
	int rc = json_read(arena, dir, path, name, &doc, e);

	if (rc == 0)
		rc = json_parse_doc(arena, doc, e);
	trace_end(span, rc < 0 ? e->msg : NULL);
	if (rc == 0)
		*ret_doc = doc;
	return rc;
}
