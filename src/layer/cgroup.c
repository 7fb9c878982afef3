/* SPDX-License-Identifier: MIT */
/*
 * The container's cgroup (config-linux.md "Control groups", cgroups(7)): made
 * before the container, so that clone3 can start it inside; nothing is ever
 * moved by writing cgroup.procs, which waits for an RCU grace period. Only the
 * v2 hierarchy is used; on a hybrid host it still gives tracking, freezing and
 * killing. Every name is resolved beneath the hierarchy's root without links,
 * so that no cgroupsPath leads out of it.
 */
#include "hako/cgroup.h"
#include "hako/clock.h"
#include "hako/file.h"
#include "hako/layer.h"
#include "hako/log.h"
#include "hako/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

enum { REMOVE_MS = 10000, FREEZE_MS = 10000 };

/* Plan ---------------------------------------------------------------------- */

LAYER_PLAN(cgroup_plan)
{
	const struct config_linux *lin = p->config->linux_;
	const char *path = lin->cgroups_path;
	struct plan *plan = p->plan;
	char normal[PATH_MAX];

	plan->cgroup.at = json_member(lin->at, "cgroupsPath");
	plan->cgroup.wanted = !plan->options.cgroup_disabled;
	if (path == NULL || path[0] == '\0')
		path = arena_printf(p->arena, "%s/%s", plan->options.cgroup_parent, plan->options.id);
	else if (path[0] != '/')
		path = arena_printf(p->arena, "%s/%s", plan->options.cgroup_parent, path);
	if (path_normalise(path, normal, sizeof(normal)) < 0)
		return json_error(plan->cgroup.at, e, errno, "cgroup-invalid", "cgroupsPath");
	if (strcmp(normal, "/") == 0)
		return json_error(plan->cgroup.at, e, 0, "cgroup-invalid",
		                  "cgroupsPath is the root of the cgroup tree");
	plan->cgroup.path = arena_strdup(p->arena, normal);
	return 0;
}

/* Open ---------------------------------------------------------------------- */

int
cgroup_open_root(const char **ret_mount, struct error *e)
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		autoclose int fd = open(mounts[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		struct statfs fs;

		if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
			*ret_mount = mounts[i];
			return take_fd(&fd);
		}
	}
	return error_set(e, 0, "cgroup-missing",
	                 "no cgroup v2 hierarchy on /sys/fs/cgroup or /sys/fs/cgroup/unified: mount "
	                 "one (mount -t cgroup2 cgroup2 DIR), or boot with "
	                 "systemd.unified_cgroup_hierarchy=1");
}

int
cgroup_open(int root, const char *path)
{
	return path_open_beneath(root, path, O_PATH | O_DIRECTORY);
}

int
cgroup_of(pid_t pid, char *buf, size_t size)
{
	char path[48], text[8192];

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	if (file_read_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -1;
	for (char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, "0::", 3) == 0) {
			snprintf(buf, size, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
			return 0;
		}
	}
	errno = ENOENT;
	return -1;
}

/* Value of "key N" in a flat keyed file such as cgroup.events; -1 with errno. */
static long
read_key(int cgroup, const char *file, const char *key)
{
	char text[1024];
	size_t length = strlen(key);

	if (file_read_at(cgroup, file, text, sizeof(text)) < 0)
		return -1;
	for (char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, length) == 0 && line[length] == ' ')
			return strtol(line + length + 1, NULL, 10);
	}
	errno = EINVAL;
	return -1;
}

/* Create -------------------------------------------------------------------- */

