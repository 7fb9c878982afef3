/* SPDX-License-Identifier: MIT */
/*
 * The container's process short of its privileges: arguments, environment,
 * working directory, the program itself, session keyring, personality, OOM
 * score (config.md "Process"). The program is looked for when the container is
 * created, as the user it will run as, so that a missing command fails `create`
 * and not `start`.
 */
#include "hako/process.h"
#include "hako/file.h"
#include "hako/passwd.h"
#include "hako/path.h"
#include "hako/problem.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Plan ------------------------------------------------------------------------ */

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

enum { OWN_ENTRIES = 4 };

/* What sd_listen_fds(3) and sd_notify(3) read is said by hako where it has something for them. */
static bool
is_replaced(const struct plan *plan, const char *item)
{
	const bool listens = plan->options.listen_fds > 0;
	const struct {
		const char *begin;
		bool ours;
	} own[OWN_ENTRIES] = {{"LISTEN_PID=", listens},
	                      {"LISTEN_FDS=", listens},
	                      {"LISTEN_FDNAMES=", listens},
	                      {"NOTIFY_SOCKET=", plan->notify}};

	for (size_t i = 0; i < OWN_ENTRIES; i++)
		if (own[i].ours && strncmp(item, own[i].begin, strlen(own[i].begin)) == 0)
			return true;
	return false;
}

static void
add_own_entries(struct planner *p, char **items)
{
	static const char room[] = "LISTEN_PID=4294967295";
	static const char socket[] = "NOTIFY_SOCKET=" NOTIFY_FOLDER "/" NOTIFY_NAME;
	const struct plan_options *options = &p->plan->options;

	if (p->plan->notify)
		*items++ = arena_strdup(p->arena, socket);
	if (options->listen_fds == 0)
		return;
	*items++ = p->plan->process.listen_pid = arena_strdup(p->arena, room);
	*items++ = arena_printf(p->arena, "LISTEN_FDS=%u", options->listen_fds);
	if (options->listen_names != NULL)
		*items++ = arena_printf(p->arena, "LISTEN_FDNAMES=%s", options->listen_names);
}

/* For check alone. */
static void
warn_of_repeated(const struct strings *env, const bool *repeated)
{
	const struct json *entry = env->at != NULL ? env->at->first : NULL;

	for (size_t i = 0; entry != NULL; i++, entry = entry->next) {
		int length = repeated[i] ? (int)strcspn(env->items[i], "=") : 0;

		if (length > 0)
			json_warning(entry, "config-duplicate",
			             "%.*s is given again: the last one counts", length,
			             env->items[i]);
	}
}

static void
plan_environment(struct planner *p, const struct strings *env)
{
	struct process_plan *process = &p->plan->process;
	/* room for HOME and the end */
	char **items = arena_array(p->arena, env->count + OWN_ENTRIES + 2, sizeof(*items));
	const bool *repeated = environment_repeated(p->arena, env);
	size_t n = 0;

	if (json_goes_on(env->at))
		warn_of_repeated(env, repeated);
	process->home_missing = true;
	process->search_path = default_path;
	for (size_t i = 0; i < env->count; i++) {
		const char *item = env->items[i];

		if (repeated[i] || is_replaced(p->plan, item) || strcmp(item, "HOME=") == 0)
			continue;
		if (strncmp(item, "HOME=", 5) == 0)
			process->home_missing = false;
		if (strncmp(item, "PATH=", 5) == 0)
			process->search_path = item + 5;
		items[n++] = arena_strdup(p->arena, item);
	}
	add_own_entries(p, items + n);
	process->env = items;
}

LAYER_PLAN(process_plan)
{
	const struct config_process *c = p->config->process;
	struct process_plan *process = &p->plan->process;
	const struct config_personality *personality = p->config->linux_->personality;
	char **args;

	(void)e;
	if (personality != NULL) {
		int *domain = arena_alloc(p->arena, sizeof(*domain));

		*domain = personality->domain - 1;
		p->plan->personality = domain;
	}
	process->cwd = "/";
	if (c == NULL)
		return 0;
	process->at = c->at;
	args = arena_array(p->arena, c->args.count + 1, sizeof(*args));
	for (size_t i = 0; i < c->args.count; i++)
		args[i] = arena_strdup(p->arena, c->args.items[i]);
	process->args = args;
	process->cwd = c->cwd;
	process->oom_score_adj = c->oom_score_adj;
	plan_environment(p, &c->env);
	return 0;
}

/* OOM score, keyring, personality ------------------------------------------------ */

