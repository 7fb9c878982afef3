/* SPDX-License-Identifier: MIT */
/*
 * The checks of `verify`, one row each, and the verdicts about them. Layers add
 * verdicts; who asked for them counts and shows them. An id is made of the row's
 * words and the subject, such as the destination of a mount: mounts./proc.readonly.
 */
#include "hako/verdict.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
const struct check_row checks[CHECKS] = {
	[CHECK_NAMESPACE] = {"ns.", "TYPE", "", false, "a new namespace, the one of the path, or the runtime's"},
	[CHECK_ROOT_PATH] = {"root.path", NULL, "", false, "the root is the root filesystem of the bundle"},
	[CHECK_ROOT_PIVOT] = {"root.pivot", NULL, "", false, "the root is that of its mount namespace: nothing of the host is left"},
	[CHECK_ROOT_READONLY] = {"root.readonly", NULL, "", false, "the root is read-only, or can be written to"},
	[CHECK_ROOT_PROPAGATION] = {"root.propagation", NULL, "", false, "what of the mounts reaches the host, or comes from there"},
	[CHECK_MOUNT_TYPE] = {"mounts.", "DESTINATION", ".type", false, "something is mounted there, of that type"},
	[CHECK_MOUNT_SOURCE] = {"mounts.", "DESTINATION", ".source", false, "it is the source that was asked for"},
	[CHECK_MOUNT_READONLY] = {"mounts.", "DESTINATION", ".readonly", false, "it is read-only, or can be written to"},
	[CHECK_MOUNT_OPTIONS] = {"mounts.", "DESTINATION", ".options", false, "nosuid, nodev, noexec, access times, ..."},
	[CHECK_MOUNT_DATA] = {"mounts.", "DESTINATION", ".data", false, "options of the filesystem: size, mode, ..."},
	[CHECK_MOUNT_PROPAGATION] = {"mounts.", "DESTINATION", ".propagation", false, "private, slave, shared or unbindable"},
	[CHECK_MOUNT_IDMAP] = {"mounts.", "DESTINATION", ".idmap", false, "ids are mapped, and to those"},
	[CHECK_MOUNTS_EXTRA] = {"mounts.extra", NULL, "", false, "there are no other mounts"},
	[CHECK_CGROUP_PATH] = {"cgroup.path", NULL, "", false, "the process is in the container's cgroup"},
	[CHECK_CGROUP_PROCESSES] = {"cgroup.processes", NULL, "", false, "so is every process of its pid namespace"},
	[CHECK_OOM_SCORE] = {"process.oom_score_adj", NULL, "", true, "the OOM score adjustment"},
	[CHECK_RLIMIT] = {"rlimits.", "TYPE", "", true, "a resource limit, soft and hard"},
	[CHECK_AFFINITY] = {"process.affinity", NULL, "", true, "it may run on every processor that its cgroup has"},
	[CHECK_SCHEDULER] = {"process.scheduler", NULL, "", true, "policy and priority"},
	[CHECK_IO_PRIORITY] = {"process.io_priority", NULL, "", true, "class and level"},
	[CHECK_UID_MAP] = {"idmap.uid", NULL, "", false, "user ids of the user namespace"},
	[CHECK_GID_MAP] = {"idmap.gid", NULL, "", false, "group ids of the user namespace"},
	[CHECK_SETGROUPS] = {"idmap.setgroups", NULL, "", false, "setgroups(2) is allowed, or denied"},
	[CHECK_NET_DEVICE] = {"net.devices.", "NAME", "", true, "a link that was moved into the network namespace"},
	[CHECK_NET_EXTRA] = {"net.extra", NULL, "", true, "there are no other links"},
	[CHECK_LOOPBACK] = {"net.loopback", NULL, "", true, "the loopback interface is up"},
	[CHECK_CGROUP_LIMIT] = {"cgroup.", "FILE", "", false, "a limit of linux.resources"},
	[CHECK_DEVICE_FILTER] = {"devices.filter", NULL, "", false, "the program on the cgroup is the one of the rules"},
	[CHECK_RESCTRL] = {"resctrl.group", NULL, "", false, "the process is in the resctrl group"},
	[CHECK_TIME_OFFSET] = {"time.", "CLOCK", "", false, "the offset of a clock"},
	[CHECK_HOSTNAME] = {"uts.hostname", NULL, "", true, "the hostname"},
	[CHECK_DOMAINNAME] = {"uts.domainname", NULL, "", true, "the NIS domain name"},
	[CHECK_DEVICE] = {"devices.", "PATH", "", true, "type, numbers, mode and owner of a device node"},
	[CHECK_SYSCTL] = {"sysctl.", "KEY", "", true, "a kernel parameter"},
	[CHECK_APPARMOR] = {"label.apparmor", NULL, "", false, "the AppArmor profile"},
	[CHECK_SELINUX] = {"label.selinux", NULL, "", false, "the SELinux label"},
	[CHECK_READONLY_PATH] = {"readonly.", "PATH", "", false, "a read-only path, and all below it, cannot be written to"},
	[CHECK_MASKED_PATH] = {"masked.", "PATH", "", false, "a masked path has nothing to read and cannot be written to"},
	[CHECK_KEYRING] = {"process.keyring", NULL, "", false, "the session keyring is the container's own"},
	[CHECK_PERSONALITY] = {"process.personality", NULL, "", true, "the execution domain"},
	[CHECK_CWD] = {"process.cwd", NULL, "", true, "the working directory"},
	[CHECK_ENV] = {"process.env", NULL, "", true, "the environment: what was asked for, and nothing else"},
	[CHECK_DESCRIPTORS] = {"process.descriptors", NULL, "", false, "no file of the host is left open"},
	[CHECK_UID] = {"user.uid", NULL, "", true, "the user, in all four kinds"},
	[CHECK_GID] = {"user.gid", NULL, "", true, "the group, in all four kinds"},
	[CHECK_GROUPS] = {"user.groups", NULL, "", true, "the supplementary groups"},
	[CHECK_UMASK] = {"user.umask", NULL, "", true, "the file mode creation mask"},
	[CHECK_CAPS_BOUNDING] = {"caps.bounding", NULL, "", true, "what no program can get beyond"},
	[CHECK_CAPS_EFFECTIVE] = {"caps.effective", NULL, "", true, "what counts"},
	[CHECK_CAPS_PERMITTED] = {"caps.permitted", NULL, "", true, "what can be made effective"},
	[CHECK_CAPS_INHERITABLE] = {"caps.inheritable", NULL, "", true, "what execve may hand on"},
	[CHECK_CAPS_AMBIENT] = {"caps.ambient", NULL, "", true, "what execve does hand on"},
	[CHECK_NO_NEW_PRIVS] = {"process.no_new_privs", NULL, "", true, "no program gives more privileges"},
	[CHECK_MEMORY_POLICY] = {"process.memory_policy", NULL, "", true, "the NUMA memory policy"},
	[CHECK_SECCOMP_MODE] = {"seccomp.mode", NULL, "", true, "system calls are filtered, or not"},
	[CHECK_SECCOMP_COUNT] = {"seccomp.filters", NULL, "", true, "how many filters there are"},
	[CHECK_SECCOMP_FILTER] = {"seccomp.filter", NULL, "", false, "the filter is that of the profile, instruction by instruction"},
};
/* clang-format on */

