/* SPDX-License-Identifier: MIT */
/*
 * Credentials. The plan is compared with masks written by hand; applied in a
 * child, what counts is what /proc/self/status says, before execve and after.
 */
#include "hako/credentials.h"
#include "hako/layer.h"
#include "hako/log.h"
#include "hako/seccomp.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIT(capability) ((uint64_t)1 << (capability))

static struct arena arena;
static struct plan plan;
static struct handles handles;
static struct error e;

static int
setup(void **state)
{
	(void)state;
	memset(&plan, 0, sizeof(plan));
	memset(&e, 0, sizeof(e));
	handles.root_dir = -1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	log_settings.strict = false;
	arena_free(&arena);
	return 0;
}

static int
plan_text(const char *text)
{
	struct planner p = {.arena = &arena, .plan = &plan};
	struct json_doc *doc;

	memset(&plan, 0, sizeof(plan));
	if (json_parse(&arena, "config.json", text, strlen(text), &doc, &e) < 0 ||
	    config_decode(&arena, doc, &p.config, &e) < 0 || seccomp_plan(&p, &e) < 0)
		return -1;
	plan.config = p.config;
	if (credentials_plan(&p, &e) < 0)
		return -1;
	plan.process.at = p.config->process != NULL ? p.config->process->at : NULL;
	return 0;
}

/* rest: more properties of process, each with a comma before it; more: of the config. */
static int
plan_process(const char *rest, const char *more)
{
	return plan_text(arena_printf(
		&arena,
		"{\"ociVersion\": \"1.2.0\", \"root\": {\"path\": \"r\"}, \"process\": {\"cwd\": \"/\", "
		"\"args\": [\"true\"]%s}%s}",
		rest, more));
}

static void
plan_good(const char *rest, const char *more)
{
	if (plan_process(rest, more) < 0)
		fail_msg("%s: %s", e.at, e.msg);
}

