/* SPDX-License-Identifier: MIT */
/*
 * The process itself, from /proc/PID. Environment and descriptors are those of its
 * program: before that is executed there is nothing to compare.
 */
#include "hako/process.h"
#include "hako/file.h"
#include "hako/names.h"
#include "hako/syscall.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

LAYER_VERIFY(process_verify_oom_score)
{
	const struct claim claim = {CHECK_OOM_SCORE, json_member(plan->process.at, "oomScoreAdj")};

	if (plan->process.oom_score_adj != NULL)
		verdict_compare(
			v, claim,
			arena_printf(v->arena, "%lld", (long long)*plan->process.oom_score_adj),
			observed_read(o, "oom_score_adj", NULL));
}

LAYER_VERIFY(process_verify_personality)
{
	const struct claim claim = {CHECK_PERSONALITY,
	                            json_member(plan->config->linux_->at, "personality")};
	enum { DOMAIN = 0xff }; /* the bits above it are flags, some set by execve */
	const char *text;

	if (plan->personality == NULL)
		return;
	text = observed_read(o, "personality", NULL);
	verdict_compare(v, claim, arena_printf(v->arena, "%x", (unsigned)*plan->personality),
	                text != NULL
	                        ? arena_printf(v->arena, "%lx", strtoul(text, NULL, 16) & DOMAIN)
	                        : NULL);
}

/* Working directory ------------------------------------------------------------- */

LAYER_VERIFY(process_verify_cwd)
{
	const struct claim claim = {CHECK_CWD, json_member(plan->process.at, "cwd")};
	autoclose int expected = -1;
	struct stat a, b;

	if (plan->process.args == NULL || !verdict_begin(v, claim))
		return;
	expected = observed_open_path(o, plan->process.cwd, true);
	if (observed_stat(o->proc, "cwd", 0, &b) < 0)
		verdict_unknown(v, claim, "/proc/PID/cwd: %s", error_text(errno));
	else if (expected < 0 || observed_stat(expected, "", AT_EMPTY_PATH, &a) < 0)
		verdict_unknown(v, claim, "%s: %s", plan->process.cwd, error_text(errno));
	else if (file_is_same(&a, &b))
		verdict_add(v, claim, true, plan->process.cwd, plan->process.cwd);
	else
		verdict_compare(v, claim, plan->process.cwd, observed_link(o, "cwd"));
}

/* Environment -------------------------------------------------------------------- */

