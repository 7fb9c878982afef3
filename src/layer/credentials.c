/* SPDX-License-Identifier: MIT */
/*
 * Who the container's process is and what it may do (config.md "User", "Linux
 * Process"; capabilities(7)). The order is the kernel's: the bounding set while
 * CAP_SETPCAP is there, groups while CAP_SETGID is, then the ids; KEEPCAPS
 * carries the permitted set over to another user; capset() shrinks it, ambient
 * capabilities must then be both permitted and inheritable; no_new_privs last.
 *
 * One capability may stay too long: to install a seccomp filter without
 * no_new_privs takes CAP_SYS_ADMIN, and that is the last thing init does. It is
 * kept permitted and effective until then. The execve that follows computes both
 * sets anew from the inheritable, bounding and ambient ones, which never get it
 * unless the config says so; if execve fails, the process is gone.
 */
#include "hako/credentials.h"
#include "hako/layer.h"
#include "hako/log.h"
#include "hako/problem.h"
#include "hako/syscall.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every kernel that hako runs on has the capabilities up to here. */
enum { CAP_CERTAIN = CAP_CHECKPOINT_RESTORE, CAP_MAX = 64 };

static uint64_t
bit(int capability)
{
	return (uint64_t)1 << capability;
}

/* Plan -------------------------------------------------------------------------- */

/* libcap also takes bare numbers; config.json has names alone. */
int
capability_number(const char *name)
{
	cap_value_t value;

	if (strncasecmp(name, "CAP_", 4) != 0 || cap_from_name(name, &value) < 0 ||
	    value >= CAP_MAX)
		return -1;
	return value;
}

/* For check: an error, and what may have been meant. */
static int
refuse_unknown(const struct json *item, const char *name, struct error *e)
{
	enum { NEAR = 2 };
	struct name_search search = name_search_for(name);
	const char *other;

	for (int i = 0; (other = capability_name(i)) != NULL; i++)
		name_search_look(&search, other);
	json_error(item, e, 0, "capability-unknown", "no capability %s is known", name);
	if (search.distance <= NEAR)
		json_hint(item, "did you mean \"%s\"?", search.nearest);
	return -1;
}

static int
report_unknown(const struct strings *names, size_t i, struct error *e)
{
	const struct json *item = strings_at(names, i);

	if (json_goes_on(item))
		return refuse_unknown(item, names->items[i], e);
	return json_fallback_shown(item, e, "capability-unknown",
	                           "ignoring unknown or unavailable capabilities: [%s]",
	                           names->items[i]);
}

static int
plan_set(const struct strings *names, uint64_t *set, struct error *e)
{
	for (size_t i = 0; i < names->count; i++) {
		int capability = capability_number(names->items[i]);

		if (capability >= 0)
			*set |= bit(capability);
		else if (json_stops(names->at, report_unknown(names, i, e)))
			return -1;
	}
	return 0;
}

/* "CAP_CHOWN CAP_KILL"; what does not fit is cut off. */
static const char *
list_names(uint64_t set, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (int i = 0; i < CAP_MAX; i++) {
		const char *name = capability_name(i);

		if ((set & bit(i)) != 0 && used < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s",
			                         used > 0 ? " " : "", name != NULL ? name : "?");
	}
	return buf;
}

/* What the kernel would refuse in one set because another lacks it. */
static int
limit(const struct strings *names, uint64_t *set, uint64_t allowed, const char *why,
      struct error *e)
{
	uint64_t excess = *set & ~allowed;
	char list[256];

	if (excess == 0)
		return 0;
	*set &= allowed;
	return json_fallback(names->at, e, "capability-unusable", "%s: %s",
	                     list_names(excess, list, sizeof(list)), why);
}

/* Shown, where other runtimes fail. What engines give in the other sets is not worth a word. */
static int
limit_inheritable(const struct config_capabilities *c, struct capability_sets *sets,
                  struct error *e)
{
	uint64_t excess = sets->inheritable & ~sets->bounding;
	char list[256];

