/* SPDX-License-Identifier: MIT */
/*
 * Looking at a container with an end to it. A file of a FUSE or network filesystem whose
 * server does not answer keeps whoever looks at it, perhaps even from being killed. So a
 * child looks, and tells what it finds; when it falls silent, what it was at cannot be
 * determined, and another child goes on behind that. One that cannot be killed stays
 * until the server answers, or ends.
 */
#include "hako/verify.h"
#include "hako/file.h"
#include "hako/step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SILENCE_MS = 5000, NEXT_SILENCE_MS = 500, TEXTS = 3, NO_TEXT = -1 };

/* What the child writes: a note, and as many bytes of texts. */
struct note {
	enum verdict_event event;
	size_t step;
	struct verdict verdict; /* its texts point nowhere */
	int lengths[TEXTS];
};

/* The child ------------------------------------------------------------------------ */

struct teller {
	const struct verdicts *v;
	int pipe;
};

static void
tell(void *listener, enum verdict_event event, const struct verdict *verdict)
{
	static const struct verdict none;
	const struct teller *teller = listener;
	struct note note = {.event = event, .step = teller->v->step};
	const char *texts[TEXTS];

	note.verdict = verdict != NULL ? *verdict : none;
	texts[0] = note.verdict.id;
	texts[1] = note.verdict.expected;
	texts[2] = note.verdict.found;
	for (size_t i = 0; i < TEXTS; i++)
		note.lengths[i] = texts[i] != NULL ? (int)strlen(texts[i]) : NO_TEXT;
	if (file_write_all(teller->pipe, (const char *)&note, sizeof(note)) < 0)
		_exit(1);
	for (size_t i = 0; i < TEXTS; i++)
		if (note.lengths[i] > 0 &&
		    file_write_all(teller->pipe, texts[i], (size_t)note.lengths[i]) < 0)
			_exit(1);
}

static _Noreturn void
look(const struct plan *plan, struct observed *o, struct verdicts *v, int pipe)
{
	struct teller teller = {.v = v, .pipe = pipe};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	v->tell = tell;
	v->listener = &teller;
	steps_verify(plan, o, v);
	observed_close(o);
	exit(0); /* not _exit(): what measures coverage wants to know */
}

/* The parent ----------------------------------------------------------------------- */

struct looker {
	struct arena *arena;
	int pipe;
	int patience_ms;
	struct verdict at; /* what it is looking at; no id: that is not known */
};

/* 1 when all of it has come, 0 at the end, -1 when nothing comes any more (ETIMEDOUT). */
static int
hear(const struct looker *l, void *bytes, size_t length)
{
	for (size_t done = 0; done < length;) {
		struct pollfd p = {.fd = l->pipe, .events = POLLIN};
		int rc = poll(&p, 1, l->patience_ms);
		ssize_t n = rc > 0 ? read(l->pipe, (char *)bytes + done, length - done) : -1;

		if (rc == 0)
			errno = ETIMEDOUT;
		if (n < 0 && (errno != EINTR || rc == 0))
			return -1;
		if (n == 0)
			return 0;
		done += n > 0 ? (size_t)n : 0;
	}
	return 1;
}

static int
hear_text(const struct looker *l, int length, const char **ret)
{
	char *text;
	int rc;

	*ret = NULL;
	if (length == NO_TEXT)
		return 1;
	text = arena_alloc(l->arena, (size_t)length + 1);
	rc = hear(l, text, (size_t)length);
	text[length] = '\0';
	*ret = text;
	return rc;
}

static int
hear_note(const struct looker *l, struct note *ret)
{
	int rc = hear(l, ret, sizeof(*ret));

	if (rc > 0)
		rc = hear_text(l, ret->lengths[0], &ret->verdict.id);
	if (rc > 0)
		rc = hear_text(l, ret->lengths[1], &ret->verdict.expected);
	return rc > 0 ? hear_text(l, ret->lengths[2], &ret->verdict.found) : rc;
}

/* What it has begun it has been at: that need not be looked at again. */
static void
note_done(struct verdicts *v, const char *id)
{
	const char **more = arena_array(v->arena, v->done.count + 1, sizeof(*more));

	for (size_t i = 0; i < v->done.count; i++)
		more[i] = v->done.items[i];
	more[v->done.count] = id;
	v->done = (struct patterns){.items = more, .count = v->done.count + 1};
}

static void
take(struct looker *l, struct verdicts *v, const struct note *note)
{
	if (note->event == VERDICT_FOUND) {
		verdicts_put(v, &note->verdict);
		return;
	}
	if (note->step != v->step)
		v->done.count = 0;
	v->step = note->step;
	l->at = note->verdict;
	if (note->event == VERDICT_BEGIN)
		note_done(v, note->verdict.id);
}

/* 1: it was looked at to the end; 0: not all of it, ask again; -1 with *e. */
static int
listen_to(struct looker *l, struct verdicts *v, struct error *e)
{
	struct note note;
	int rc;

	while ((rc = hear_note(l, &note)) > 0)
		take(l, v, &note);
	if (rc == 0)
		return 1;
	if (errno != ETIMEDOUT || l->at.id == NULL)
		return error_set(e, errno, "verify-failed", "%s", steps[v->step].name);
	l->at.found = "its filesystem does not answer";
	verdicts_put(v, &l->at);
	return 0;
}

static int
end_looker(pid_t child, bool finished, struct error *e)
{
	int status = 0;

	if (!finished) {
		kill(child, SIGKILL);
		for (int ms = 0; ms < 100 && waitpid(child, NULL, WNOHANG) == 0; ms++)
			usleep(1000);
		return 0;
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0 ? 0
	                   : error_set(e, 0, "verify-failed",
	                               "the process that looks at the container has ended early");
}

static int
send_looker(const struct plan *plan, struct observed *o, struct verdicts *v, int patience_ms,
            struct error *e)
{
	struct looker l = {.arena = v->arena, .patience_ms = patience_ms};
	int ends[2], rc;
	pid_t child;

	fflush(NULL);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(e, errno, "verify-failed", "make a pipe");
	child = fork();
	if (child == 0) {
		close(ends[0]);
		look(plan, o, v, ends[1]);
	}
	close(ends[1]);
	l.pipe = ends[0];
	rc = child < 0 ? error_set(e, errno, "verify-failed", "fork") : listen_to(&l, v, e);
	close(ends[0]);
	if (child > 0 && end_looker(child, rc > 0, e) < 0)
		return -1;
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
