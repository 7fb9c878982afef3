/* SPDX-License-Identifier: MIT */
#ifndef HAKO_DECODE_VALUE_H
#define HAKO_DECODE_VALUE_H

#include "hako/decode.h"

#include <stdint.h>

/* Between the files of the decoder: -1 with *e, as decode_object() has it. */

int
value_check_type(const struct json *node, enum json_type type, struct error *e);

/* A string: not empty, absolute, one of the row's words, as the row says. */
int
value_check_string(const struct field *field, const struct json *node, struct error *e);

/* An array, not empty if the row says so. */
int
value_check_array(const struct field *field, const struct json *node, struct error *e);

/* The row of the word in node; NULL with *e when it is no string or no such word. */
const struct name *
value_find_word(const struct field *field, const struct json *node, struct error *e);

/* Is the name of this property one of the words? */
int
value_check_key(const struct name *names, const struct json *member, struct error *e);

/* An integer in the row's range, which is that of the type, 0..type_max, when it has none. */
int
value_read_uint(const struct field *field, const struct json *node, uint64_t *ret,
                uint64_t type_max, struct error *e);
int
value_read_int(const struct field *field, const struct json *node, int64_t *ret, struct error *e);

#endif
