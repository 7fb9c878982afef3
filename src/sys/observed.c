/* SPDX-License-Identifier: MIT */
/*
 * Looking at a process from outside. Most of it stands in /proc/PID. Some of what
 * /proc shows depends on who reads: for that a child of ours joins the namespaces of
 * the process (not its pid namespace: nobody there gets to see the child, nor may
 * anybody look into it), and reads what it is told to over a socket pair.
 */
#include "hako/observed.h"
#include "hako/file.h"
#include "hako/path.h"
#include "hako/proc.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_SIZE = 64 << 10 };

int
observed_open(struct arena *arena, pid_t pid, int pidfd, struct observed *ret, struct error *e)
{
	struct proc_stat stat;
	char path[32];

	*ret = (struct observed){
		.arena = arena, .pid = pid, .pidfd = pidfd, .root = -1, .cgroup = -1, .helper = -1};
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	ret->proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ret->proc < 0 || proc_stat(pid, &stat) < 0)
		return error_set(e, errno, "process-missing", "look at process %d", (int)pid);
	if (proc_has_ended(&stat))
		return error_set(e, 0, "process-missing", "process %d has ended", (int)pid);
	ret->executed = stat.executed;
	ret->root = openat(ret->proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ret->root_code = errno;
	return 0;
}

void
observed_close(struct observed *o)
{
	close_cleaner(&o->proc);
	close_cleaner(&o->root);
	close_cleaner(&o->helper);
	if (o->helper_pid > 0)
		while (waitpid(o->helper_pid, NULL, 0) < 0 && errno == EINTR)
			;
	o->helper = o->proc = o->root = -1;
	o->helper_pid = 0;
}

/* Files ------------------------------------------------------------------------ */

const char *
observed_read(const struct observed *o, const char *file, size_t *ret_length)
{
	return file_read_all(o->arena, o->proc, file, ret_length);
}

static const char *
find_status(struct arena *arena, const char *text, const char *name)
{
	size_t length = strlen(name);

	if (text == NULL)
		return NULL;
	for (const char *p = text; *p != '\0'; p += strcspn(p, "\n"), p += *p != '\0') {
		if (strncmp(p, name, length) != 0 || p[length] != ':')
			continue;
		p += length + 1;
		p += strspn(p, " \t");
		return arena_strndup(arena, p, strcspn(p, "\n"));
	}
	errno = ENODATA;
	return NULL;
}

const char *
observed_status(struct observed *o, const char *name)
{
	if (o->status == NULL)
		o->status = observed_read(o, "status", NULL);
	return find_status(o->arena, o->status, name);
}

const char *
observed_own_status(struct arena *arena, const char *name)
{
	return find_status(arena, file_read_all(arena, AT_FDCWD, "/proc/thread-self/status", NULL),
	                   name);
}

bool
observed_bits(struct observed *o, const char *name, uint64_t *ret)
{
	const char *text = observed_status(o, name);

	if (text != NULL)
		*ret = strtoull(text, NULL, 16);
	return text != NULL;
}

static const char *
read_link(struct arena *arena, int dir, const char *link)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(dir, link, text, sizeof(text));

	return n < 0 ? NULL : arena_strndup(arena, text, (size_t)n);
}

const char *
observed_link(const struct observed *o, const char *link)
{
	return read_link(o->arena, o->proc, link);
}

const char *
observed_own_link(struct arena *arena, const char *link)
{
	autoclose int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return self >= 0 ? read_link(arena, self, link) : NULL;
}

/* Inside its namespaces ----------------------------------------------------------- */

static int
differing_namespaces(const struct observed *o)
{
	static const struct {
		const char *link;
		int type;
	} rows[] = {{"ns/user", CLONE_NEWUSER},
	            {"ns/mnt", CLONE_NEWNS},
	            {"ns/uts", CLONE_NEWUTS},
	            {"ns/ipc", CLONE_NEWIPC},
	            {"ns/net", CLONE_NEWNET}};
	int types = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *theirs = observed_link(o, rows[i].link);
		const char *ours = observed_own_link(o->arena, rows[i].link);

		if (theirs == NULL || ours == NULL)
			return -1;
		if (strcmp(theirs, ours) != 0)
			types |= rows[i].type;
	}
	return types;
}