	if (excess == 0)
		return 0;
	sets->inheritable &= sets->bounding;
	return json_fallback_shown(c->inheritable.at, e, "capability-unusable",
	                           "%s: not in the bounding set: operation not permitted",
	                           list_names(excess, list, sizeof(list)));
}

static int
plan_capabilities(const struct config_capabilities *c, struct capability_sets *sets,
                  struct error *e)
{
	if (plan_set(&c->bounding, &sets->bounding, e) < 0 ||
	    plan_set(&c->effective, &sets->effective, e) < 0 ||
	    plan_set(&c->permitted, &sets->permitted, e) < 0 ||
	    plan_set(&c->inheritable, &sets->inheritable, e) < 0 ||
	    plan_set(&c->ambient, &sets->ambient, e) < 0)
		return -1;
	if (limit(&c->effective, &sets->effective, sets->permitted, "not permitted", e) < 0 ||
	    limit_inheritable(c, sets, e) < 0)
		return -1;
	return limit(&c->ambient, &sets->ambient, sets->permitted & sets->inheritable,
	             "not permitted and inheritable", e);
}

static void
plan_user(struct planner *p, const struct config_user *user)
{
	struct process_plan *process = &p->plan->process;
	gid_t *groups = arena_array(p->arena, user->additional_gids.count, sizeof(*groups));

	for (size_t i = 0; i < user->additional_gids.count; i++)
		groups[i] = (gid_t)user->additional_gids.items[i];
	process->groups = groups;
	process->group_count = user->additional_gids.count;
	process->uid = user->uid;
	process->gid = user->gid;
	if (user->umask != NULL)
		process->umask = (mode_t)*user->umask & 0777; /* as umask(2) has it */
}

/* Podman's --group-add keep-groups: the caller's groups are the point of it. */
static bool
keeps_groups(const struct config *config)
{
	const char *value =
		string_map_find(&config->annotations, annotation_names[ANNOTATION_KEEP_GROUPS]);

	return value != NULL && strcmp(value, "1") == 0;
}

/* No capabilities in the config: none in the container. */
LAYER_PLAN(credentials_plan)
{
	const struct config_process *c = p->config->process;
	struct process_plan *process = &p->plan->process;

	process->umask = 0022;
	process->capabilities_set = true;
	process->keep_groups = keeps_groups(p->config);
	if (c == NULL)
		return 0;
	process->no_new_privileges = c->no_new_privileges;
	if (c->user != NULL)
		plan_user(p, c->user);
	return c->capabilities != NULL
	               ? plan_capabilities(c->capabilities, &process->capabilities, e)
	               : 0;
}

/* Apply: ids ----------------------------------------------------------------------- */

static int
fail_user(const struct plan *plan, const char *member, const char *what, struct error *e)
{
	const struct json *user = json_member(plan->process.at, "user");
	const struct json *at = json_member(user, member);
	int code = errno;

	return json_error(at != NULL ? at : user, e, code, "user-failed", "%s%s", what,
	                  code == EINVAL ? " (is it mapped in the user namespace?)" : "");
}

static int
read_capabilities(struct capability_sets *sets)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (capget(&header, data) < 0)
		return -1;
	sets->effective = (uint64_t)data[1].effective << 32 | data[0].effective;
	sets->permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	sets->inheritable = (uint64_t)data[1].inheritable << 32 | data[0].inheritable;
	return 0;
}

/* With CAP_SETGID only a user namespace can forbid it, by /proc/PID/setgroups. */
static bool
is_denied_by_namespace(const struct plan *plan)
{
	struct capability_sets own;

	if (errno != EPERM || (plan->options.privileged && !plan_isolates(plan, CLONE_NEWUSER)))
		return false;
	return read_capabilities(&own) == 0 && (own.effective & bit(CAP_SETGID)) != 0;
}

/* The caller's groups must go, also when there are none to set. */
static int
set_groups(const struct plan *plan, struct error *e)
{
	const struct process_plan *process = &plan->process;
	int code;

	if (process->keep_groups)
		return 0;
	if (!plan->idmap.setgroups_denied) {
		if (setgroups(process->group_count, process->groups) == 0)
			return 0;
		code = errno;
		if (!is_denied_by_namespace(plan)) {
			errno = code;
			return fail_user(plan, "additionalGids", "set the groups", e);
		}
	}
	return process->group_count == 0
	               ? 0
	               : log_fallback(e, "groups-denied",
	                              "no additional groups: the user namespace denies them");
}