LAYER_RUN(process_set_oom_score)
{
	char path[64], value[16];

	if (plan->process.oom_score_adj == NULL)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)h->init_pid);
	snprintf(value, sizeof(value), "%lld", (long long)*plan->process.oom_score_adj);
	if (file_write_at(AT_FDCWD, path, value) < 0)
		return json_error(json_member(plan->process.at, "oomScoreAdj"), e, errno,
		                  "oom-failed", "set oom_score_adj to %s", value);
	return 0;
}

/* Possessor: everything; user: view, read, link, and search, which the default lacks. */
enum { KEYRING_PERMISSIONS = 0x3f1b0000 };

LAYER_RUN(process_join_keyring)
{
	char name[NAME_MAX + 8];
	long key;

	(void)h;
	if (!plan->options.new_keyring)
		return 0;
	snprintf(name, sizeof(name), "_ses.%s", plan->options.id);
	key = sys_keyctl(KEYCTL_JOIN_SESSION_KEYRING, (unsigned long)name, 0, 0, 0);
	if (key < 0 && errno == ENOSYS)
		return 0; /* a kernel without keys has none to protect */
	if (key < 0)
		return error_set(e, errno, "keyring-failed",
		                 "join a session keyring (--no-new-keyring goes without)");
	(void)sys_keyctl(KEYCTL_SETPERM, (unsigned long)key, KEYRING_PERMISSIONS, 0, 0);
	return 0;
}

LAYER_RUN(process_set_personality)
{
	(void)h;
	if (plan->personality != NULL && personality((unsigned long)*plan->personality) < 0)
		return json_error(json_member(plan->config->linux_->at, "personality"), e, errno,
		                  "personality-failed", "set the personality");
	return 0;
}

/* Standard streams ------------------------------------------------------------------ */

/* Of the host, unlike what init may own: no devices, and no file that was only to be read. */
static bool
may_give(int fd, const struct stat *st)
{
	int flags = fcntl(fd, F_GETFL);

	return S_ISFIFO(st->st_mode) ||
	       (S_ISREG(st->st_mode) && flags >= 0 && (flags & O_ACCMODE) != O_RDONLY);
}

bool
process_gives_streams(const struct plan *plan, uid_t *ret_uid)
{
	return plan->options.host_uid == 0 && plan->process.args != NULL &&
	       !plan->terminal.wanted && plan_isolates(plan, CLONE_NEWUSER) &&
	       plan_host_user(plan, ret_uid);
}

LAYER_RUN(process_give_streams)
{
	uid_t uid;

	(void)h;
	if (!process_gives_streams(plan, &uid))
		return 0;
	for (int fd = 0; fd <= 2; fd++) {
		struct stat st;

		if (fstat(fd, &st) < 0 || st.st_uid == uid || !may_give(fd, &st))
			continue;
		if (fchown(fd, uid, (gid_t)-1) < 0 && errno != EPERM && errno != EROFS &&
		    errno != EINVAL)
			return error_set(e, errno, "stream-failed", "give descriptor %d to user %u",
			                 fd, uid);
	}
	return 0;
}

/* The process must be able to open /dev/stdout again: give it what the caller passed. */
LAYER_RUN(process_own_streams)
{
	(void)h;
	if (plan->process.args == NULL ||
	    (plan->process.uid == 0 && !plan_isolates(plan, CLONE_NEWUSER)))
		return 0;
	for (int fd = 0; fd <= 2; fd++) {
		struct stat st;

		if (fstat(fd, &st) < 0 || st.st_uid == plan->process.uid)
			continue;
		if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
			continue;
		if (fchown(fd, plan->process.uid, (gid_t)-1) < 0 && errno != EPERM &&
		    errno != EROFS && errno != EINVAL)
			return error_set(e, errno, "stream-failed",
			                 "change the owner of descriptor %d", fd);
	}
	return 0;
}

/* Working directory ------------------------------------------------------------------ */

static int
fail_cwd(const struct plan *plan, int code, struct error *e)
{
	return json_error(json_member(plan->process.at, "cwd"), e, code, "cwd-failed",
	                  "chdir to %s", plan->process.cwd);
}

LAYER_RUN(process_make_cwd)
{
	autoclose int fd = -1;

	if (strcmp(plan->process.cwd, "/") == 0)
		return 0;
	fd = path_make_dirs_in_root(h->rootfs, plan->process.cwd);
	return fd < 0 ? fail_cwd(plan, errno, e) : 0;
}

/* Some directories can be entered by root only, some by the user only: try both. */
LAYER_RUN(process_enter_cwd)
{
	(void)h;
	if (strcmp(plan->process.cwd, "/") == 0 || chdir(plan->process.cwd) == 0)
		return 0;
	return errno == EACCES || errno == EPERM ? 0 : fail_cwd(plan, errno, e);
}

