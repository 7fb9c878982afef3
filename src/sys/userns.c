/* SPDX-License-Identifier: MIT */
/*
 * User namespaces from outside (user_namespaces(7)). One that only serves as a
 * table of ids, for an idmapped mount, needs a process to be made by and to be
 * found through: a child that ends when nobody holds the other end of its pipe,
 * so also when its parent is killed.
 */
#include "hako/userns.h"
#include "hako/file.h"
#include "hako/mem.h"
#include "hako/proc.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int
userns_write(pid_t pid, const char *file, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return file_write_at(AT_FDCWD, path, text);
}

static pid_t
start_member(const int ends[2])
{
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	pid_t pid = sys_clone3(&args, sizeof(args));
	char byte;

	if (pid != 0)
		return pid;
	close(ends[1]);
	while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

static int
map_and_open(pid_t pid, const char *uid_map, const char *gid_map)
{
	if (userns_write(pid, "gid_map", gid_map) < 0 || userns_write(pid, "uid_map", uid_map) < 0)
		return -1;
	return proc_open_namespace(pid, "user");
}

int
userns_make(const char *uid_map, const char *gid_map)
{
	autoclose int user_ns = -1;
	int ends[2], code;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid = start_member(ends);
	if (pid > 0)
		user_ns = map_and_open(pid, uid_map, gid_map);
	code = errno;
	close(ends[0]);
	close(ends[1]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	errno = code;
	return take_fd(&user_ns);
}
