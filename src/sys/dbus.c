/* SPDX-License-Identifier: MIT */
/*
 * A D-Bus client of a few hundred lines, for the one service that hako talks to.
 * libsystemd's would have to be loaded at run time, and a static program can load
 * nothing that was built with another libc. Messages are little-endian and short;
 * what comes in is checked against its length everywhere.
 */
#include "hako/dbus.h"
#include "hako/file.h"
#include "hako/mem.h"
#include "hako/unixsock.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { CALL = 1, RETURN = 2, FAILURE = 3, SIGNAL = 4 };
enum { PATH = 1, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE };
enum { RECEIVE_SECONDS = 10, FIXED_HEADER = 16, SERIAL_AT = 8, BODY_LENGTH_AT = 4 };

/* Writing ---------------------------------------------------------------------- */

static void
put_bytes(struct dbus_message *m, const void *bytes, size_t length)
{
	if (length < DBUS_MESSAGE_MAX && m->length + length < DBUS_MESSAGE_MAX)
		memcpy(m->bytes + m->length, bytes, length);
	else
		m->length = DBUS_MESSAGE_MAX; /* too long, and stays so */
	if (m->length < DBUS_MESSAGE_MAX)
		m->length += (uint32_t)length;
}

static void
align(struct dbus_message *m, unsigned alignment)
{
	static const unsigned char zeros[8];

	put_bytes(m, zeros, (alignment - m->length % alignment) % alignment);
}

/* size bytes of a number, aligned to its size */
static void
put_number(struct dbus_message *m, uint64_t value, unsigned size)
{
	uint64_t little = htole64(value);

	align(m, size);
	put_bytes(m, &little, size);
}

static void
set_u32(struct dbus_message *m, uint32_t at, uint32_t value)
{
	uint32_t little = htole32(value);

	if (m->length < DBUS_MESSAGE_MAX)
		memcpy(m->bytes + at, &little, sizeof(little));
}

void
dbus_put_string(struct dbus_message *m, const char *text)
{
	put_number(m, strlen(text), 4);
	put_bytes(m, text, strlen(text) + 1);
}

static void
put_signature(struct dbus_message *m, const char *text)
{
	put_number(m, strlen(text), 1);
	put_bytes(m, text, strlen(text) + 1);
}

void
dbus_put_u32(struct dbus_message *m, uint32_t value)
{
	put_number(m, value, 4);
}

uint32_t
dbus_begin_array(struct dbus_message *m, unsigned alignment)
{
	uint32_t begin;

	put_number(m, 0, 4);
	begin = m->length;
	align(m, alignment);
	return begin;
}

/* The padding before the first element does not count. */
void
dbus_end_array(struct dbus_message *m, uint32_t begin, unsigned alignment)
{
	uint32_t first = begin + (alignment - begin % alignment) % alignment;

	set_u32(m, begin - 4, m->length - first);
}

void
dbus_begin_struct(struct dbus_message *m)
{
	align(m, 8);
}

static void
put_field(struct dbus_message *m, int code, const char *signature, const char *value)
{
	dbus_begin_struct(m);
	put_number(m, (uint64_t)code, 1);
	put_signature(m, signature);
	if (signature[0] == 'g')
		put_signature(m, value);
	else
		dbus_put_string(m, value);
}

void
dbus_begin(struct dbus_message *m, const struct dbus_method *method)
{
	static const unsigned char start[] = {'l', CALL, 0, 1};
	uint32_t fields;

	m->length = 0;
	put_bytes(m, start, sizeof(start));
	put_number(m, 0, 4); /* length of the body */
	put_number(m, 0, 4); /* serial */
	fields = dbus_begin_array(m, 8);
	put_field(m, PATH, "o", method->path);
	put_field(m, INTERFACE, "s", method->interface);
	put_field(m, MEMBER, "s", method->member);
	put_field(m, DESTINATION, "s", method->destination);
	if (method->signature[0] != '\0')
		put_field(m, SIGNATURE, "g", method->signature);
	dbus_end_array(m, fields, 8);
	align(m, 8);
	m->body = m->length;
}

/* Values as text ------------------------------------------------------------------ */

static const struct number_type {
	const char *word;
	char code;
	unsigned size;
} number_types[] = {
	{"byte", 'y', 1},   {"int16", 'n', 2}, {"uint16", 'q', 2}, {"int32", 'i', 4},
	{"uint32", 'u', 4}, {"int64", 'x', 8}, {"uint64", 't', 8}, {NULL, 0, 0},
};

