/* SPDX-License-Identifier: MIT */
#ifndef HAKO_WORDS_H
#define HAKO_WORDS_H

#include <stdbool.h>

/* Lists of words, as the kernel and options have them: "cpu io memory", "rw,nosuid". */

/*
 * The next word of the text at *rest, which is cut there and moved on; any number of the
 * bytes in separators may stand between two words. NULL: there is none left.
 */
char *
words_take(char **rest, const char *separators);

/*
 * Is the word one of a list with spaces or commas between? What follows a colon does not
 * count: "shared:1 master:2" has the words shared and master.
 */
bool
words_include(const char *list, const char *word);

#endif
