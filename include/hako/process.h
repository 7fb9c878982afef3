/* SPDX-License-Identifier: MIT */
#ifndef HAKO_PROCESS_H
#define HAKO_PROCESS_H

#include "hako/layer.h"

/* Can this file be executed? 0, or the errno that execve(2) would have. */
typedef int
program_try(const struct plan *plan, const char *path);

/* Look for args[0] as execvp(3) does, asking `try` for each place. -1 with *e. */
int
process_find(const struct plan *plan, program_try *try, const char **ret_program, struct error *e);

/*
 * Does hako give its standard streams, those of the host, to the process's user? A user
 * namespace does not know who owns them, so that init could not. Only root can; and what
 * is an ordinary user's own its namespaces do know. *ret_uid: that user, on the host.
 */
bool
process_gives_streams(const struct plan *plan, uid_t *ret_uid);

#endif