static int
count_lines(const char *text)
{
	int lines = text[0] != '\0';

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

/* Init would never get to run, nor say so. */
static int
check_frozen(const struct plan *plan, int cgroup, struct error *e)
{
	if (cgroup_is_frozen(cgroup) != 1)
		return 0;
	return json_error(plan->cgroup.at, e, 0, "cgroup-frozen",
	                  "container's cgroup %s is frozen", plan->cgroup.path);
}

/* A cgroup that somebody else uses or has frozen is not fit for a new container. */
static int
check_existing(const struct plan *plan, int cgroup, struct error *e)
{
	char text[65536];
	ssize_t n = file_read_at(cgroup, "cgroup.procs", text, sizeof(text));

	if (n < 0 && errno != EOPNOTSUPP)
		return json_error(plan->cgroup.at, e, errno, "cgroup-failed", "read cgroup.procs of %s",
		                  plan->cgroup.path);
	if (n > 0)
		return json_error(plan->cgroup.at, e, 0, "cgroup-busy",
		                  "container's cgroup %s is not empty: %d process(es) found",
		                  plan->cgroup.path, count_lines(text));
	return check_frozen(plan, cgroup, e);
}

static int
make_leaf(const struct plan *plan, int root, bool *ret_made)
{
	const char *name = strrchr(plan->cgroup.path, '/') + 1;
	autoclose int above = -1;
	char path[PATH_MAX];
	int parent = root;

	if (name > plan->cgroup.path + 1) {
		snprintf(path, sizeof(path), "%.*s", (int)(name - plan->cgroup.path), plan->cgroup.path);
		above = path_make_dirs_beneath(root, path, 0755);
		parent = above;
	}
	if (parent < 0)
		return -1;
	*ret_made = mkdirat(parent, name, 0755) == 0;
	if (!*ret_made && errno != EEXIST)
		return -1;
	return path_open_beneath(parent, name, O_PATH | O_DIRECTORY);
}

static bool
has_word(const char *list, const char *word, size_t length)
{
	for (const char *p = list; (p = strstr(p, word)) != NULL; p++)
		if ((p == list || p[-1] == ' ') && (p[length] == ' ' || p[length] == '\0'))
			return true;
	return false;
}

/* "+cpu +memory" for the controllers of `available` that `enabled` lacks; "" when none. */
static void
missing_controllers(const char *available, const char *enabled, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (const char *p = available; *p != '\0'; p += strspn(p, " ")) {
		size_t length = strcspn(p, " ");
		char word[64];

		snprintf(word, sizeof(word), "%.*s", (int)length, p);
		if (!has_word(enabled, word, length) && used < size)
			used += (size_t)snprintf(buf + used, size - used, "+%s ", word);
		p += length;
	}
}

/* All at once, or, when one of them is refused here, as many as there are. */
static void
enable(int cgroup, const char *wanted)
{
	char copy[512], *save = NULL;

	if (wanted[0] == '\0' || file_write_at(cgroup, "cgroup.subtree_control", wanted) == 0)
		return;
	snprintf(copy, sizeof(copy), "%s", wanted);
	for (char *word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save))
		if (file_write_at(cgroup, "cgroup.subtree_control", word) < 0)
			log_debug("cgroup: %s: %s", word, error_text(errno));
}

/*
 * Controllers are handed down level by level. Whether a limit that was asked for
 * can be set shows when it is written; here a refusal is only noted.
 */
static void
enable_controllers(const struct plan *plan, int root, int leaf)
{
	char top[512], here[512], wanted[512], prefix[PATH_MAX];
	const char *path = plan->cgroup.path;

	if (file_read_at(root, "cgroup.controllers", top, sizeof(top)) < 0 ||
	    file_read_at(leaf, "cgroup.controllers", here, sizeof(here)) < 0)
		return;
	missing_controllers(top, here, wanted, sizeof(wanted));
	if (wanted[0] == '\0')
		return;
	for (const char *end = path; end != NULL; end = strchr(end + 1, '/')) {
		autoclose int level = -1;
		char enabled[512];

		snprintf(prefix, sizeof(prefix), "%.*s", (int)(end - path), path);
		level = cgroup_open(root, prefix);
		if (level < 0 ||
		    file_read_at(level, "cgroup.subtree_control", enabled, sizeof(enabled)) < 0)
			return;
		missing_controllers(top, enabled, wanted, sizeof(wanted));
		enable(level, wanted);
	}
}

/* Nothing needs a cgroup, and an ordinary user has none delegated: go on without. */
static int
go_without(const struct plan *plan, struct handles *h, int code, struct error *e)
{
	if (plan->cgroup.value_count > 0)
		return json_error(plan->cgroup.values[0].at, e, code, "cgroup-denied",
		                  "a limit was asked for, but the cgroup %s%s cannot be made: delegate "
		                  "a cgroup to this user",
		                  h->cgroup_mount != NULL ? h->cgroup_mount : "", plan->cgroup.path);
	close_cleaner(&h->cgroup_root);
	h->cgroup_root = -1;
	h->cgroup_mount = NULL;
	return log_fallback(e, "cgroup-none", "the container runs without a cgroup of its own: %s",
	                    error_text(code));
}