#define CAPS(sets) ", \"capabilities\": {" sets "}"
#define FILTER                                                                                     \
	", \"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": "        \
	"[{\"names\": [\"mkdirat\"], \"action\": \"SCMP_ACT_ERRNO\"}]}}"

/* Names and plan ------------------------------------------------------------------------ */

static void
test_names(void **state)
{
	(void)state;
	for (int i = 0; i <= CAP_LAST_CAP; i++) {
		char *name = cap_to_name(i);

		assert_non_null(name);
		if (strncmp(name, "cap_", 4) == 0)
			assert_int_equal(strcasecmp(name, capability_name(i)), 0);
		cap_free(name);
	}
	assert_string_equal(capability_name(CAP_SYS_ADMIN), "CAP_SYS_ADMIN");
	assert_null(capability_name(-1));
	assert_null(capability_name(64));
}

static void
test_plan_sets(void **state)
{
	const struct capability_sets *c = &plan.process.capabilities;

	(void)state;
	plan_good(CAPS("\"bounding\": [\"CAP_CHOWN\", \"CAP_KILL\", \"cap_setuid\"],"
	               "\"permitted\": [\"CAP_CHOWN\", \"CAP_KILL\"],"
	               "\"effective\": [\"CAP_KILL\", \"CAP_KILL\"],"
	               "\"inheritable\": [\"CAP_KILL\"], \"ambient\": [\"CAP_KILL\"]"),
	          "");
	assert_true(plan.process.capabilities_set);
	assert_true(c->bounding == (BIT(CAP_CHOWN) | BIT(CAP_KILL) | BIT(CAP_SETUID)));
	assert_true(c->permitted == (BIT(CAP_CHOWN) | BIT(CAP_KILL)));
	assert_true(c->effective == BIT(CAP_KILL) && c->inheritable == BIT(CAP_KILL));
	assert_true(c->ambient == BIT(CAP_KILL));
	/* nothing said is nothing granted */
	plan_good("", "");
	assert_true(plan.process.capabilities_set);
	assert_true((c->bounding | c->permitted | c->effective | c->inheritable | c->ambient) == 0);
	plan_good(CAPS("\"permitted\": [\"CAP_KILL\"]"), "");
	assert_true(c->bounding == 0 && c->permitted == BIT(CAP_KILL));
}

/* Told as a fallback, and left out; an error under --strict. */
static void
test_plan_fallbacks(void **state)
{
	static const struct {
		const char *sets, *id;
	} rows[] = {
		{CAPS("\"bounding\": [\"CAP_KILL\", \"CAP_FLY\"]"), "capability-unknown"},
		{CAPS("\"bounding\": [\"CAP_KILL\", \"12\"]"), "capability-unknown"},
		{CAPS("\"bounding\": [\"CAP_KILL\", \"KILL\"]"), "capability-unknown"},
		{CAPS("\"bounding\": [\"CAP_KILL\", \"CAP_12\"]"), "capability-unknown"},
		{CAPS("\"bounding\": [\"CAP_KILL\"], \"effective\": [\"CAP_CHOWN\"]"),
	         "capability-unusable"},
		{CAPS("\"bounding\": [\"CAP_KILL\"], \"inheritable\": [\"CAP_CHOWN\"]"),
	         "capability-unusable"},
		{CAPS("\"bounding\": [\"CAP_KILL\"], \"ambient\": [\"CAP_KILL\"]"),
	         "capability-unusable"},
		{CAPS("\"bounding\": [\"CAP_KILL\"], \"permitted\": [\"CAP_KILL\"], \"ambient\": [\"CAP_KILL\"]"),
	         "capability-unusable"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		log_settings.strict = false;
		plan_good(rows[i].sets, "");
		assert_true(plan.process.capabilities.bounding == BIT(CAP_KILL));
		assert_true(plan.process.capabilities.effective == 0);
		assert_true(plan.process.capabilities.inheritable == 0);
		assert_true(plan.process.capabilities.ambient == 0);
		log_settings.strict = true;
		assert_int_equal(plan_process(rows[i].sets, ""), -1);
		assert_string_equal(e.id, rows[i].id);
		assert_non_null(strstr(e.msg, "/process/capabilities/"));
	}
}

static void
test_plan_user(void **state)
{
	const struct process_plan *process = &plan.process;

	(void)state;
	plan_good(", \"user\": {\"uid\": 5, \"gid\": 6, \"additionalGids\": [7, 8], \"umask\": 63},"
	          "\"noNewPrivileges\": true",
	          "");
	assert_int_equal(process->uid, 5);
	assert_int_equal(process->gid, 6);
	assert_int_equal(process->group_count, 2);
	assert_int_equal(process->groups[1], 8);
	assert_int_equal(process->umask, 077);
	assert_true(process->no_new_privileges && !process->keep_groups);
	plan_good("", "");
	assert_int_equal(process->umask, 022);
	assert_true(process->uid == 0 && process->gid == 0 && process->group_count == 0);
	assert_false(process->no_new_privileges);
	plan_good("", ", \"annotations\": {\"run.oci.keep_original_groups\": \"1\"}");
	assert_true(process->keep_groups);
	plan_good("", ", \"annotations\": {\"run.oci.keep_original_groups\": \"0\"}");
	assert_false(process->keep_groups);
	/* no process at all */
	assert_int_equal(plan_text("{\"ociVersion\": \"1.2.0\", \"root\": {\"path\": \"r\"}}"), 0);
	assert_true(process->capabilities_set && process->capabilities.bounding == 0);
}

/* Children --------------------------------------------------------------------------------- */

/* What a child says: /proc/self/status, or its error. */
struct report {
	int result; /* of credentials_apply(), or another step's */
	struct error e;
	char status[4096];
};

static struct report *report; /* shared with the child */

static int
make_report(void **state)
{
	(void)state;
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	              0);
	return report == MAP_FAILED ? -1 : 0;
}

static void
read_status(void)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, report->status, sizeof(report->status) - 1);

	report->status[n > 0 ? n : 0] = '\0';
	close(fd);
}

/* The value of a line; hexadecimal for the sets. */
static uint64_t
field(const char *name, int base)
{
	char *line = strstr(report->status, name);

	if (line == NULL)
		fail_msg("no %s in: %s", name, report->status);
	return strtoull(line + strlen(name), NULL, base);
}

static uint64_t
set(const char *name)
{
	return field(name, 16);
}

enum { DO_INSTALL = 1, DO_EXEC = 2 };

static void
apply(int what, void (*prepare)(void))
{
	if (prepare != NULL)
		prepare();
	report->result = credentials_apply(&plan, &handles, &e);
	if (report->result == 0 && (what & DO_INSTALL) != 0)
		report->result = seccomp_install(&plan, &handles, &e);
	report->e = e;
	if (report->result == 0 && (what & DO_EXEC) != 0)
		execl("/bin/cat", "cat", "/proc/self/status", (char *)NULL);
	read_status();
}

