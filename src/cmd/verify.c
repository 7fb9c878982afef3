/* SPDX-License-Identifier: MIT */
/*
 * `verify`: is a container still what its config says? Exit status 0: all holds; 1: drift;
 * 2: something could not be determined, or nothing could be verified.
 */
#include "hako/verify.h"
#include "hako/command.h"
#include "hako/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A filesystem that somebody in the container provides may never answer; only a signal helps. */
enum { PATIENCE_S = 60 };

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_TAP, FORMAT_JUNIT };

static const char *const format_names[] = {"text", "json", "tap", "junit", NULL};

static int
print_verdicts(const struct verdicts *v, const char *name, enum format format, bool all,
               struct error *e)
{
	switch (format) {
	case FORMAT_JSON:
		return command_print_owned(verdicts_show_json(v, name), e);
	case FORMAT_TAP:
		return command_print_owned(verdicts_show_tap(v, name), e);
	case FORMAT_JUNIT:
		return command_print_owned(verdicts_show_junit(v, name), e);
	default:
		return command_print_owned(verdicts_show_text(v, name, all), e);
	}
}

/* A word that can match nothing would make everything pass. */
static int
take_patterns(const struct option_list *list, const char *option, struct patterns *ret,
              struct error *e)
{
	for (size_t i = 0; i < list->count; i++)
		if (!check_pattern_is_known(list->items[i]))
			return error_set(e, 0, "usage",
			                 "--%s %s: there is no such check (hako verify --list)",
			                 option, list->items[i]);
	*ret = (struct patterns){list->items, list->count};
	return 0;
}

static int
make_request(const struct options *o, struct verify_request *r, struct error *e)
{
	uint64_t pid = 0;

	*r = (struct verify_request){
		.bundle = o->bundle,
		.config = o->config,
		.systemd = command_has_manager(o, "systemd"),
	};
	if (take_patterns(&o->only, "only", &r->only, e) < 0 ||
	    take_patterns(&o->skip, "skip", &r->skip, e) < 0)
		return -1;
	if (o->pid != NULL && (parse_uint(o->pid, INT32_MAX, &pid) < 0 || pid == 0))
		return error_set(e, 0, "usage", "--pid %s is not a process", o->pid);
	r->pid = (pid_t)pid;
	if (o->bundle != NULL && o->arg_count > 0)
		return error_set(e, 0, "usage", "either ID or --pid with --bundle");
	if (o->arg_count == 0 && (o->bundle == NULL || pid == 0))
		return error_set(e, 0, "usage", "missing operand: ID, or --pid and --bundle");
	return 0;
}

static int
verify(struct arena *arena, const struct options *o, const struct verify_request *r,
       struct verdicts *v, struct error *e)
{
	struct container c;
	int root;

	if (o->arg_count == 0)
		return process_verify(arena, r, v, e);
	root = command_root_of_container(o, e);
	if (root < 0 || container_open(arena, root, o->args[0], false, &c, e) < 0)
		return -1;
	return container_verify(arena, &c, r, v, e);
}

int
command_verify(const struct options *o, struct error *e)
{
	static struct arena arena;
	int format = command_choose("--format", o->format, format_names, e);
	struct verify_request request;
	struct verdicts v;

	if (format < 0)
		return -1;
	if (o->list)
		return command_print_owned(checks_show(), e);
	alarm(PATIENCE_S);
	if (make_request(o, &request, e) < 0 || verify(&arena, o, &request, &v, e) < 0)
		return -1;
	if (print_verdicts(&v, o->arg_count > 0 ? o->args[0] : o->pid, (enum format)format, o->all,
	                   e) < 0)
		return -1;
	return verdicts_status(&v);
}
