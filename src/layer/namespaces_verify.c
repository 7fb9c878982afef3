/* SPDX-License-Identifier: MIT */
/*
 * Which namespaces a process is in: the links of /proc/PID/ns, compared with those of
 * who asks. The container was made from there, as a rule: a new namespace is another
 * one, what is shared is the same.
 */
#include "hako/layer.h"
#include "hako/names.h"
#include "hako/syscall.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct json *
find_entry(const struct plan *plan, uint64_t type)
{
	const struct config_namespace *row = config_namespace(plan->config, (int)type);

	return row != NULL ? row->at : json_member(plan->config->linux_->at, "namespaces");
}

static void
verify_joined(const struct namespace_join *join, const char *file, const char *found,
              struct claim claim, struct verdicts *v)
{
	char expected[64];
	struct stat st;

	if (stat(join->path, &st) < 0) {
		verdict_unknown(v, claim, "%s: %s", join->path, error_text(errno));
		return;
	}
	snprintf(expected, sizeof(expected), "%s:[%llu]", file, (unsigned long long)st.st_ino);
	verdict_compare(v, claim, expected, found);
}

static void
verify_type(const struct plan *plan, const struct observed *o, struct verdicts *v, uint64_t type)
{
	const struct claim claim = {CHECK_NAMESPACE, find_entry(plan, type),
	                            name_of(namespace_names, type)};
	const char *file = name_of(namespace_files, type), *found, *own;
	char link[32];

	snprintf(link, sizeof(link), "ns/%s", file);
	found = observed_link(o, link);
	own = found != NULL ? observed_own_link(o->arena, link) : NULL;
	for (size_t i = 0; i < plan->join_count; i++)
		if ((uint64_t)plan->joins[i].type == type && found != NULL) {
			verify_joined(&plan->joins[i], file, found, claim, v);
			return;
		}
	if (found != NULL && own == NULL && errno == ENOENT)
		return; /* a kernel without that kind */
	if (found == NULL || own == NULL)
		verdict_unknown(v, claim, "/proc/PID/%s: %s", link, error_text(errno));
	else if (plan_creates(plan, type))
		verdict_add(v, claim, strcmp(found, own) != 0, "a new namespace",
		            strcmp(found, own) != 0 ? found : "the runtime's own");
	else
		verdict_add(v, claim, strcmp(found, own) == 0, "the runtime's own", found);
}

LAYER_VERIFY(namespaces_verify)
{
	for (const struct name *n = namespace_names; n->name != NULL; n++)
		verify_type(plan, o, v, n->value);
}

/* "monotonic 3600 0", in columns. */
static const char *
find_offset(struct arena *arena, const char *text, const char *clock)
{
	long long secs;
	unsigned long nanosecs;
	char name[32];

	for (; text != NULL && *text != '\0'; text += strcspn(text, "\n"), text += *text != '\0')
		if (sscanf(text, "%31s %lld %lu", name, &secs, &nanosecs) == 3 &&
		    strcmp(name, clock) == 0)
			return arena_printf(arena, "%lld s %lu ns", secs, nanosecs);
	return NULL;
}

static void
verify_offset(const struct config_time_offset *offset, const char *clock, const char *text,
              struct verdicts *v)
{
	long long secs = offset != NULL && offset->secs != NULL ? (long long)*offset->secs : 0;
	unsigned long long nanosecs =
		offset != NULL && offset->nanosecs != NULL ? *offset->nanosecs : 0;
	const struct claim claim = {CHECK_TIME_OFFSET, offset != NULL ? offset->at : NULL, clock};

	verdict_compare(v, claim, arena_printf(v->arena, "%lld s %llu ns", secs, nanosecs),
	                find_offset(v->arena, text, clock));
}

LAYER_VERIFY(namespaces_verify_time)
{
	const struct config_time_offsets *offsets = plan->config->linux_->time_offsets;
	const char *text;

	if (!plan_creates(plan, CLONE_NEWTIME))
		return;
	text = observed_read(o, "timens_offsets", NULL);
	verify_offset(offsets != NULL ? offsets->monotonic : NULL, "monotonic", text, v);
	verify_offset(offsets != NULL ? offsets->boottime : NULL, "boottime", text, v);
}