static const struct number_type *
type_of_word(const char *text)
{
	size_t length = strcspn(text, " ");
	const struct number_type *t = number_types;

	while (t->word != NULL &&
	       (strlen(t->word) != length || strncmp(t->word, text, length) != 0))
		t++;
	return t->word != NULL ? t : NULL;
}

static const struct number_type *
type_of_code(char code)
{
	const struct number_type *t = number_types;

	while (t->word != NULL && t->code != code)
		t++;
	return t->word != NULL ? t : NULL;
}

static const char *
skip_spaces(const char *p)
{
	return p + strspn(p, " \t\n");
}

/* Signature of the value at p, as far as its first elements tell; NULL: it is none. */
static const char *
infer(const char *p, char *signature, size_t size)
{
	const struct number_type *t = type_of_word(p);
	size_t n;

	if (size < 2)
		return NULL;
	signature[1] = '\0';
	if (t != NULL) {
		signature[0] = t->code;
	} else if (*p == '\'' || *p == '"') {
		signature[0] = 's';
	} else if (strncmp(p, "true", 4) == 0 || strncmp(p, "false", 5) == 0) {
		signature[0] = 'b';
	} else if (*p == '-' || (*p >= '0' && *p <= '9')) {
		signature[0] = 'i';
	} else if (*p == '@') {
		n = strcspn(p + 1, " ");
		if (n == 0 || n >= size)
			return NULL;
		memcpy(signature, p + 1, n);
		signature[n] = '\0';
	} else if (*p == '[') {
		signature[0] = 'a';
		return infer(skip_spaces(p + 1), signature + 1, size - 1);
	} else {
		return NULL;
	}
	return signature;
}

/* Tuples have strings alone: that is all that anybody needs of them. */
static const char *
infer_all(const char *p, char *signature, size_t size)
{
	const char *q = skip_spaces(p);

	if (*q == '[' && *skip_spaces(q + 1) == '(')
		return size > 5 ? strcpy(signature, "a(ss)") : NULL;
	return infer(q, signature, size);
}

static const char *
put_value(struct dbus_message *m, const char **signature, const char *p);

static const char *
put_quoted(struct dbus_message *m, const char *p)
{
	char text[4096], quote = *p++;
	size_t n = 0;

	for (; *p != quote; p++) {
		if (*p == '\\')
			p++;
		if (*p == '\0' || n + 1 >= sizeof(text))
			return NULL;
		text[n++] = *p;
	}
	text[n] = '\0';
	dbus_put_string(m, text);
	return p + 1;
}

static const char *
put_integer(struct dbus_message *m, const struct number_type *t, const char *p)
{
	const struct number_type *word = type_of_word(p);
	char *end;

	if (word != NULL)
		p = skip_spaces(p + strlen(word->word));
	errno = 0;
	put_number(m, *p == '-' ? (uint64_t)strtoll(p, &end, 0) : strtoull(p, &end, 0), t->size);
	return errno != 0 || end == p ? NULL : end;
}

static const char *
put_elements(struct dbus_message *m, const char *signature, const char *p)
{
	const struct number_type *t = type_of_code(*signature);
	unsigned alignment = *signature == '(' ? 8 : t != NULL ? t->size : 4;
	uint32_t begin = dbus_begin_array(m, alignment);

	p = skip_spaces(p + 1);
	while (*p != ']') {
		const char *element = signature;

		p = put_value(m, &element, p);
		if (p == NULL)
			return NULL;
		p = skip_spaces(p);
		if (*p == ',')
			p = skip_spaces(p + 1);
		else if (*p != ']')
			return NULL;
	}
	dbus_end_array(m, begin, alignment);
	return p + 1;
}

static const char *
put_tuple(struct dbus_message *m, const char **signature, const char *p)
{
	dbus_begin_struct(m);
	for (++*signature; **signature != ')';) {
		if (*p != '(' && *p != ',')
			return NULL;
		p = put_value(m, signature, skip_spaces(p + 1));
		if (p == NULL)
			return NULL;
		p = skip_spaces(p);
	}
	++*signature;
	return *p == ')' ? p + 1 : NULL;
}

