/* SPDX-License-Identifier: MIT */
/*
 * `update`: limits come from a file, from standard input, or from options, which
 * become the same JSON.
 */
#include "hako/command.h"
#include "hako/container.h"
#include "hako/mem.h"
#include "hako/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum kind { NUMBER, SIZE, TEXT };

/* As the rows of enum limit. */
static const struct {
	const char *option;
	const char *object;
	const char *member;
	enum kind kind;
} limits[LIMITS] = {
	[LIMIT_MEMORY] = {"memory", "memory", "limit", SIZE},
	[LIMIT_MEMORY_RESERVATION] = {"memory-reservation", "memory", "reservation", SIZE},
	[LIMIT_MEMORY_SWAP] = {"memory-swap", "memory", "swap", SIZE},
	[LIMIT_CPU_SHARE] = {"cpu-share", "cpu", "shares", NUMBER},
	[LIMIT_CPU_PERIOD] = {"cpu-period", "cpu", "period", NUMBER},
	[LIMIT_CPU_QUOTA] = {"cpu-quota", "cpu", "quota", NUMBER},
	[LIMIT_CPU_BURST] = {"cpu-burst", "cpu", "burst", NUMBER},
	[LIMIT_CPU_IDLE] = {"cpu-idle", "cpu", "idle", NUMBER},
	[LIMIT_CPU_RT_PERIOD] = {"cpu-rt-period", "cpu", "realtimePeriod", NUMBER},
	[LIMIT_CPU_RT_RUNTIME] = {"cpu-rt-runtime", "cpu", "realtimeRuntime", NUMBER},
	[LIMIT_CPUSET_CPUS] = {"cpuset-cpus", "cpu", "cpus", TEXT},
	[LIMIT_CPUSET_MEMS] = {"cpuset-mems", "cpu", "mems", TEXT},
	[LIMIT_PIDS] = {"pids-limit", "pids", "limit", NUMBER},
	[LIMIT_BLKIO_WEIGHT] = {"blkio-weight", "blockIO", "weight", NUMBER},
};

/* "64m", "1GiB", "-1": what follows the digits is a power of 1024. */
static int
parse_size(const char *text, int64_t *ret)
{
	static const char units[] = "bkmgtp";
	char *end;
	const char *unit;
	int64_t value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (end == text || errno != 0 || value < -1)
		return -1;
	unit = *end != '\0' ? strchr(units, *end | 0x20) : units;
	if (unit == NULL || (*end != '\0' && end[1] != '\0' && strcasecmp(end + 1, "b") != 0 &&
	                     strcasecmp(end + 1, "ib") != 0))
		return -1;
	if (value > 0 && value > INT64_MAX >> (10 * (unit - units)))
		return -1;
	*ret = value < 0 ? value : value << (10 * (unit - units));
	return 0;
}

static int
put_limit(struct json_writer *w, int limit, const char *text, struct error *e)
{
	int64_t value;
	char *end;

	if (limits[limit].kind == TEXT) {
		json_put_string(w, limits[limit].member, text);
		return 0;
	}
	errno = 0;
	value = strtoll(text, &end, 10);
	if (limits[limit].kind == SIZE ? parse_size(text, &value) < 0
	                               : end == text || *end != '\0' || errno != 0)
		return error_set(e, 0, "usage", "--%s %s is not a %s", limits[limit].option, text,
		                 limits[limit].kind == SIZE ? "number of bytes" : "number");
	json_put_int(w, limits[limit].member, value);
	return 0;
}

/* {"memory": {"limit": 1}, ...} of the options. */
static int
write_options(const struct options *o, struct json_writer *w, struct error *e)
{
	const char *open = NULL;

	json_begin_object(w, NULL);
	for (int i = 0; i < LIMITS; i++) {
		if (o->limits[i] == NULL)
			continue;
		/* rows of one object stand together */
		if (open != NULL && strcmp(open, limits[i].object) != 0)
			json_end_object(w);
		if (open == NULL || strcmp(open, limits[i].object) != 0)
			json_begin_object(w, limits[i].object);
		open = limits[i].object;
		if (put_limit(w, i, o->limits[i], e) < 0)
			return -1;
	}
	if (open != NULL)
		json_end_object(w);
	json_end_object(w);
	return 0;
}

static int
read_input(struct arena *arena, struct json_doc **ret, struct error *e)
{
	char *text = arena_alloc(arena, JSON_MAX_BYTES);
	size_t length = 0;
	ssize_t n;

	do {
		n = read(STDIN_FILENO, text + length, JSON_MAX_BYTES - length);
		length += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0 || length == JSON_MAX_BYTES)
		return error_set(e, n < 0 ? errno : EFBIG, "input-failed", "read standard input");
	return json_parse(arena, "standard input", text, length, ret, e);
}

static int
read_limits(const struct options *o, struct arena *arena, struct json_doc **ret, struct error *e)
{
	struct json_writer *w;
	size_t length;
	const char *text;
	int rc;

	if (o->resources != NULL && strcmp(o->resources, "-") == 0)
		return read_input(arena, ret, e);
	if (o->resources != NULL)
		return json_load(arena, AT_FDCWD, o->resources, o->resources, ret, e);
	w = json_writer_new(JSON_COMPACT);
	rc = write_options(o, w, e);
	text = arena_strdup(arena, json_writer_text(w, &length));
	json_writer_free(w);
	return rc < 0 ? -1 : json_parse(arena, "command line", text, length, ret, e);
}

static const char *
unless_empty(const char *text)
{
	return text != NULL && text[0] != '\0' ? text : NULL;
}

int
command_update(const struct options *o, struct error *e)
{
	static struct arena arena;
	struct update_request request = {
		.l3_cache_schema = unless_empty(o->l3_cache_schema),
		.mem_bw_schema = unless_empty(o->mem_bw_schema),
	};
	struct json_doc *doc;
	struct container c;
	int root;

	if (read_limits(o, &arena, &doc, e) < 0)
		return -1;
	request.resources = doc->root;
	root = command_root_of_container(o, e);
	if (root < 0 || container_open(&arena, root, o->args[0], false, &c, e) < 0 ||
	    container_lock(&c, e) < 0 || container_refresh(&arena, &c, false, e) < 0)
		return -1;
	return container_update(&arena, &c, &request, e);
}
