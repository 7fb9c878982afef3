/* SPDX-License-Identifier: MIT */
/*
 * /proc: who is alive, and a private procfs for writing. A pid alone names
 * nobody for long: it counts only together with the start time, and a signal
 * goes through a pidfd opened before the start time is compared.
 */
#include "hako/proc.h"
#include "hako/file.h"
#include "hako/mem.h"
#include "hako/path.h"
#include "hako/syscall.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of the kernel's include/linux/sched.h; field 9 of /proc/PID/stat shows them, as proc(5) says. */
enum { PF_EXITING = 0x4, PF_FORKNOEXEC = 0x40 };

int
proc_stat(pid_t pid, struct proc_stat *ret)
{
	char path[48], text[1024];
	char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (file_read_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return -1;
	p = strrchr(text, ')'); /* the name may hold anything, parentheses too */
	if (p == NULL || p[1] != ' ' || p[2] == '\0') {
		errno = EINVAL;
		return -1;
	}
	ret->state = p[2];
	p += 2;
	for (int field = 3; field < 22; field++) {
		if (field == 9) {
			ret->exiting = (strtoul(p, NULL, 10) & PF_EXITING) != 0;
			ret->executed = (strtoul(p, NULL, 10) & PF_FORKNOEXEC) == 0;
		}
		p = strchr(p, ' ');
		if (p == NULL) {
			errno = EINVAL;
			return -1;
		}
		p++;
	}
	ret->start_time = strtoull(p, NULL, 10);
	return 0;
}

bool
proc_has_ended(const struct proc_stat *stat)
{
	return stat->state == 'Z' || stat->state == 'X';
}

/* A line of /proc/PID/status, as "\nShdPnd:\t". */
static bool
has_sigkill(const char *status, const char *name)
{
	const char *pending = strstr(status, name);

	return pending != NULL &&
	       (strtoull(pending + strlen(name), NULL, 16) & 1ULL << (SIGKILL - 1)) != 0;
}

bool
proc_is_being_killed(pid_t pid)
{
	char path[32], text[8192];
	struct proc_stat stat;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (file_read_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return false;
	return has_sigkill(text, "\nShdPnd:\t") || has_sigkill(text, "\nSigPnd:\t") ||
	       (proc_stat(pid, &stat) == 0 && stat.exiting);
}

bool
proc_is_hidden(pid_t pid)
{
	autoclose int fd = pid > 1 ? sys_pidfd_open(pid, 0) : -1;
	struct pollfd p = {.fd = fd, .events = POLLIN}; /* readable: it has ended */
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return fd >= 0 && access(path, F_OK) < 0 && sys_pidfd_send_signal(fd, 0) == 0 &&
	       poll(&p, 1, 0) == 0;
}

int
proc_open(pid_t pid, uint64_t start_time)
{
	autoclose int fd = -1;
	struct proc_stat stat;

	if (pid <= 1) {
		errno = ESRCH;
		return -1;
	}
	fd = sys_pidfd_open(pid, 0);
	if (fd < 0) {
		if (errno == EINVAL || errno == ENOENT) /* a thread's id, not a process's */
			errno = ESRCH;
		return -1;
	}
	if (proc_stat(pid, &stat) < 0) {
		if (errno == ENOENT)
			errno = ESRCH;
		return -1;
	}
	if (stat.start_time != start_time || proc_has_ended(&stat)) {
		errno = ESRCH;
		return -1;
	}
	return take_fd(&fd);
}

bool
proc_has_capability(int capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0;
}

/* Namespaces ----------------------------------------------------------------- */

int
proc_open_namespace(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool
is_same_file(int fd, const struct stat *other)
{
	struct stat st;

	return fstat(fd, &st) == 0 && file_is_same(&st, other);
}

/* Is the process in that pid namespace, or in one below it? The dead are in none. */
static bool
is_within(pid_t pid, const struct stat *namespace)
{
	autoclose int fd = proc_open_namespace(pid, "pid");
	struct proc_stat stat;

	if (fd < 0 || proc_stat(pid, &stat) < 0 || proc_has_ended(&stat))
		return false;
	while (fd >= 0 && !is_same_file(fd, namespace)) {
		int above = ioctl(fd, NS_GET_PARENT); /* EPERM: it is above ours */

		close(fd);
		fd = above;
	}
	return fd >= 0;
}

int
proc_visit_namespace(pid_t member, int (*visit)(pid_t pid, void *data), void *data)
{
	autoclose int fd = proc_open_namespace(member, "pid");
	struct stat namespace;
	struct dirent *entry;
	int rc = 0;
	DIR *dir;

	if (fd < 0 || fstat(fd, &namespace) < 0)
		return -1;
	dir = opendir("/proc");
	if (dir == NULL)
		return -1;
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		pid_t pid = atoi(entry->d_name);

		if (pid > 0 && is_within(pid, &namespace))
			rc = visit(pid, data);
	}
	closedir(dir);
	return rc;
}

/* A procfs of our own -------------------------------------------------------- */

int
proc_mount(void)
{
	autoclose int context = fsopen("proc", FSOPEN_CLOEXEC);

	if (context < 0)
		return -1;
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(context, FSMOUNT_CLOEXEC,
	               MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* The kernel reads one write(2) as one value. */
static int
write_value(int fd, const char *text)
{
	size_t length = strlen(text);

	return fd >= 0 && write(fd, text, length) == (ssize_t)length ? 0 : -1;
}

int
proc_write(int proc, const char *path, const char *text)
{
	autoclose int fd = path_open_beneath(proc, path, O_WRONLY);

	return write_value(fd, text);
}

/* thread-self, a link that procfs makes up for who reads it, is the only one on the way. */
static int
open_own(int proc, const char *path, unsigned flags)
{
	char own[128];

	snprintf(own, sizeof(own), "thread-self/%s", path);
	return sys_openat2(proc, own, flags | O_CLOEXEC, 0,
	                   RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
}

int
proc_write_own(int proc, const char *path, const char *text)
{
	autoclose int fd = open_own(proc, path, O_WRONLY);

	return write_value(fd, text);
}

ssize_t
proc_read_own(int proc, const char *path, char *buf, size_t size)
{
	autoclose int fd = open_own(proc, path, O_RDONLY);
	ssize_t n = fd >= 0 ? read(fd, buf, size - 1) : -1;

	if (n < 0)
		return -1;
	buf[n] = '\0';
	return n;
}
