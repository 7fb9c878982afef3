/* SPDX-License-Identifier: MIT */
/* src/sys/dbus.c: values as text, and what comes back from a service. */
#include "hako/dbus.h"
#include "hako/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct dbus_method method = {"a.b", "/a/b", "a.b.C", "Do", "v"};

static void
assert_body(const char *text, const char *bytes, size_t length)
{
	struct dbus_message m;

	dbus_begin(&m, &method);
	assert_int_equal(m.body % 8, 0);
	if (dbus_put_variant(&m, text) < 0)
		fail_msg("refused: %s", text);
	if (m.length - m.body != length)
		fail_msg("%s: %u bytes", text, m.length - m.body);
	assert_memory_equal(m.bytes + m.body, bytes, length);
}

#define BODY(text, bytes) assert_body(text, bytes, sizeof(bytes) - 1)

/* A signature with its length before and a zero after it, padding, the value. */
static void
test_variants(void **state)
{
	(void)state;
	BODY("true", "\1b\0\0\1\0\0\0");
	BODY("false", "\1b\0\0\0\0\0\0");
	BODY("-2", "\1i\0\0\376\377\377\377");
	BODY("uint32 5", "\1u\0\0\5\0\0\0");
	BODY("uint64 0x10", "\1t\0\0\0\0\0\0\20\0\0\0\0\0\0\0");
	BODY("byte 7", "\1y\0\7");
	BODY("'it'", "\1s\0\0\2\0\0\0it\0");
	BODY("\"it\\\"s\"", "\1s\0\0\4\0\0\0it\"s\0");
	BODY("[byte 1, byte 0xff, 3]", "\2ay\0\3\0\0\0\1\377\3");
	BODY("['a', 'b']", "\2as\0\16\0\0\0\1\0\0\0a\0\0\0\1\0\0\0b\0");
	BODY("@as []", "\2as\0\0\0\0\0");
	BODY("[('a', 'b')]", "\5a(ss)\0\0\16\0\0\0\0\0\0\0\1\0\0\0a\0\0\0\1\0\0\0b\0");
	BODY(" [ uint64 1 ] ", "\2at\0\10\0\0\0\1\0\0\0\0\0\0\0");
}

static void
test_no_variants(void **state)
{
	static const char *const texts[] = {
		"",
		"word",
		"tru",
		"uint64",
		"uint64 x",
		"uint64 5 6",
		"'open",
		"[1",
		"[1 2]",
		"[",
		"[]",
		"['a', 5]",
		"[('a')]",
		"[('a', 'b'",
		"@as",
		"@",
		"@as [5",
		"uint9 5",
		"1.5.2",
		"byte",
		"'a' 'b'",
		"@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaas []",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1",
	};
	struct dbus_message m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		dbus_begin(&m, &method);
		if (dbus_put_variant(&m, texts[i]) == 0)
			fail_msg("accepted: %s", texts[i]);
	}
}

/* What does not fit is noticed, and nothing is written behind the end. */
static void
test_too_long(void **state)
{
	static char text[DBUS_MESSAGE_MAX];
	struct {
		struct dbus_message m;
		unsigned char guard[16];
	} room = {.guard = "guard"};
	struct dbus bus = {.fd = -1};
	struct error e;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	dbus_begin(&room.m, &method);
	dbus_put_string(&room.m, text);
	dbus_put_u32(&room.m, 1);
	assert_string_equal((char *)room.guard, "guard");
	assert_int_equal(dbus_call(&bus, &room.m, NULL, 0, &e), -1);
}

/* Service ---------------------------------------------------------------------- */

static char top[] = "/tmp/hako-dbus-XXXXXX", path[64];

/* Answers one connection with these bytes, and lets it see their end. */
static pid_t
serve(const char *bytes, size_t length)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int server = socket(AF_UNIX, SOCK_STREAM, 0);
	pid_t child;

	unlink(path);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server, 1), 0);
	child = fork();
	if (child == 0) {
		char line[512];
		int client = accept(server, NULL, NULL);

		if (write(client, bytes, length) != (ssize_t)length ||
		    shutdown(client, SHUT_WR) < 0)
			_exit(1);
		while (read(client, line, sizeof(line)) > 0)
			;
		_exit(0);
	}
	close(server);
	return child;
}

