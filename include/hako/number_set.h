/* SPDX-License-Identifier: MIT */
#ifndef HAKO_NUMBER_SET_H
#define HAKO_NUMBER_SET_H

#include <stdbool.h>

/* How many processors and memory nodes a kernel can be built for (NR_CPUS, MAX_NUMNODES). */
enum { CPU_NUMBERS = 8192, NODE_NUMBERS = 1024 };

enum { NUMBER_SET_WORD = 8 * (int)sizeof(unsigned long) };

/* Numbers of processors or of memory nodes, as the kernel takes them. */
struct number_set {
	unsigned long words[CPU_NUMBERS / NUMBER_SET_WORD];
};

/*
 * Read a list such as "0-3,7": numbers below limit, ranges from low to high.
 * Spaces around an item and empty items are allowed. How many numbers were
 * given; -1 and nothing changed when it is no list.
 */
int
number_set_parse(const char *text, unsigned limit, struct number_set *ret);

/* Is that number (below CPU_NUMBERS) one of them? */
bool
number_set_has(const struct number_set *set, unsigned number);

#endif
