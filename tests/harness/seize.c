/* SPDX-License-Identifier: MIT */
/*
 * A hostile neighbour with CAP_SYS_PTRACE: stops every new process that it sees and prints
 * a line of it: its permitted and bounding capabilities, and its environment.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIDS = 1 << 16 };

static bool seen[PIDS];

static size_t
read_file(int pid, const char *name, char *buf, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, buf, size - 1) : 0;
	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static void
print_field(const char *status, const char *name)
{
	const char *found = strstr(status, name);

	printf(" %.16s", found != NULL ? found + strlen(name) : "");
}

static void
seize(int pid)
{
	char status[4096], env[4096];
	size_t length;
	int state;

	seen[pid] = true;
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return;
	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	if (waitpid(pid, &state, __WALL) < 0 || !WIFSTOPPED(state))
		return; /* it has ended before */
	read_file(pid, "status", status, sizeof(status));
	length = read_file(pid, "environ", env, sizeof(env));
	for (size_t i = 0; i < length; i++)
		if (env[i] == '\0' || env[i] == '\n')
			env[i] = ' ';
	printf("seized");
	print_field(status, "CapPrm:\t");
	print_field(status, "CapBnd:\t");
	printf(" %s\n", env);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

int
main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("watching\n");
	for (;;) {
		DIR *dir = opendir("/proc");
		const struct dirent *entry;

		while (dir != NULL && (entry = readdir(dir)) != NULL) {
			int pid = atoi(entry->d_name);

			if (pid > 1 && pid < PIDS && !seen[pid] && pid != getpid())
				seize(pid);
		}
		closedir(dir);
	}
}
