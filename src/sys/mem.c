/* SPDX-License-Identifier: MIT */
/*
 * The arena that config and plan live in, and the cleaners. Blocks double in
 * size; the first serves an ordinary config, so that a run makes few calls to
 * the kernel for memory.
 */
#include "hako/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FIRST_BLOCK = 256 * 1024, SMALL_BLOCK = 2 * 1024, SMALL_MAX = 16 * 1024, ALIGNMENT = 16 };

struct arena_block {
	struct arena_block *previous;
	size_t size; /* of data */
	bool small;  /* malloc'ed, not mapped */
	size_t used;
	_Alignas(ALIGNMENT) char data[];
};

static _Noreturn void
out_of_memory(void)
{
	static const char text[] = "hako: error: out of memory\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

/* Fresh pages are zero; calloc() would clear them again, and so touch them all. */
static struct arena_block *
new_block(size_t size, bool small)
{
	struct arena_block *block;

	if (small) {
		block = calloc(1, size);
	} else {
		block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		             0);
		if (block == MAP_FAILED)
			block = NULL;
	}
	if (block == NULL)
		out_of_memory();
	block->small = small;
	block->size = size - sizeof(*block);
	return block;
}

static struct arena_block *
add_block(struct arena *arena, size_t needed)
{
	size_t size = arena->small ? SMALL_BLOCK : FIRST_BLOCK;
	struct arena_block *block;

	if (arena->block != NULL)
		size = (arena->block->size + sizeof(*block)) * 2;
	if (size < needed + sizeof(*block))
		size = needed + sizeof(*block);
	block = new_block(size, size <= SMALL_MAX);
	block->previous = arena->block;
	arena->block = block;
	return block;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *block = arena->block;
	void *p;

	if (size > SIZE_MAX / 2)
		out_of_memory();
	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (block == NULL || block->size - block->used < size)
		block = add_block(arena, size);
	p = block->data + block->used;
	block->used += size;
	return p;
}

void *
arena_array(struct arena *arena, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		out_of_memory();
	return arena_alloc(arena, total);
}

char *
arena_strndup(struct arena *arena, const char *s, size_t length)
{
	char *copy = arena_alloc(arena, length + 1);

	memcpy(copy, s, length);
	return copy;
}

char *
arena_strdup(struct arena *arena, const char *s)
{
	return arena_strndup(arena, s, strlen(s));
}

char *
arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args, again;
	char *text;
	int length;

	va_start(args, format);
	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		out_of_memory();
	text = arena_alloc(arena, (size_t)length + 1);
	vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	return text;
}

void
arena_free(struct arena *arena)
{
	while (arena->block != NULL) {
		struct arena_block *previous = arena->block->previous;

		if (arena->block->small)
			free(arena->block);
		else
			munmap(arena->block, sizeof(*arena->block) + arena->block->size);
		arena->block = previous;
	}
}

void
stack_populate(size_t size)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t top = (uintptr_t)__builtin_frame_address(0) & -page;
	uintptr_t end = (top - size) & -page;

	(void)madvise((void *)end, top + page - end, MADV_POPULATE_WRITE);
}

void
close_cleaner(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

void
free_cleaner(void *pointer)
{
	int saved = errno;

	free(*(void **)pointer);
	errno = saved;
}

int
take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