/* Apply the plan in a child; returns the result, *report has the rest. */
static int
apply_in_child(int what, void (*prepare)(void))
{
	int fds[2], status;
	ssize_t n, used = 0;
	pid_t pid;

	memset(report, 0, sizeof(*report));
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		apply(what, prepare);
		_exit(0);
	}
	close(fds[1]);
	while ((what & DO_EXEC) != 0 && (n = read(fds[0], report->status + used,
	                                          sizeof(report->status) - 1 - (size_t)used)) > 0)
		used += n;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return report->result;
}

static void
assert_applied(int what, void (*prepare)(void))
{
	if (apply_in_child(what, prepare) < 0)
		fail_msg("%s: %s: %s", report->e.id, report->e.at, report->e.msg);
}

static void
need_root(void)
{
	if (geteuid() != 0)
		skip();
}

/* Filters of the kernel hit valgrind's own calls. */
static bool
under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

#define FEW "[\"CAP_CHOWN\", \"CAP_NET_BIND_SERVICE\", \"CAP_SETUID\"]"
#define FEW_BITS (BIT(CAP_CHOWN) | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SETUID))
#define FEW_SETS "\"bounding\": " FEW ", \"permitted\": " FEW ", \"effective\": " FEW

static void
join_groups(void)
{
	static const gid_t groups[] = {3, 4};

	umask(0);
	if (setgroups(2, groups) < 0)
		_exit(3);
}

/* CVE-2022-29162: inheritable capabilities of the caller. */
static void
inherit(void)
{
	cap_t caps = cap_get_proc();
	static const cap_value_t chown[] = {CAP_CHOWN};

	cap_set_flag(caps, CAP_INHERITABLE, 1, chown, CAP_SET);
	if (cap_set_proc(caps) < 0 || cap_set_ambient(CAP_CHOWN, CAP_SET) < 0)
		_exit(4);
	cap_free(caps);
	join_groups();
}

static void
test_apply_root(void **state)
{
	(void)state;
	need_root();
	plan_good(CAPS(FEW_SETS), "");
	assert_applied(0, inherit);
	assert_true(set("CapBnd:") == FEW_BITS && set("CapPrm:") == FEW_BITS);
	assert_true(set("CapEff:") == FEW_BITS && set("CapInh:") == 0 && set("CapAmb:") == 0);
	assert_non_null(strstr(report->status, "\nGroups:\t \n"));
	assert_non_null(strstr(report->status, "\nUmask:\t0022\n"));
	assert_int_equal(field("NoNewPrivs:", 10), 0);
	assert_applied(DO_EXEC, inherit);
	assert_true(set("CapBnd:") == FEW_BITS && set("CapPrm:") == FEW_BITS);
	assert_true(set("CapEff:") == FEW_BITS && set("CapInh:") == 0 && set("CapAmb:") == 0);
}

static void
test_apply_nothing(void **state)
{
	(void)state;
	need_root();
	plan_good("", "");
	assert_applied(DO_EXEC, inherit);
	assert_true((set("CapBnd:") | set("CapPrm:") | set("CapEff:") | set("CapInh:") |
	             set("CapAmb:")) == 0);
}

static void
test_apply_user(void **state)
{
	(void)state;
	need_root();
	plan_good(
		CAPS(FEW_SETS) ", \"user\": {\"uid\": 1234, \"gid\": 1235, \"additionalGids\": [9, 10],"
			       "\"umask\": 7}, \"noNewPrivileges\": true",
		"");
	assert_applied(0, inherit);
	assert_non_null(strstr(report->status, "\nUid:\t1234\t1234\t1234\t1234\n"));
	assert_non_null(strstr(report->status, "\nGid:\t1235\t1235\t1235\t1235\n"));
	assert_non_null(strstr(report->status, "\nGroups:\t9 10 \n"));
	assert_non_null(strstr(report->status, "\nUmask:\t0007\n"));
	assert_int_equal(field("NoNewPrivs:", 10), 1);
	assert_true(set("CapPrm:") == FEW_BITS && set("CapEff:") == FEW_BITS);
	/* execve leaves another user nothing but ambient capabilities */
	assert_applied(DO_EXEC, inherit);
	assert_true(set("CapBnd:") == FEW_BITS && set("CapPrm:") == 0 && set("CapEff:") == 0);
}

