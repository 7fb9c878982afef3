/* SPDX-License-Identifier: MIT */
#ifndef HAKO_ERROR_H
#define HAKO_ERROR_H

#include <stddef.h>

/*
 * An error is a value: no allocation, no global, cheap to send from one
 * process to another. Functions return 0, a descriptor or a pid, and -1 with
 * *e filled in; only main() prints.
 */
struct error {
	int code;      /* errno, or 0 when there is none */
	char id[32];   /* stable word for programs, such as "mount-failed" */
	char at[256];  /* "config.json:57:9 /mounts/3", empty when unknown */
	char msg[768]; /* outermost context first */
};

/* Fill in *e; when code is not 0 its text is appended. Always returns -1. */
int
error_set(struct error *e, int code, const char *id, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Put "context: " before the message. Always returns -1. */
int
error_context(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put ": advice" behind the message: why it may be so, what to do. Always returns -1. */
int
error_advise(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The text of an errno as Go prints it ("permission denied"): engines compare case. */
const char *
error_text(int code);

/* One line for people: "[at: ]msg". Returns buf. */
const char *
error_format(const struct error *e, char *buf, size_t size);

#endif
