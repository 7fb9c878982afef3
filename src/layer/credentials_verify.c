/* SPDX-License-Identifier: MIT */
/*
 * Ids, groups, capability sets and no_new_privs, from /proc/PID/status. execve changes
 * the sets (capabilities(7)): a created container has them as the config says, a
 * running program as the kernel has worked them out from that.
 */
#include "hako/credentials.h"
#include "hako/layer.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/xattr.h>

static struct claim
claim_of(const struct plan *plan, enum check check, const char *object, const char *member)
{
	const struct json *parent = json_member(plan->process.at, object);
	const struct json *at = member != NULL ? json_member(parent, member) : parent;

	return (struct claim){check, at != NULL ? at : parent != NULL ? parent : plan->process.at};
}

/* Ids --------------------------------------------------------------------------- */

/* Four numbers with tabs between: real, effective, saved, filesystem. */
static void
verify_id(struct observed *o, struct verdicts *v, struct claim claim, const char *name,
          const char *map, uint32_t id)
{
	const char *text = observed_status(o, name), *found = NULL;
	unsigned a, b, c, d;
	uint32_t host;

	if (text != NULL && sscanf(text, "%u %u %u %u", &a, &b, &c, &d) == 4)
		found = arena_printf(v->arena, "%u %u %u %u", a, b, c, d);
	if (!observed_host_id(o, map, id, &host))
		verdict_unknown(v, claim, "%u is not mapped, or /proc/PID/%s cannot be read", id,
		                map);
	else
		verdict_compare(v, claim,
		                arena_printf(v->arena, "%u %u %u %u", host, host, host, host),
		                found);
}

static int
compare_ids(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Sorted, each once, with spaces between. */
static const char *
list_ids(struct arena *arena, uint32_t *ids, size_t count)
{
	const char *list = "";

	qsort(ids, count, sizeof(*ids), compare_ids);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || ids[i] != ids[i - 1])
			list = arena_printf(arena, "%s%s%u", list, list[0] != '\0' ? " " : "",
			                    ids[i]);
	return list;
}

static const char *
found_groups(struct observed *o)
{
	const char *text = observed_status(o, "Groups");
	uint32_t *ids;
	size_t count = 0;
	char *end;

	if (text == NULL)
		return NULL;
	ids = arena_array(o->arena, strlen(text) / 2 + 1, sizeof(*ids));
	for (unsigned long id; id = strtoul(text, &end, 10), end != text; text = end)
		ids[count++] = (uint32_t)id;
	return list_ids(o->arena, ids, count);
}

static void
verify_groups(const struct plan *plan, struct observed *o, struct verdicts *v)
{
	const struct process_plan *process = &plan->process;
	const struct claim claim = claim_of(plan, CHECK_GROUPS, "user", "additionalGids");
	const char *setgroups = observed_read(o, "setgroups", NULL);
	uint32_t *ids = arena_array(v->arena, process->group_count + 1, sizeof(*ids));

	/* where they cannot be set, they are the caller's */
	if (process->keep_groups || (setgroups != NULL && strcmp(setgroups, "deny") == 0))
		return;
	for (size_t i = 0; i < process->group_count; i++)
		if (!observed_host_id(o, "gid_map", process->groups[i], &ids[i])) {
			verdict_unknown(v, claim, "%u is not mapped", process->groups[i]);
			return;
		}
	verdict_compare(v, claim, list_ids(v->arena, ids, process->group_count), found_groups(o));
}

static void
verify_umask(const struct plan *plan, struct observed *o, struct verdicts *v)
{
	verdict_compare(v, claim_of(plan, CHECK_UMASK, "user", "umask"),
	                arena_printf(v->arena, "%04o", (unsigned)plan->process.umask),
	                observed_status(o, "Umask"));
}

/* Capabilities --------------------------------------------------------------------- */