static void
test_apply_ambient(void **state)
{
	(void)state;
	need_root();
	plan_good(
		CAPS(FEW_SETS
	             ", \"inheritable\": " FEW
	             ", \"ambient\": [\"CAP_NET_BIND_SERVICE\"]") ", \"user\": {\"uid\": 1234, \"gid\": 1235}",
		"");
	assert_applied(DO_EXEC, inherit);
	assert_true(set("CapAmb:") == BIT(CAP_NET_BIND_SERVICE) &&
	            set("CapEff:") == BIT(CAP_NET_BIND_SERVICE));
	assert_true(set("CapInh:") == FEW_BITS && set("CapBnd:") == FEW_BITS);
	/* only inheritable: the old ambient set must go */
	plan_good(CAPS(FEW_SETS ", \"inheritable\": " FEW), "");
	assert_applied(0, inherit);
	assert_true(set("CapAmb:") == 0 && set("CapInh:") == FEW_BITS);
	/* inheritable without permitted */
	plan_good(CAPS("\"bounding\": " FEW
	               ", \"inheritable\": " FEW) ", \"user\": {\"uid\": 1234, \"gid\": 1235}",
	          "");
	assert_applied(0, NULL);
	assert_true(set("CapInh:") == FEW_BITS && set("CapPrm:") == 0);
}

static void
test_apply_groups(void **state)
{
	(void)state;
	need_root();
	plan_good("", ", \"annotations\": {\"run.oci.keep_original_groups\": \"1\"}");
	assert_applied(0, join_groups);
	assert_non_null(strstr(report->status, "\nGroups:\t3 4 \n"));
	plan.process.keep_groups = false;
	plan.idmap.setgroups_denied = true;
	assert_applied(0, join_groups);
	assert_non_null(strstr(report->status, "\nGroups:\t3 4 \n"));
	plan_good(", \"user\": {\"uid\": 0, \"gid\": 0, \"additionalGids\": [5]}", "");
	plan.idmap.setgroups_denied = true;
	assert_applied(0, NULL);
	log_settings.strict = true;
	assert_int_equal(apply_in_child(0, NULL), -1);
	assert_string_equal(report->e.id, "groups-denied");
}

/* -1 means "unchanged" to the kernel. */
static void
test_apply_no_id(void **state)
{
	(void)state;
	plan_good("", "");
	plan.process.uid = (uid_t)-1;
	plan.idmap.setgroups_denied = true;
	plan.process.capabilities_set = false;
	assert_int_equal(apply_in_child(0, NULL), -1);
	assert_string_equal(report->e.id, "user-failed");
	plan.process.uid = getuid();
	plan.process.gid = (gid_t)-1;
	assert_int_equal(apply_in_child(0, NULL), -1);
	assert_string_equal(report->e.id, "user-failed");
}

static void
test_apply_leaves_sets(void **state)
{
	uint64_t before;

	(void)state;
	need_root();
	plan_good("", "");
	plan.process.capabilities_set = false;
	memset(report, 0, sizeof(*report));
	read_status();
	before = set("CapBnd:");
	assert_applied(0, NULL);
	assert_true(set("CapBnd:") == before && set("CapPrm:") != 0);
}

static void
become_nobody(void)
{
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		_exit(4);
}

static void
test_apply_unprivileged(void **state)
{
	(void)state;
	plan_good("", "");
	assert_int_equal(apply_in_child(0, become_nobody), -1);
	assert_string_equal(report->e.id, "capabilities-failed");
}

/* As in a container that has given one up. */
static void
give_up_time(void)
{
	cap_t caps = cap_get_proc();
	static const cap_value_t time[] = {CAP_SYS_TIME};

	cap_set_flag(caps, CAP_PERMITTED, 1, time, CAP_CLEAR);
	cap_set_flag(caps, CAP_EFFECTIVE, 1, time, CAP_CLEAR);
	if (prctl(PR_CAPBSET_DROP, CAP_SYS_TIME, 0, 0, 0) < 0 || cap_set_proc(caps) < 0)
		_exit(4);
	cap_free(caps);
}

