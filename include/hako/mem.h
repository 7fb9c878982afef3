/* SPDX-License-Identifier: MIT */
#ifndef HAKO_MEM_H
#define HAKO_MEM_H

#include <stdbool.h>
#include <stddef.h>

/*
 * One arena holds the config and the plan; it is freed by exit. Running out of
 * memory ends the program with a message: it can only happen before anything
 * was made.
 */
struct arena {
	struct arena_block *block;
	bool small; /* for a few kilobytes, soon given back */
};

/* Zeroed memory, aligned for any type. Never NULL. */
void *
arena_alloc(struct arena *arena, size_t size);

/* count * size bytes, checked against overflow. */
void *
arena_array(struct arena *arena, size_t count, size_t size);

/* Copies, and text as printf(3) makes it; freed with the arena. */
char *
arena_strndup(struct arena *arena, const char *s, size_t length);
char *
arena_strdup(struct arena *arena, const char *s);
char *
arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Give everything back (tests and fuzzers; commands just exit). */
void
arena_free(struct arena *arena);

/*
 * Ask for the pages of the stack that the next size bytes will be on, all at once: less
 * than a page fault for each. It is no error when the kernel (before 5.14) cannot.
 */
void
stack_populate(size_t size);

/* Cleaners: they keep errno, and a value taken over by take_fd() is not closed. */
void
close_cleaner(int *fd);
void
free_cleaner(void *pointer);
int
take_fd(int *fd);

#define autoclose __attribute__((cleanup(close_cleaner), unused))
#define autofree __attribute__((cleanup(free_cleaner), unused))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
