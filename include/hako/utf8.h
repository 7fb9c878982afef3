/* SPDX-License-Identifier: MIT */
#ifndef HAKO_UTF8_H
#define HAKO_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* How many bytes of text, from its beginning, are valid UTF-8 (RFC 3629): length when all are. */
size_t
utf8_valid_length(const char *text, size_t length);

/* Are all of them, up to the NUL? */
bool
utf8_is_valid(const char *text);

/* What stands between the quotes of a JSON string of text, cut where it no longer fits. */
void
utf8_quote(const char *text, char *out, size_t size);

#endif
