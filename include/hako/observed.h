/* SPDX-License-Identifier: MIT */
#ifndef HAKO_OBSERVED_H
#define HAKO_OBSERVED_H

#include "hako/error.h"
#include "hako/mountinfo.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A process as the kernel shows it to somebody outside: what `verify` compares a
 * plan with. Nothing is changed and nobody is waited for. Each thing is read when it
 * is first asked for, and once.
 */
struct observed {
	struct arena *arena;
	pid_t pid;
	int pidfd;
	bool executed;                  /* a program of its own, since it was made */
	int proc;                       /* /proc/PID */
	int root;                       /* its root directory; -1: see root_code */
	int root_code;                  /* errno */
	int cgroup;                     /* of its container; -1: none, or not known */
	const char *cgroup_path;        /* NULL: none, or not known */
	const char *status;             /* text of /proc/PID/status */
	const struct mountinfo *mounts; /* those it can reach */
	int helper;                     /* a process of ours in its namespaces listens there */
	pid_t helper_pid;
	int helper_code; /* errno: why there is none */
};

/* pidfd is kept, not closed. -1 with *e when the process cannot be looked at. */
int
observed_open(struct arena *arena, pid_t pid, int pidfd, struct observed *ret, struct error *e);
void
observed_close(struct observed *o);

/*
 * A file of /proc/PID; NULL with errno. The text ends with NUL, without a last newline;
 * *ret_length may be NULL.
 */
const char *
observed_read(const struct observed *o, const char *file, size_t *ret_length);

/* What follows the name in a line of /proc/PID/status; NULL with errno. */
const char *
observed_status(struct observed *o, const char *name);

/* The same of this process. */
const char *
observed_own_status(struct arena *arena, const char *name);

/* Such a line as a number in base 16; false with errno. */
bool
observed_bits(struct observed *o, const char *name, uint64_t *ret);

/* Where a link of /proc/PID leads, as "net:[4026531840]" for ns/net; NULL with errno. */
const char *
observed_link(const struct observed *o, const char *link);

/* The same for this process. */
const char *
observed_own_link(struct arena *arena, const char *link);

/*
 * A file of /proc, such as sys/kernel/hostname, as a process in the user, mount, UTS,
 * IPC and network namespaces of this one reads it; NULL with errno.
 */
const char *
observed_inside(struct observed *o, const char *file);

/* Whether there is a keyring of that name, as such a process sees them; -1 with errno. */
int
observed_keyring(struct observed *o, const char *name);

/* "up" or "down": a link of its network namespace; NULL with errno. */
const char *
observed_net_link(struct observed *o, const char *name);

/* The id of the mount that is the root of its mount namespace; 0 with errno. */
uint64_t
observed_top_mount(struct observed *o);

/* Its mounts; NULL with errno. */
const struct mountinfo *
observed_mounts(struct observed *o);

/* A path inside its root as an O_PATH descriptor; -1 with errno. */
int
observed_open_path(const struct observed *o, const char *path, bool follow);

/*
 * Kind, owner, device and inode of a file (flags: AT_...), as far as the kernel knows them
 * already: no server of a filesystem is asked. -1 with errno.
 */
struct stat;
int
observed_stat(int dir, const char *path, int flags, struct stat *ret);

/* The id of the mount that a descriptor is on; *ret_is_root: it is its root. 0 with errno. */
uint64_t
observed_mount_id(int fd, bool *ret_is_root);

/*
 * An id of its user namespace (of a line of uid_map or gid_map) as this process sees it;
 * false: it has none, or that cannot be read.
 */
bool
observed_host_id(const struct observed *o, const char *map, uint32_t id, uint32_t *ret);

#endif