/* errno first, then the text. */
struct answer {
	int code;
	char text[ANSWER_SIZE];
};

static ssize_t
tell_top_mount(char *buf, size_t size)
{
	struct statx sx;

	if (statx(AT_FDCWD, "/", AT_STATX_DONT_SYNC, STATX_MNT_ID, &sx) < 0)
		return -1;
	return snprintf(buf, size, "%llu", (unsigned long long)sx.stx_mnt_id);
}

static ssize_t
tell_link(const char *name, char *buf, size_t size)
{
	autoclose int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%.*s", IFNAMSIZ - 1, name);
	if (sock < 0 || ioctl(sock, SIOCGIFFLAGS, &request) < 0)
		return -1;
	return snprintf(buf, size, "%s", (request.ifr_flags & IFF_UP) != 0 ? "up" : "down");
}

/* The whole list may be too long for an answer: each container of the machine has a line. */
static ssize_t
tell_keyring(struct arena *arena, int proc, const char *name, char *buf, size_t size)
{
	const char *keys = file_read_all(arena, proc, "keys", NULL);

	if (keys == NULL)
		return -1;
	return snprintf(buf, size, "%s",
	                strstr(keys, arena_printf(arena, " %s:", name)) != NULL ? "yes" : "no");
}

/* What is asked for: its first letter says what kind of thing. */
enum question { ASK_FILE = 'f', ASK_KEYRING = 'k', ASK_LINK = 'l', ASK_TOP_MOUNT = 'm' };

static ssize_t
find_answer(struct arena *arena, int proc, const char *question, char *buf, size_t size)
{
	const char *name = question + 1;

	switch ((enum question)question[0]) {
	case ASK_FILE:
		return file_read_at(proc, name, buf, size);
	case ASK_KEYRING:
		return tell_keyring(arena, proc, name, buf, size);
	case ASK_LINK:
		return tell_link(name, buf, size);
	case ASK_TOP_MOUNT:
		break;
	}
	return tell_top_mount(buf, size);
}

static void
answer_question(struct arena *arena, int sock, int proc, const char *question)
{
	static struct answer answer;
	ssize_t n = find_answer(arena, proc, question, answer.text, sizeof(answer.text));

	answer.code = n < 0 ? errno : 0;
	(void)send(sock, &answer, sizeof(answer.code) + (n > 0 ? (size_t)n : 0), MSG_NOSIGNAL);
}

/* Where nobody is root: its own user, whose keys others may not see. */
static int
become_its_user(const struct observed *o, int proc)
{
	static char status[8192];
	const char *uid, *gid;
	char name[32];

	snprintf(name, sizeof(name), "%d/status", (int)o->pid);
	if (file_read_at(proc, name, status, sizeof(status)) < 0)
		return -1;
	uid = strstr(status, "\nUid:");
	gid = strstr(status, "\nGid:");
	if (uid == NULL || gid == NULL)
		return 0;
	if (setegid((gid_t)strtoul(gid + 5, NULL, 10)) < 0 ||
	    seteuid((uid_t)strtoul(uid + 5, NULL, 10)) < 0)
		return errno == EINVAL ? 0 : -1;
	return 0;
}

static int
become_root(const struct observed *o, int proc)
{
	if (setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0)
		return 0;
	return errno == EINVAL ? become_its_user(o, proc) : -1;
}

static _Noreturn void
help(const struct observed *o, int types, int sock)
{
	autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char question[PATH_MAX];
	int code = 0;
	ssize_t n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
	if (proc < 0 || (types != 0 && setns(o->pidfd, types) < 0))
		code = errno;
	if ((types & CLONE_NEWUSER) != 0 && code == 0 && become_root(o, proc) < 0)
		code = errno;
	(void)send(sock, &code, sizeof(code), MSG_NOSIGNAL);
	while (code == 0 && (n = recv(sock, question, sizeof(question) - 1, 0)) > 0) {
		question[n] = '\0';
		answer_question(o->arena, sock, proc, question);
	}
	_exit(0);
}

