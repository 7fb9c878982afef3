/* SPDX-License-Identifier: MIT */
/*
 * A D-Bus client of a few hundred lines, for the one service that hako talks to.
 * libsystemd's would have to be loaded at run time, and a static program can load
 * nothing that was built with another libc. Messages are short, those sent are
 * little-endian; what comes in is checked against its length everywhere.
 */
#include "hako/dbus_message.h"
#include "hako/file.h"
#include "hako/mem.h"
#include "hako/unixsock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { RECEIVE_SECONDS = 10, FIXED_HEADER = 16, BODY_LENGTH_AT = 4 };

/* Reading -------------------------------------------------------------------------- */

/* What was received, and how far it has been read. */
struct reader {
	const unsigned char *bytes;
	size_t length, at;
	bool big_endian, bad;
};

static uint64_t
take_number(struct reader *r, unsigned size)
{
	uint64_t number = 0;

	r->at += (size - r->at % size) % size;
	if (r->bad || r->at + size > r->length) {
		r->bad = true;
		return 0;
	}
	for (unsigned i = 0; i < size; i++)
		number = number << 8 | r->bytes[r->at + (r->big_endian ? i : size - 1 - i)];
	r->at += size;
	return number;
}

static const char *
take_text(struct reader *r, unsigned length_size)
{
	uint64_t length = take_number(r, length_size);
	const char *text = (const char *)r->bytes + r->at;

	if (r->bad || length >= r->length - r->at || text[length] != '\0') {
		r->bad = true;
		return "";
	}
	r->at += length + 1;
	return text;
}

struct received {
	int type;
	uint32_t reply_serial;
	const char *member, *error_name, *signature;
	struct reader body;
};

