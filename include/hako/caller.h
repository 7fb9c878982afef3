/* SPDX-License-Identifier: MIT */
#ifndef HAKO_CALLER_H
#define HAKO_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where hako has been called: its user namespace, the seccomp filter around it. */

/* Is it the initial user namespace, in which root's capabilities are good for the whole machine? */
bool
caller_is_in_initial_userns(void);

enum caller_ids { CALLER_UIDS, CALLER_GIDS };

/* Are all of these ids mapped in the user namespace? True also when that cannot be read. */
bool
caller_has_ids(enum caller_ids ids, uint32_t first, uint32_t count);

/* Why the kernel makes no user namespace here, as far as that can be found out; or NULL. */
const char *
caller_why_no_userns(void);

/* Bit n - 1 is signal n; all of them when that cannot be read. */
uint64_t
caller_ignored_signals(void);

/* "root (uid 0)", or "uid 1000" when /etc/passwd has no such line. Returns buf. */
const char *
caller_user_text(uint32_t uid, char *buf, size_t size);

/* Does hako itself run under a seccomp filter? */
bool
caller_has_filter(void);

/*
 * The system calls of hako that a seccomp filter around it answers instead of the
 * kernel: "clone3, open_tree". False: none.
 */
bool
caller_is_filtered(char *buf, size_t size);

#endif
