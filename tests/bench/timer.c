/* SPDX-License-Identifier: MIT */
/*
 * timer [-f] [-n ROUNDS] [-w WARM-UPS] [-p PAUSE-MS] <CASES
 *
 * A case is a line: commands between " ; ", words between blanks. Every round
 * runs every case once, so that a noisy neighbour meets all of them alike. For
 * each case a line goes out: its number, the nanoseconds from the first spawn
 * to the last exit (-1: a command failed) and the peak memory in kB.
 * -f: SCHED_FIFO, if permitted.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { MAX_CASES = 64, MAX_WORDS = 64, MAX_LINE = 4096 };

struct bench_case {
	char line[MAX_LINE];
	char *words[MAX_WORDS]; /* a NULL ends a command, two end the case */
};

static struct bench_case cases[MAX_CASES];

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
pause_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static int
read_cases(void)
{
	int count = 0;

	while (count < MAX_CASES && fgets(cases[count].line, MAX_LINE, stdin) != NULL) {
		int n = 0;
		char *rest = cases[count].line, *word;

		while ((word = strsep(&rest, " \n")) != NULL && n < MAX_WORDS - 2)
			if (*word != '\0')
				cases[count].words[n++] = strcmp(word, ";") == 0 ? NULL : word;
		if (n > 0)
			count++;
	}
	return count;
}

/* Orphans of containers come here to be reaped, as with an engine's monitor. */
static int
run_command(char **words, long *peak_kb)
{
	struct rusage usage;
	pid_t pid, reaped;
	int status;

	errno = posix_spawn(&pid, words[0], NULL, NULL, words, environ);
	if (errno != 0)
		err(1, "%s", words[0]);
	while ((reaped = wait4(-1, &status, 0, &usage)) != pid)
		if (reaped < 0 && errno != EINTR)
			err(1, "wait4");
	if (usage.ru_maxrss > *peak_kb)
		*peak_kb = usage.ru_maxrss;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int64_t
run_case(struct bench_case *c, long *peak_kb)
{
	int64_t start = now_ns();
	char **words = c->words;
	int failed = 0;

	*peak_kb = 0;
	while (*words != NULL) {
		if (run_command(words, peak_kb) < 0)
			failed = 1;
		while (*words != NULL)
			words++;
		words++;
	}
	return failed ? -1 : now_ns() - start;
}

int
main(int argc, char **argv)
{
	long rounds = 60, warm_ups = 3, pause = 0;
	struct sched_param fifo = {.sched_priority = 10};
	FILE *out = fdopen(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10), "w");
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int count, option;

	while ((option = getopt(argc, argv, "fn:w:p:")) != -1) {
		if (option == 'f' && sched_setscheduler(0, SCHED_FIFO, &fifo) < 0)
			warn("SCHED_FIFO");
		else if (option == 'n')
			rounds = atol(optarg);
		else if (option == 'w')
			warm_ups = atol(optarg);
		else if (option == 'p')
			pause = atol(optarg);
		else if (option == '?')
			return 2;
	}
	count = read_cases();
	if (out == NULL || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		err(1, "set-up");
	for (long round = -warm_ups; round < rounds; round++) {
		for (int i = 0; i < count; i++) {
			long peak_kb;
			int64_t ns;

			if (pause > 0)
				pause_ms(pause);
			ns = run_case(&cases[i], &peak_kb);
			if (round >= 0)
				fprintf(out, "%d %lld %ld\n", i, (long long)ns, peak_kb);
		}
	}
	return fclose(out) != 0;
}
