/* SPDX-License-Identifier: MIT */
/*
 * The front of a seccomp program: a binary search over ranges of syscall
 * numbers with the same fate. A profile decides nearly all syscalls by number
 * alone; libseccomp spends an instruction on each of them, this a quarter of
 * one. A shorter program is built, checked and installed faster, and the
 * kernel, which tries every number in advance to learn which are always
 * allowed, understands these instructions (LD, JEQ, JGE, JA, RET). What cannot
 * be decided here goes on to the tail, a complete filter made by libseccomp.
 */
#include "hako/seccomp.h"
#include "hako/mem.h"

#include <stdbool.h>
#include <string.h>

#include <linux/seccomp.h>

/* From this number up to the next range. */
struct range {
	uint32_t first;
	uint32_t action;
};

struct ranges {
	struct range items[2 * SECCOMP_TABLE_SIZE + 4];
	size_t count;
};

/*
 * Jumps go forward only and, but for JA, at most 255 instructions far, so the
 * program is written from its end, where the targets are known. A position
 * counts from the end: the last instruction is 1.
 */
struct writer {
	struct sock_filter *filter;
	uint32_t count;
	uint32_t tail; /* its position */
	bool full;
	struct leaf {
		uint32_t action;
		uint32_t position; /* 0: empty */
	} leaves[8];               /* the nearest instruction for an action */
	size_t next_leaf;
};

enum { JUMP_MAX = 255 };

static uint32_t
put(struct writer *w, uint16_t code, uint32_t k, uint32_t jt, uint32_t jf)
{
	if (w->count == BPF_MAXINSNS) {
		w->full = true;
		return w->count;
	}
	w->count++;
	w->filter[BPF_MAXINSNS - w->count] =
		(struct sock_filter){code, (uint8_t)jt, (uint8_t)jf, k};
	return w->count;
}

/* A position from which the next instruction can reach the target. */
static uint32_t
bring_near(struct writer *w, uint32_t target)
{
	/* one less: the other target of the same jump may need a JA too */
	return w->count - target < JUMP_MAX ? target
	                                    : put(w, BPF_JMP | BPF_JA, w->count - target, 0, 0);
}

static uint32_t
branch(struct writer *w, uint16_t op, uint32_t k, uint32_t yes, uint32_t no)
{
	yes = bring_near(w, yes);
	no = bring_near(w, no);
	return put(w, BPF_JMP | BPF_K | op, k, w->count - yes, w->count - no);
}

static uint32_t
leaf(struct writer *w, uint32_t action)
{
	struct leaf *l = w->leaves, *end = w->leaves + ARRAY_SIZE(w->leaves);

	while (l < end && (l->position == 0 || l->action != action))
		l++;
	if (l < end && w->count - l->position < JUMP_MAX)
		return l->position;
	if (l == end)
		l = &w->leaves[w->next_leaf++ % ARRAY_SIZE(w->leaves)];
	l->action = action;
	l->position = action == SECCOMP_TAIL ? bring_near(w, w->tail)
	                                     : put(w, BPF_RET | BPF_K, action, 0, 0);
	return l->position;
}

/* The search tree over these ranges; returns the position of its root. */
static uint32_t
tree(struct writer *w, const struct range *r, size_t count)
{
	size_t half = count / 2;
	uint32_t above, below;

	if (count == 1)
		return leaf(w, r[0].action);
	/* one number that differs from all around it */
	if (count == 3 && r[0].action == r[2].action && r[2].first == r[1].first + 1) {
		above = leaf(w, r[1].action);
		below = leaf(w, r[0].action);
		return branch(w, BPF_JEQ, r[1].first, above, below);
	}
	above = tree(w, r + half, count - half);
	below = tree(w, r, half);
	return branch(w, BPF_JGE, r[half].first, above, below);
}

static void
add_range(struct ranges *ranges, uint32_t first, uint32_t action)
{
	if (ranges->count > 0 && ranges->items[ranges->count - 1].first == first)
		ranges->count--;
	if (ranges->count > 0 && ranges->items[ranges->count - 1].action == action)
		return;
	ranges->items[ranges->count++] = (struct range){first, action};
}

/* Of every table of this architecture; what lies outside of them is the tail's. */
static void
collect(struct ranges *ranges, const struct seccomp_table *tables, size_t count, uint32_t arch)
{
	ranges->count = 0;
	add_range(ranges, 0, SECCOMP_TAIL);
	for (size_t i = 0; i < count; i++) {
		const struct seccomp_table *t = &tables[i];

		if (t->audit_arch != arch)
			continue;
		for (uint32_t n = 0; n < SECCOMP_TABLE_SIZE; n++)
			add_range(ranges, t->base + n, t->actions[n]);
		add_range(ranges, t->base + SECCOMP_TABLE_SIZE, SECCOMP_TAIL);
	}
}

/* "Load the number, search"; returns where that begins. */
static uint32_t
block(struct writer *w, const struct ranges *ranges)
{
	uint32_t root = tree(w, ranges->items, ranges->count);

	if (root != w->count) /* the instruction after the load must be the root */
		put(w, BPF_JMP | BPF_JA, w->count - root, 0, 0);
	return put(w, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
}

static bool
is_first_of_arch(const struct seccomp_table *tables, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (tables[k].audit_arch == tables[i].audit_arch)
			return false;
	return true;
}

uint32_t
seccomp_dispatch(const struct seccomp_table *tables, size_t count, const struct sock_filter *tail,
                 size_t tail_length, struct sock_filter *filter)
{
	struct writer w = {.filter = filter};
	struct ranges ranges;
	uint32_t other;

	if (tail_length == 0 || tail_length > BPF_MAXINSNS)
		return 0;
	memcpy(filter + BPF_MAXINSNS - tail_length, tail, tail_length * sizeof(*tail));
	w.count = w.tail = other = (uint32_t)tail_length;
	/* backwards, so that the first architecture, the native one, is tested first */
	for (size_t i = count; i-- > 0;) {
		uint32_t position;

		if (!is_first_of_arch(tables, i))
			continue;
		collect(&ranges, tables, count, tables[i].audit_arch);
		position = block(&w, &ranges);
		other = branch(&w, BPF_JEQ, tables[i].audit_arch, position, other);
	}
	if (other != w.count)
		put(&w, BPF_JMP | BPF_JA, w.count - other, 0, 0);
	put(&w, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	if (w.full)
		return 0;
	memmove(filter, filter + BPF_MAXINSNS - w.count, w.count * sizeof(*filter));
	return w.count;
}