LAYER_RUN(cgroup_create)
{
	autoclose int cgroup = -1;
	bool made;

	if (!plan->cgroup.wanted)
		return 0;
	h->cgroup_root = cgroup_open_root(&h->cgroup_mount, e);
	if (h->cgroup_root < 0)
		return plan->options.privileged ? -1 : go_without(plan, h, ENOENT, e);
	cgroup = make_leaf(plan, h->cgroup_root, &made);
	if (cgroup < 0 && !plan->options.privileged &&
	    (errno == EACCES || errno == EPERM || errno == EROFS))
		return go_without(plan, h, errno, e);
	if (cgroup < 0)
		return json_error(plan->cgroup.at, e, errno, "cgroup-failed", "make the cgroup %s%s",
		                  h->cgroup_mount, plan->cgroup.path);
	if (!made && check_existing(plan, cgroup, e) < 0)
		return -1;
	/* only now it is ours to remove */
	h->cgroup = take_fd(&cgroup);
	/* it may be because a cgroup above is */
	if (made && strrchr(plan->cgroup.path, '/') != plan->cgroup.path &&
	    check_frozen(plan, h->cgroup, e) < 0)
		return -1;
	if (plan->cgroup.value_count > 0)
		enable_controllers(plan, h->cgroup_root, h->cgroup);
	return 0;
}

/* Freeze, kill, wait ----------------------------------------------------------- */

/*
 * Wait until a key of cgroup.events has a value. The kernel wakes poll(2) on a
 * change, but at most every 10 ms: a dying process is gone much sooner, so look
 * often at first.
 */
static int
wait_event(int cgroup, const char *key, long wanted, int timeout_ms)
{
	autoclose int fd = openat(cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC);
	int64_t deadline = clock_now_ms() + timeout_ms;
	struct timespec pause = {.tv_nsec = 50000};

	if (fd < 0)
		return -1;
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLPRI};
		char text[512];
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
		char *found;

		if (n < 0)
			return -1;
		text[n] = '\0';
		found = strstr(text, key);
		if (found != NULL && strtol(found + strlen(key), NULL, 10) == wanted)
			return 0;
		if (clock_now_ms() >= deadline) {
			errno = ETIMEDOUT;
			return -1;
		}
		ppoll(&p, 1, &pause, NULL);
		if (pause.tv_nsec < 50000000)
			pause.tv_nsec *= 2;
	}
}

int
cgroup_wait_empty(int cgroup, int timeout_ms)
{
	return wait_event(cgroup, "populated", 0, timeout_ms);
}

int
cgroup_is_frozen(int cgroup)
{
	long frozen = read_key(cgroup, "cgroup.events", "frozen");

	return frozen < 0 ? -1 : frozen != 0;
}

int
cgroup_freeze(int cgroup, bool frozen)
{
	if (file_write_at(cgroup, "cgroup.freeze", frozen ? "1" : "0") < 0)
		return -1;
	if (wait_event(cgroup, "frozen", frozen, FREEZE_MS) == 0)
		return 0;
	if (frozen) { /* not half frozen for ever */
		int saved = errno;

		(void)file_write_at(cgroup, "cgroup.freeze", "0");
		errno = saved;
	}
	return -1;
}

static int
kill_one(pid_t pid, void *data)
{
	(void)data;
	if (pid > 1)
		kill(pid, SIGKILL);
	return 0;
}

int
cgroup_kill(int cgroup)
{
	if (file_write_at(cgroup, "cgroup.kill", "1") == 0)
		return 0;
	if (errno != ENOENT)
		return -1;
	/* before Linux 5.14: hold them still, so that none forks away meanwhile */
	if (cgroup_freeze(cgroup, true) < 0 || cgroup_visit(cgroup, kill_one, NULL) < 0)
		return -1;
	return cgroup_freeze(cgroup, false);
}

/* Walk ---------------------------------------------------------------------------- */

enum { DEPTH_MAX = 64 };

