/* SPDX-License-Identifier: MIT */
#ifndef HAKO_CGROUP_KEYED_H
#define HAKO_CGROUP_KEYED_H

/* Between the files of the cgroup layer: the text of a file with a key a line. */

struct json_writer;

/* Where the text goes on behind the "KEY " of a line; NULL: no line has that key. */
const char *
keyed_find(const char *text, const char *key);

/* A member: a number as it is written. A limit of "max" is none, it stays a word. */
void
keyed_put_value(struct json_writer *w, const char *key, const char *text);

/* A member a line, "KEY VALUE"; the text is taken apart where it stands. */
void
keyed_put_flat(struct json_writer *w, char *text);

/* An object a line, "KEY NAME=VALUE NAME=VALUE"; likewise. */
void
keyed_put_nested(struct json_writer *w, char *text);

#endif