static const struct set {
	enum check check;
	const char *member;
	const char *line;
	size_t offset;
} sets[] = {
	{CHECK_CAPS_BOUNDING, "bounding", "CapBnd", offsetof(struct capability_sets, bounding)},
	{CHECK_CAPS_EFFECTIVE, "effective", "CapEff", offsetof(struct capability_sets, effective)},
	{CHECK_CAPS_PERMITTED, "permitted", "CapPrm", offsetof(struct capability_sets, permitted)},
	{CHECK_CAPS_INHERITABLE, "inheritable", "CapInh",
         offsetof(struct capability_sets, inheritable)},
	{CHECK_CAPS_AMBIENT, "ambient", "CapAmb", offsetof(struct capability_sets, ambient)},
};

static uint64_t *
member(struct capability_sets *all, const struct set *set)
{
	return (uint64_t *)(void *)((char *)all + set->offset);
}

/* Nobody can be given what the kernel does not know or the caller does not have: create warns. */
static uint64_t
available_capabilities(void)
{
	uint64_t set = 0;

	for (int i = 0; i < 64; i++)
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
			set |= (uint64_t)1 << i;
	return set;
}

/* The rules for a program without file capabilities, which root counts as having them all. */
static void
transform(const struct plan *plan, struct capability_sets *s)
{
	if (plan->process.uid != 0) {
		s->permitted = s->effective = s->ambient;
		return;
	}
	s->effective = (s->inheritable | s->bounding) &
	               (plan->process.no_new_privileges ? s->permitted : UINT64_MAX);
	s->permitted = s->effective |= s->ambient;
}

/* To load a filter without no_new_privs takes one more until then. */
static void
add_temporary(const struct plan *plan, struct capability_sets *s)
{
	if (plan->seccomp == NULL || plan->process.no_new_privileges)
		return;
	s->permitted |= (uint64_t)1 << CAP_SYS_ADMIN;
	s->effective |= (uint64_t)1 << CAP_SYS_ADMIN;
}

/* A program with capabilities of its own gets what it asks for, within the bounding set. */
static bool
has_file_capabilities(const struct observed *o)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)o->pid);
	return getxattr(path, "security.capability", NULL, 0) > 0;
}

static const char *
list_capabilities(struct arena *arena, uint64_t set)
{
	const char *list = "";

	for (int i = 0; i < 64; i++)
		if ((set >> i & 1) != 0) {
			const char *name = capability_name(i);

			list = arena_printf(arena, "%s%s%s", list, list[0] != '\0' ? " " : "",
			                    name != NULL ? name : "?");
		}
	return list[0] != '\0' ? list : "none";
}

static void
verify_set(const struct plan *plan, struct observed *o, struct verdicts *v, const struct set *set,
           uint64_t expected)
{
	struct claim claim = claim_of(plan, set->check, "capabilities", set->member);
	bool derived = set->check == CHECK_CAPS_EFFECTIVE || set->check == CHECK_CAPS_PERMITTED;
	uint64_t found;

	if (!observed_bits(o, set->line, &found))
		verdict_unknown(v, claim, "/proc/PID/status: %s", error_text(errno));
	else if (derived && expected != found && o->executed && has_file_capabilities(o))
		verdict_unknown(v, claim, "the program has file capabilities: %s",
		                list_capabilities(v->arena, found));
	else
		verdict_compare(v, claim, list_capabilities(v->arena, expected),
		                list_capabilities(v->arena, found));
}

LAYER_VERIFY(credentials_verify)
{
	struct capability_sets expected = plan->process.capabilities;
	uint64_t available = available_capabilities();

	if (plan->process.at == NULL)
		return;
	verify_id(o, v, claim_of(plan, CHECK_UID, "user", "uid"), "Uid", "uid_map",
	          plan->process.uid);
	verify_id(o, v, claim_of(plan, CHECK_GID, "user", "gid"), "Gid", "gid_map",
	          plan->process.gid);
	verify_groups(plan, o, v);
	verify_umask(plan, o, v);
	if (o->executed)
		transform(plan, &expected);
	else
		add_temporary(plan, &expected);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		verify_set(plan, o, v, &sets[i], *member(&expected, &sets[i]) & available);
	verdict_compare(v, claim_of(plan, CHECK_NO_NEW_PRIVS, "noNewPrivileges", NULL),
	                plan->process.no_new_privileges ? "1" : "0",
	                observed_status(o, "NoNewPrivs"));
}