static int
visit_procs(int cgroup, int (*visit)(pid_t pid, void *data), void *data)
{
	autoclose int fd = openat(cgroup, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	int pid, rc = 0;

	if (f == NULL)
		return -1;
	(void)take_fd(&fd);
	while (rc == 0 && fscanf(f, "%d", &pid) == 1)
		rc = visit(pid, data);
	fclose(f);
	return rc;
}

static int
walk(int cgroup, unsigned depth, int (*enter)(int cgroup, void *data), void *data)
{
	int copy = openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *dir = copy >= 0 && depth < DEPTH_MAX ? fdopendir(copy) : NULL;
	struct dirent *entry;

	if (dir == NULL) {
		close_cleaner(&copy);
		return -1;
	}
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		autoclose int child = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = openat(cgroup, entry->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0)
			rc = walk(child, depth + 1, enter, data);
	}
	closedir(dir);
	return rc != 0 ? rc : enter(cgroup, data);
}

struct visitor {
	int (*visit)(pid_t pid, void *data);
	void *data;
};

static int
enter_visit(int cgroup, void *data)
{
	const struct visitor *v = data;
	int rc = visit_procs(cgroup, v->visit, v->data);

	return rc < 0 && (errno == ENODEV || errno == EOPNOTSUPP) ? 0 : rc;
}

int
cgroup_visit(int cgroup, int (*visit)(pid_t pid, void *data), void *data)
{
	struct visitor v = {visit, data};

	return walk(cgroup, 0, enter_visit, &v);
}

/* Remove -------------------------------------------------------------------------- */

static int
remove_children(int cgroup, unsigned depth)
{
	int copy = openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *dir = copy >= 0 && depth < DEPTH_MAX ? fdopendir(copy) : NULL;
	struct dirent *entry;

	if (dir == NULL) {
		close_cleaner(&copy);
		return -1;
	}
	while ((entry = readdir(dir)) != NULL) {
		autoclose int child = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = openat(cgroup, entry->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0)
			(void)remove_children(child, depth + 1);
		if (unlinkat(cgroup, entry->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			rc = -1;
	}
	closedir(dir);
	return rc;
}

static int
remove_once(int root, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	autoclose int above = -1;
	autoclose int cgroup = -1;
	char text[PATH_MAX];
	int parent = root;

	if (name > path + 1) {
		snprintf(text, sizeof(text), "%.*s", (int)(name - path), path);
		above = cgroup_open(root, text);
		parent = above;
	}
	if (parent < 0)
		return errno == ENOENT ? 0 : -1;
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -1;
	cgroup = cgroup_open(parent, name);
	if (cgroup >= 0)
		(void)remove_children(cgroup, 0);
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}

int
cgroup_remove(int root, const char *path, int timeout_ms)
{
	int64_t deadline = clock_now_ms() + timeout_ms;
	struct timespec pause = {.tv_nsec = 1000000};

	if (path[0] != '/' || path[1] == '\0') {
		errno = EINVAL;
		return -1;
	}
	while (remove_once(root, path) < 0) {
		if ((errno != EBUSY && errno != ENOTEMPTY) || clock_now_ms() >= deadline)
			return -1;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 64000000)
			pause.tv_nsec *= 2;
	}
	return 0;
}

int
cgroup_undo(const struct state *state, struct handles *h, struct error *e)
{
	autoclose int cgroup = -1;

	if (state->cgroup_path == NULL || state->cgroup_path[0] != '/')
		return 0;
	if (h->cgroup_root < 0)
		h->cgroup_root = cgroup_open_root(&h->cgroup_mount, e);
	if (h->cgroup_root < 0)
		return -1;
	/* most often nobody is left; then this is the only call */
	if (cgroup_remove(h->cgroup_root, state->cgroup_path, 0) == 0)
		return 0;
	cgroup = cgroup_open(h->cgroup_root, state->cgroup_path);
	if (cgroup >= 0 && cgroup_kill(cgroup) == 0)
		(void)cgroup_wait_empty(cgroup, REMOVE_MS);
	if (cgroup < 0 || cgroup_remove(h->cgroup_root, state->cgroup_path, REMOVE_MS) < 0)
		return error_set(e, errno, "cgroup-failed", "remove the cgroup %s%s", h->cgroup_mount,
		                 state->cgroup_path);
	return 0;
}