static int
set_ids(const struct plan *plan, struct error *e)
{
	uid_t uid = plan->process.uid;
	gid_t gid = plan->process.gid;
	char what[64];

	snprintf(what, sizeof(what), "set the user %u and group %u", uid, gid);
	/* to setresuid() it means: leave as it is */
	if (uid == (uid_t)-1 || gid == (gid_t)-1) {
		errno = EINVAL;
		return fail_user(plan, "uid", what, e);
	}
	if (setresgid(gid, gid, gid) < 0)
		return fail_user(plan, "gid", what, e);
	if (setresuid(uid, uid, uid) < 0)
		return fail_user(plan, "uid", what, e);
	return 0;
}

/* Apply: capabilities --------------------------------------------------------------- */

static const struct json *
capabilities_at(const struct plan *plan)
{
	return json_member(plan->process.at, "capabilities");
}

static int
fail_capabilities(const struct plan *plan, const char *what, struct error *e)
{
	return json_error(capabilities_at(plan), e, errno, "capabilities-failed", "%s", what);
}

static int
drop_bounding(const struct plan *plan, uint64_t keep, struct error *e)
{
	int count = (int)cap_max_bits();

	for (int i = 0; i < count; i++) {
		if ((keep & bit(i)) != 0 || prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL && i > CAP_CERTAIN)
			break; /* there are no more */
		return fail_capabilities(plan, "shrink the bounding set", e);
	}
	return 0;
}

static int
report_missing(const struct plan *plan, uint64_t missing, struct error *e)
{
	char list[256];

	if (missing == 0)
		return 0;
	return json_fallback(capabilities_at(plan), e, "capability-unavailable",
	                     "%s: not to be had here", list_names(missing, list, sizeof(list)));
}

/* Newer than this kernel: it ignores them. */
static int
report_newer(const struct plan *plan, const struct capability_sets *sets, struct error *e)
{
	uint64_t wanted = sets->bounding | sets->permitted | sets->inheritable, missing = 0;

	for (int i = CAP_CERTAIN + 1; i < CAP_MAX && wanted >> i != 0; i++)
		if ((wanted & bit(i)) != 0 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) < 0)
			missing |= bit(i);
	return report_missing(plan, missing, e);
}

/* In a user namespace all are had; elsewhere no more than the caller's. */
LAYER_PROBE(credentials_probe)
{
	const struct capability_sets *sets = &plan->process.capabilities;
	struct capability_sets own;

	if (plan->process.at == NULL || report_newer(plan, sets, e) < 0)
		return 0;
	if (plan_isolates(plan, CLONE_NEWUSER) || read_capabilities(&own) < 0)
		return 0;
	return report_missing(plan, (sets->permitted | sets->inheritable) & ~own.permitted, e);
}

static int
write_capabilities(const struct capability_sets *sets)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	for (unsigned i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(sets->effective >> (32 * i));
		data[i].permitted = (uint32_t)(sets->permitted >> (32 * i));
		data[i].inheritable = (uint32_t)(sets->inheritable >> (32 * i));
	}
	return capset(&header, data);
}

/* By the steps of CONFINE and START. A label is for a security module, which looks at who traces. */
static uint64_t
needed_by_steps(const struct plan *plan)
{
	const struct process_plan *process = &plan->process;
	uint64_t needed = bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_SETGID) |
	                  bit(CAP_SETPCAP) | bit(CAP_SETUID) | bit(CAP_SYS_RESOURCE);

	if ((plan->seccomp != NULL && !process->no_new_privileges) ||
	    process->label.apparmor != NULL || process->label.selinux != NULL)
		needed |= bit(CAP_SYS_ADMIN);
	return needed;
}