/* A shell that executes another program has its own to add. */
static bool
is_of_shell(const char *entry)
{
	static const char *const begins[] = {"PWD=", "OLDPWD=", "SHLVL=", "_="};

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (strncmp(entry, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

static bool
is_listed(char *const *env, const char *entry, size_t length)
{
	for (; *env != NULL; env++)
		if (strncmp(*env, entry, length) == 0 && (*env)[length] == '\0')
			return true;
	return false;
}

/* Values may be secrets: only names are told. */
static const char *
add_name(struct arena *arena, const char *list, const char *what, const char *entry)
{
	return arena_printf(arena, "%s%s%s %.*s", list, list[0] != '\0' ? ", " : "", what,
	                    (int)strcspn(entry, "="), entry);
}

static bool
is_there(const char *text, size_t length, const char *entry)
{
	for (const char *p = text; p < text + length; p += strlen(p) + 1)
		if (strcmp(p, entry) == 0)
			return true;
	return false;
}

static const char *
compare_env(const struct plan *plan, struct arena *arena, const char *text, size_t length)
{
	const struct process_plan *process = &plan->process;
	const char *list = "";

	for (char *const *env = process->env; *env != NULL; env++)
		if (!is_there(text, length, *env))
			list = add_name(arena, list, "not as given:", *env);
	for (const char *p = text; p < text + length; p += strlen(p) + 1) {
		bool own = (process->home_missing && strncmp(p, "HOME=", 5) == 0) ||
		           (plan->options.preserve_fds > 0 && strncmp(p, "LISTEN_", 7) == 0);

		if (p[0] != '\0' && !own && !is_of_shell(p) &&
		    !is_listed(process->env, p, strlen(p)))
			list = add_name(arena, list, "also there:", p);
	}
	return list;
}

/* Not at once where a program has only just been executed; then the kernel has none to show. */
static const char *
read_environment(struct observed *o, size_t *ret_length)
{
	enum { TRIES = 40, PAUSE_US = 5000 };
	const char *text = observed_read(o, "environ", ret_length);

	for (int i = 0; i < TRIES && text != NULL && *ret_length == 0; i++) {
		usleep(PAUSE_US);
		text = observed_read(o, "environ", ret_length);
	}
	return text;
}

LAYER_VERIFY(process_verify_env)
{
	const struct claim claim = {CHECK_ENV, json_member(plan->process.at, "env")};
	const char *text, *found;
	size_t length;

	if (plan->process.args == NULL)
		return;
	if (!o->executed) {
		verdict_pending(v, claim);
		return;
	}
	text = plan->process.env[0] != NULL ? read_environment(o, &length)
	                                    : observed_read(o, "environ", &length);
	found = text != NULL ? compare_env(plan, v->arena, text, length) : NULL;
	verdict_compare(v, claim, "as given",
	                found != NULL && found[0] == '\0' ? "as given" : found);
}

/* Descriptors -------------------------------------------------------------------- */

/* A namespace of the runtime, where the container has its own. */
static bool
is_foreign_namespace(const struct observed *o, const char *target)
{
	static const char *const links[] = {"ns/mnt", "ns/pid",  "ns/net",   "ns/ipc",
	                                    "ns/uts", "ns/user", "ns/cgroup"};

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		const char *own = observed_own_link(o->arena, links[i]);
		const char *theirs = observed_link(o, links[i]);

		if (own != NULL && theirs != NULL && strcmp(own, target) == 0)
			return strcmp(own, theirs) != 0;
	}
	return false;
}

/* Files are on a mount that the process can reach, or on none of its own namespace. */
static bool
is_of_host(struct observed *o, const char *number, const char *target)
{
	const struct mountinfo *mounts = observed_mounts(o);
	const char *text, *id;
	char file[48];

	if (target[0] != '/')
		return is_foreign_namespace(o, target);
	snprintf(file, sizeof(file), "fdinfo/%.32s", number);
	text = observed_read(o, file, NULL);
	id = text != NULL ? strstr(text, "mnt_id:") : NULL;
	if (mounts == NULL || id == NULL || strncmp(target, "/memfd:", 7) == 0)
		return false;
	return mountinfo_find(mounts, strtoull(id + 7, NULL, 10)) == NULL;
}

static const char *
list_leaks(const struct plan *plan, struct observed *o, DIR *dir)
{
	const struct dirent *entry;
	const char *list = "";

	while ((entry = readdir(dir)) != NULL) {
		int number = atoi(entry->d_name);
		const char *target;
		char link[48];

		/* who passes descriptors on does so on purpose */
		if (number < 3 + (int)plan->options.preserve_fds)
			continue;
		snprintf(link, sizeof(link), "fd/%.32s", entry->d_name);
		target = observed_link(o, link);
		if (target != NULL && is_of_host(o, entry->d_name, target))
			list = arena_printf(o->arena, "%s%s%d is %s", list,
			                    list[0] != '\0' ? ", " : "", number, target);
	}
	return list;
}

LAYER_VERIFY(process_verify_descriptors)
{
	const struct claim claim = {CHECK_DESCRIPTORS, plan->process.at};
	const char *found;
	int fd;
	DIR *dir;

	if (!plan_creates(plan, CLONE_NEWNS))
		return; /* with the runtime's mounts all files are the host's */
	if (!o->executed) {
		verdict_pending(v, claim);
		return;
	}
	fd = openat(o->proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		verdict_unknown(v, claim, "/proc/PID/fd: %s", error_text(errno));
		return;
	}
	found = list_leaks(plan, o, dir);
	closedir(dir);
	verdict_compare(v, claim, "none of the host",
	                found[0] != '\0' ? found : "none of the host");
}

/* Keyring ------------------------------------------------------------------------- */

/*
 * Nobody tells which session keyring a process has. One with the container's name is
 * there as long as a process of it has it, and no longer.
 */
LAYER_VERIFY(process_verify_keyring)
{
	const struct claim claim = {CHECK_KEYRING, NULL};
	int is_there;

	if (plan->options.id == NULL)
		return;
	is_there = observed_keyring(o, arena_printf(v->arena, "_ses.%s", plan->options.id));
	if (is_there < 0 && errno == ENOENT)
		return; /* a kernel without keys */
	if (is_there < 0) {
		verdict_unknown(v, claim, "/proc/keys: %s", error_text(errno));
		return;
	}
	verdict_compare(v, claim, plan->options.new_keyring ? "of its own" : "the caller's",
	                is_there != 0 ? "of its own" : "the caller's");
}
