/* SPDX-License-Identifier: MIT */
/*
 * Prints as one JSON object what a process of a container sees. Arguments are
 * things to try; "tests" holds the outcome of each, "ok" or an errno's name:
 *   r:PATH w:PATH d:PATH   open for reading, for writing, as a directory
 *   c:PATH                 create a file that is not there yet
 *   k:PATH                 mknod of a character device 1:3
 *   m:TARGET               mount a tmpfs
 *   s:NUMBER[,ARGUMENT]... a system call; arguments that are left out are zeros
 *   i:NUMBER               the same by the 32-bit entry of x86
 *   n:TEXT                 send it to NOTIFY_SOCKET; "+" ends a line
 * cat:PATH gives the text of a file instead. Linked statically: the root
 * filesystem may hold nothing else.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

static const char *separator = "";

static void
string(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

/* The name of a member, or nothing for an array's item. */
static void
begin(const char *key)
{
	printf("%s", separator);
	separator = ",";
	if (key != NULL) {
		string(key);
		putchar(':');
	}
}

static void
open_scope(const char *key, char bracket)
{
	begin(key);
	putchar(bracket);
	separator = "";
}

static void
close_scope(char bracket)
{
	putchar(bracket);
	separator = ",";
}

static void
member(const char *key, const char *value)
{
	begin(key);
	if (value == NULL)
		printf("null");
	else
		string(value);
}

static void
number(const char *key, long long value)
{
	begin(key);
	printf("%lld", value);
}

static char *
file_text(const char *path)
{
	static char text[1 << 18];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return NULL;
	while (used < sizeof(text) - 1 && (n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	text[used] = '\0';
	return text;
}

static void
file(const char *key, const char *path)
{
	char *text = file_text(path);

	if (text != NULL && text[0] != '\0' && text[strlen(text) - 1] == '\n')
		text[strlen(text) - 1] = '\0';
	member(key, text);
}

static void
array(const char *key, char *const *items)
{
	open_scope(key, '[');
	for (; *items != NULL; items++)
		member(NULL, *items);
	close_scope(']');
}

static void
lines(const char *key, const char *path)
{
	char *rest = file_text(path), *line;

	open_scope(key, '[');
	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			member(NULL, line);
	close_scope(']');
}

/* Every symlink of a folder: /proc/self/ns, /proc/self/fd. */
static void
links(const char *key, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char target[4096];
	ssize_t n;

	open_scope(key, '{');
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (n < 0 || atoi(entry->d_name) == dirfd(dir))
			continue;
		target[n] = '\0';
		member(entry->d_name, target);
	}
	if (dir != NULL)
		closedir(dir);
	close_scope('}');
}

static void
status(void)
{
	char *rest = file_text("/proc/self/status"), *line, *value;

	open_scope("status", '{');
	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
		value = strchr(line, ':');
		if (value == NULL)
			continue;
		*value++ = '\0';
		member(line, value + strspn(value, " \t"));
	}
	close_scope('}');
}

static void
limits(void)
{
	static const char *const names[] = {
		"cpu",     "fsize", "data",  "stack",      "core",     "rss",  "nproc",  "nofile",
		"memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"};
	struct rlimit limit;

	open_scope("limits", '{');
	for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
		if (getrlimit((__rlimit_resource_t)i, &limit) < 0)
			continue;
		open_scope(names[i], '[');
		number(NULL, (long long)limit.rlim_cur); /* -1: no limit */
		number(NULL, (long long)limit.rlim_max);
		close_scope(']');
	}
	close_scope('}');
}

static void
names(void)
{
	struct utsname uts;
	char cwd[4096];

	uname(&uts);
	member("hostname", uts.nodename);
	member("domainname", uts.domainname);
	member("machine", uts.machine);
	member("cwd", syscall(SYS_getcwd, cwd, sizeof(cwd)) > 0 ? cwd : NULL);
}

static void
session_keyring(void)
{
	enum { GET_KEYRING_ID = 0, DESCRIBE = 6, SESSION = -3 };
	char text[1024] = "";
	long id = syscall(SYS_keyctl, GET_KEYRING_ID, SESSION, 0);
	long n = id < 0 ? -1 : syscall(SYS_keyctl, DESCRIBE, id, text, sizeof(text) - 1);

	member("keyring", n < 0 ? NULL : text);
	number("keyring_id", id);
}

/* struct sched_attr of sched_setattr(2) */
struct attributes {
	unsigned size, policy;
	unsigned long long flags;
	int nice;
	unsigned priority;
	unsigned long long runtime, deadline, period;
};

