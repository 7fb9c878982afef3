/* SPDX-License-Identifier: MIT */
#ifndef HAKO_TRACE_H
#define HAKO_TRACE_H

#include "hako/error.h"

#include <stddef.h>

/*
 * Where the time goes (--trace FILE): spans of all processes, written as JSON for
 * Perfetto and chrome://tracing when the command ends, also when it fails.
 */

/* Whose span it is; the numbers are those of the threads in the file. */
enum trace_lane { TRACE_PARENT = 1, TRACE_INTERMEDIATE, TRACE_INIT };

struct trace_settings {
	struct trace_buffer *buffer; /* shared by all processes; NULL: nothing is traced */
	enum trace_lane lane;        /* of this process */
	int fd;                      /* of the buffer, for an init that was made without it */
	int file;
};
extern struct trace_settings trace_settings;

/* Make the file, or empty it, and begin. -1 with *e. */
int
trace_open(const char *path, struct error *e);

/* Write the file; title says what was traced. -1 with *e. */
int
trace_write(const char *title, struct error *e);

/* This process is another one now. */
void
trace_enter(enum trace_lane lane);

/* The buffer of another process, for init: nothing happens when it is none. Takes over fd. */
void
trace_join(int fd);

/* Nobody will read what this process does from here on. */
void
trace_leave(void);

/* What trace_begin() and trace_end() do where there is something to do. */
unsigned
trace_add(const char *category, const char *name, const char *detail);
void
trace_close(unsigned span, const char *failure);

/* Begin a span; detail (NULL: none) says more of it. A number for trace_end(). */
static inline unsigned
trace_begin(const char *category, const char *name, const char *detail)
{
	return trace_settings.buffer == NULL ? 0 : trace_add(category, name, detail);
}

/* End it; failure: why it was not done, or NULL. */
static inline void
trace_end(unsigned span, const char *failure)
{
	if (span > 0)
		trace_close(span, failure);
}

#endif
