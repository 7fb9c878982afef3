/* SPDX-License-Identifier: MIT */
/*
 * The functions of libmnl that hako calls, for a static hako on a machine that
 * has no archive of libmnl (the Makefile decides; otherwise this file is not
 * built). The declarations are libmnl's own, what they do is the framing of
 * netlink(7): messages and attributes, each a header with a length, aligned to
 * four bytes.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <string.h>

enum { MESSAGE_HEADER = sizeof(struct nlmsghdr), ATTR_HEADER = sizeof(struct nlattr) };

static uint32_t
align(size_t length)
{
	return (uint32_t)(length + 3) & ~3U;
}

/* Messages ------------------------------------------------------------------------- */

struct nlmsghdr *
mnl_nlmsg_put_header(void *buf)
{
	struct nlmsghdr *message = buf;

	*message = (struct nlmsghdr){.nlmsg_len = MESSAGE_HEADER};
	return message;
}

void *
mnl_nlmsg_put_extra_header(struct nlmsghdr *message, size_t size)
{
	void *header = (char *)message + message->nlmsg_len;

	memset(header, 0, align(size));
	message->nlmsg_len += align(size);
	return header;
}

void *
mnl_nlmsg_get_payload(const struct nlmsghdr *message)
{
	return (char *)message + MESSAGE_HEADER;
}

bool
mnl_nlmsg_ok(const struct nlmsghdr *message, int length)
{
	return length >= MESSAGE_HEADER && message->nlmsg_len >= MESSAGE_HEADER &&
	       message->nlmsg_len <= (unsigned)length;
}

struct nlmsghdr *
mnl_nlmsg_next(const struct nlmsghdr *message, int *length)
{
	uint32_t size = align(message->nlmsg_len);

	*length -= (int)size;
	return (struct nlmsghdr *)(void *)((char *)message + size);
}

/* Attributes ----------------------------------------------------------------------- */

uint16_t
mnl_attr_get_type(const struct nlattr *attr)
{
	return (uint16_t)(attr->nla_type & ~(NLA_F_NESTED | NLA_F_NET_BYTEORDER));
}

uint16_t
mnl_attr_get_payload_len(const struct nlattr *attr)
{
	return (uint16_t)(attr->nla_len - ATTR_HEADER);
}

void *
mnl_attr_get_payload(const struct nlattr *attr)
{
	return (char *)attr + ATTR_HEADER;
}

uint32_t
mnl_attr_get_u32(const struct nlattr *attr)
{
	uint32_t value;

	memcpy(&value, mnl_attr_get_payload(attr), sizeof(value));
	return value;
}

const char *
mnl_attr_get_str(const struct nlattr *attr)
{
	return mnl_attr_get_payload(attr);
}

int
mnl_attr_parse(const struct nlmsghdr *message, unsigned offset, mnl_attr_cb_t callback, void *data)
{
	char *at = (char *)message + MESSAGE_HEADER + align(offset);
	const char *end = (const char *)message + message->nlmsg_len;
	int rc = MNL_CB_OK;

	while (rc > MNL_CB_STOP && end - at >= ATTR_HEADER) {
		const struct nlattr *attr = (const struct nlattr *)(void *)at;

		if (attr->nla_len < ATTR_HEADER || attr->nla_len > end - at)
			break;
		rc = callback(attr, data);
		at += align(attr->nla_len);
	}
	return rc;
}

void
mnl_attr_put(struct nlmsghdr *message, uint16_t type, size_t length, const void *data)
{
	char *at = (char *)message + align(message->nlmsg_len);
	const struct nlattr attr = {.nla_len = (uint16_t)(ATTR_HEADER + length), .nla_type = type};

	memset(at, 0, ATTR_HEADER + align(length));
	memcpy(at, &attr, sizeof(attr));
	memcpy(at + ATTR_HEADER, data, length);
	message->nlmsg_len = align(message->nlmsg_len) + ATTR_HEADER + align(length);
}

void
mnl_attr_put_u32(struct nlmsghdr *message, uint16_t type, uint32_t value)
{
	mnl_attr_put(message, type, sizeof(value), &value);
}

void
mnl_attr_put_strz(struct nlmsghdr *message, uint16_t type, const char *text)
{
	mnl_attr_put(message, type, strlen(text) + 1, text);
}

/* Answers -------------------------------------------------------------------------- */

/* An acknowledgement is an error of 0. */
static int
take_error(const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);

	if (message->nlmsg_len < MESSAGE_HEADER + sizeof(*error)) {
		errno = EBADMSG;
		return MNL_CB_ERROR;
	}
	errno = error->error < 0 ? -error->error : error->error;
	return error->error == 0 ? MNL_CB_STOP : MNL_CB_ERROR;
}

static int
take_message(const struct nlmsghdr *message, mnl_cb_t callback, void *data)
{
	if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) {
		errno = EINTR;
		return MNL_CB_ERROR;
	}
	if (message->nlmsg_type == NLMSG_ERROR)
		return take_error(message);
	if (message->nlmsg_type == NLMSG_DONE)
		return MNL_CB_STOP;
	if (message->nlmsg_type < NLMSG_MIN_TYPE || callback == NULL)
		return MNL_CB_OK;
	return callback(message, data);
}

int
mnl_cb_run(const void *buf, size_t size, unsigned sequence, unsigned port, mnl_cb_t callback,
           void *data)
{
	const struct nlmsghdr *message = buf;
	int left = (int)size, rc = MNL_CB_OK;

	for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
		if (message->nlmsg_seq != sequence ||
		    (port != 0 && message->nlmsg_pid != 0 && message->nlmsg_pid != port)) {
			errno = EPROTO;
			return MNL_CB_ERROR;
		}
		rc = take_message(message, callback, data);
		if (rc <= MNL_CB_STOP)
			break;
	}
	return rc;
}