static void
scheduling(void)
{
	struct attributes attr = {0};
	unsigned long nodes[16] = {0};
	cpu_set_t cpus;
	int mode = -1;

	syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0);
	number("scheduler", attr.policy);
	number("sched_priority", attr.priority);
	number("sched_flags", (long long)attr.flags);
	number("sched_runtime", (long long)attr.runtime);
	number("sched_deadline", (long long)attr.deadline);
	number("sched_period", (long long)attr.period);
	number("nice", getpriority(PRIO_PROCESS, 0));
	number("ioprio", syscall(SYS_ioprio_get, 1, 0));
	number("cpus", sched_getaffinity(0, sizeof(cpus), &cpus) < 0 ? -1 : CPU_COUNT(&cpus));
	if (syscall(SYS_get_mempolicy, &mode, nodes, 8 * sizeof(nodes), NULL, 0) < 0)
		mode = -1;
	number("mempolicy", mode);
	number("mempolicy_nodes", (long long)nodes[0]);
	number("personality", personality(0xffffffff));
}

static bool
opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static long
call(const char *text)
{
	unsigned long n[7] = {0};
	char *end;

	for (int i = 0; i < 7; i++) {
		n[i] = strtoul(text, &end, 0);
		if (*end != ',')
			break;
		text = end + 1;
	}
	return syscall((long)n[0], n[1], n[2], n[3], n[4], n[5], n[6]);
}

static long
call_32(long number)
{
	long result = -ENOSYS;

#ifdef __x86_64__
	__asm__ volatile("int $0x80"
	                 : "=a"(result)
	                 : "a"(number), "b"(0), "c"(0), "d"(0), "S"(0), "D"(0)
	                 : "memory", "r8", "r9", "r10", "r11");
#else
	(void)number;
#endif
	errno = result < 0 ? (int)-result : 0;
	return result;
}

static bool
notifies(const char *text)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char message[4096];
	ssize_t n;

	snprintf(message, sizeof(message), "%s", text);
	for (char *c = message; *c != '\0'; c++)
		if (*c == '+')
			*c = '\n';
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path != NULL ? path : "");
	n = sendto(sock, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&address,
	           sizeof(address));
	close(sock);
	return n == (ssize_t)strlen(message);
}

static bool
tries(const char *test)
{
	const char *what = test + 2;

	switch (test[0]) {
	case 'r':
		return opens(what, O_RDONLY);
	case 'w':
		return opens(what, O_WRONLY);
	case 'd':
		return opens(what, O_RDONLY | O_DIRECTORY);
	case 'c':
		return opens(what, O_WRONLY | O_CREAT | O_EXCL);
	case 'k':
		return mknod(what, S_IFCHR | 0600, makedev(1, 3)) == 0;
	case 'm':
		return mount("tmpfs", what, "tmpfs", 0, NULL) == 0;
	case 'n':
		return notifies(what);
	case 's':
		return call(what) >= 0;
	case 'i':
		return call_32(atol(what)) >= 0;
	}
	errno = EINVAL;
	return false;
}

static void
test_all(char **tests)
{
	open_scope("tests", '{');
	for (; *tests != NULL; tests++) {
		if (strncmp(*tests, "cat:", 4) == 0)
			file(*tests, *tests + 4);
		else
			member(*tests, tries(*tests) ? "ok" : strerrorname_np(errno));
	}
	close_scope('}');
}

int
main(int argc, char **argv)
{
	(void)argc;
	open_scope(NULL, '{');
	links("fds", "/proc/self/fd"); /* first: nothing of our own is open yet */
	links("namespaces", "/proc/self/ns");
	array("argv", argv);
	array("env", environ);
	status();
	limits();
	names();
	lines("mounts", "/proc/self/mountinfo");
	lines("cgroup", "/proc/self/cgroup");
	lines("uid_map", "/proc/self/uid_map");
	lines("gid_map", "/proc/self/gid_map");
	lines("timens_offsets", "/proc/self/timens_offsets");
	lines("interfaces", "/proc/net/dev");
	file("setgroups", "/proc/self/setgroups");
	file("oom_score_adj", "/proc/self/oom_score_adj");
	file("label", "/proc/self/attr/current");
	number("pid", getpid());
	number("ppid", getppid());
	number("sid", getsid(0));
	number("pgid", getpgid(0));
	member("tty", isatty(0) ? ttyname(0) : NULL);
	session_keyring();
	scheduling();
	test_all(argv + 1);
	close_scope('}');
	putchar('\n');
	return fflush(stdout) != 0;
}
