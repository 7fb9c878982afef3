/* SPDX-License-Identifier: MIT */
#ifndef HAKO_SPEC_H
#define HAKO_SPEC_H

#include "hako/json.h"

#include <stdbool.h>

/* Between the files of `spec`. */

/* Which system calls a profile allows: words of the groups in spec_seccomp.c, or'ed. */
enum spec_calls { SPEC_ORDINARY = 1, SPEC_DEBUGGING = 2 };

/* linux.seccomp: nothing but those calls, and an error for the rest. */
void
spec_put_seccomp(struct json_writer *w, unsigned calls);

/* How a profile differs from the config that spec.c writes; see config_set(). */
struct spec_setting {
	const char *pointer;
	const char *value;
};

struct spec_profile {
	const char *name;
	bool rootless; /* for the caller, in a user namespace */
	unsigned calls;
	const struct spec_setting *settings; /* in the order of setting; ends with a NULL pointer */
};

/* Ends with a NULL name; the first is the default. */
extern const struct spec_profile spec_profiles[];

#endif
