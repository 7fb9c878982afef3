/* SPDX-License-Identifier: MIT */
/*
 * Looking at a container with an end to it. A file of a FUSE or network filesystem whose
 * server does not answer keeps whoever looks at it, perhaps even from being killed. So a
 * child looks, and tells what it finds; when it falls silent, what it was at cannot be
 * determined, and another child goes on behind that. One that cannot be killed stays
 * until the server answers, or ends.
 */
#include "hako/verify.h"
#include "hako/proc.h"
#include "hako/step.h"
#include "hako/syscall.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SILENCE_MS = 5000, NEXT_SILENCE_MS = 500, SLICE_MS = 50, TEXTS = 3, NO_TEXT = -1 };

/* A child's notes, in memory that it has in common with the parent. */
struct board {
	size_t used;
	char bytes[(16 << 20) - sizeof(size_t)]; /* only what is used is ever there */
};

/* Behind a note stand its texts, each with its NUL. */
struct note {
	enum verdict_event event;
	size_t step;
	struct verdict verdict; /* its texts point nowhere */
	int lengths[TEXTS];
};

/* The child ------------------------------------------------------------------------ */

struct teller {
	const struct verdicts *v;
	struct board *board;
};

static void
tell(void *listener, enum verdict_event event, const struct verdict *verdict)
{
	const struct teller *teller = listener;
	struct board *b = teller->board;
	struct note note = {.event = event, .step = teller->v->step};
	const char *texts[TEXTS];
	size_t size = sizeof(note);
	char *p = b->bytes + b->used;

	if (verdict != NULL)
		note.verdict = *verdict;
	texts[0] = note.verdict.id;
	texts[1] = note.verdict.expected;
	texts[2] = note.verdict.found;
	for (size_t i = 0; i < TEXTS; i++) {
		note.lengths[i] = texts[i] != NULL ? (int)strlen(texts[i]) : NO_TEXT;
		size += texts[i] != NULL ? (size_t)note.lengths[i] + 1 : 0;
	}
	if (size > sizeof(b->bytes) - b->used)
		_exit(1);
	memcpy(p, &note, sizeof(note));
	p += sizeof(note);
	for (size_t i = 0; i < TEXTS; i++)
		if (texts[i] != NULL)
			p = stpcpy(p, texts[i]) + 1;
	__atomic_store_n(&b->used, b->used + size, __ATOMIC_RELEASE);
}

static _Noreturn void
look(const struct plan *plan, struct observed *o, struct verdicts *v, struct board *board)
{
	struct teller *teller = arena_alloc(v->arena, sizeof(*teller));

	*teller = (struct teller){.v = v, .board = board};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	v->tell = tell;
	v->listener = teller;
	steps_verify(plan, o, v);
	observed_close(o);
	exit(0); /* not _exit(): what measures coverage wants to know */
}

/* The parent ----------------------------------------------------------------------- */

/* It waits for something. On a busy machine it may be silent because it gets no processor. */
static bool
sleeps(pid_t child)
{
	struct proc_stat stat;

	return proc_stat(child, &stat) < 0 || stat.state == 'S' || stat.state == 'D';
}

/*
 * Until the child has ended (1), or writes nothing any more (0); -1 with errno. In slices: a
 * machine that stands still, and the child with it, costs no more than one of them. Who could
 * run is given ten times as long.
 */
static int
wait_for(const struct board *b, pid_t child, int pidfd, int patience_ms)
{
	size_t before = 0;
	int silent_ms = 0;

	while (silent_ms < patience_ms) {
		struct pollfd p = {.fd = pidfd, .events = POLLIN};
		int rc = poll(&p, 1, SLICE_MS);
		size_t now = __atomic_load_n(&b->used, __ATOMIC_ACQUIRE);

		if (rc > 0 || (rc < 0 && errno != EINTR))
			return rc > 0 ? 1 : -1;
		if (now != before)
			silent_ms = 0;
		else
			silent_ms += sleeps(child) ? SLICE_MS : SLICE_MS / 10;
		before = now;
	}
	return 0;
}

