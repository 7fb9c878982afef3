/* SPDX-License-Identifier: MIT */
/*
 * One table of options for the whole program: a row says which commands take
 * the option, where its value goes, and what --help says of it. Options may also
 * follow operands, but for those of exec, ps and kill, where parsing stops at the
 * first operand: `exec ID cmd -x` passes -x on. Long options take
 * their value after "=" or as the next word, and may be written with one dash,
 * as Go programs do.
 */
#include "hako/command.h"
#include "hako/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, STRING, LIST };

struct option_row {
	const char *name;
	char letter;
	enum kind kind;
	size_t offset;
	unsigned commands;
	const char *argument;
	const char *help; /* NULL: accepted, not shown */
};

#define AT(member) offsetof(struct options, member)

enum {
	MAKERS = FOR_CREATE | FOR_RUN,
	ENTERERS = FOR_CREATE | FOR_RUN | FOR_EXEC,
	/* what follows is another command, a program, options of ps(1), a signal like -9 */
	STOP_AT_OPERAND = FOR_GLOBAL | FOR_EXEC | FOR_PS | FOR_KILL,
	ANY = ~0,
};

/* clang-format off */
static const struct option_row rows[] = {
	{"help", 'h', FLAG, AT(help), (unsigned)ANY, NULL, "show this help"},
	{"version", 'v', FLAG, AT(version), FOR_GLOBAL, NULL, "show version and features"},
	{"version", 'V', FLAG, AT(version), FOR_GLOBAL, NULL, NULL},
	{"root", 0, STRING, AT(root), FOR_GLOBAL, "DIR", "where the state of containers is kept (/run/hako, $XDG_RUNTIME_DIR/hako)"},
	{"log", 0, STRING, AT(log), FOR_GLOBAL, "FILE", "append log records to FILE"},
	{"log-format", 0, STRING, AT(log_format), FOR_GLOBAL, "text|json", "format of the log (text)"},
	{"log-level", 0, STRING, AT(log_level), FOR_GLOBAL, "error|warning|info|debug", "lowest level to log (error)"},
	{"debug", 0, FLAG, AT(debug), FOR_GLOBAL, NULL, "the same as --log-level debug"},
	{"strict", 0, FLAG, AT(strict), FOR_GLOBAL, NULL, "a fallback is an error"},
	{"trace", 0, STRING, AT(trace), FOR_GLOBAL, "FILE", "write what took how long to FILE, for Perfetto"},
	{"cgroup-manager", 0, STRING, AT(cgroup_manager), FOR_GLOBAL, "cgroupfs|systemd|disabled", "how cgroups are made (cgroupfs)"},
	{"systemd-cgroup", 0, FLAG, AT(systemd_cgroup), FOR_GLOBAL, NULL, "the same as --cgroup-manager systemd"},
	{"rootless", 0, STRING, AT(rootless_mode), FOR_GLOBAL, "auto", NULL},
	{"criu", 0, STRING, AT(criu), FOR_GLOBAL, "FILE", NULL},

	{"bundle", 'b', STRING, AT(bundle), MAKERS | FOR_SPEC | FOR_PLAN | FOR_CHECK | FOR_EXPLAIN, "DIR", "the bundle (the current directory)"},
	{"bundle", 'b', STRING, AT(bundle), FOR_VERIFY, "DIR", "with --pid: the bundle that it was made from"},
	{"config", 'f', STRING, AT(config), MAKERS | FOR_PLAN | FOR_CHECK | FOR_EXPLAIN | FOR_VERIFY, "FILE", "use FILE as config.json"},
	{"pid-file", 0, STRING, AT(pid_file), ENTERERS, "FILE", "write the process's pid to FILE"},
	{"console-socket", 0, STRING, AT(console_socket), ENTERERS, "SOCKET", "send the terminal's other side to SOCKET"},
	{"pidfd-socket", 0, STRING, AT(pidfd_socket), ENTERERS, "SOCKET", "send a pidfd of the process to SOCKET"},
	{"preserve-fds", 0, STRING, AT(preserve_fds), ENTERERS, "N", "pass on N descriptors from 3 upwards"},
	{"no-pivot", 0, FLAG, AT(no_pivot), MAKERS | FOR_EXPLAIN, NULL, "enter the rootfs also where / cannot be pivoted"},
	{"no-new-keyring", 0, FLAG, AT(no_new_keyring), MAKERS | FOR_EXPLAIN, NULL, "keep the caller's session keyring"},
	{"no-subreaper", 0, FLAG, AT(no_subreaper), MAKERS, NULL, "do not adopt orphans of the container"},
	{"no-subreaper", 0, FLAG, AT(no_subreaper), FOR_EXEC, NULL, NULL},
	{"detach", 'd', FLAG, AT(detach), FOR_RUN | FOR_EXEC, NULL, "do not wait for the process"},
	{"keep", 0, FLAG, AT(keep), FOR_RUN, NULL, "do not delete the container when it ends"},
	{"timeout", 0, STRING, AT(timeout), FOR_RUN, "DURATION", "kill the container after that time, as in 30s or 2m; exit with 124"},
	{"report", 0, STRING, AT(report), FOR_RUN, "FILE", "write to FILE how it ended, what it used and left behind; - for standard output"},
	{"verify", 0, FLAG, AT(verify), FOR_RUN, NULL, "verify the container before its process is executed"},
	{"summary", 0, FLAG, AT(summary), FOR_RUN, NULL, "the same in a few lines on standard error"},

	{"process", 'p', STRING, AT(process), FOR_EXEC, "FILE", "JSON file that describes the process"},
	{"cwd", 0, STRING, AT(cwd), FOR_EXEC, "DIR", "working directory in the container"},
	{"env", 'e', LIST, AT(env), FOR_EXEC, "NAME=VALUE", "add to the environment (may be repeated)"},
	{"tty", 't', FLAG, AT(tty), FOR_EXEC, NULL, "run it on a terminal"},
	{"user", 'u', STRING, AT(user), FOR_EXEC, "UID[:GID]", "ids in the container"},
	{"additional-gids", 'g', LIST, AT(groups), FOR_EXEC, "GID", "add a group (may be repeated)"},
	{"cap", 'c', LIST, AT(caps), FOR_EXEC, "CAP", "add a capability (may be repeated)"},
	{"apparmor", 0, STRING, AT(apparmor), FOR_EXEC, "PROFILE", "AppArmor profile of the process"},
	{"process-label", 0, STRING, AT(process_label), FOR_EXEC, "LABEL", "SELinux label of the process"},
	{"no-new-privs", 0, FLAG, AT(no_new_privs), FOR_EXEC, NULL, "set no_new_privs"},
	{"ignore-paused", 0, FLAG, AT(ignore_paused), FOR_EXEC, NULL, "also when the container is paused"},
	{"cgroup", 0, STRING, AT(cgroup), FOR_EXEC, "PATH", "sub-cgroup of the container to run in"},

	{"resources", 'r', STRING, AT(resources), FOR_UPDATE, "FILE", "JSON file with the limits; - for standard input"},
	{"memory", 0, STRING, AT(limits[LIMIT_MEMORY]), FOR_UPDATE, "BYTES", "memory; -1 is no limit, and 64m or 1g may be written"},
	{"memory-reservation", 0, STRING, AT(limits[LIMIT_MEMORY_RESERVATION]), FOR_UPDATE, "BYTES", "memory that is left to it under pressure"},
	{"memory-swap", 0, STRING, AT(limits[LIMIT_MEMORY_SWAP]), FOR_UPDATE, "BYTES", "memory and swap together"},
	{"cpu-share", 0, STRING, AT(limits[LIMIT_CPU_SHARE]), FOR_UPDATE, "N", "share of the processors, relative to others (1024)"},
	{"cpu-period", 0, STRING, AT(limits[LIMIT_CPU_PERIOD]), FOR_UPDATE, "US", "period of the quota in microseconds"},
	{"cpu-quota", 0, STRING, AT(limits[LIMIT_CPU_QUOTA]), FOR_UPDATE, "US", "processor time in a period"},
	{"cpu-burst", 0, STRING, AT(limits[LIMIT_CPU_BURST]), FOR_UPDATE, "US", "quota that may be saved up"},
	{"cpu-idle", 0, STRING, AT(limits[LIMIT_CPU_IDLE]), FOR_UPDATE, "0|1", "run only when nobody else wants to"},
	{"cpuset-cpus", 0, STRING, AT(limits[LIMIT_CPUSET_CPUS]), FOR_UPDATE, "LIST", "processors to run on"},
	{"cpuset-mems", 0, STRING, AT(limits[LIMIT_CPUSET_MEMS]), FOR_UPDATE, "LIST", "memory nodes to use"},
	{"pids-limit", 0, STRING, AT(limits[LIMIT_PIDS]), FOR_UPDATE, "N", "number of processes and threads"},
	{"blkio-weight", 0, STRING, AT(limits[LIMIT_BLKIO_WEIGHT]), FOR_UPDATE, "N", "share of input and output (10 to 1000)"},
	{"l3-cache-schema", 0, STRING, AT(l3_cache_schema), FOR_UPDATE, "SCHEMA", "share of the cache: L3:0=f;1=f0"},
	{"mem-bw-schema", 0, STRING, AT(mem_bw_schema), FOR_UPDATE, "SCHEMA", "memory bandwidth: MB:0=20;1=70"},
	{"cpu-rt-period", 0, STRING, AT(limits[LIMIT_CPU_RT_PERIOD]), FOR_UPDATE, "US", NULL},
	{"cpu-rt-runtime", 0, STRING, AT(limits[LIMIT_CPU_RT_RUNTIME]), FOR_UPDATE, "US", NULL},
	{"kernel-memory", 0, STRING, AT(ignored), FOR_UPDATE, "BYTES", NULL},
	{"kernel-memory-tcp", 0, STRING, AT(ignored), FOR_UPDATE, "BYTES", NULL},
	{"stats", 0, FLAG, AT(stats), FOR_EVENTS, NULL, "show what it uses now, and nothing else"},
	{"interval", 0, STRING, AT(interval), FOR_EVENTS, "DURATION", "time from one line to the next, as in 500ms or 1m30s (5s)"},

	{"all", 'a', FLAG, AT(all), FOR_KILL, NULL, "signal every process of the container"},
	{"regex", 'r', FLAG, AT(regex), FOR_KILL | FOR_DELETE, NULL, "ID is an extended regular expression: all that match"},
	{"force", 'f', FLAG, AT(force), FOR_DELETE, NULL, "kill it if it runs; success if it does not exist"},
	{"quiet", 'q', FLAG, AT(quiet), FOR_LIST, NULL, "show ids only"},
	{"format", 'f', STRING, AT(format), FOR_LIST | FOR_PS, "table|json", "format of the output (table)"},
	{"format", 0, STRING, AT(format), FOR_CHECK | FOR_EXPLAIN, "text|json|sarif", "format of the output (text)"},
	{"fail-on", 0, STRING, AT(fail_on), FOR_EXPLAIN, "note|risk|danger", "exit with 1 when something is rated so, or worse"},
	{"format", 0, STRING, AT(format), FOR_PLAN, "text|json", "format of the output (text)"},
	{"format", 0, STRING, AT(format), FOR_VERIFY, "text|json|tap|junit", "format of the output (text)"},
	{"all", 'a', FLAG, AT(all), FOR_VERIFY, NULL, "text: show also what holds"},
	{"verbose", 'v', FLAG, AT(all), FOR_VERIFY, NULL, NULL},
	{"only", 0, LIST, AT(only), FOR_VERIFY, "CHECK", "only checks of that name, group (mounts) or pattern (mounts.*.type)"},
	{"skip", 0, LIST, AT(skip), FOR_VERIFY, "CHECK", "no checks of that name, group or pattern"},
	{"pid", 0, STRING, AT(pid), FOR_VERIFY, "PID", "another process of the container; with --bundle any process"},
	{"list", 0, FLAG, AT(list), FOR_VERIFY, NULL, "list all checks"},
	{"host", 0, FLAG, AT(host), FOR_CHECK, NULL, "look at this host too; --host=false: only at the bundle's config.json"},
	{"rootless", 0, FLAG, AT(rootless), FOR_SPEC, NULL, "for an ordinary user, with a user namespace"},
	{"profile", 0, STRING, AT(profile), FOR_SPEC, "default|rootless|hardened|ci", "what it is for (default)"},
	{"set", 0, LIST, AT(set), FOR_SPEC, "/POINTER=VALUE", "change a property to JSON or a text (may be repeated)"},
	{"file", 'f', STRING, AT(file), FOR_SPEC, "FILE", "write FILE instead of config.json"},
	{0},
};
/* clang-format on */

