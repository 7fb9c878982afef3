/* SPDX-License-Identifier: MIT */
/* `plan` and `features`: what would be done, what can be done. No privileges needed. */
#include "hako/show.h"
#include "hako/command.h"
#include "hako/container.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
command_features(const struct options *o, struct error *e)
{
	(void)o;
	return command_print_owned(features_show(), e) < 0 ? -1 : command_print("\n", e);
}

int
command_plan(const struct options *o, struct error *e)
{
	static const char *const formats[] = {
		[SHEET_TEXT] = "text", [SHEET_JSON] = "json", [SHEET_JSON + 1] = NULL};
	static struct arena arena;
	const char *path = o->arg_count > 0 ? o->args[0] : o->bundle != NULL ? o->bundle : ".";
	struct plan_options options = {
		.id = "ID",
		.bundle = path,
		.new_keyring = true,
		.is_root = true,
		.privileged = true,
		.cgroup_parent = "",
		.cgroup_disabled = command_has_manager(o, "disabled"),
		.cgroup_systemd = command_has_manager(o, "systemd"),
	};
	const struct config *config;
	const struct plan *plan;
	struct json_doc *doc;
	int format = command_choose("--format", o->format, formats, e);

	if (format < 0 || bundle_load(&arena, path, o->config, &config, &doc, e) < 0 ||
	    plan_make(&arena, config, &options, &plan, e) < 0)
		return -1;
	return command_print_owned(plan_show(plan, (enum sheet_format)format), e);
}
