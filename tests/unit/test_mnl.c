/* SPDX-License-Identifier: MIT */
/*
 * The part of libmnl that hako uses: the same tests for the library and for
 * src/sys/mnl.c, whichever this build is linked with.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <libmnl/libmnl.h>

static char buf[512] __attribute__((aligned(8)));

static void
builds_messages(void **state)
{
	static const unsigned char expected[] = {
		48, 0, 0,   0,   0,   0,   0,   0, 0, 0, 0, 0, 0, 0, 0, 0, /* header */
		0,  0, 0,   0,   0,   0,   0,   0,                         /* 5 bytes, padded */
		8,  0, 7,   0,   4,   3,   2,   1,                         /* a number */
		8,  0, 3,   0,   'a', 'b', 'c', 0, /* a string with its end */
		7,  0, 255, 127, 1,   2,   3,   0, /* bytes, padded */
	};
	struct nlmsghdr *message;

	(void)state;
	memset(buf, 0xff, sizeof(buf));
	message = mnl_nlmsg_put_header(buf);
	assert_ptr_equal(mnl_nlmsg_put_extra_header(message, 5), buf + 16);
	mnl_attr_put_u32(message, 7, 0x01020304);
	mnl_attr_put_strz(message, 3, "abc");
	mnl_attr_put(message, 0x7fff, 3, "\1\2\3");
	assert_int_equal(message->nlmsg_len, sizeof(expected));
	/* the library may leave the last byte of padding as it was */
	assert_memory_equal(buf, expected, sizeof(expected) - 1);
}

struct seen {
	unsigned count;
	uint32_t number;
	const char *text;
	int stop_at; /* type */
};

static int
see(const struct nlattr *attr, void *data)
{
	struct seen *seen = data;

	seen->count++;
	if (mnl_attr_get_type(attr) == 7)
		seen->number = mnl_attr_get_u32(attr);
	if (mnl_attr_get_type(attr) == 3)
		seen->text = mnl_attr_get_str(attr);
	if (mnl_attr_get_type(attr) == 9)
		assert_int_equal(mnl_attr_get_payload_len(attr), 3);
	return mnl_attr_get_type(attr) == seen->stop_at ? MNL_CB_STOP : MNL_CB_OK;
}

static struct nlmsghdr *
sample(void)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);

	mnl_nlmsg_put_extra_header(message, 8);
	mnl_attr_put_u32(message, 7, 99);
	mnl_attr_put(message, 9, 3, "xyz");
	mnl_attr_put_strz(message, 3 | NLA_F_NET_BYTEORDER, "name");
	return message;
}

static void
reads_attributes(void **state)
{
	struct nlmsghdr *message = sample();
	struct seen seen = {0}, stopped = {.stop_at = 9};

	(void)state;
	assert_int_equal(mnl_attr_parse(message, 8, see, &seen), MNL_CB_OK);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.number, 99);
	assert_string_equal(seen.text, "name");
	assert_int_equal(mnl_attr_parse(message, 8, see, &stopped), MNL_CB_STOP);
	assert_int_equal(stopped.count, 2);
}

/* An attribute that says to be longer than the message, or shorter than its own header. */
static void
stops_at_broken_attributes(void **state)
{
	static const uint16_t lengths[] = {0, 3, 200};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct nlmsghdr *message = sample();
		struct seen seen = {0};

		memcpy(buf + 16 + 8 + 8, &lengths[i], sizeof(lengths[i]));
		mnl_attr_parse(message, 8, see, &seen);
		assert_int_equal(seen.count, 1);
	}
}

static int
count(const struct nlmsghdr *message, void *data)
{
	(void)message;
	++*(unsigned *)data;
	return MNL_CB_OK;
}

static size_t
add(size_t at, uint16_t type, uint16_t flags, const void *payload, size_t size)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf + at);

	message->nlmsg_type = type;
	message->nlmsg_flags = flags;
	message->nlmsg_seq = 5;
	memcpy(mnl_nlmsg_put_extra_header(message, size), payload, size);
	return at + message->nlmsg_len;
}

static void
reads_answers(void **state)
{
	const struct nlmsgerr fine = {0}, refused = {.error = -EPERM};
	const struct {
		uint16_t type;
		uint16_t flags;
		const void *payload;
		size_t size;
		int rc;
		int code;
	} last[] = {
		{NLMSG_DONE, 0, &fine, 4, MNL_CB_STOP, 0},
		{NLMSG_ERROR, 0, &fine, sizeof(fine), MNL_CB_STOP, 0},
		{NLMSG_ERROR, 0, &refused, sizeof(refused), MNL_CB_ERROR, EPERM},
		{NLMSG_ERROR, 0, &refused, 4, MNL_CB_ERROR, EBADMSG},
		{20, NLM_F_DUMP_INTR, &fine, 8, MNL_CB_ERROR, EINTR},
		{NLMSG_NOOP, 0, &fine, 8, MNL_CB_OK, 0},
		{20, 0, &fine, 8, MNL_CB_OK, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(last) / sizeof(last[0]); i++) {
		unsigned messages = 0;
		size_t size = add(0, 20, 0, &fine, 8);

		size = add(size, 20, 0, &fine, 5);
		size = add(size, last[i].type, last[i].flags, last[i].payload, last[i].size);
		errno = 0;
		assert_int_equal(mnl_cb_run(buf, size, 5, 0, count, &messages), last[i].rc);
		assert_int_equal(errno, last[i].code);
		assert_int_equal(messages, last[i].rc == MNL_CB_OK && last[i].type == 20 ? 3 : 2);
		assert_int_equal(mnl_cb_run(buf, size, 5, 0, NULL, NULL), last[i].rc);
	}
}

static void
refuses_answers_to_others(void **state)
{
	size_t size = add(0, 20, 0, "12345678", 8);
	unsigned messages = 0;

	(void)state;
	assert_int_equal(mnl_cb_run(buf, size, 6, 0, count, &messages), MNL_CB_ERROR);
	assert_int_equal(errno, EPROTO);
	((struct nlmsghdr *)(void *)buf)->nlmsg_pid = 7;
	assert_int_equal(mnl_cb_run(buf, size, 5, 8, count, &messages), MNL_CB_ERROR);
	assert_int_equal(mnl_cb_run(buf, size, 5, 7, count, &messages), MNL_CB_OK);
	assert_int_equal(messages, 1);
}

static void
walks_over_messages(void **state)
{
	size_t size = add(0, 20, 0, "12345", 5);
	const struct nlmsghdr *message = (const struct nlmsghdr *)(void *)buf;
	int left = (int)add(size, 21, 0, "1234", 4);

	(void)state;
	assert_true(mnl_nlmsg_ok(message, left));
	assert_false(mnl_nlmsg_ok(message, 15));
	assert_false(mnl_nlmsg_ok(message, 20));
	message = mnl_nlmsg_next(message, &left);
	assert_int_equal(message->nlmsg_type, 21);
	assert_true(mnl_nlmsg_ok(message, left));
	assert_memory_equal(mnl_nlmsg_get_payload(message), "1234", 4);
	(void)mnl_nlmsg_next(message, &left);
	assert_int_equal(left, 0);
	assert_false(mnl_nlmsg_ok(message, left));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_messages),
		cmocka_unit_test(reads_attributes),
		cmocka_unit_test(stops_at_broken_attributes),
		cmocka_unit_test(reads_answers),
		cmocka_unit_test(refuses_answers_to_others),
		cmocka_unit_test(walks_over_messages),
	};

	return cmocka_run_group_tests_name("mnl", tests, NULL, NULL);
}
