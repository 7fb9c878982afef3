/* SPDX-License-Identifier: MIT */
/* Closing descriptors by the dozen. */
#include "hako/fd.h"
#include "hako/mem.h"

#include <stdlib.h>
#include <unistd.h>

static int
compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Neighbours share a call. */
static void
close_pile(struct fd_pile *pile)
{
	qsort(pile->fds, pile->count, sizeof(pile->fds[0]), compare);
	for (unsigned i = 0; i < pile->count;) {
		unsigned first = i++;

		while (i < pile->count && pile->fds[i] == pile->fds[i - 1] + 1)
			i++;
		close_range((unsigned)pile->fds[first], (unsigned)pile->fds[i - 1], 0);
	}
	pile->count = 0;
}

void
fd_drop(struct fd_pile *pile, int fd)
{
	if (fd < 0)
		return;
	if (pile->count == ARRAY_SIZE(pile->fds))
		close_pile(pile);
	pile->fds[pile->count++] = fd;
}
