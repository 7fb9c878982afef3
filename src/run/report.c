/* SPDX-License-Identifier: MIT */
/*
 * The report of `run`: what only this process knows (how init has ended), what is gone
 * when the cgroup is (peaks), and what can be told only afterwards (what is left), put
 * together when all is over. Whatever cannot be found out is null, never a guess.
 */
#include "hako/report.h"
#include "hako/audit.h"
#include "hako/clock.h"
#include "hako/file.h"
#include "hako/json.h"
#include "hako/seccomp.h"
#include "hako/verify.h"
#include "hako/version.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SCHEMA = 1 };

/* Where it goes ------------------------------------------------------------------ */

/* A file is replaced as a whole; what is no file (a pipe, a terminal) is written to. */
static int
open_target(struct report *r, const char *path, struct error *e)
{
	struct stat st;

	if (path == NULL)
		return 0;
	if (path[0] == '\0')
		return error_set(e, ENOENT, "report-failed", "write a report to \"\"");
	if (strcmp(path, "-") == 0) {
		r->fd = STDOUT_FILENO;
		return 0;
	}
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		r->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return r->fd < 0 ? error_set(e, errno, "report-failed", "open %s", path) : 0;
	}
	r->dir = file_open_parent(path, &r->name);
	if (r->dir < 0 || faccessat(r->dir, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return error_set(e, errno, "report-failed", "write a report to %s", path);
	return 0;
}

int
report_open(struct report *r, const char *id, const char *path, int timeout_ms, struct error *e)
{
	*r = (struct report){.id = id, .dir = -1, .fd = -1, .audit = -1, .timeout_ms = timeout_ms};
	r->begin_us = clock_now_us();
	clock_text(r->started, sizeof(r->started));
	if (open_target(r, path, e) < 0)
		return -1;
	leaks_begin(&r->leaks, &r->arena);
	return 0;
}

/* What happens ------------------------------------------------------------------- */

void
report_planned(struct report *r, const struct plan *plan)
{
	if (r != NULL)
		r->plan = plan;
}

void
report_created(struct report *r, const struct handles *h)
{
	if (r == NULL)
		return;
	r->cgroup_path = h->cgroup_path;
	r->audit = audit_open();
	leaks_know(&r->leaks, r->plan, h->init_pid);
}

void
report_verified(struct report *r, const struct verdicts *v)
{
	if (r != NULL)
		r->verdicts = v;
}

void
report_executed(struct report *r, const struct handles *h)
{
	if (r == NULL)
		return;
	r->executed_us = clock_now_us();
	/* an ordinary user may look into it only now */
	leaks_know(&r->leaks, r->plan, h->init_pid);
}

static void
find_filter_kill(struct report *r, pid_t pid)
{
	struct audit_kill kill;

	if (!WIFSIGNALED(r->ending.status) || WTERMSIG(r->ending.status) != SIGSYS)
		return;
	r->killed_by_filter = r->plan->seccomp != NULL;
	if (r->audit < 0 || !audit_find_kill(r->audit, pid, &kill))
		return;
	r->killed_by_filter = true;
	r->syscall = seccomp_name_of(kill.arch, kill.number);
	if (r->syscall == NULL)
		r->syscall = arena_printf(&r->arena, "%d", kill.number);
}

void
report_ended(struct report *r, const struct served *served, const struct handles *h)
{
	if (r == NULL)
		return;
	r->ended_us = clock_now_us();
	r->ending = served->ending;
	find_filter_kill(r, served->pid);
	if (h->cgroup >= 0)
		cgroup_record_read(&r->cgroup, &r->arena, h->cgroup);
}

void
report_deleted(struct report *r, const struct handles *h)
{
	if (r == NULL || r->plan == NULL)
		return;
	r->deleted_us = clock_now_us();
	leaks_find(&r->leaks, r->plan, h);
	r->leaks_looked_for = true;
}

/* How it ended ------------------------------------------------------------------- */

static const char *
kind_of_failure(const struct error *failure)
{
	if (strcmp(failure->id, "timeout") == 0)
		return "timeout";
	return strncmp(failure->id, "hook-", 5) == 0 ? "hook" : "error";
}

static bool
ran_out_of_memory(const struct report *r)
{
	return WTERMSIG(r->ending.status) == SIGKILL &&
	       cgroup_record_number(&r->cgroup, "memory.events", "oom_kill") > 0;
}

static const char *
kind(const struct report *r, const struct error *failure)
{
	if (r->ended_us == 0)
		return failure != NULL ? kind_of_failure(failure) : "error";
	if (r->ending.timed_out)
		return "timeout";
	if (WIFEXITED(r->ending.status))
		return "exit";
	if (r->killed_by_filter)
		return "seccomp";
	return ran_out_of_memory(r) ? "oom" : "signal";
}

static const char *
signal_name(const struct report *r, char buf[static 24])
{
	const char *name = sigabbrev_np(WTERMSIG(r->ending.status));

	if (name != NULL)
		snprintf(buf, 24, "SIG%s", name);
	else
		snprintf(buf, 24, "SIGRTMIN+%d", WTERMSIG(r->ending.status) - SIGRTMIN);
	return buf;
}

/* JSON ----------------------------------------------------------------------------- */

static void
put_word(struct json_writer *w, const char *key, const char *word)
{
	if (word != NULL)
		json_put_string(w, key, word);
	else
		json_put_null(w, key);
}

static void
put_seconds(struct json_writer *w, const char *key, int64_t us)
{
	char text[40];

	snprintf(text, sizeof(text), "%lld.%06d", (long long)(us / 1000000), (int)(us % 1000000));
	if (us >= 0)
		json_put_number(w, key, text);
	else
		json_put_null(w, key);
}

static int64_t
us_of(const struct timeval *tv)
{
	return tv->tv_sec * 1000000LL + tv->tv_usec;
}

static void
put_failure(struct json_writer *w, const struct error *failure)
{
	if (failure == NULL) {
		json_put_null(w, "error");
		return;
	}
	json_begin_object(w, "error");
	json_put_string(w, "id", failure->id);
	put_word(w, "at", failure->at[0] != '\0' ? failure->at : NULL);
	json_put_string(w, "message", failure->msg);
	json_end_object(w);
}

static void
put_end(struct json_writer *w, const struct report *r, const struct error *failure)
{
	bool ended = r->ended_us != 0, exited = ended && WIFEXITED(r->ending.status);
	bool signalled = ended && WIFSIGNALED(r->ending.status);
	char name[24];

	json_begin_object(w, "end");
	json_put_string(w, "kind", kind(r, failure));
	if (exited)
		json_put_int(w, "exitStatus", WEXITSTATUS(r->ending.status));
	else
		json_put_null(w, "exitStatus");
	put_word(w, "signal", signalled ? signal_name(r, name) : NULL);
	put_word(w, "syscall", r->syscall);
	put_failure(w, failure);
	json_end_object(w);
}

static void
put_times(struct json_writer *w, const struct report *r)
{
	int64_t executed = r->executed_us, ended = r->ended_us;
	const struct rusage *usage = &r->ending.usage;

	json_begin_object(w, "seconds");
	put_seconds(w, "wall", clock_now_us() - r->begin_us);
	put_seconds(w, "create", executed > 0 ? executed - r->begin_us : -1);
	put_seconds(w, "process", ended > 0 ? ended - executed : -1);
	put_seconds(w, "delete",
	            r->ended_us > 0 && r->deleted_us > 0 ? r->deleted_us - r->ended_us : -1);
	put_seconds(w, "user", ended > 0 ? us_of(&usage->ru_utime) : -1);
	put_seconds(w, "system", ended > 0 ? us_of(&usage->ru_stime) : -1);
	json_end_object(w);
	if (ended > 0)
		json_put_int(w, "maxResidentBytes", (int64_t)usage->ru_maxrss * 1024);
	else
		json_put_null(w, "maxResidentBytes");
}

static void
put_cgroup(struct json_writer *w, const struct report *r)
{
	if (r->cgroup_path == NULL || r->ended_us == 0) {
		json_put_null(w, "cgroup");
		return;
	}
	json_begin_object(w, "cgroup");
	json_put_string(w, "path", r->cgroup_path);
	cgroup_record_put(&r->cgroup, w);
	json_end_object(w);
}

static void
put_leaks(struct json_writer *w, const struct report *r)
{
	if (!r->leaks_looked_for) {
		json_put_null(w, "leaks");
		return;
	}
	json_begin_object(w, "leaks");
	for (size_t i = 0; i < LEAKS; i++) {
		const struct leak_list *list = &r->leaks.found[i];

		if (!list->known && list->count == 0) {
			json_put_null(w, leak_names[i]);
			continue;
		}
		json_begin_array(w, leak_names[i]);
		for (size_t n = 0; n < list->count; n++)
			json_put_string(w, NULL, list->items[n]);
		json_end_array(w);
	}
	json_end_object(w);
}

static void
put_verified(struct json_writer *w, const struct report *r)
{
	if (r->verdicts == NULL) {
		json_put_null(w, "verify");
		return;
	}
	json_begin_object(w, "verify");
	verdicts_put_json(w, r->verdicts);
	json_end_object(w);
}

static void
put_report(struct json_writer *w, const struct report *r, int status, const struct error *failure)
{
	json_begin_object(w, NULL);
	json_put_int(w, "schema", SCHEMA);
	json_put_string(w, "hako", HAKO_VERSION);
	json_put_string(w, "id", r->id);
	put_word(w, "bundle", r->plan != NULL ? r->plan->options.bundle : NULL);
	json_put_string(w, "started", r->started);
	put_seconds(w, "timeout", r->timeout_ms > 0 ? r->timeout_ms * 1000LL : -1);
	json_put_int(w, "status", status);
	put_end(w, r, failure);
	put_times(w, r);
	put_cgroup(w, r);
	put_verified(w, r);
	put_leaks(w, r);
	json_end_object(w);
}

int
report_write(struct report *r, int status, const struct error *failure, struct error *e)
{
	struct json_writer *w;
	const char *text;
	size_t length;
	int rc;

	if (r == NULL || (r->dir < 0 && r->fd < 0))
		return 0;
	w = json_writer_new(JSON_INDENT);
	put_report(w, r, status, failure);
	text = arena_printf(&r->arena, "%s\n", json_writer_text(w, &length));
	json_writer_free(w);
	length++;
	rc = r->dir >= 0 ? file_replace_at(r->dir, r->name, 0644, text, length)
	                 : file_write_all(r->fd, text, length);
	return rc < 0 ? error_set(e, errno, "report-failed", "write the report") : 0;
}

/* For people ------------------------------------------------------------------------- */

static void
say_end(FILE *out, const struct report *r, const struct error *failure)
{
	const char *word = kind(r, failure);
	char name[24];

	fprintf(out, "%s: ", r->id);
	if (strcmp(word, "exit") == 0)
		fprintf(out, "exited with status %d\n", WEXITSTATUS(r->ending.status));
	else if (strcmp(word, "timeout") == 0)
		fprintf(out, "killed at the deadline of %.3g s\n", r->timeout_ms / 1e3);
	else if (strcmp(word, "seccomp") == 0)
		fprintf(out, "killed by its seccomp filter, system call: %s\n",
		        r->syscall != NULL ? r->syscall : "unknown");
	else if (strcmp(word, "oom") == 0)
		fputs("killed for lack of memory\n", out);
	else if (r->ended_us != 0)
		fprintf(out, "killed by %s\n", signal_name(r, name));
	else
		fprintf(out, "%s\n", strcmp(word, "hook") == 0 ? "a hook failed" : "not started");
}

static void
say_use(FILE *out, const struct report *r)
{
	int64_t user = cgroup_record_number(&r->cgroup, "cpu.stat", "user_usec");
	int64_t system = cgroup_record_number(&r->cgroup, "cpu.stat", "system_usec");
	int64_t memory = cgroup_record_number(&r->cgroup, "memory.peak", NULL);
	int64_t pids = cgroup_record_number(&r->cgroup, "pids.peak", NULL);
	int64_t kills = cgroup_record_number(&r->cgroup, "memory.events", "oom_kill");

	fprintf(out, "  time       %.3f s to create, %.3f s to run\n",
	        (double)(r->executed_us - r->begin_us) / 1e6,
	        (double)(r->ended_us - r->executed_us) / 1e6);
	fprintf(out, "  processor  %.3f s user, %.3f s system\n",
	        (double)(user >= 0 ? user : us_of(&r->ending.usage.ru_utime)) / 1e6,
	        (double)(system >= 0 ? system : us_of(&r->ending.usage.ru_stime)) / 1e6);
	if (memory >= 0)
		fprintf(out, "  memory     %.1f MiB at most\n", (double)memory / (1 << 20));
	if (pids >= 0)
		fprintf(out, "  processes  %lld at most\n", (long long)pids);
	if (kills > 0)
		fprintf(out, "  killed     %lld for lack of memory\n", (long long)kills);
}

static void
say_verified(FILE *out, const struct verdicts *v)
{
	fprintf(out, "  verified   %zu checks: %zu hold, %zu pending, %zu unknown, %zu drift\n",
	        v->count, v->counts[VERDICT_HOLDS], v->counts[VERDICT_PENDING],
	        v->counts[VERDICT_UNKNOWN], v->counts[VERDICT_DRIFT]);
}

static void
say_leaks(FILE *out, const struct report *r)
{
	for (size_t i = 0; i < LEAKS; i++)
		for (size_t n = 0; n < r->leaks.found[i].count; n++)
			fprintf(out, "  left       %s: %s\n", leak_names[i],
			        r->leaks.found[i].items[n]);
	if (leaks_count(&r->leaks) == 0)
		fputs("  left       nothing\n", out);
}

char *
report_summary(const struct report *r, const struct error *failure)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		return NULL;
	say_end(out, r, failure);
	if (r->verdicts != NULL)
		say_verified(out, r->verdicts);
	if (r->ended_us != 0)
		say_use(out, r);
	if (r->leaks_looked_for)
		say_leaks(out, r);
	return fclose(out) == 0 ? text : NULL;
}
