/* SPDX-License-Identifier: MIT */
#ifndef HAKO_CREDENTIALS_H
#define HAKO_CREDENTIALS_H

#include "hako/error.h"

struct handles;
struct plan;

/* "CAP_CHOWN" for CAP_CHOWN, and so on; NULL above the last that this build knows. */
const char *
capability_name(int capability);

/* The other way round; -1 when there is no such name. Case does not matter. */
int
capability_number(const char *name);

/*
 * Give up what neither the process that exec adds will have nor the steps up to its
 * execve need. Who may trace it in the container, by CAP_SYS_PTRACE, could use the rest.
 */
int
credentials_shed(const struct plan *plan, struct handles *h, struct error *e);

#endif
