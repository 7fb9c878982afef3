/* SPDX-License-Identifier: MIT */
#ifndef HAKO_USERNS_H
#define HAKO_USERNS_H

#include <sys/types.h>

/* User namespaces seen from outside. -1 with errno. */

/* Write uid_map, gid_map or setgroups of a process, in one write(2) as the kernel wants it. */
int
userns_write(pid_t pid, const char *file, const char *text);

/* A user namespace with these maps (lines of uid_map) and nobody in it: its descriptor. */
int
userns_make(const char *uid_map, const char *gid_map);

#endif
