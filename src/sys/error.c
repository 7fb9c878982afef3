/* SPDX-License-Identifier: MIT */
/*
 * Errors as values: filling in, adding context, printing. Nothing here
 * allocates, so an error can be built when memory or descriptors have run out.
 */
#include "hako/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ROOM = 256 };

const char *
error_text(int code)
{
	static char buf[128];

	snprintf(buf, sizeof(buf), "%s", strerror(code));
	/* "Permission denied" -> "permission denied", but not "RPC ..." */
	if (buf[0] >= 'A' && buf[0] <= 'Z' && !(buf[1] >= 'A' && buf[1] <= 'Z'))
		buf[0] = (char)(buf[0] + ('a' - 'A'));
	return buf;
}

int
error_set(struct error *e, int code, const char *id, const char *format, ...)
{
	va_list args;
	size_t used;

	e->code = code;
	e->at[0] = '\0';
	snprintf(e->id, sizeof(e->id), "%s", id);
	va_start(args, format);
	/* a long name must leave room for the reason, and for the context */
	vsnprintf(e->msg, sizeof(e->msg) - ROOM, format, args);
	va_end(args);
	used = strlen(e->msg);
	if (code != 0)
		snprintf(e->msg + used, sizeof(e->msg) - used, ": %s", error_text(code));
	return -1;
}

int
error_context(struct error *e, const char *format, ...)
{
	char context[sizeof(e->msg)];
	size_t used, tail;
	va_list args;

	va_start(args, format);
	vsnprintf(context, sizeof(context) - 2, format, args);
	va_end(args);
	strcat(context, ": ");
	used = strlen(context);
	tail = strlen(e->msg);
	if (used > sizeof(e->msg) - 1 - tail)
		used = sizeof(e->msg) - 1 - tail;
	memmove(e->msg + used, e->msg, tail + 1);
	memcpy(e->msg, context, used);
	return -1;
}

int
error_advise(struct error *e, const char *format, ...)
{
	size_t used = strlen(e->msg);
	va_list args;

	snprintf(e->msg + used, sizeof(e->msg) - used, ": ");
	used = strlen(e->msg);
	va_start(args, format);
	vsnprintf(e->msg + used, sizeof(e->msg) - used, format, args);
	va_end(args);
	return -1;
}

const char *
error_format(const struct error *e, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s", e->at, e->at[0] != '\0' ? ": " : "", e->msg);
	return buf;
}