static void
test_apply_unavailable(void **state)
{
	static const char rest[] = CAPS("\"bounding\": [\"CAP_KILL\", \"CAP_SYS_TIME\"],"
	                                "\"permitted\": [\"CAP_KILL\", \"CAP_SYS_TIME\"],"
	                                "\"effective\": [\"CAP_KILL\", \"CAP_SYS_TIME\"],"
	                                "\"inheritable\": [\"CAP_KILL\", \"CAP_SYS_TIME\"],"
	                                "\"ambient\": [\"CAP_KILL\", \"CAP_SYS_TIME\"]");

	(void)state;
	need_root();
	plan_good(rest, "");
	assert_applied(0, give_up_time);
	assert_true(set("CapBnd:") == BIT(CAP_KILL) && set("CapPrm:") == BIT(CAP_KILL));
	assert_true(set("CapInh:") == BIT(CAP_KILL) && set("CapAmb:") == BIT(CAP_KILL));
	log_settings.strict = true;
	assert_int_equal(apply_in_child(0, give_up_time), -1);
	assert_string_equal(report->e.id, "capability-unavailable");
	assert_non_null(strstr(report->e.msg, "CAP_SYS_TIME"));
}

/* What a future header may name and no kernel knows yet. */
static void
test_apply_newer(void **state)
{
	(void)state;
	need_root();
	plan_good(CAPS(FEW_SETS), "");
	plan.process.capabilities.bounding |= BIT(62);
	plan.process.capabilities.permitted |= BIT(62);
	assert_applied(0, NULL);
	assert_true(set("CapBnd:") == FEW_BITS && set("CapPrm:") == FEW_BITS);
	log_settings.strict = true;
	assert_int_equal(apply_in_child(0, NULL), -1);
	assert_string_equal(report->e.id, "capability-unavailable");
}

/* With a filter ----------------------------------------------------------------------------- */

/*
 * Without no_new_privs the filter needs CAP_SYS_ADMIN: there until then, and not
 * a moment longer, for root and for another user.
 */
static void
check_filter(const char *user, uint64_t after)
{
	plan_good(arena_printf(&arena, CAPS(FEW_SETS) "%s", user), FILTER);
	assert_int_equal(seccomp_compile(&plan, &handles, &e), 0);
	assert_applied(DO_INSTALL, NULL);
	assert_true(set("CapPrm:") == (FEW_BITS | BIT(CAP_SYS_ADMIN)));
	assert_true(set("CapEff:") == (FEW_BITS | BIT(CAP_SYS_ADMIN)));
	assert_true(set("CapBnd:") == FEW_BITS && set("CapInh:") == 0 && set("CapAmb:") == 0);
	assert_int_equal(field("Seccomp:", 10), 2);
	assert_int_equal(field("NoNewPrivs:", 10), 0);
	assert_applied(DO_INSTALL | DO_EXEC, NULL);
	assert_true(set("CapPrm:") == after && set("CapEff:") == after);
	assert_true(set("CapBnd:") == FEW_BITS && set("CapInh:") == 0 && set("CapAmb:") == 0);
	assert_int_equal(field("Seccomp:", 10), 2);
}

static void
test_filter_needs_admin(void **state)
{
	(void)state;
	need_root();
	if (under_valgrind())
		skip();
	check_filter("", FEW_BITS);
	check_filter(", \"user\": {\"uid\": 1234, \"gid\": 1235}", 0);
}

/* no_new_privs does as well: no capability stays. */
static void
test_filter_with_no_new_privileges(void **state)
{
	(void)state;
	need_root();
	if (under_valgrind())
		skip();
	plan_good(
		CAPS(FEW_SETS) ", \"noNewPrivileges\": true, \"user\": {\"uid\": 1234, \"gid\": 1235}",
		FILTER);
	assert_int_equal(seccomp_compile(&plan, &handles, &e), 0);
	assert_applied(DO_INSTALL, NULL);
	assert_true(set("CapPrm:") == FEW_BITS && set("CapEff:") == FEW_BITS);
	assert_int_equal(field("Seccomp:", 10), 2);
}

/* User namespaces ---------------------------------------------------------------------------- */

static int
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = write(fd, text, strlen(text));

	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* One id, no setgroups: what an ordinary user may have. */
