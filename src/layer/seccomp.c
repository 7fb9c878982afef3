/* SPDX-License-Identifier: MIT */
/*
 * The seccomp filter (config-linux.md "Seccomp", seccomp(2)): checked, compiled
 * or taken from the cache, installed. The parent compiles into memory that it
 * shares with init, while init mounts. Init installs the program with a single
 * call, the last before execve, so that a profile need allow nothing but execve
 * for our sake; that call takes no_new_privs or CAP_SYS_ADMIN, which
 * credentials.c keeps until then. SCMP_ACT_NOTIFY: seccomp_notify.c.
 */
#include "hako/seccomp.h"
#include "hako/layer.h"
#include "hako/log.h"
#include "hako/problem.h"
#include "hako/syscall.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Plan -------------------------------------------------------------------------- */

static const uint32_t action_values[] = {
	[SECCOMP_ACTION_KILL_THREAD] = SECCOMP_RET_KILL_THREAD,
	[SECCOMP_ACTION_KILL_PROCESS] = SECCOMP_RET_KILL_PROCESS,
	[SECCOMP_ACTION_TRAP] = SECCOMP_RET_TRAP,
	[SECCOMP_ACTION_ERRNO] = SECCOMP_RET_ERRNO,
	[SECCOMP_ACTION_TRACE] = SECCOMP_RET_TRACE,
	[SECCOMP_ACTION_ALLOW] = SECCOMP_RET_ALLOW,
	[SECCOMP_ACTION_LOG] = SECCOMP_RET_LOG,
	[SECCOMP_ACTION_NOTIFY] = SECCOMP_RET_USER_NOTIF,
};

enum { MAX_ERRNO = 4095, MAX_TRACE = 0xffff };

static bool
has_data(int action)
{
	return action == SECCOMP_ACTION_ERRNO || action == SECCOMP_ACTION_TRACE;
}

static uint32_t
action_of(int action, const uint64_t *errno_ret)
{
	uint32_t data = errno_ret != NULL ? (uint32_t)*errno_ret : EPERM;

	if (action <= 0 || (size_t)action >= ARRAY_SIZE(action_values))
		return SECCOMP_RET_KILL_PROCESS; /* check_action() lets none pass */
	return has_data(action) ? action_values[action] | data : action_values[action];
}

uint32_t
seccomp_rule_action(const struct config_syscall *rule)
{
	return action_of(rule->action, rule->errno_ret);
}

uint32_t
seccomp_default_action(const struct config_seccomp *seccomp)
{
	return action_of(seccomp->default_action, seccomp->default_errno_ret);
}

static int
check_action(const struct json *at, int action, const char *member, const uint64_t *errno_ret,
             struct error *e)
{
	uint64_t max = action == SECCOMP_ACTION_TRACE ? MAX_TRACE : MAX_ERRNO;

	if (action <= 0 || (size_t)action >= ARRAY_SIZE(action_values))
		return json_error(at, e, 0, "seccomp-invalid", "an action is required");
	if (errno_ret == NULL)
		return 0;
	if (!has_data(action))
		return json_error(at, e, 0, "seccomp-invalid",
		                  "an errno needs SCMP_ACT_ERRNO or SCMP_ACT_TRACE");
	if (*errno_ret > max)
		return config_error(at, member, e, "seccomp-invalid", "errno %llu is over %llu",
		                    (unsigned long long)*errno_ret, (unsigned long long)max);
	return 0;
}

static int
check_argument(const struct config_seccomp_arg *arg, struct error *e)
{
	if (arg->index == NULL || *arg->index >= SECCOMP_ARGUMENTS)
		return json_error(arg->at, e, 0, "seccomp-invalid",
		                  "an index of 0 to 5 is required");
	if (arg->value == NULL || arg->op == 0)
		return json_error(arg->at, e, 0, "seccomp-invalid",
		                  "a value and an op are required");
	return 0;
}

static int
check_rule(const struct config_syscall *rule, struct error *e)
{
	const struct config_seccomp_arg *args = rule->args.items;

	if (rule->names.count == 0)
		return json_error(rule->at, e, 0, "seccomp-invalid", "names are required");
	for (size_t i = 0; i < rule->args.count; i++)
		if (check_argument(&args[i], e) < 0)
			return -1;
	return check_action(rule->at, rule->action, "errnoRet", rule->errno_ret, e);
}

static bool
names_one_of(const struct config_syscall *rule, const struct strings *names, const char **ret_name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strings_include(&rule->names, names->items[i])) {
			*ret_name = names->items[i];
			return true;
		}
	return false;
}

/*
 * A rule with the default action says nothing new and cannot be given to
 * libseccomp. If another rule decides the same syscall otherwise, whatever its
 * arguments, then its author wanted something that will not be done.
 */
