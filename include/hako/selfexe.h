/* SPDX-License-Identifier: MIT */
#ifndef HAKO_SELFEXE_H
#define HAKO_SELFEXE_H

#include "hako/error.h"

/*
 * Make sure that no process of a container can write hako's binary through
 * /proc/PID/exe (CVE-2019-5736): run on from a detached read-only clone of the
 * mount it stands on, or where that is not allowed from a sealed copy in
 * memory. Does nothing when the file cannot be written by anybody (read-only or
 * verity) or already runs protected. Returns 0 when protected; does not return
 * when it executes itself again; -1 with *e.
 */
int
selfexe_protect(char *const argv[], struct error *e);

#endif
