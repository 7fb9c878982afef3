/* SPDX-License-Identifier: MIT */
#ifndef HAKO_PASSWD_H
#define HAKO_PASSWD_H

#include <stddef.h>
#include <sys/types.h>

enum passwd_field { PASSWD_NAME = 0, PASSWD_HOME = 5 };

/*
 * One field of the line for uid in the passwd(5) file open as fd, which may hold
 * anything: it must be a regular file of at most 1 MiB. 0, or -1 when there is
 * none (nothing is written then).
 */
int
passwd_lookup(int fd, uid_t uid, enum passwd_field field, char *buf, size_t size);

#endif
