/* SPDX-License-Identifier: MIT */
#ifndef HAKO_TABLE_H
#define HAKO_TABLE_H

#include "hako/mem.h"

#include <stddef.h>
#include <stdint.h>

/* Values by name. Names stay where they are: they must live as long as the table. */
struct table {
	struct table_row *rows;
	size_t mask; /* of a hash: which row */
	uint32_t seed;
};

/* An empty one, with room for that many names. */
void
table_init(struct table *table, struct arena *arena, size_t names);

/* Where the value of that name is kept: NULL as long as nobody has put one there. */
const void **
table_at(struct table *table, const char *name, size_t length);

#endif
