/* SPDX-License-Identifier: MIT */
/*
 * Global options, the command, its exit status; the only place that prints an
 * error. Before anything else no signal is ignored any more, the binary is out of
 * reach of containers, standard streams are made sure of and every other inherited
 * descriptor becomes close-on-exec: a container gets what --preserve-fds names, and
 * nothing by accident.
 */
#include "hako/command.h"
#include "hako/caller.h"
#include "hako/mem.h"
#include "hako/selfexe.h"
#include "hako/syscall.h"
#include "hako/trace.h"
#include "hako/version.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { KERNEL_MAJOR = 5, KERNEL_MINOR = 12 };

/* The heap grows once, not in small steps; pages cost nothing until they are touched. */
enum { HEAP_STEP = 1 << 20 };

/* 0, 1 and 2 are open: a file of hako's must never become somebody's standard output. */
static int
secure_descriptors(struct error *e)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= 2 && fcntl(fd, F_SETFD, 0) == 0);
	if (fd < 0)
		return error_set(e, errno, "init-failed", "open /dev/null");
	close(fd);
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0 && errno != EINVAL && errno != ENOSYS)
		return error_set(e, errno, "init-failed", "close_range");
	return 0;
}

/*
 * What a caller ignores stays ignored over execve: SIGPIPE by conmon, SIGHUP by nohup.
 * A container must not begin with that, and hako could not wait for its children.
 */
static void
reset_signals(void)
{
	uint64_t ignored = caller_ignored_signals();

	for (int signal = 1; ignored != 0; signal++, ignored >>= 1)
		if ((ignored & 1) != 0)
			(void)sys_reset_signal(signal);
}

/* A system call is missing: on a kernel below the floor that is the whole story. */
static bool
is_old_kernel(struct error *e)
{
	struct utsname name;
	long major, minor;
	char *end;

	if (e->code != ENOSYS || uname(&name) < 0)
		return false;
	major = strtol(name.release, &end, 10);
	minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
		return false;
	error_context(e, "Linux %s is too old, hako needs %d.%d or later", name.release,
	              KERNEL_MAJOR, KERNEL_MINOR);
	return true;
}

/* Inside of a container its seccomp filter may have answered, and not the kernel. */
static void
explain_refusal(struct error *e)
{
	char calls[128];

	if ((e->code != ENOSYS && e->code != EPERM) || is_old_kernel(e))
		return;
	if (caller_is_filtered(calls, sizeof(calls)))
		error_advise(e,
		             "a seccomp filter around hako refuses %s: it needs another profile "
		             "and CAP_SYS_ADMIN",
		             calls);
	else if (e->code == EPERM && caller_has_filter())
		error_advise(e, "hako runs under a seccomp filter, which may refuse it");
}

static const struct command *
find_command(const char *name)
{
	for (const struct command *c = commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

/* FILE, or with its kind in front, as crun has it: a file is the only kind here. */
static int
open_log(const char *target, struct error *e)
{
	static const char *const others[] = {"journald:", "syslog:"};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strncmp(target, others[i], strlen(others[i])) == 0)
			return error_set(e, 0, "usage", "--log %s: only a file is possible",
			                 target);
	return log_open(strncmp(target, "file:", 5) == 0 ? target + 5 : target, e);
}

static int
set_log(const struct options *o, struct error *e)
{
	static const char *const formats[] = {"text", "json", NULL};
	static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
	int format = command_choose("--log-format", o->log_format, formats, e), level;

	log_settings.strict = o->strict;
	if (format < 0)
		return -1;
	log_settings.format = (enum log_format)format;
	level = command_choose("--log-level", o->log_level, levels, e);
	if (level < 0)
		return -1;
	log_settings.level = o->debug ? LOG_LEVEL_DEBUG : (enum log_level)level;
	return o->log != NULL && o->log[0] != '\0' ? open_log(o->log, e) : 0;
}

static int
check_global(const struct options *o, struct error *e)
{
	static const char *const managers[] = {"cgroupfs", "systemd", "disabled"};

	if (o->cgroup_manager == NULL)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(managers); i++)
		if (strcmp(o->cgroup_manager, managers[i]) == 0)
			return 0;
	return error_set(e, 0, "usage",
	                 "--cgroup-manager %s: not one of cgroupfs, systemd, disabled",
	                 o->cgroup_manager);
}

static int
check_args(const struct command *command, const struct options *o, struct error *e)
{
	if (o->arg_count < command->min_args)
		return error_set(e, 0, "usage", "missing operand: hako %s %s", command->name,
		                 command->operands);
	if (command->max_args >= 0 && o->arg_count > command->max_args)
		return error_set(e, 0, "usage", "unexpected operand \"%s\"",
		                 o->args[command->max_args]);
	return 0;
}

