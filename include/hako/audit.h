/* SPDX-License-Identifier: MIT */
#ifndef HAKO_AUDIT_H
#define HAKO_AUDIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What the kernel says of processes that a seccomp filter has killed. */

struct audit_kill {
	uint32_t arch; /* AUDIT_ARCH_... */
	int number;    /* of the system call */
};

/*
 * Begin to listen; a descriptor, or -1 with errno: it takes CAP_AUDIT_READ in the initial
 * user and network namespaces, and a kernel with auditing.
 */
int
audit_open(void);

/* Why that process (its pid in the initial namespace) was killed; waits a moment for it. */
bool
audit_find_kill(int fd, pid_t pid, struct audit_kill *ret);

#endif