static const struct option_row *
find_long(const char *name, size_t length, unsigned bit)
{
	for (const struct option_row *r = rows; r->name != NULL; r++)
		if ((r->commands & bit) != 0 && strlen(r->name) == length &&
		    strncmp(r->name, name, length) == 0)
			return r;
	return NULL;
}

static const struct option_row *
find_letter(char letter, unsigned bit)
{
	for (const struct option_row *r = rows; r->name != NULL; r++)
		if ((r->commands & bit) != 0 && r->letter == letter)
			return r;
	return NULL;
}

static void
store(const struct option_row *row, struct options *o, const char *value)
{
	char *place = (char *)o + row->offset;
	struct option_list *list = (struct option_list *)place;
	const char **items;

	switch (row->kind) {
	case FLAG:
		*(bool *)place = value == NULL || strcmp(value, "true") == 0;
		break;
	case STRING:
		*(const char **)place = value;
		break;
	case LIST:
		items = reallocarray(list->items, list->count + 1, sizeof(*items));
		if (items == NULL)
			abort();
		items[list->count++] = value;
		list->items = items;
		break;
	}
}

/* "--name", "--name=value", "-name": *ret_value points at the value, or is NULL. */
static const struct option_row *
match(const char *word, unsigned bit, const char **ret_value)
{
	const char *name = word + 1 + (word[1] == '-');
	size_t length = strcspn(name, "=");
	const struct option_row *row = NULL;

	*ret_value = name[length] == '=' ? name + length + 1 : NULL;
	if (length > 1)
		row = find_long(name, length, bit);
	if (row != NULL || word[1] == '-')
		return row;
	row = find_letter(word[1], bit);
	if (row == NULL || word[2] == '\0')
		return row;
	*ret_value = word + 2 + (word[2] == '='); /* -bDIR, -b=DIR */
	return row->kind == FLAG ? NULL : row;
}

