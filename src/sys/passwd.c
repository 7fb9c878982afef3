/* SPDX-License-Identifier: MIT */
/*
 * passwd(5), read without the name service: a container's file is hostile, and the
 * host's is wanted only for a name to show.
 */
#include "hako/passwd.h"
#include "hako/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PASSWD_MAX = 1 << 20, FIELD_UID = 2, FIELDS = 7 };

static char *
read_all(int fd)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > PASSWD_MAX)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL)
		return NULL;
	n = read(fd, text, (size_t)st.st_size);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* Digits only, the whole field. */
static bool
is_uid(const char *text, uid_t uid)
{
	char *end;

	return text[0] >= '0' && text[0] <= '9' && strtoul(text, &end, 10) == uid && *end == '\0';
}

int
passwd_lookup(int fd, uid_t uid, enum passwd_field field, char *buf, size_t size)
{
	autofree char *text = read_all(fd);
	char *line, *lines = text;

	while (lines != NULL && (line = strsep(&lines, "\n")) != NULL) {
		char *fields[FIELDS] = {NULL};

		for (size_t n = 0; n < FIELDS && line != NULL; n++)
			fields[n] = strsep(&line, ":");
		if (fields[FIELD_UID] == NULL || fields[field] == NULL ||
		    !is_uid(fields[FIELD_UID], uid) || strlen(fields[field]) >= size)
			continue;
		strcpy(buf, fields[field]);
		return 0;
	}
	return -1;
}