static const char *
take_text(struct arena *arena, int length, const char **p)
{
	const char *text = *p;

	if (length == NO_TEXT)
		return NULL;
	*p += length + 1;
	return arena_strndup(arena, text, (size_t)length);
}

static const char *
take_note(struct arena *arena, const char *p, struct note *ret)
{
	memcpy(ret, p, sizeof(*ret));
	p += sizeof(*ret);
	ret->verdict.id = take_text(arena, ret->lengths[0], &p);
	ret->verdict.expected = take_text(arena, ret->lengths[1], &p);
	ret->verdict.found = take_text(arena, ret->lengths[2], &p);
	return p;
}

/* What has been begun need not be looked at again. */
static void
note_done(struct verdicts *v, const char *id)
{
	const char **more = arena_array(v->arena, v->done.count + 1, sizeof(*more));

	for (size_t i = 0; i < v->done.count; i++)
		more[i] = v->done.items[i];
	more[v->done.count] = id;
	v->done = (struct patterns){.items = more, .count = v->done.count + 1};
}

/* All that was found; *ret_last is what was looked at last, without an id when not known. */
static void
take_notes(struct verdicts *v, const struct board *b, struct verdict *ret_last)
{
	const char *p = b->bytes, *end = p + __atomic_load_n(&b->used, __ATOMIC_ACQUIRE);
	struct note note;

	while (p < end) {
		p = take_note(v->arena, p, &note);
		if (note.event == VERDICT_FOUND) {
			verdicts_put(v, &note.verdict);
			continue;
		}
		if (note.step != v->step)
			v->done.count = 0;
		v->step = note.step;
		*ret_last = note.verdict;
		if (note.event == VERDICT_BEGIN)
			note_done(v, note.verdict.id);
	}
}

static int
end_looker(pid_t child)
{
	int status = 0;

	/* dead or not: nobody waits for one that cannot be killed */
	for (int ms = 0; ms < 100 && waitpid(child, &status, WNOHANG) == 0; ms++)
		usleep(1000);
	return status;
}

/* 1: it was looked at to the end; 0: not all of it, ask again; -1 with *e. */
static int
listen_to(pid_t child, int pidfd, const struct board *b, int patience_ms, struct verdicts *v,
          struct error *e)
{
	struct verdict last = {0};
	int rc = wait_for(b, child, pidfd, patience_ms);
	int code = rc == 0 ? ETIMEDOUT : errno;

	if (rc <= 0)
		kill(child, SIGKILL);
	if (end_looker(child) != 0 && rc > 0)
		return error_set(e, 0, "verify-failed",
		                 "the process that looks at the container has ended early");
	take_notes(v, b, &last);
	if (rc > 0)
		return 1;
	if (rc < 0 || last.id == NULL)
		return error_set(e, code, "verify-failed", "%s", steps[v->step].name);
	last.found = "its filesystem does not answer";
	verdicts_put(v, &last);
	return 0;
}

static int
send_looker(const struct plan *plan, struct observed *o, struct verdicts *v, int patience_ms,
            struct error *e)
{
	struct board *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE,
	                       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	autoclose int pidfd = -1;
	pid_t child;
	int rc;

	if (b == MAP_FAILED)
		return error_set(e, errno, "verify-failed", "mmap");
	fflush(NULL);
	child = fork();
	if (child == 0)
		look(plan, o, v, b);
	pidfd = child > 0 ? sys_pidfd_open(child, 0) : -1;
	rc = pidfd < 0 ? error_set(e, errno, "verify-failed", "make a process that looks")
	               : listen_to(child, pidfd, b, patience_ms, v, e);
	munmap(b, sizeof(*b));
	return rc;
}

int
verify_look(const struct plan *plan, struct observed *o, struct verdicts *v, struct error *e)
{
	int rc = send_looker(plan, o, v, SILENCE_MS, e);

	while (rc == 0)
		rc = send_looker(plan, o, v, NEXT_SILENCE_MS, e);
	return rc < 0 ? -1 : 0;
}