static int
receive_all(int fd, void *bytes, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = recv(fd, (char *)bytes + done, length - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ECONNRESET;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static void
take_field(struct reader *r, struct received *message)
{
	uint64_t code;
	const char *type, *text = "";
	uint32_t number = 0;

	r->at += (8 - r->at % 8) % 8;
	code = take_number(r, 1);
	type = take_text(r, 1);
	if (type[0] == 'u')
		number = (uint32_t)take_number(r, 4);
	else
		text = take_text(r, type[0] == 'g' ? 1 : 4);
	if (code == DBUS_MEMBER)
		message->member = text;
	else if (code == DBUS_ERROR_NAME)
		message->error_name = text;
	else if (code == DBUS_SIGNATURE)
		message->signature = text;
	else if (code == DBUS_REPLY_SERIAL)
		message->reply_serial = number;
}

static int
fail_message(struct error *e)
{
	return error_set(e, 0, "dbus-failed", "the service does not speak D-Bus as it should");
}

static int
receive(struct dbus *bus, unsigned char *bytes, struct received *ret, struct error *e)
{
	struct reader r = {.bytes = bytes, .length = FIXED_HEADER};
	uint64_t body, fields, header;

	if (receive_all(bus->fd, bytes, FIXED_HEADER) < 0)
		return error_set(e, errno, "dbus-failed", "wait for an answer");
	*ret = (struct received){.type = bytes[1], .member = "", .error_name = "", .signature = ""};
	r.big_endian = bytes[0] == 'B';
	r.at = BODY_LENGTH_AT;
	body = take_number(&r, 4);
	(void)take_number(&r, 4);
	fields = take_number(&r, 4);
	header = FIXED_HEADER + (fields + 7) / 8 * 8;
	if ((bytes[0] != 'l' && !r.big_endian) || header + body > DBUS_MESSAGE_MAX)
		return fail_message(e);
	if (receive_all(bus->fd, bytes + FIXED_HEADER, header + body - FIXED_HEADER) < 0)
		return error_set(e, errno, "dbus-failed", "read an answer");
	r.length = FIXED_HEADER + fields;
	while (!r.bad && r.at < r.length)
		take_field(&r, ret);
	/* the body's alignment counts from its own beginning, which is a multiple of 8 */
	ret->body = r;
	ret->body.length = header + body;
	ret->body.at = header;
	return r.bad ? fail_message(e) : 0;
}

/* The next string or object path of the body, past numbers; what a variant holds is the last. */
static const char *
next_string(struct received *message)
{
	while (*message->signature != '\0') {
		char code = *message->signature++;
		unsigned size = code == 'b' ? 4 : dbus_number_size(code);

		if (code == 's' || code == 'o') {
			const char *text = take_text(&message->body, 4);

			return message->body.bad ? NULL : text;
		}
		if (code == 'v')
			message->signature = take_text(&message->body, 1);
		else if (size > 0)
			(void)take_number(&message->body, size);
		else
			return NULL;
	}
	return NULL;
}

/* Conversation ------------------------------------------------------------------------ */

static int
fail_reply(struct received *message, struct error *e)
{
	const char *dot = strrchr(message->error_name, '.');
	const char *text = next_string(message);

	return error_set(e, 0, dot != NULL ? dot + 1 : "dbus-failed", "%s",
	                 text != NULL ? text : message->error_name);
}

int
dbus_call(struct dbus *bus, struct dbus_message *m, char *ret_text, size_t size, struct error *e)
{
	unsigned char bytes[DBUS_MESSAGE_MAX];
	struct received answer;

	if (dbus_seal(m, ++bus->serial) < 0)
		return error_set(e, EMSGSIZE, "dbus-failed", "call a method");
	if (send(bus->fd, m->bytes, m->length, MSG_NOSIGNAL) != (ssize_t)m->length)
		return error_set(e, errno, "dbus-failed", "call a method");
	do
		if (receive(bus, bytes, &answer, e) < 0)
			return -1;
	while (answer.reply_serial != bus->serial ||
	       (answer.type != DBUS_RETURN && answer.type != DBUS_FAILURE));
	if (answer.type == DBUS_FAILURE)
		return fail_reply(&answer, e);
	if (ret_text != NULL) {
		const char *text = next_string(&answer);

		snprintf(ret_text, size, "%s", text != NULL ? text : "");
	}
	return 0;
}

int
dbus_wait(struct dbus *bus, struct dbus_signal *ret, struct error *e)
{
	unsigned char bytes[DBUS_MESSAGE_MAX];
	struct received message;
	const char *text;

	do
		if (receive(bus, bytes, &message, e) < 0)
			return -1;
	while (message.type != DBUS_SIGNAL);
	snprintf(ret->member, sizeof(ret->member), "%s", message.member);
	for (ret->count = 0;
	     ret->count < ARRAY_SIZE(ret->strings) && (text = next_string(&message)) != NULL;
	     ret->count++)
		snprintf(ret->strings[ret->count], sizeof(ret->strings[0]), "%s", text);
	return 0;
}

/* One line of the handshake, and nothing of the messages that may stand behind it. */
static int
receive_line(int fd, char *line, size_t size)
{
	ssize_t n;
	char *end;

	do
		n = recv(fd, line, size - 1, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
	if (n >= 0 && end == NULL)
		errno = EPROTO;
	if (end == NULL)
		return -1;
	end[1] = '\0';
	return receive_all(fd, line, (size_t)(end + 1 - line));
}

/*
 * Without naming a uid: the service takes it from the socket, and in a user namespace
 * only that is the right one. BEGIN does not wait for the answer: systemd, when it
 * reads it together with a message, does not look at that until the next one comes.
 */
static int
authenticate(int fd)
{
	static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
	char line[256];

	if (file_write_all(fd, hello, sizeof(hello) - 1) < 0 ||
	    receive_line(fd, line, sizeof(line)) < 0)
		return -1;
	if (strncmp(line, "DATA", 4) == 0 && receive_line(fd, line, sizeof(line)) < 0)
		return -1;
	if (strncmp(line, "OK ", 3) != 0) {
		errno = EACCES;
		return -1;
	}
	return 0;
}

static int
greet(struct dbus *bus, struct error *e)
{
	static const struct dbus_method hello = {"org.freedesktop.DBus", "/org/freedesktop/DBus",
	                                         "org.freedesktop.DBus", "Hello", ""};
	struct dbus_message m;

	dbus_begin(&m, &hello);
	return dbus_call(bus, &m, NULL, 0, e);
}

int
dbus_open(const char *path, bool bus, struct dbus *ret, struct error *e)
{
	const struct timeval timeout = {.tv_sec = RECEIVE_SECONDS};
	autoclose int fd = unixsock_connect(path, SOCK_STREAM);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    authenticate(fd) < 0)
		return error_set(e, errno, "dbus-failed", "connect to %s", path);
	*ret = (struct dbus){.fd = fd};
	if (bus && greet(ret, e) < 0)
		return -1;
	(void)take_fd(&fd);
	return 0;
}
