/* SPDX-License-Identifier: MIT */
#ifndef HAKO_LOG_H
#define HAKO_LOG_H

#include <stdbool.h>

struct error;

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* With trace_settings the only mutable global of the program. */
struct log_settings {
	enum log_level level;
	enum log_format format;
	bool strict; /* a fallback is an error */
	int fd;      /* -1: no --log file */
};
extern struct log_settings log_settings;

/* Open --log FILE for appending and remember it. -1 with *e. */
int
log_open(const char *path, struct error *e);

/* Is a record of this level wanted? */
bool
log_wants(enum log_level level);

/* One record: to the --log file when there is one, else to stderr. */
void
log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same whatever the level: for what the specification wants to be logged. */
void
log_always(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_wants(LOG_LEVEL_DEBUG))                                                    \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                   \
	} while (0)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)

/*
 * The final error of a command: "hako: error: message" on stderr, and one record of
 * level error in the --log file.
 */
void
log_error(const struct error *e);

/*
 * Something was asked for that this host cannot give and that the
 * specification allows to skip: logged as a warning with its id, an error
 * under --strict. Returns 0, or -1 with *e.
 */
int
log_fallback(struct error *e, const char *id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, and on stderr whatever the level: the specification wants it to be logged. */
int
log_fallback_shown(struct error *e, const char *id, const char *msg);

#endif
