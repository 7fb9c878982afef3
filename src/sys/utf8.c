/* SPDX-License-Identifier: MIT */
/* UTF-8: names from the command line and the kernel need not be, JSON text must. */
#include "hako/utf8.h"

#include <stdio.h>

size_t
utf8_length(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;
	size_t n = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;

	for (size_t i = 1; i < n; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	/* too long for what they say, surrogates, beyond U+10FFFF */
	if ((c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xed && c[1] > 0x9f) ||
	    (c[0] == 0xf0 && c[1] < 0x90) || (c[0] == 0xf4 && c[1] > 0x8f) || c[0] > 0xf4)
		return 0;
	return n;
}

bool
utf8_is_valid(const char *text)
{
	size_t n = 1;

	while (*text != '\0' && (n = utf8_length(text)) > 0)
		text += n;
	return n > 0;
}

void
utf8_quote(const char *text, char *out, size_t size)
{
	size_t n = 0;

	while (*text != '\0' && n + 7 < size) {
		unsigned char c = (unsigned char)*text;
		size_t length = utf8_length(text);

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
