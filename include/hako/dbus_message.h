/* SPDX-License-Identifier: MIT */
#ifndef HAKO_DBUS_MESSAGE_H
#define HAKO_DBUS_MESSAGE_H

#include "hako/dbus.h"

#include <stdint.h>

/* What writing and reading messages have in common: see dbus.h for the rest. */

enum dbus_type { DBUS_CALL = 1, DBUS_RETURN, DBUS_FAILURE, DBUS_SIGNAL };
enum dbus_field {
	DBUS_PATH = 1,
	DBUS_INTERFACE,
	DBUS_MEMBER,
	DBUS_ERROR_NAME,
	DBUS_REPLY_SERIAL,
	DBUS_DESTINATION,
	DBUS_SENDER,
	DBUS_SIGNATURE,
};

/* Nothing more will be put into it: fill in its length and serial number. -1: it is too long. */
int
dbus_seal(struct dbus_message *m, uint32_t serial);

/* In bytes, of the number type with that code in signatures; 0: it is none. */
unsigned
dbus_number_size(char code);

#endif
