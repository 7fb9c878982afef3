/* SPDX-License-Identifier: MIT */
/* /proc/PID/mountinfo: the mounts that a process can reach, as the kernel tells them. */
#include "hako/mountinfo.h"
#include "hako/file.h"
#include "hako/words.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t
count_lines(const char *text)
{
	size_t n = 1;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

/* The kernel writes space, tab, newline, backslash and others as three octal digits. */
static char *
unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
		    from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
	return text;
}

static char *
next(char **rest)
{
	char *word = strsep(rest, " ");

	return word != NULL ? word : *rest != NULL ? *rest : (char *)"";
}

/* 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue */
static bool
parse_line(char *line, struct mount_line *m)
{
	char *tail = strstr(line, " - ");
	const char *device;

	if (tail == NULL)
		return false;
	*tail = '\0';
	tail += 3;
	m->id = strtoull(next(&line), NULL, 10);
	m->parent = strtoull(next(&line), NULL, 10);
	device = next(&line);
	if (sscanf(device, "%u:%u", &m->major, &m->minor) != 2)
		return false;
	m->root = unescape(next(&line));
	m->point = unescape(next(&line));
	m->options = next(&line);
	m->propagation = line != NULL ? line : "";
	m->type = next(&tail);
	m->source = unescape(next(&tail));
	m->superblock = tail != NULL ? tail : "";
	return true;
}

const struct mountinfo *
mountinfo_read(struct arena *arena, int dir, const char *path)
{
	char *text = file_read_all(arena, dir, path, NULL), *line;
	struct mountinfo *info;

	if (text == NULL)
		return NULL;
	info = arena_alloc(arena, sizeof(*info));
	info->lines = arena_array(arena, count_lines(text), sizeof(*info->lines));
	while ((line = strsep(&text, "\n")) != NULL)
		if (parse_line(line, &info->lines[info->count]))
			info->count++;
	return info;
}

const struct mount_line *
mountinfo_find(const struct mountinfo *info, uint64_t id)
{
	for (size_t i = 0; i < info->count; i++)
		if (info->lines[i].id == id)
			return &info->lines[i];
	return NULL;
}

static bool
is_covered(const struct mountinfo *info, const struct mount_line *m)
{
	for (size_t i = 0; i < info->count; i++)
		if (info->lines[i].parent == m->id && &info->lines[i] != m &&
		    strcmp(info->lines[i].point, m->point) == 0)
			return true;
	return false;
}

const struct mount_line *
mountinfo_at(const struct mountinfo *info, const char *point)
{
	for (size_t i = info->count; i-- > 0;)
		if (strcmp(info->lines[i].point, point) == 0 && !is_covered(info, &info->lines[i]))
			return &info->lines[i];
	return NULL;
}

const char *
mount_propagation(const struct mount_line *line)
{
	return words_include(line->propagation, "shared")       ? "shared"
	       : words_include(line->propagation, "unbindable") ? "unbindable"
	       : words_include(line->propagation, "master")     ? "slave"
	                                                        : "private";
}

const char *
mount_value(struct arena *arena, const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *p = list; *p != '\0'; p += strcspn(p, ","), p += *p != '\0')
		if (strncmp(p, word, length) == 0 && p[length] == '=')
			return unescape(
				arena_strndup(arena, p + length + 1, strcspn(p + length + 1, ",")));
	return NULL;
}

const char *
path_below(const char *dir, const char *path)
{
	size_t length = strlen(dir);

	while (length > 0 && dir[length - 1] == '/')
		length--;
	if (strncmp(dir, path, length) != 0 || (path[length] != '/' && path[length] != '\0'))
		return NULL;
	return path + length;
}
