/* SPDX-License-Identifier: MIT */
/*
 * What would be wrong with a bundle, all of it: the steps of `create` up to the
 * plan, by the same functions, and in place of acting the questions of all steps
 * to the host. Nothing is made and nobody is waited for.
 */
#include "hako/container.h"
#include "hako/problem.h"
#include "hako/step.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

const char *
bundle_file(struct arena *arena, const char *bundle, const char *config)
{
	size_t length = strlen(bundle);

	if (config != NULL)
		return config;
	while (length > 0 && bundle[length - 1] == '/')
		length--; /* as a shell completes it */
	return length == 1 && bundle[0] == '.'
	               ? "config.json"
	               : arena_printf(arena, "%.*s/config.json", (int)length, bundle);
}

static int
read_config(struct arena *arena, const struct check_request *r, struct json_doc **ret_doc,
            struct error *e)
{
	autoclose int dir = open(r->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return error_set(e, errno, "bundle-missing", "bundle %s", r->bundle);
	return json_read(arena, r->config != NULL ? AT_FDCWD : dir,
	                 r->config != NULL ? r->config : "config.json",
	                 bundle_file(arena, r->bundle, r->config), ret_doc, e);
}

static void
check_plan(struct arena *arena, const struct config *config, const struct check_request *r,
           struct problems *problems, struct error *e)
{
	struct plan_options options = {
		.id = "ID",
		.bundle = r->bundle,
		.new_keyring = true,
		.privileged = true,
		.cgroup_disabled = r->cgroup_disabled,
		.cgroup_systemd = r->cgroup_systemd,
		.cgroup_parent = "",
	};
	const struct plan *plan;

	if (r->host)
		plan_options_host(&options);
	problems_step(problems, PROBLEM_RULE, true);
	if (plan_make(arena, config, &options, &plan, e) < 0 || !r->host)
		return;
	problems_step(problems, PROBLEM_HOST, true);
	(void)steps_probe(plan, WHEN_CREATE, e);
}

int
bundle_check(struct arena *arena, const struct check_request *r, struct problems *problems,
             const struct json_doc **ret_doc, struct error *e)
{
	const struct config *config;
	struct json_doc *doc;
	int parsed;

	if (read_config(arena, r, &doc, e) < 0)
		return -1;
	problems->arena = arena;
	doc->problems = problems;
	*ret_doc = doc;
	problems_step(problems, PROBLEM_SYNTAX, false);
	parsed = json_parse_doc(arena, doc, e);
	if (parsed < 0 && problems->errors == 0)
		return -1;
	if (parsed == 0 && config_decode(arena, doc, &config, e) == 0)
		check_plan(arena, config, r, problems, e);
	problems_sort(problems, doc);
	return 0;
}