static int
check_useless(const struct config_seccomp *seccomp, const struct config_syscall *useless,
              struct error *e)
{
	const struct config_syscall *rules = seccomp->syscalls.items;
	const char *name;

	for (size_t i = 0; i < seccomp->syscalls.count; i++) {
		if (rules[i].args.count > 0 ||
		    seccomp_rule_action(&rules[i]) == seccomp_default_action(seccomp) ||
		    !names_one_of(&rules[i], &useless->names, &name))
			continue;
		return json_fallback(useless->at, e, "seccomp-rule-ignored",
		                     "has the default action, but another rule names %s too", name);
	}
	return 0;
}

static int
check_profile(const struct config_seccomp *seccomp, struct error *e)
{
	const struct config_syscall *rules = seccomp->syscalls.items;

	if (json_stops(seccomp->at, check_action(seccomp->at, seccomp->default_action,
	                                         "defaultErrnoRet", seccomp->default_errno_ret, e)))
		return error_context(e, "default action");
	for (size_t i = 0; i < seccomp->syscalls.count; i++)
		if (json_stops(seccomp->at, check_rule(&rules[i], e)))
			return -1;
	for (size_t i = 0; i < seccomp->syscalls.count; i++)
		if (seccomp_rule_action(&rules[i]) == seccomp_default_action(seccomp) &&
		    json_stops(seccomp->at, check_useless(seccomp, &rules[i], e)))
			return -1;
	return 0;
}

/* Nothing to filter. A list of architectures is something: the others are killed. */
static bool
is_empty(const struct config_seccomp *seccomp)
{
	return seccomp->syscalls.count == 0 && seccomp->architectures.count == 0 &&
	       (seccomp->default_action == 0 || seccomp->default_action == SECCOMP_ACTION_ALLOW);
}

/*
 * No list of flags means SPEC_ALLOW, as runc has it, an empty one means none.
 * WAIT_KILLABLE_RECV is about a listener; without one the kernel refuses it. TSYNC
 * is about threads, and the program begins with one.
 */
static uint32_t
load_flags(const struct config_seccomp *seccomp, bool listener)
{
	/* the one thread that shall stay without the filter hands the listener over */
	uint64_t without =
		listener ? SECCOMP_FILTER_FLAG_TSYNC : SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

	if (seccomp->flags.at == NULL)
		return SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	return (uint32_t)(seccomp->flags.value & ~without);
}

LAYER_PLAN(seccomp_plan)
{
	const struct config_linux *lin = p->config->linux_;
	const struct config_seccomp *seccomp = lin != NULL ? lin->seccomp : NULL;
	struct seccomp_program *program;

	if (seccomp == NULL || is_empty(seccomp))
		return 0;
	if (check_profile(seccomp, e) < 0 || seccomp_notify_plan(p, seccomp, e) < 0)
		return -1;
	program = mmap(NULL, sizeof(*program) + BPF_MAXINSNS * sizeof(struct sock_filter),
	               PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (program == MAP_FAILED)
		return json_error(seccomp->at, e, errno, "seccomp-failed", "mmap");
	program->flags = load_flags(seccomp, p->plan->listener.path != NULL);
	p->plan->seccomp = program;
	return 0;
}

/* Compile, install ---------------------------------------------------------------- */

/* A flag that the kernel knows gets as far as the missing program: EFAULT. */
static int
probe_flags(const struct config_seccomp *seccomp, struct error *e)
{
	const uint64_t known = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
	                       SECCOMP_FILTER_FLAG_SPEC_ALLOW;

	for (uint64_t rest = seccomp->flags.value & ~known; rest != 0; rest &= rest - 1) {
		uint64_t flag = rest & -rest;
		const char *name = name_of(seccomp_flag_names, flag);

		(void)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		              flag | SECCOMP_FILTER_FLAG_NEW_LISTENER, NULL);
		if (errno != EFAULT)
			return json_error(seccomp->flags.at, e, errno, "seccomp-unsupported",
			                  "this kernel does not know %s",
			                  name != NULL ? name : "?");
	}
	return 0;
}

/* An annotation of crun's: "0" is no. */
static bool
wants_known_names(const struct config *config)
{
	const char *value =
		string_map_find(&config->annotations, annotation_names[ANNOTATION_SECCOMP_UNKNOWN]);

	return value != NULL && strcmp(value, "0") != 0;
}

