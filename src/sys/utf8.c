/* SPDX-License-Identifier: MIT */
/* UTF-8: names from the command line and the kernel need not be, JSON text must. */
#include "hako/utf8.h"
#include "hako/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* RFC 3629: the ranges of the first two bytes of a sequence. */
static const struct form {
	unsigned char first_min, first_max, second_min, second_max, length;
} forms[] = {
	{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
	{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
	{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Length of the sequence of two bytes or more at s, 0 when there is none. */
static size_t
sequence_length(const unsigned char *s, size_t left)
{
	const struct form *form = forms;
	const struct form *last = forms + ARRAY_SIZE(forms) - 1;

	while (form < last && s[0] > form->first_max)
		form++;
	if (s[0] < form->first_min || s[0] > form->first_max || left < form->length ||
	    s[1] < form->second_min || s[1] > form->second_max)
		return 0;
	for (size_t i = 2; i < form->length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return form->length;
}

static size_t
skip_ascii(const char *text, size_t n, size_t length)
{
	uint64_t w[4];

	for (; length - n >= sizeof(w); n += sizeof(w)) {
		memcpy(w, text + n, sizeof(w));
		if (((w[0] | w[1] | w[2] | w[3]) & UINT64_C(0x8080808080808080)) != 0)
			break;
	}
	while (n < length && (unsigned char)text[n] < 0x80)
		n++;
	return n;
}

size_t
utf8_valid_length(const char *text, size_t length)
{
	size_t n = skip_ascii(text, 0, length);

	while (n < length) {
		size_t step = sequence_length((const unsigned char *)text + n, length - n);

		if (step == 0)
			break;
		n = skip_ascii(text, n + step, length);
	}
	return n;
}

bool
utf8_is_valid(const char *text)
{
	size_t length = strlen(text);

	return utf8_valid_length(text, length) == length;
}

/* Bytes of the character at text; 0 when it is not UTF-8, or was cut. */
static size_t
character_length(const char *text)
{
	return (unsigned char)text[0] < 0x80
	               ? 1
	               : sequence_length((const unsigned char *)text, strnlen(text, 4));
}

void
utf8_quote(const char *text, char *out, size_t size)
{
	size_t n = 0;

	while (*text != '\0' && n + 7 < size) {
		unsigned char c = (unsigned char)*text;
		size_t length = character_length(text);

		if (c == '"' || c == '\\')
			n += (size_t)snprintf(out + n, size - n, "\\%c", c);
		else if (c < 0x20)
			n += (size_t)snprintf(out + n, size - n, "\\u%04x", c);
		else if (length == 0)
			n += (size_t)snprintf(out + n, size - n, "\\ufffd");
		else
			n += (size_t)snprintf(out + n, size - n, "%.*s", (int)length, text);
		text += length > 0 ? length : 1;
	}
	out[n] = '\0';
}