const char *
check_id_form(enum check check, char *buf, size_t size)
{
	const struct check_row *row = &checks[check];

	snprintf(buf, size, "%s%s%s", row->begin, row->subject != NULL ? row->subject : "",
	         row->end);
	return buf;
}

/* Which are asked for ---------------------------------------------------------- */

static bool
is_glob(const char *pattern)
{
	return strpbrk(pattern, "*?[") != NULL;
}

static bool
matches(const char *pattern, const char *id)
{
	size_t length = strlen(pattern);

	if (is_glob(pattern))
		return fnmatch(pattern, id, 0) == 0;
	return strncmp(pattern, id, length) == 0 && (id[length] == '\0' || id[length] == '.' ||
	                                             (length > 0 && pattern[length - 1] == '.'));
}

static bool
match_one(const struct patterns *patterns, const char *id)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (matches(patterns->items[i], id))
			return true;
	return false;
}

static bool
is_wanted(const struct verdicts *v, const char *id)
{
	return (v->only.count == 0 || match_one(&v->only, id)) && !match_one(&v->skip, id);
}

static const char *
make_id(struct arena *arena, enum check check, const char *subject)
{
	const struct check_row *row = &checks[check];

	if (row->subject == NULL)
		return row->begin;
	return arena_printf(arena, "%s%s%s", row->begin, subject, row->end);
}

