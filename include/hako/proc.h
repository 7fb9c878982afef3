/* SPDX-License-Identifier: MIT */
#ifndef HAKO_PROC_H
#define HAKO_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Processes as /proc shows them. */

struct proc_stat {
	char state;          /* 'R', 'S', 'Z', ... */
	bool exiting;        /* on its way to its end */
	bool executed;       /* a program since it was forked */
	uint64_t start_time; /* clock ticks since boot, field 22 of proc(5) */
};

/* Read /proc/PID/stat; -1 with errno (ENOENT: no such process). */
int
proc_stat(pid_t pid, struct proc_stat *ret);

/* Has it ended, whether or not anybody has waited for it? */
bool
proc_has_ended(const struct proc_stat *stat);

/* Is SIGKILL on its way to it, or it on the way to its end? */
bool
proc_is_being_killed(pid_t pid);

/*
 * Is there a process of the caller's that /proc does not show? With the option hidepid= it
 * hides who cannot be looked into.
 */
bool
proc_is_hidden(pid_t pid);

/*
 * A descriptor of the process pid if it is the one that started at start_time
 * and has not ended; -1 with ESRCH when it is gone or the pid was used again.
 */
int
proc_open(pid_t pid, uint64_t start_time);

/* Is that capability (CAP_...) in this process's effective set? */
bool
proc_has_capability(int capability);

/* The namespace of that name ("pid", "net", ...) that the process is in; -1 with errno. */
int
proc_open_namespace(pid_t pid, const char *name);

/*
 * Call visit for every process in the pid namespace of `member` and in those below it,
 * until it returns not 0, and return that. Whoever cannot be looked into is left out.
 * -1 with errno, EACCES when that is so for member itself.
 */
int
proc_visit_namespace(pid_t member, int (*visit)(pid_t pid, void *data), void *data);

/*
 * A procfs of our own, mounted nowhere: nobody can put anything over its files.
 * -1 with errno.
 */
int
proc_mount(void);

/* Write a value below that procfs; no links, no other filesystem. */
int
proc_write(int proc, const char *path, const char *text);

/* The same for a file of the calling thread's own folder in it: "attr/exec". */
int
proc_write_own(int proc, const char *path, const char *text);
ssize_t
proc_read_own(int proc, const char *path, char *buf, size_t size);

#endif