/* Its rule is left out. Misspelt in a list of what is forbidden, it would stay allowed. */
static int
report_unknown(const struct config_seccomp *seccomp, const struct config_syscall *rule,
               const struct json *name, bool fatal, struct error *e)
{
	bool allowed = seccomp->default_action == SECCOMP_ACTION_ALLOW ||
	               seccomp->default_action == SECCOMP_ACTION_LOG;

	if (fatal)
		return json_error(name, e, 0, "seccomp-name-unknown",
		                  "no system call of the name %s is known", name->text);
	if (allowed && rule->action != seccomp->default_action)
		return json_fallback(name, e, "seccomp-name-unknown",
		                     "no system call of this name is known: nothing will stop it");
	log_debug("seccomp: libseccomp does not know %s, ignored", name->text);
	return 0;
}

/* NULL when the rule has an error of its own. */
static const struct json *
first_name(const struct config_syscall *rule)
{
	return rule->names.at != NULL ? rule->names.at->first : NULL;
}

static int
check_names(const struct plan *plan, struct error *e)
{
	const struct config_seccomp *seccomp = plan->config->linux_->seccomp;
	const struct config_syscall *rules = seccomp->syscalls.items;
	bool fatal = wants_known_names(plan->config);

	for (size_t i = 0; i < seccomp->syscalls.count; i++)
		for (const struct json *name = first_name(&rules[i]); name != NULL;
		     name = name->next)
			if (!seccomp_knows(name->text) &&
			    json_stops(name, report_unknown(seccomp, &rules[i], name, fatal, e)))
				return -1;
	return 0;
}

LAYER_PROBE(seccomp_probe)
{
	const struct config_seccomp *seccomp = plan->config->linux_->seccomp;

	if (plan->seccomp == NULL || json_stops(seccomp->at, probe_flags(seccomp, e)))
		return 0;
	(void)seccomp_check_agent(plan, e);
	(void)check_names(plan, e);
	return 0;
}

static struct seccomp_key
cache_key(const struct config_seccomp *seccomp)
{
	const struct json *root = seccomp->at;
	struct seccomp_key key = {0};

	seccomp_library_version(key.version);
	while (root != NULL && root->parent != NULL)
		root = root->parent;
	if (root != NULL && root->doc != NULL) {
		key.text = root->doc->text + seccomp->at->offset;
		key.length = seccomp->at->end - seccomp->at->offset;
	}
	return key;
}

LAYER_RUN(seccomp_compile)
{
	const struct config_seccomp *seccomp;
	struct sock_filter *filter;
	struct seccomp_key key;
	uint32_t cached;
	int length;

	if (plan->seccomp == NULL)
		return 0;
	seccomp = plan->config->linux_->seccomp;
	if (probe_flags(seccomp, e) < 0 || seccomp_check_agent(plan, e) < 0)
		return -1;
	filter = (struct sock_filter *)plan->seccomp->filter;
	key = cache_key(seccomp);
	cached = seccomp_cache_load(h->root_dir, &key, filter);
	/* looking up hundreds of names takes longer than the rest of a hit */
	if ((cached == 0 || log_settings.strict || wants_known_names(plan->config)) &&
	    check_names(plan, e) < 0)
		return -1;
	length = cached > 0 ? (int)cached : seccomp_compile_profile(seccomp, filter, e);
	if (length < 0)
		return -1;
	if (cached == 0)
		seccomp_cache_store(h->root_dir, &key, filter, (uint32_t)length);
	/* init may look at any time: the program must be whole before its length is there */
	__atomic_store_n(&plan->seccomp->length, (uint32_t)length, __ATOMIC_RELEASE);
	return 0;
}

static int
find_program(const struct plan *plan, struct sock_fprog *ret, struct error *e)
{
	uint32_t length = __atomic_load_n(&plan->seccomp->length, __ATOMIC_ACQUIRE);

	if (length == 0 || length > BPF_MAXINSNS)
		return json_error(plan->config->linux_->seccomp->at, e, 0, "seccomp-failed",
		                  "the filter is not compiled");
	ret->len = (unsigned short)length;
	ret->filter = (struct sock_filter *)plan->seccomp->filter;
	return 0;
}

static int
load(const struct plan *plan, const struct sock_fprog *program, struct error *e)
{
	/* above 0: the id of a thread that TSYNC could not reach */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, plan->seccomp->flags, program) != 0)
		return json_error(plan->config->linux_->seccomp->at, e, errno, "seccomp-failed",
		                  "load the filter");
	return 0;
}

LAYER_RUN(seccomp_install)
{
	struct sock_fprog program;

	if (plan->seccomp == NULL)
		return 0;
	if (find_program(plan, &program, e) < 0)
		return -1;
	return plan->listener.path != NULL ? seccomp_install_listener(plan, h, &program, e)
	                                   : load(plan, &program, e);
}

int
seccomp_install_in_hook(const struct plan *plan, struct error *e)
{
	struct sock_fprog program;

	if (plan->seccomp == NULL)
		return 0;
	return find_program(plan, &program, e) < 0 ? -1 : load(plan, &program, e);
}