bool
verdicts_want(const struct verdicts *v, enum check check, const char *subject)
{
	return is_wanted(v, make_id(v->arena, check, subject));
}

/* A subject may be anything, so that only the words before it can be wrong. */
bool
check_pattern_is_known(const char *pattern)
{
	size_t length = strlen(pattern);

	for (enum check i = 0; i < CHECKS; i++) {
		size_t begin = strlen(checks[i].begin);

		if (is_glob(pattern) || matches(pattern, checks[i].begin))
			return true;
		if (checks[i].subject != NULL && length > begin &&
		    strncmp(pattern, checks[i].begin, begin) == 0)
			return true;
	}
	return false;
}

/* Verdicts ---------------------------------------------------------------------- */

void
verdicts_put(struct verdicts *v, const struct verdict *verdict)
{
	struct verdict *more;

	if (v->count == v->room) {
		v->room = v->room * 2 + 64;
		more = arena_array(v->arena, v->room, sizeof(*more));
		if (v->count > 0)
			memcpy(more, v->items, v->count * sizeof(*more));
		v->items = more;
	}
	v->counts[verdict->outcome]++;
	v->items[v->count++] = *verdict;
	if (v->tell != NULL)
		v->tell(v->listener, VERDICT_FOUND, verdict);
}

static bool
is_answered(const struct verdicts *v, const char *pattern)
{
	for (size_t i = 0; i < v->count; i++)
		if (matches(pattern, v->items[i].id))
			return true;
	return false;
}

void
verdicts_note_unanswered(struct verdicts *v)
{
	for (size_t i = 0; i < v->only.count; i++) {
		const struct verdict verdict = {
			.outcome = VERDICT_UNKNOWN,
			.id = v->only.items[i],
			.found = "there is nothing of it to verify",
		};

		if (!is_answered(v, verdict.id))
			verdicts_put(v, &verdict);
	}
}

static void
add(struct verdicts *v, struct claim claim, enum outcome outcome, const char *expected,
    const char *found)
{
	const struct verdict verdict = {
		.check = claim.check,
		.outcome = outcome,
		.id = make_id(v->arena, claim.check, claim.subject),
		.at = claim.at,
		.expected = expected != NULL ? arena_strdup(v->arena, expected) : NULL,
		.found = found != NULL ? arena_strdup(v->arena, found) : NULL,
	};

	if (is_wanted(v, verdict.id))
		verdicts_put(v, &verdict);
}

static bool
begin(struct verdicts *v, struct claim claim, bool alone)
{
	const struct verdict verdict = {
		.check = claim.check,
		.outcome = VERDICT_UNKNOWN,
		.id = make_id(v->arena, claim.check, claim.subject),
		.at = claim.at,
	};

	if (alone && !is_wanted(v, verdict.id))
		return false;

	for (size_t i = 0; i < v->done.count; i++)
		if (strcmp(v->done.items[i], verdict.id) == 0)
			return false;
	if (v->tell != NULL)
		v->tell(v->listener, VERDICT_BEGIN, &verdict);
	return true;
}

bool
verdict_begin(struct verdicts *v, struct claim claim)
{
	return begin(v, claim, true);
}

bool
verdict_begin_first(struct verdicts *v, struct claim claim)
{
	return begin(v, claim, false);
}

void
verdict_add(struct verdicts *v, struct claim claim, bool holds, const char *expected,
            const char *found)
{
	add(v, claim, holds ? VERDICT_HOLDS : VERDICT_DRIFT, expected, found);
}

void
verdict_compare(struct verdicts *v, struct claim claim, const char *expected, const char *found)
{
	if (found == NULL)
		add(v, claim, VERDICT_UNKNOWN, expected, error_text(errno));
	else
		verdict_add(v, claim, strcmp(expected, found) == 0, expected, found);
}

void
verdict_unknown(struct verdicts *v, struct claim claim, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	add(v, claim, VERDICT_UNKNOWN, NULL, text);
}

void
verdict_pending(struct verdicts *v, struct claim claim)
{
	add(v, claim, VERDICT_PENDING, NULL, "the container is not started yet");
}