int
credentials_shed(const struct plan *plan, struct handles *h, struct error *e)
{
	const struct capability_sets *sets = &plan->process.capabilities;
	uint64_t keep = needed_by_steps(plan) | sets->permitted | sets->inheritable;
	struct capability_sets own;

	if (!plan->process.capabilities_set)
		return 0;
	if (read_capabilities(&own) < 0)
		return fail_capabilities(plan, "read the capabilities", e);
	h->bounding_dropped = (own.effective & bit(CAP_SETPCAP)) != 0;
	if (h->bounding_dropped && drop_bounding(plan, sets->bounding, e) < 0)
		return -1;
	own.effective &= keep;
	own.permitted &= keep;
	own.inheritable &= keep;
	return write_capabilities(&own) < 0 ? fail_capabilities(plan, "give up capabilities", e)
	                                    : 0;
}

/*
 * In a restricted environment not all may be there to give; the specification
 * wants a warning then.
 */
static int
set_capabilities(const struct plan *plan, struct capability_sets *sets, struct error *e)
{
	struct capability_sets own;
	uint64_t wanted = sets->permitted | sets->inheritable;

	if (write_capabilities(sets) == 0)
		return 0;
	if (errno != EPERM || read_capabilities(&own) < 0)
		return fail_capabilities(plan, "set the capabilities", e);
	if (report_missing(plan, wanted & ~own.permitted, e) < 0)
		return -1;
	sets->effective &= own.permitted;
	sets->permitted &= own.permitted;
	sets->inheritable &= own.permitted;
	sets->ambient &= own.permitted;
	if (write_capabilities(sets) < 0)
		return fail_capabilities(plan, "set the capabilities", e);
	return 0;
}

/* capset() has left no more of the old ambient set than is permitted and inheritable. */
static int
set_ambient(const struct plan *plan, const struct capability_sets *sets, struct error *e)
{
	if ((sets->permitted & sets->inheritable & ~sets->ambient) != 0 &&
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return fail_capabilities(plan, "clear the ambient set", e);
	for (int i = 0; i < CAP_MAX && sets->ambient >> i != 0; i++)
		if ((sets->ambient & bit(i)) != 0 &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0 &&
		    report_missing(plan, bit(i), e) < 0)
			return -1;
	return 0;
}

/* Another user keeps capabilities only by asking for it; execve ends that too. */
static int
keep_capabilities(const struct plan *plan, const struct capability_sets *sets, bool keep,
                  struct error *e)
{
	if (plan->process.uid == 0 || (sets->permitted | sets->inheritable) == 0)
		return 0;
	if (prctl(PR_SET_KEEPCAPS, keep, 0, 0, 0) < 0)
		return fail_capabilities(plan, "keep the capabilities", e);
	return 0;
}

/* Apply ------------------------------------------------------------------------------ */

static int
become_user(const struct plan *plan, const struct capability_sets *sets, struct error *e)
{
	if (keep_capabilities(plan, sets, true, e) < 0 || set_groups(plan, e) < 0 ||
	    set_ids(plan, e) < 0)
		return -1;
	umask(plan->process.umask);
	return keep_capabilities(plan, sets, false, e);
}

LAYER_RUN(credentials_apply)
{
	const struct process_plan *process = &plan->process;
	struct capability_sets sets = process->capabilities;

	if (process->capabilities_set) {
		if (plan->seccomp != NULL && !process->no_new_privileges) {
			sets.permitted |= bit(CAP_SYS_ADMIN);
			sets.effective |= bit(CAP_SYS_ADMIN);
		}
		if (report_newer(plan, &sets, e) < 0 ||
		    (!h->bounding_dropped && drop_bounding(plan, sets.bounding, e) < 0) ||
		    become_user(plan, &sets, e) < 0 || set_capabilities(plan, &sets, e) < 0 ||
		    set_ambient(plan, &sets, e) < 0)
			return -1;
	} else if (become_user(plan, &sets, e) < 0) {
		return -1;
	}
	if (process->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return json_error(json_member(process->at, "noNewPrivileges"), e, errno,
		                  "no-new-privileges-failed", "set no_new_privs");
	return 0;
}