static int
parse_flag(const struct option_row *row, const char *word, const char *value, struct options *o,
           struct error *e)
{
	if (value != NULL && strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return error_set(e, 0, "usage", "option %s takes no value", word);
	store(row, o, value);
	return 0;
}

static bool
is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

/* The option argv begins with: how many words it has, or -1. */
static int
parse_option(int argc, char **argv, unsigned bit, struct options *o, struct error *e)
{
	const struct option_row *row;
	const char *value;

	row = match(argv[0], bit, &value);
	if (row == NULL)
		return error_set(e, 0, "usage", "unknown option %s", argv[0]);
	if (row->kind == FLAG)
		return parse_flag(row, argv[0], value, o, e) < 0 ? -1 : 1;
	if (value == NULL && argc == 1)
		return error_set(e, 0, "usage", "option %s requires an argument", argv[0]);
	store(row, o, value != NULL ? value : argv[1]);
	return value != NULL ? 1 : 2;
}

/* The last words before end go in front of the operands, which begin at first. */
static void
move_to_front(char **argv, int first, int end, int words)
{
	size_t size = (size_t)(end - words - first) * sizeof(*argv);

	for (int i = first; size > 0 && i < first + words; i++) {
		char *word = argv[end - words + i - first];

		memmove(&argv[i + 1], &argv[i], size);
		argv[i] = word;
	}
}

int
options_parse(int argc, char **argv, unsigned bit, struct options *o, struct error *e)
{
	int first = 0; /* operand: those that were met are argv[first..i) */

	for (int i = 0; i < argc;) {
		int words = 1;

		if (!is_option(argv[i])) {
			if ((bit & STOP_AT_OPERAND) != 0)
				return i;
			i++;
			continue;
		}
		if (strcmp(argv[i], "--") != 0)
			words = parse_option(argc - i, argv + i, bit, o, e);
		if (words < 0)
			return -1;
		i += words;
		move_to_front(argv, first, i, words);
		first += words;
		if (strcmp(argv[first - words], "--") == 0)
			break;
	}
	return first;
}

static void
print_options(unsigned bit)
{
	for (const struct option_row *r = rows; r->name != NULL; r++) {
		char left[64], letter[8] = "";

		if ((r->commands & bit) == 0 || r->help == NULL)
			continue;
		if (r->letter != 0)
			snprintf(letter, sizeof(letter), "-%c, ", r->letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, r->name,
		         r->argument != NULL ? " " : "", r->argument != NULL ? r->argument : "");
		printf("  %-34s %s\n", left, r->help);
	}
}

void
options_help(const struct command *command)
{
	if (command != NULL) {
		printf("usage: hako [OPTIONS] %s [OPTIONS]%s%s\n\n%s\n\noptions:\n", command->name,
		       command->operands[0] != '\0' ? " " : "", command->operands,
		       command->summary);
		print_options(command->bit);
		return;
	}
	printf("usage: hako [OPTIONS] COMMAND [OPTIONS] ...\n\n"
	       "A minimal OCI container runtime.\n\ncommands:\n");
	for (const struct command *c = commands; c->name != NULL; c++)
		printf("  %-34s %s\n", c->name, c->summary);
	printf("\noptions:\n");
	print_options(FOR_GLOBAL);
	printf("\n`hako COMMAND --help` shows the options of a command; hako(8) tells more.\n");
}
