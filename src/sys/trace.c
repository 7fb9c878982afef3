/* SPDX-License-Identifier: MIT */
/*
 * Spans in memory that all processes of a command share: to note one takes no system
 * call, and who ends early leaves no file behind that is not JSON. Only the parent
 * writes, at the end, whatever the end is. The clock is the one that time namespaces
 * leave alone.
 */
#include "hako/trace.h"
#include "hako/file.h"
#include "hako/mem.h"
#include "hako/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SPANS_MAX = 2048 };

struct span {
	int64_t begin_ns; /* 0: not written yet */
	int64_t end_ns;   /* 0: it was never ended */
	uint32_t lane;
	char category[12];
	char name[60];
	char detail[84];
	char failure[88];
};

struct trace_buffer {
	int64_t origin_ns;
	_Atomic uint32_t count; /* also of those that have found no room */
	uint32_t pid;
	struct span spans[SPANS_MAX];
};

struct trace_settings trace_settings = {.lane = TRACE_PARENT, .fd = -1, .file = -1};

static const char *const lane_names[] = {
	[TRACE_PARENT] = "parent", [TRACE_INTERMEDIATE] = "intermediate", [TRACE_INIT] = "init"};

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Begin ------------------------------------------------------------------------ */

static struct trace_buffer *
map(int fd)
{
	void *p =
		mmap(NULL, sizeof(struct trace_buffer), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* In a file, for a container that was created before: see trace_join(). */
static int
make_buffer(struct error *e)
{
	int fd = memfd_create("hako-trace", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, sizeof(struct trace_buffer)) < 0)
		return error_set(e, errno, "trace-failed", "make room for the trace");
	trace_settings.fd = fd;
	trace_settings.buffer = map(fd);
	if (trace_settings.buffer == NULL)
		return error_set(e, errno, "trace-failed", "map the trace");
	trace_settings.buffer->origin_ns = now_ns();
	trace_settings.buffer->pid = (uint32_t)getpid();
	return 0;
}

int
trace_open(const char *path, struct error *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);

	if (fd < 0)
		return error_set(e, errno, "trace-failed", "open trace file %s", path);
	trace_settings.file = fd;
	return make_buffer(e);
}

void
trace_enter(enum trace_lane lane)
{
	trace_settings.lane = lane;
}

void
trace_join(int fd)
{
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size == sizeof(struct trace_buffer))
		trace_settings.buffer = map(fd);
	close_cleaner(&fd);
}

void
trace_leave(void)
{
	if (trace_settings.buffer != NULL)
		munmap(trace_settings.buffer, sizeof(*trace_settings.buffer));
	trace_settings.buffer = NULL;
}

/* Spans -------------------------------------------------------------------------- */

static void
copy(char *to, size_t size, const char *from)
{
	if (from != NULL)
		snprintf(to, size, "%s", from);
}

unsigned
trace_add(const char *category, const char *name, const char *detail)
{
	struct trace_buffer *buffer = trace_settings.buffer;
	uint32_t i = atomic_fetch_add(&buffer->count, 1);
	struct span *span;

	if (i >= SPANS_MAX)
		return 0;
	span = &buffer->spans[i];
	span->lane = trace_settings.lane;
	copy(span->category, sizeof(span->category), category);
	copy(span->name, sizeof(span->name), name);
	copy(span->detail, sizeof(span->detail), detail);
	span->begin_ns = now_ns();
	return i + 1;
}

void
trace_close(unsigned number, const char *failure)
{
	struct trace_buffer *buffer = trace_settings.buffer;
	struct span *span;

	if (buffer == NULL)
		return;
	span = &buffer->spans[number - 1];
	copy(span->failure, sizeof(span->failure), failure);
	span->end_ns = now_ns();
}

/* Write ---------------------------------------------------------------------------- */

static void
put_string(FILE *out, const char *key, const char *text)
{
	char quoted[1024];

	utf8_quote(text, quoted, sizeof(quoted));
	fprintf(out, "\"%s\":\"%s\"", key, quoted);
}

static void
put_us(FILE *out, const char *key, int64_t ns)
{
	ns = ns > 0 ? ns : 0;
	fprintf(out, ",\"%s\":%" PRId64 ".%03d", key, ns / 1000, (int)(ns % 1000));
}

static void
put_metadata(FILE *out, uint32_t pid, unsigned lane, const char *what, const char *name)
{
	fprintf(out, "{\"ph\":\"M\",\"pid\":%" PRIu32 ",\"tid\":%u,", pid, lane);
	put_string(out, "name", what);
	fputs(",\"args\":{", out);
	put_string(out, "name", name);
	fputs("}},\n", out);
}

/* A span whose end is not known has only a beginning: viewers draw it up to the end of all. */
static void
put_span(FILE *out, const struct trace_buffer *buffer, const struct span *span)
{
	fprintf(out, "{\"ph\":\"%s\",\"pid\":%" PRIu32 ",\"tid\":%" PRIu32,
	        span->end_ns > 0 ? "X" : "B", buffer->pid, span->lane);
	put_us(out, "ts", span->begin_ns - buffer->origin_ns);
	if (span->end_ns > 0)
		put_us(out, "dur", span->end_ns - span->begin_ns);
	fputc(',', out);
	put_string(out, "cat", span->category);
	fputc(',', out);
	put_string(out, "name", span->name);
	fputs(",\"args\":{", out);
	if (span->detail[0] != '\0')
		put_string(out, "detail", span->detail);
	if (span->failure[0] != '\0') {
		fputs(span->detail[0] != '\0' ? "," : "", out);
		put_string(out, "failure", span->failure);
	}
	fputs("}},\n", out);
}

static bool
is_used(const struct trace_buffer *buffer, uint32_t count, unsigned lane)
{
	for (uint32_t i = 0; i < count; i++)
		if (buffer->spans[i].lane == lane)
			return true;
	return false;
}

static void
put_all(FILE *out, const char *title)
{
	const struct trace_buffer *buffer = trace_settings.buffer;
	uint32_t all = buffer->count, count = all < SPANS_MAX ? all : SPANS_MAX;

	fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", out);
	for (unsigned lane = TRACE_PARENT; lane < ARRAY_SIZE(lane_names); lane++)
		if (is_used(buffer, count, lane))
			put_metadata(out, buffer->pid, lane, "thread_name", lane_names[lane]);
	for (uint32_t i = 0; i < count; i++)
		if (buffer->spans[i].begin_ns != 0)
			put_span(out, buffer, &buffer->spans[i]);
	fprintf(out, "{\"ph\":\"M\",\"pid\":%" PRIu32 ",\"name\":\"process_name\",\"args\":{",
	        buffer->pid);
	put_string(out, "name", title);
	fprintf(out, "}}\n],\"otherData\":{\"dropped\":%" PRIu32 "}}\n", all - count);
}

int
trace_write(const char *title, struct error *e)
{
	autofree char *text = NULL;
	size_t length = 0;
	FILE *out;
	int rc;

	if (trace_settings.buffer == NULL)
		return 0;
	out = open_memstream(&text, &length);
	if (out == NULL)
		return error_set(e, errno, "trace-failed", "write the trace");
	put_all(out, title);
	trace_leave();
	rc = fclose(out);
	if (rc == 0)
		rc = file_write_all(trace_settings.file, text, length);
	return rc < 0 ? error_set(e, errno, "trace-failed", "write the trace") : 0;
}