static bool
stands_in(const char *path)
{
	struct stat here, there;

	return stat(".", &here) == 0 && stat(path, &there) == 0 && file_is_same(&here, &there);
}

/* A working directory outside the root would be a way out (CVE-2024-21626). */
LAYER_RUN(process_check_cwd)
{
	char cwd[PATH_MAX];
	long n;

	(void)h;
	if (strcmp(plan->process.cwd, "/") == 0)
		return 0; /* since the pivot */
	n = sys_getcwd(cwd, sizeof(cwd));
	if (n == 2 && !stands_in(plan->process.cwd)) { /* still at /: try as the user */
		if (chdir(plan->process.cwd) < 0)
			return fail_cwd(plan, errno, e);
		n = sys_getcwd(cwd, sizeof(cwd));
	}
	if (n < 0)
		return fail_cwd(plan, errno, e);
	if (cwd[0] != '/')
		return json_error(json_member(plan->process.at, "cwd"), e, 0, "cwd-unsafe",
		                  "%s is outside the container's root", plan->process.cwd);
	return 0;
}

/* HOME, LISTEN_PID ------------------------------------------------------------------------ */

/* The container's passwd file says where; without a line for the user it is "/". */
LAYER_RUN(process_find_home)
{
	static char home[PATH_MAX + 8] = "HOME=/";
	autoclose int passwd = -1;
	char **end;

	(void)h;
	(void)e;
	if (plan->process.args == NULL || !plan->process.home_missing)
		return 0;
	/* / is the container's since the pivot */
	passwd = sys_openat2(AT_FDCWD, "/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
	                     0, RESOLVE_NO_MAGICLINKS);
	if (passwd >= 0 &&
	    (passwd_lookup(passwd, plan->process.uid, PASSWD_HOME, home + 5, PATH_MAX) < 0 ||
	     home[5] != '/'))
		strcpy(home, "HOME=/");
	/* process_plan() left room for it */
	for (end = (char **)plan->process.env; *end != NULL; end++)
		;
	*end = home;
	return 0;
}

/* The pid that the process itself sees. */
LAYER_RUN(process_tell_pid)
{
	(void)h;
	(void)e;
	if (plan->process.listen_pid != NULL)
		sprintf(plan->process.listen_pid, "LISTEN_PID=%d", (int)getpid());
	return 0;
}

/* The program ------------------------------------------------------------------------------ */

static int
try_program(const struct plan *plan, const char *path)
{
	struct stat st;

	(void)plan;
	if (stat(path, &st) < 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	/* EACCES also when the filesystem is mounted noexec: execve would say the same */
	return sys_faccessat2(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? errno : 0;
}

static const char *
search(const struct plan *plan, program_try *try, int *ret_code)
{
	static char path[PATH_MAX];
	const char *name = plan->process.args[0];
	const char *dir = plan->process.search_path;

	*ret_code = ENOENT;
	for (;;) {
		size_t length = strcspn(dir, ":");
		int n = snprintf(path, sizeof(path), "%.*s%s%s", (int)length, dir,
		                 length > 0 ? "/" : "", name);

		if (n > 0 && (size_t)n < sizeof(path)) {
			int code = try(plan, path);

			if (code == 0)
				return path;
			if (code == EACCES)
				*ret_code = EACCES;
		}
		if (dir[length] == '\0')
			return NULL;
		dir += length + 1;
	}
}

int
process_find(const struct plan *plan, program_try *try, const char **ret_program, struct error *e)
{
	const struct json *at = json_member(plan->process.at, "args");
	const char *name = plan->process.args[0];
	int code;

	if (strchr(name, '/') != NULL) {
		code = try(plan, name);
		*ret_program = name;
		if (code == 0)
			return 0;
		if (code == ENOENT || code == ENOTDIR)
			return json_error(at, e, code, "program-missing", "exec: \"%s\": stat %s",
			                  name, name);
		/* what execve says of a directory is a word that engines look for: exit status 126 */
		return json_error(at, e, code == EISDIR ? EACCES : code, "program-denied",
		                  "exec: \"%s\"%s", name, code == EISDIR ? ": is a directory" : "");
	}
	*ret_program = search(plan, try, &code);
	if (*ret_program != NULL)
		return 0;
	if (code == EACCES)
		return json_error(at, e, EACCES, "program-denied", "exec: \"%s\"", name);
	return json_error(at, e, 0, "program-missing",
	                  "exec: \"%s\": executable file not found in $PATH", name);
}

LAYER_RUN(process_find_program)
{
	if (plan->process.args == NULL)
		return 0;
	return process_find(plan, try_program, &h->program, e);
}
