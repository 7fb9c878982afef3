/* SPDX-License-Identifier: MIT */
/*
 * D-Bus messages, written (D-Bus Specification, "Type System", "Message Protocol"):
 * little-endian, every value aligned to its size, the signature before a variant. What
 * does not fit is noticed once, at the end.
 */
#include "hako/dbus_message.h"
#include "hako/mem.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SERIAL_AT = 8, BODY_LENGTH_AT = 4 };

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
	static const unsigned char start[] = {'l', DBUS_CALL, 0, 1};
	uint32_t fields;

	m->length = 0;
	put_bytes(m, start, sizeof(start));
	put_number(m, 0, 4); /* length of the body */
	put_number(m, 0, 4); /* serial */
	fields = dbus_begin_array(m, 8);
	put_field(m, DBUS_PATH, "o", method->path);
	put_field(m, DBUS_INTERFACE, "s", method->interface);
	put_field(m, DBUS_MEMBER, "s", method->member);
	put_field(m, DBUS_DESTINATION, "s", method->destination);
	if (method->signature[0] != '\0')
		put_field(m, DBUS_SIGNATURE, "g", method->signature);
	dbus_end_array(m, fields, 8);
	align(m, 8);
	m->body = m->length;
}

int
dbus_seal(struct dbus_message *m, uint32_t serial)
{
	if (m->length >= DBUS_MESSAGE_MAX)
		return -1;
	set_u32(m, BODY_LENGTH_AT, m->length - m->body);
	set_u32(m, SERIAL_AT, serial);
	return 0;
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

unsigned
dbus_number_size(char code)
{
	const struct number_type *t = type_of_code(code);

	return t != NULL ? t->size : 0;
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
