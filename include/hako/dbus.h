/* SPDX-License-Identifier: MIT */
#ifndef HAKO_DBUS_H
#define HAKO_DBUS_H

#include "hako/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * As much of the D-Bus protocol as it takes to call a method and to wait for a
 * signal (D-Bus Specification, "Message Protocol"). -1 with *e.
 */

enum { DBUS_MESSAGE_MAX = 65536 };

struct dbus {
	int fd;
	uint32_t serial; /* of the last message sent */
};

/* A message being written: what does not fit makes dbus_call() fail. */
struct dbus_message {
	uint32_t length;
	uint32_t body; /* where it begins */
	unsigned char bytes[DBUS_MESSAGE_MAX];
};

struct dbus_method {
	const char *destination;
	const char *path;
	const char *interface;
	const char *member;
	const char *signature; /* of the arguments */
};

/*
 * Connect to the socket at path, and say who we are by its credentials. bus: it is a
 * message bus, which wants to be greeted; otherwise the service itself listens there.
 */
int
dbus_open(const char *path, bool bus, struct dbus *ret, struct error *e);

void
dbus_begin(struct dbus_message *m, const struct dbus_method *method);
void
dbus_put_string(struct dbus_message *m, const char *text);
/* Any of the types i, u and b. */
void
dbus_put_u32(struct dbus_message *m, uint32_t value);
/* Between these two stand the elements; alignment is that of their type: 8 for structs. */
uint32_t
dbus_begin_array(struct dbus_message *m, unsigned alignment);
void
dbus_end_array(struct dbus_message *m, uint32_t begin, unsigned alignment);
void
dbus_begin_struct(struct dbus_message *m);
/*
 * A variant of what text says in GVariant's format: true, 'word', uint64 5,
 * ['a', 'b'], [('x', 'rw')], @as []. -1 when it says nothing of the kind.
 */
int
dbus_put_variant(struct dbus_message *m, const char *text);

/*
 * Send it and wait for the answer. ret_text (size bytes) gets the first string or
 * object path of the answer, "" when there is none; NULL: not wanted. A refusal is an
 * error whose id is the last word of the error's name: "NoSuchUnit".
 */
int
dbus_call(struct dbus *bus, struct dbus_message *m, char *ret_text, size_t size, struct error *e);

/* The strings of a signal, in order; numbers among them are left out. */
struct dbus_signal {
	char member[64];
	char strings[4][512];
	unsigned count;
};

/* Wait for the next signal, up to ten seconds for each message. */
int
dbus_wait(struct dbus *bus, struct dbus_signal *ret, struct error *e);

#endif
