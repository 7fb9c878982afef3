/* SPDX-License-Identifier: MIT */
#ifndef HAKO_UTF8_H
#define HAKO_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character at text (RFC 3629); 0 when it is not UTF-8, or was cut. 1 for the NUL. */
size_t
utf8_length(const char *text);

bool
utf8_is_valid(const char *text);

/* What stands between the quotes of a JSON string of text, cut where it no longer fits. */
void
utf8_quote(const char *text, char *out, size_t size);

#endif