/* The result of a call to a service that answers so; *text is what it said. */
static int
call(const char *bytes, size_t length, char *text, size_t size, struct error *e)
{
	pid_t child = serve(bytes, length);
	struct dbus_message m;
	struct dbus bus;
	int rc = dbus_open(path, false, &bus, e);

	if (rc == 0) {
		dbus_begin(&m, &method);
		dbus_put_string(&m, "x");
		rc = dbus_call(&bus, &m, text, size, e);
		close(bus.fd);
	}
	waitpid(child, NULL, 0);
	return rc;
}

#define OK "DATA\r\nOK 0123456789abcdef\r\n"
/* type, length of the body, then of the fields: REPLY_SERIAL 1 and a SIGNATURE */
#define HEADER(type, body, rest) "l" type "\0\1" body "\0\0\0\11\0\0\0" rest
#define REPLY "\5\1u\0\1\0\0\0"

static void
test_answers(void **state)
{
	static const char object[] =
		OK HEADER("\2", "\7", "\17\0\0\0" REPLY "\10\1g\0\1o\0\0") "\2\0\0\0/a\0";
	static const char refusal[] = OK HEADER("\3", "\11",
	                                        "\40\0\0\0" REPLY "\10\1g\0\1s\0\0"
	                                        "\4\1s\0\7\0\0\0a.b.Bad\0") "\4\0\0\0why?\0";
	static const char nothing[] = OK HEADER("\2", "\0", "\10\0\0\0" REPLY);
	static const char big_endian[] =
		OK "B\2\0\1\0\0\0\7\0\0\0\11\0\0\0\17\5\1u\0\0\0\0\1\10\1g\0\1o\0\0\0\0\0\2/b\0";
	char text[16];
	struct error e;

	(void)state;
	assert_int_equal(call(object, sizeof(object) - 1, text, sizeof(text), &e), 0);
	assert_string_equal(text, "/a");
	assert_int_equal(call(big_endian, sizeof(big_endian) - 1, text, sizeof(text), &e), 0);
	assert_string_equal(text, "/b");
	assert_int_equal(call(refusal, sizeof(refusal) - 1, text, sizeof(text), &e), -1);
	assert_string_equal(e.id, "Bad");
	assert_string_equal(e.msg, "why?");
	assert_int_equal(call(nothing, sizeof(nothing) - 1, text, sizeof(text), &e), 0);
	assert_string_equal(text, "");
}

/* Cut off anywhere, or with any byte changed: an error or an answer, never more than that. */
static void
test_damaged_answers(void **state)
{
	static const char good[] =
		OK HEADER("\2", "\7", "\17\0\0\0" REPLY "\10\1g\0\1o\0\0") "\2\0\0\0/a\0";
	char bytes[sizeof(good)], text[16];
	struct error e;

	(void)state;
	for (size_t i = sizeof(OK) - 1; i < sizeof(good) - 1; i++) {
		assert_int_equal(call(good, i, text, sizeof(text), &e), -1);
		memcpy(bytes, good, sizeof(good));
		bytes[i] ^= (char)0xff;
		(void)call(bytes, sizeof(good) - 1, text, sizeof(text), &e);
	}
}

static void
test_no_service(void **state)
{
	static const char rejected[] = "REJECTED EXTERNAL\r\n";
	struct dbus bus;
	struct error e;

	(void)state;
	unlink(path);
	assert_int_equal(dbus_open(path, false, &bus, &e), -1);
	assert_int_equal(call(rejected, sizeof(rejected) - 1, NULL, 0, &e), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_variants),        cmocka_unit_test(test_no_variants),
		cmocka_unit_test(test_too_long),        cmocka_unit_test(test_answers),
		cmocka_unit_test(test_damaged_answers), cmocka_unit_test(test_no_service),
	};
	int rc;

	if (mkdtemp(top) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/bus", top);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(top);
	return rc;
}