static int
start_helper(struct observed *o)
{
	int types = differing_namespaces(o), ends[2], code;

	if (types < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	o->helper_pid = fork();
	if (o->helper_pid == 0) {
		close(ends[0]);
		help(o, types, ends[1]);
	}
	close_cleaner(&ends[1]);
	o->helper = ends[0];
	if (o->helper_pid < 0)
		return -1;
	if (recv(o->helper, &code, sizeof(code), 0) != sizeof(code))
		code = ECHILD;
	errno = code;
	return code == 0 ? 0 : -1;
}

static const char *
ask(struct observed *o, enum question what, const char *name)
{
	static struct answer answer;
	char question[PATH_MAX];
	ssize_t n;

	if (o->helper < 0 && o->helper_code == 0 && start_helper(o) < 0)
		o->helper_code = errno;
	errno = o->helper_code;
	if (errno != 0)
		return NULL;
	n = snprintf(question, sizeof(question), "%c%s", what, name);
	if (send(o->helper, question, (size_t)n, MSG_NOSIGNAL) < 0)
		return NULL;
	n = recv(o->helper, &answer, sizeof(answer), 0);
	if (n < (ssize_t)sizeof(answer.code)) {
		errno = ECHILD;
		return NULL;
	}
	errno = answer.code;
	return errno != 0 ? NULL
	                  : arena_strndup(o->arena, answer.text, (size_t)n - sizeof(answer.code));
}

const char *
observed_inside(struct observed *o, const char *file)
{
	return ask(o, ASK_FILE, file);
}

int
observed_keyring(struct observed *o, const char *name)
{
	const char *text = ask(o, ASK_KEYRING, name);

	return text == NULL ? -1 : strcmp(text, "yes") == 0;
}

const char *
observed_net_link(struct observed *o, const char *name)
{
	return ask(o, ASK_LINK, name);
}

uint64_t
observed_top_mount(struct observed *o)
{
	const char *text = ask(o, ASK_TOP_MOUNT, "");

	return text != NULL ? strtoull(text, NULL, 10) : 0;
}

/* Mounts ---------------------------------------------------------------------------- */

const struct mountinfo *
observed_mounts(struct observed *o)
{
	if (o->mounts == NULL)
		o->mounts = mountinfo_read(o->arena, o->proc, "mountinfo");
	return o->mounts;
}

int
observed_open_path(const struct observed *o, const char *path, bool follow)
{
	if (o->root >= 0)
		return path_open_in_root(o->root, path, O_PATH | (follow ? 0 : O_NOFOLLOW));
	errno = o->root_code;
	return -1;
}

int
observed_stat(int dir, const char *path, int flags, struct stat *ret)
{
	struct statx sx;

	if (statx(dir, path, flags | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &sx) < 0)
		return -1;
	*ret = (struct stat){
		.st_mode = sx.stx_mode,
		.st_uid = sx.stx_uid,
		.st_gid = sx.stx_gid,
		.st_ino = sx.stx_ino,
		.st_dev = makedev(sx.stx_dev_major, sx.stx_dev_minor),
		.st_rdev = makedev(sx.stx_rdev_major, sx.stx_rdev_minor),
	};
	return 0;
}

uint64_t
observed_mount_id(int fd, bool *ret_is_root)
{
	struct statx sx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &sx) < 0)
		return 0;
	if ((sx.stx_mask & STATX_MNT_ID) == 0) {
		errno = ENOSYS;
		return 0;
	}
	*ret_is_root = (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
	return sx.stx_mnt_id;
}

/* Ids --------------------------------------------------------------------------------- */

/* What a namespace shows of itself is relative to the one above; then nothing is mapped. */
bool
observed_host_id(const struct observed *o, const char *map, uint32_t id, uint32_t *ret)
{
	const char *theirs = observed_link(o, "ns/user");
	const char *ours = observed_own_link(o->arena, "ns/user"), *text;
	unsigned first, outside, size;

	*ret = id;
	if (theirs == NULL || ours == NULL)
		return false;
	if (strcmp(theirs, ours) == 0)
		return true;
	text = observed_read(o, map, NULL);
	for (; text != NULL && *text != '\0'; text += strcspn(text, "\n"), text += *text != '\0')
		if (sscanf(text, "%u %u %u", &first, &outside, &size) == 3 && id >= first &&
		    id - first < size) {
			*ret = outside + (id - first);
			return true;
		}
	return false;
}
