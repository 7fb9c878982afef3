/* SPDX-License-Identifier: MIT */
/* The trace: more spans than there is room for, other processes, and text of any kind. */
#include "hako/json.h"
#include "hako/trace.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROOM = 2048 };

static char path[] = "/tmp/hako-trace.XXXXXX";

static int
begin(void **state)
{
	struct error e;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/hako-trace.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || trace_open(path, &e) < 0)
		return -1;
	close(fd);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	trace_leave();
	trace_enter(TRACE_PARENT);
	return unlink(path);
}

/* What was written, parsed; the spans among its events are counted. */
static const struct json *
read_back(struct arena *arena, size_t *ret_spans)
{
	struct json_doc *doc;
	struct error e;

	assert_int_equal(trace_write("title", &e), 0);
	assert_int_equal(json_load(arena, AT_FDCWD, path, path, &doc, &e), 0);
	*ret_spans = 0;
	for (const struct json *event = json_member(doc->root, "traceEvents")->first; event != NULL;
	     event = event->next)
		*ret_spans += json_member(event, "ph")->text[0] != 'M';
	return doc->root;
}

static void
test_room(void **state)
{
	struct arena arena = {0};
	const struct json *root;
	size_t spans;

	(void)state;
	for (unsigned i = 0; i < ROOM + 100; i++) {
		unsigned span = trace_begin("test", "span", NULL);

		assert_int_equal(span, i < ROOM ? i + 1 : 0);
		trace_end(span, NULL);
	}
	root = read_back(&arena, &spans);
	assert_int_equal(spans, ROOM);
	assert_string_equal(json_member(json_member(root, "otherData"), "dropped")->text, "100");
	arena_free(&arena);
}

static void
test_text(void **state)
{
	static const char *const texts[] = {"\"\\\n\x01\x7f", "\xff\xc3", "", "\xe2\x82\xac"};
	struct arena arena = {0};
	char longest[4096];
	size_t spans;

	(void)state;
	memset(longest, '"', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		trace_end(trace_begin(texts[i], texts[i], texts[i]), texts[i]);
	trace_end(trace_begin(longest, longest, longest), longest);
	(void)read_back(&arena, &spans);
	assert_int_equal(spans, sizeof(texts) / sizeof(texts[0]) + 1);
	arena_free(&arena);
}

/* Another process: its lane, and a span that it has never ended. */
static void
test_processes(void **state)
{
	struct arena arena = {0};
	const struct json *event;
	size_t spans;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		trace_enter(TRACE_INIT);
		(void)trace_begin("test", "unfinished", NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	event = json_member(read_back(&arena, &spans), "traceEvents")->first;
	assert_int_equal(spans, 1);
	while (json_member(event, "cat") == NULL)
		event = event->next;
	assert_string_equal(json_member(event, "ph")->text, "B");
	assert_string_equal(json_member(event, "tid")->text, "3");
	arena_free(&arena);
}

/* A descriptor that is no trace is of no use, and does no harm. */
static void
test_join(void **state)
{
	int fd = dup(trace_settings.fd);

	(void)state;
	trace_leave();
	trace_join(open("/dev/null", O_RDWR));
	assert_null(trace_settings.buffer);
	trace_join(-1);
	assert_null(trace_settings.buffer);
	trace_join(fd);
	assert_non_null(trace_settings.buffer);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_room, begin, end),
		cmocka_unit_test_setup_teardown(test_text, begin, end),
		cmocka_unit_test_setup_teardown(test_processes, begin, end),
		cmocka_unit_test_setup_teardown(test_join, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
