/* SPDX-License-Identifier: MIT */
/*
 * The strings of a JSON text (RFC 8259, section 7), decoded: no control
 * characters, only the escapes there are, surrogates only in pairs, no NUL. Most
 * strings are one run of bytes that stand for themselves.
 */
#include "hako/json_parser.h"

#include <string.h>

/* What ends a run of bytes that stand for themselves. */
static const bool special[256] = {[0 ... 0x1f] = true, ['"'] = true, ['\\'] = true};

/* A string without end is an error of its begin: what came of it is not known. */
static int
endless(struct parser *p)
{
	return parser_fail(p, p->at, "json-syntax", "this string has no end");
}

static char *
put_utf8(char *out, unsigned c)
{
	static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
	unsigned more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

	*out++ = (char)(leads[more] | c >> 6 * more);
	while (more-- > 0)
		*out++ = (char)(0x80 | (c >> 6 * more & 0x3f));
	return out;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 'a' ^ 'A';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The code unit of the \uXXXX at s; -1 when there is no such escape. */
static int
code_unit(const char *s, const char *end)
{
	int unit = 0;

	if (end - s < 6 || s[0] != '\\' || s[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		int digit = hex_digit(s[i]);

		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

static int
bad_code_unit(struct parser *p, const char *s)
{
	for (s += 2; s < p->end && hex_digit(*s) >= 0; s++)
		;
	if (s == p->end)
		return endless(p);
	return parser_fail(p, s, "json-syntax", "expected four hexadecimal digits after \\u");
}

/* The \u at *at, and the one after it if they are a surrogate pair. */
static int
parse_unicode(struct parser *p, const char **at, char **out)
{
	const char *s = *at;
	int unit = code_unit(s, p->end), low = -1;
	bool surrogate = unit >= 0xd800 && unit < 0xe000;

	if (unit < 0)
		return bad_code_unit(p, s);
	*at += 6;
	if (surrogate && unit < 0xdc00)
		low = code_unit(s + 6, p->end);
	if (low >= 0xdc00 && low < 0xe000) {
		*at += 6;
		*out = put_utf8(*out, 0x10000U + ((unsigned)unit - 0xd800) * 0x400 +
		                              ((unsigned)low - 0xdc00));
		return GO_ON;
	}
	*out = put_utf8(*out, unit == 0 || surrogate ? 0xfffd : (unsigned)unit);
	if (unit == 0)
		return parser_complain(p, s, "json-utf8", "\\u0000 is not allowed in a string");
	return surrogate
	               ? parser_complain(p, s, "json-utf8", "half of a surrogate pair in a string")
	               : GO_ON;
}

static int
parse_escape(struct parser *p, const char **at, char **out)
{
	static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
	const char *s = *at, *name;

	if (s + 1 == p->end)
		return endless(p);
	if (s[1] == 'u')
		return parse_unicode(p, at, out);
	name = memchr(names, s[1], sizeof(names) - 1);
	if (name == NULL)
		return parser_fail(p, s, "json-syntax", "unknown escape in a string");
	*(*out)++ = bytes[name - names];
	*at += 2;
	return GO_ON;
}

static int
check_encoding(struct parser *p, const char *s, const char *end)
{
	size_t valid;

	if (p->encoded)
		return GO_ON;
	valid = json_utf8_length(s, (size_t)(end - s));
	return s + valid == end ? GO_ON
	                        : parser_complain(p, s + valid, "json-utf8", "invalid UTF-8");
}

const char *
parser_read_string(struct parser *p)
{
	const char *first = p->at + 1, *s = first, *text = p->strings;
	char *out = p->strings;

	for (;;) {
		const char *plain = s;

		while (s < p->end && !special[(unsigned char)*s])
			s++;
		out = (char *)memcpy(out, plain, (size_t)(s - plain)) + (s - plain);
		if (s == p->end || *s != '\\')
			break;
		if (parse_escape(p, &s, &out) == STOP)
			return NULL;
	}
	if (s == p->end) {
		endless(p);
		return NULL;
	}
	if (*s != '"') {
		parser_fail(p, s, "json-syntax", "a string may not hold control characters");
		return NULL;
	}
	if (check_encoding(p, first, s) == STOP)
		return NULL;
	*out = '\0';
	p->strings = out + 1;
	p->at = s + 1;
	return text;
}
