/* SPDX-License-Identifier: MIT */
/*
 * `hako explain`: every rule of explain_rules.c looks at the config and the plan
 * that it becomes; what it finds is rated by what root of this container is on the
 * host. Pure: neither the host nor the root filesystem is looked at, so a name that
 * is a link to something else passes for what it says.
 */
#include "hako/explain.h"

#include <sched.h>
#include <string.h>

void
explain_found(struct finder *f, const struct json *at, const char *detail)
{
	const struct rule *rule = f->rule;
	bool harmless = rule->by_root ? !f->host_root : f->confined;
	enum problem_severity rating = harmless ? rule->confined : rule->rating;
	struct arena *arena = f->problems->arena;
	const char *message =
		detail != NULL ? arena_printf(arena, "%s: %s", rule->title, detail) : rule->title;

	f->count++;
	if (rating == PROBLEM_OK && rule->rating != PROBLEM_OK)
		return;
	if (at == NULL)
		at = json_nearest(f->config->at, rule->property);
	problems_explain(f->problems, rating, rule->id, at, message, rule->why, rule->fix);
}

static void
say_good(struct finder *f)
{
	const struct rule *rule = f->rule;

	if (f->count == 0 && rule->good != NULL)
		problems_explain(f->problems, PROBLEM_OK, rule->id,
		                 json_nearest(f->config->at, rule->property), rule->good, NULL,
		                 NULL);
}

static bool
is_there(const char *path, const char *word, size_t length, unsigned how)
{
	size_t own = strlen(path);

	if (own == length && memcmp(path, word, length) == 0)
		return (how & PATH_AT) != 0;
	if (own < length)
		return (how & PATH_ABOVE) != 0 && memcmp(path, word, own) == 0 &&
		       (word[own] == '/' || own == 1);
	return (how & PATH_BELOW) != 0 && memcmp(path, word, length) == 0 &&
	       (path[length] == '/' || length == 1);
}

bool
explain_is_there(const char *path, const char *other, unsigned how)
{
	return is_there(path, other, strlen(other), how);
}

bool
explain_matches(const char *path, const char *list, unsigned how)
{
	for (const char *word = list; *word != '\0'; word += strspn(word, " ")) {
		size_t length = strcspn(word, " ");

		if (is_there(path, word, length, how))
			return true;
		word += length;
	}
	return false;
}

bool
explain_shares(const struct config *config, int type)
{
	const struct config_namespace *n = config_namespace(config, type);

	return n == NULL || (n->path != NULL && (strncmp(n->path, "/proc/1/ns/", 11) == 0 ||
	                                         strncmp(n->path, "/proc/self/ns/", 14) == 0));
}

static bool
maps_host_root(const struct plan *plan)
{
	const struct objects *list = &plan->config->linux_->uid_mappings;
	const struct config_id_mapping *rows = list->items;

	for (size_t i = 0; i < list->count; i++)
		if (rows[i].host_id == 0 && rows[i].size > 0)
			return true;
	return false;
}

/* Sets that grow when a program is executed: capabilities(7), no_new_privs. */
static uint64_t
reachable_capabilities(const struct process_plan *p)
{
	const struct capability_sets *c = &p->capabilities;
	uint64_t held = c->effective | c->permitted | c->ambient;

	return p->no_new_privileges ? held : held | c->bounding | c->inheritable;
}

void
explain_plan(const struct plan *plan, const struct json_doc *doc, struct problems *problems)
{
	bool is_new = plan_creates(plan, CLONE_NEWUSER);
	struct finder f = {
		.plan = plan,
		.config = plan->config,
		.problems = problems,
		.confined = !explain_shares(plan->config, CLONE_NEWUSER) &&
	                    !(is_new && maps_host_root(plan)),
		.capabilities = reachable_capabilities(&plan->process),
		.claimed_mounts = arena_array(problems->arena, plan->mount_count + 1, sizeof(bool)),
		.claimed_devices = arena_array(
			problems->arena, plan->config->linux_->devices.count + 1, sizeof(bool)),
	};

	f.host_root = !f.confined && (plan->process.uid == 0 || !plan->process.no_new_privileges);
	for (f.rule = explain_rules; f.rule->id != NULL; f.rule++) {
		f.count = 0;
		f.rule->find(&f);
		say_good(&f);
	}
	problems_sort(problems, doc);
}