/* The command's name and the container's id in front of every error of a command. */
static int
fail(const struct command *command, const struct options *o, struct error *e)
{
	explain_refusal(e);
	if (command != NULL && command->min_args > 0 && o->arg_count > 0)
		error_context(e, "%s %s", command->name, o->args[0]);
	else if (command != NULL)
		error_context(e, "%s", command->name);
	log_error(e);
	return command_failure(e, command != NULL ? command->failure : EXIT_FAILURE);
}

/* What help and version have printed is output like any other: a full disk is an error. */
static int
end_output(struct error *e)
{
	struct options none = {0};

	if (fflush(stdout) == 0)
		return 0;
	(void)error_set(e, errno, "output-failed", "write to standard output");
	return fail(NULL, &none, e);
}

/* The whole command is the span that the others lie in. */
static int
run_traced(const struct command *command, const struct options *o, struct error *e)
{
	unsigned span = trace_begin("command", command->name, o->arg_count > 0 ? o->args[0] : NULL);
	int status = command->run(o, e);

	trace_end(span, status < 0 ? e->msg : NULL);
	return status;
}

/* An error of the command is worth more than one of its trace. */
static int
end_trace(const struct command *command, const struct options *o, int status, struct error *e)
{
	struct error other;
	char title[128];

	snprintf(title, sizeof(title), "hako %s%s%s", command->name, o->arg_count > 0 ? " " : "",
	         o->arg_count > 0 ? o->args[0] : "");
	if (trace_write(title, &other) == 0)
		return status;
	if (status >= 0)
		*e = other;
	return -1;
}

static int
run_command(const struct command *command, int argc, char **argv, struct options *o,
            struct error *e)
{
	int used = options_parse(argc, argv, command->bit, o, e), status;
	bool good = used >= 0;
	struct error other;

	if (good) {
		o->args = argv + used;
		o->arg_count = argc - used;
	}
	if (good && o->help) {
		options_help(command);
		return end_output(e);
	}
	if (good && (command->bit & (FOR_CREATE | FOR_RUN | FOR_EXEC)) != 0)
		good = descriptors_keep(o, e) == 0;
	/* from here errors are logged, those of the command line too */
	if (set_log(o, &other) < 0)
		return fail(command, o, &other);
	if (!good || check_global(o, e) < 0 || check_args(command, o, e) < 0)
		return fail(command, o, e);
	if (o->trace != NULL && trace_open(o->trace, e) < 0)
		return fail(command, o, e);
	status = run_traced(command, o, e);
	if (o->trace != NULL)
		status = end_trace(command, o, status, e);
	return status >= 0 ? status : fail(command, o, e);
}

/* Engines ask for `checkpoint --help` and take success for an ability. */
static int
refuse_command(const char *name, struct error *e)
{
	if (strcmp(name, "checkpoint") == 0 || strcmp(name, "restore") == 0)
		return error_set(e, 0, "unsupported",
		                 "hako has no %s: it cannot save and restore processes", name);
	return error_set(e, 0, "usage", "unknown command \"%s\": try hako --help", name);
}

int
main(int argc, char **argv)
{
	struct options o = {.host = true};
	const struct command *command = NULL;
	struct error e;
	int used;

	mallopt(M_TOP_PAD, HEAP_STEP);
	reset_signals();
	if ((selfexe_is_needed(argv) && selfexe_protect(argv, &e) < 0) ||
	    secure_descriptors(&e) < 0)
		return fail(NULL, &o, &e);
	used = options_parse(argc - 1, argv + 1, FOR_GLOBAL, &o, &e);
	if (used < 0)
		return fail(NULL, &o, &e);
	if (o.version) {
		version_print();
		return end_output(&e);
	}
	if (used + 1 < argc)
		command = find_command(argv[used + 1]);
	if (o.help || (used + 1 < argc && strcmp(argv[used + 1], "help") == 0)) {
		if (command == NULL && used + 2 < argc)
			command = find_command(argv[used + 2]);
		options_help(command);
		return end_output(&e);
	}
	if (command != NULL)
		return run_command(command, argc - used - 2, argv + used + 2, &o, &e);
	if (set_log(&o, &e) < 0)
		return fail(NULL, &o, &e);
	if (used + 1 >= argc)
		error_set(&e, 0, "usage", "no command: try hako --help");
	else
		refuse_command(argv[used + 1], &e);
	return fail(NULL, &o, &e);
}