/* One value of the type that *signature begins with; both move on. */
static const char *
put_value(struct dbus_message *m, const char **signature, const char *p)
{
	char code = *(*signature)++;
	const struct number_type *t = type_of_code(code);

	if (*p == '@')
		p = skip_spaces(p + strcspn(p, " "));
	if (t != NULL)
		return put_integer(m, t, p);
	if (code == 's' || code == 'o')
		return *p == '\'' || *p == '"' ? put_quoted(m, p) : NULL;
	if (code == 'b' && (strncmp(p, "true", 4) == 0 || strncmp(p, "false", 5) == 0)) {
		dbus_put_u32(m, *p == 't');
		return p + (*p == 't' ? 4 : 5);
	}
	if (code == 'a' && *p == '[')
		return put_elements(m, *signature, p);
	if (code == '(') {
		--*signature;
		return put_tuple(m, signature, p);
	}
	return NULL;
}

int
dbus_put_variant(struct dbus_message *m, const char *text)
{
	char signature[32];
	const char *rest = signature;

	if (infer_all(text, signature, sizeof(signature)) == NULL)
		return -1;
	put_signature(m, signature);
	text = put_value(m, &rest, skip_spaces(text));
	return text != NULL && *skip_spaces(text) == '\0' ? 0 : -1;
}

/* Reading -------------------------------------------------------------------------- */

/* What was received, and how far it has been read. */
struct reader {
	const unsigned char *bytes;
	size_t length, at;
	bool bad;
};

static uint64_t
take_number(struct reader *r, unsigned size)
{
	uint64_t little = 0;

	r->at += (size - r->at % size) % size;
	if (r->bad || r->at + size > r->length) {
		r->bad = true;
		return 0;
	}
	memcpy(&little, r->bytes + r->at, size);
	r->at += size;
	return le64toh(little);
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
	if (code == MEMBER)
		message->member = text;
	else if (code == ERROR_NAME)
		message->error_name = text;
	else if (code == SIGNATURE)
		message->signature = text;
	else if (code == REPLY_SERIAL)
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
	r.at = BODY_LENGTH_AT;
	body = take_number(&r, 4);
	(void)take_number(&r, 4);
	fields = take_number(&r, 4);
	header = FIXED_HEADER + (fields + 7) / 8 * 8;
	if (bytes[0] != 'l' || header + body > DBUS_MESSAGE_MAX)
		return fail_message(e);
	if (receive_all(bus->fd, bytes + FIXED_HEADER, header + body - FIXED_HEADER) < 0)
		return error_set(e, errno, "dbus-failed", "read an answer");
	r.length = FIXED_HEADER + fields;
	while (!r.bad && r.at < r.length)
		take_field(&r, ret);
	/* the body's alignment counts from its own beginning, which is a multiple of 8 */
	ret->body = (struct reader){.bytes = bytes, .length = header + body, .at = header};
	return r.bad ? fail_message(e) : 0;
}

/* The next string or object path of the body, past numbers; NULL at its end. */
static const char *
next_string(struct received *message)
{
	for (; *message->signature != '\0'; message->signature++) {
		const struct number_type *t = type_of_code(*message->signature);

		if (*message->signature == 's' || *message->signature == 'o') {
			const char *text = take_text(&message->body, 4);

			message->signature++;
			return message->body.bad ? NULL : text;
		}
		if (t == NULL && *message->signature != 'b')
			return NULL;
		(void)take_number(&message->body, t != NULL ? t->size : 4);
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

	if (m->length >= DBUS_MESSAGE_MAX)
		return error_set(e, EMSGSIZE, "dbus-failed", "call a method");
	set_u32(m, BODY_LENGTH_AT, m->length - m->body);
	set_u32(m, SERIAL_AT, ++bus->serial);
	if (send(bus->fd, m->bytes, m->length, MSG_NOSIGNAL) != (ssize_t)m->length)
		return error_set(e, errno, "dbus-failed", "call a method");
	do
		if (receive(bus, bytes, &answer, e) < 0)
			return -1;
	while (answer.reply_serial != bus->serial ||
	       (answer.type != RETURN && answer.type != FAILURE));
	if (answer.type == FAILURE)
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
	while (message.type != SIGNAL);
	snprintf(ret->member, sizeof(ret->member), "%s", message.member);
	for (ret->count = 0;
	     ret->count < ARRAY_SIZE(ret->strings) && (text = next_string(&message)) != NULL;
	     ret->count++)
		snprintf(ret->strings[ret->count], sizeof(ret->strings[0]), "%s", text);
	return 0;
}

/* One line of the handshake, which comes whole, and nothing of the messages that may stand behind it. */
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