static void
enter_small_namespace(void)
{
	gid_t gid = getegid();
	char map[64];

	snprintf(map, sizeof(map), "0 %u 1", geteuid());
	if (unshare(CLONE_NEWUSER) < 0 || write_file("/proc/self/setgroups", "deny") < 0 ||
	    write_file("/proc/self/uid_map", map) < 0)
		_exit(77);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	if (write_file("/proc/self/gid_map", map) < 0)
		_exit(77);
}

static bool
has_user_namespaces(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		enter_small_namespace();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status == 0;
}

static void
test_small_namespace(void **state)
{
	(void)state;
	if (!has_user_namespaces() || under_valgrind())
		skip();
	plan_good(CAPS(FEW_SETS), FILTER);
	assert_int_equal(seccomp_compile(&plan, &handles, &e), 0);
	plan.idmap.setgroups_denied = true;
	assert_applied(DO_INSTALL | DO_EXEC, enter_small_namespace);
	assert_true(set("CapBnd:") == FEW_BITS && set("CapPrm:") == FEW_BITS);
	/* exec knows nothing of that: the namespace says it */
	plan.idmap.setgroups_denied = false;
	log_settings.strict = true;
	assert_applied(0, enter_small_namespace);
	plan_good(", \"user\": {\"uid\": 0, \"gid\": 0, \"additionalGids\": [0]}", "");
	assert_int_equal(apply_in_child(0, enter_small_namespace), -1);
	assert_string_equal(report->e.id, "groups-denied");
	/* not mapped */
	plan_good("", "");
	plan.process.uid = 5;
	assert_int_equal(apply_in_child(0, enter_small_namespace), -1);
	assert_string_equal(report->e.id, "user-failed");
	assert_non_null(strstr(report->e.msg, "mapped"));
	plan.process.uid = 0;
	plan.process.gid = 5;
	assert_int_equal(apply_in_child(0, enter_small_namespace), -1);
	assert_string_equal(report->e.id, "user-failed");
}

static int namespace_fd = -1;

static void
join_namespace(void)
{
	if (setns(namespace_fd, CLONE_NEWUSER) < 0)
		_exit(5);
}

/* A namespace where 0 to 65535 are 100000 and so on, as a container's is. */
static int
make_namespace(void)
{
	int ready[2], fd;
	char path[64], byte = 0;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		byte = unshare(CLONE_NEWUSER) == 0 ? 'y' : 'n';
		(void)!write(ready[1], &byte, 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	fd = byte == 'y' && write_file(path, "0 100000 65536") == 0 ? 0 : -1;
	snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
	if (fd == 0 && write_file(path, "0 100000 65536") == 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return fd;
}

/* As exec does it: join the namespace of a running container, then become its user. */
static void
test_join_namespace(void **state)
{
	(void)state;
	need_root();
	namespace_fd = make_namespace();
	if (namespace_fd < 0 || under_valgrind())
		skip();
	plan_good(CAPS(FEW_SETS) ", \"user\": {\"uid\": 7, \"gid\": 8, \"additionalGids\": [9]}",
	          FILTER);
	assert_int_equal(seccomp_compile(&plan, &handles, &e), 0);
	assert_applied(DO_INSTALL, join_namespace);
	assert_non_null(strstr(report->status, "\nUid:\t7\t7\t7\t7\n"));
	assert_non_null(strstr(report->status, "\nGroups:\t9 \n"));
	assert_true(set("CapBnd:") == FEW_BITS);
	assert_true(set("CapEff:") == (FEW_BITS | BIT(CAP_SYS_ADMIN)));
	assert_applied(DO_INSTALL | DO_EXEC, join_namespace);
	assert_true(set("CapPrm:") == 0 && set("CapBnd:") == FEW_BITS);
	close(namespace_fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_plan_sets),
		TEST(test_plan_fallbacks),
		TEST(test_plan_user),
		TEST(test_apply_root),
		TEST(test_apply_nothing),
		TEST(test_apply_user),
		TEST(test_apply_ambient),
		TEST(test_apply_groups),
		TEST(test_apply_no_id),
		TEST(test_apply_leaves_sets),
		TEST(test_apply_unprivileged),
		TEST(test_apply_unavailable),
		TEST(test_apply_newer),
		TEST(test_filter_needs_admin),
		TEST(test_filter_with_no_new_privileges),
		TEST(test_small_namespace),
		TEST(test_join_namespace),
	};

	return cmocka_run_group_tests(tests, make_report, NULL);
}
