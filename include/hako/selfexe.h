/* SPDX-License-Identifier: MIT */
#ifndef HAKO_SELFEXE_H
#define HAKO_SELFEXE_H

#include "hako/error.h"

#include <stdbool.h>

/*
 * Will a process of hako's enter a container? The command's name is one of the words; a
 * container of that name costs a moment, no more. Needs nothing of libc.
 */
static inline bool
selfexe_is_needed(char *const argv[])
{
	static const char words[][8] = {"run", "create", "exec"};

	for (; *argv != NULL; argv++)
		for (int w = 0; w < 3; w++)
			for (int i = 0; (*argv)[i] == words[w][i]; i++)
				if (words[w][i] == '\0')
					return true;
	return false;
}

/*
 * Make sure that no process of a container can write hako's binary through
 * /proc/PID/exe (CVE-2019-5736): run on from a detached read-only clone of the
 * mount it stands on, or where that is not allowed from a sealed copy in
 * memory. Does nothing when the file cannot be written by anybody (read-only or
 * verity) or already runs protected. Returns 0 when protected; does not return
 * when it executes itself again, which is why it comes before anything is opened;
 * -1 with *e.
 */
int
selfexe_protect(char *const argv[], struct error *e);

#endif
