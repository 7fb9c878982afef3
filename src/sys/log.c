/* SPDX-License-Identifier: MIT */
/*
 * Log records and the final error. Engines read the --log file as JSON, one
 * record a line and nothing else; people read stderr. Warnings are not shown
 * by default: Podman accepts exactly one record in the file.
 */
#include "hako/log.h"
#include "hako/clock.h"
#include "hako/error.h"
#include "hako/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct log_settings log_settings = {.level = LOG_LEVEL_ERROR, .fd = -1};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

enum { RECORD_MAX = 4096 };

int
log_open(const char *path, struct error *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);

	if (fd < 0)
		return error_set(e, errno, "log-failed", "open log file %s", path);
	log_settings.fd = fd;
	return 0;
}

bool
log_wants(enum log_level level)
{
	return level <= log_settings.level;
}

/* An error is one line, and does nothing to the terminal, whatever name it quotes. */
static void
make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static void
write_record(int fd, enum log_level level, const char *msg)
{
	char line[RECORD_MAX + 128], quoted[RECORD_MAX], when[40];
	int length;

	if (log_settings.format == LOG_FORMAT_JSON) {
		utf8_quote(msg, quoted, sizeof(quoted));
		clock_text(when, sizeof(when));
		length = snprintf(line, sizeof(line),
		                  "{\"level\":\"%s\",\"msg\":\"%s\",\"time\":\"%s\"}\n",
		                  level_names[level], quoted, when);
	} else {
		length = snprintf(line, sizeof(line), "hako: %s: %s\n", level_names[level], msg);
	}
	if (length >= (int)sizeof(line)) {
		length = (int)sizeof(line);
		line[length - 1] = '\n';
	}
	/* one write a record: parent and init may log at the same time */
	(void)!write(fd, line, (size_t)length);
}

static void __attribute__((format(printf, 2, 0)))
write_formatted(enum log_level level, const char *format, va_list args)
{
	char msg[RECORD_MAX / 2];

	vsnprintf(msg, sizeof(msg), format, args);
	if (log_settings.format == LOG_FORMAT_TEXT)
		make_printable(msg);
	write_record(log_settings.fd >= 0 ? log_settings.fd : STDERR_FILENO, level, msg);
}

void
log_write(enum log_level level, const char *format, ...)
{
	va_list args;

	if (!log_wants(level))
		return;
	va_start(args, format);
	write_formatted(level, format, args);
	va_end(args);
}

void
log_always(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_formatted(level, format, args);
	va_end(args);
}

void
log_error(const struct error *e)
{
	char msg[sizeof(e->at) + sizeof(e->msg) + 4];
	char line[sizeof(msg) + 16];
	int length;

	error_format(e, msg, sizeof(msg));
	if (log_settings.fd >= 0)
		write_record(log_settings.fd, LOG_LEVEL_ERROR, msg);
	make_printable(msg);
	length = snprintf(line, sizeof(line), "hako: error: %s\n", msg);
	(void)!write(STDERR_FILENO, line, (size_t)length);
}

int
log_fallback(struct error *e, const char *id, const char *format, ...)
{
	char msg[sizeof(e->msg)];
	va_list args;

	va_start(args, format);
	vsnprintf(msg, sizeof(msg), format, args);
	va_end(args);
	if (log_settings.strict)
		return error_set(e, 0, id, "%s (an error because of --strict)", msg);
	log_write(LOG_LEVEL_WARNING, "%s: %s", id, msg);
	return 0;
}

int
log_fallback_shown(struct error *e, const char *id, const char *msg)
{
	if (log_settings.strict || log_settings.fd >= 0)
		return log_fallback(e, id, "%s", msg);
	log_always(LOG_LEVEL_WARNING, "%s: %s", id, msg);
	return 0;
}
