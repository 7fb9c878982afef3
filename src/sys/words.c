/* SPDX-License-Identifier: MIT */
/* Words of a text: taken one by one, or looked for. */
#include "hako/words.h"

#include <string.h>

char *
words_take(char **rest, const char *separators)
{
	char *word;

	do
		word = strsep(rest, separators);
	while (word != NULL && *word == '\0');
	return word;
}

bool
words_include(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *p = list; *p != '\0'; p += strcspn(p, ", "), p += *p != '\0')
		if (strncmp(p, word, length) == 0 && strchr(", :", p[length]) != NULL)
			return true;
	return false;
}
