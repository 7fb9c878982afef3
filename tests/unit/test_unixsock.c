/* SPDX-License-Identifier: MIT */
/* Sockets of a caller: short, long, relative and abstract names, and what goes through. */
#include "hako/mem.h"
#include "hako/unixsock.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A listening (or datagram) socket; name "@..." is abstract, else below dir. */
static int
serve(int dir, const char *name, int type, int backlog)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = sizeof(address);
	int sock = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (*name == '@') {
		strcpy(address.sun_path + 1, name + 1);
		length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	} else {
		snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir,
		         name);
	}
	assert_int_equal(bind(sock, (struct sockaddr *)&address, length), 0);
	if (type != SOCK_DGRAM)
		assert_int_equal(listen(sock, backlog), 0);
	return sock;
}

/* A new folder deep enough for a path of more than 107 bytes; the test runs in its parent. */
static int
make_folder(char *path, size_t size)
{
	char top[] = "/tmp/hako-unixsock-XXXXXX", name[151];

	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_non_null(mkdtemp(top));
	assert_int_equal(chdir(top), 0);
	assert_int_equal(mkdir(name, 0700), 0);
	snprintf(path, size, "%s/%s", top, name);
	return open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void
remove_folder(int dir, char *path)
{
	unlinkat(dir, "s", 0);
	close(dir);
	assert_int_equal(rmdir(path), 0);
	*strrchr(path, '/') = '\0';
	assert_int_equal(rmdir(path), 0);
}

static void
assert_connects(const char *path, int server, int type)
{
	int sock = unixsock_connect(path, type);

	assert_true(sock >= 0);
	assert_int_equal(fcntl(sock, F_GETFD), FD_CLOEXEC);
	if (type == SOCK_DGRAM) {
		char byte = 0;

		assert_int_equal(send(sock, "x", 1, 0), 1);
		assert_int_equal(recv(server, &byte, 1, MSG_DONTWAIT), 1);
		assert_int_equal(byte, 'x');
	} else {
		close(accept(server, NULL, NULL));
	}
	close(sock);
}

static void
test_names(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	char path[256], name[300], abstract[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		int dir = make_folder(path, sizeof(path));
		int server = serve(dir, "s", types[i], 4);

		snprintf(name, sizeof(name), "%s/s", path);
		assert_true(strlen(name) > sizeof(((struct sockaddr_un *)NULL)->sun_path));
		assert_connects(name, server, types[i]);
		snprintf(name, sizeof(name), "%s/s", strrchr(path, '/') + 1);
		assert_connects(name, server, types[i]);
		assert_int_equal(fchdir(dir), 0);
		assert_connects("s", server, types[i]);
		close(server);

		snprintf(abstract, sizeof(abstract), "@hako-unixsock-%d", (int)getpid());
		server = serve(dir, abstract, types[i], 4);
		assert_connects(abstract, server, types[i]);
		close(server);
		assert_int_equal(chdir("/"), 0);
		remove_folder(dir, path);
	}
}

static void
assert_refused(const char *path, int type, int code)
{
	errno = 0;
	assert_int_equal(unixsock_connect(path, type), -1);
	assert_int_equal(errno, code);
}

static void
test_nobody_there(void **state)
{
	char path[256], name[300], abstract[110];
	int dir = make_folder(path, sizeof(path));

	(void)state;
	assert_refused("", SOCK_STREAM, ENOENT);
	assert_refused("missing", SOCK_STREAM, ENOENT);
	assert_refused("/tmp", SOCK_STREAM, ECONNREFUSED);
	assert_refused("@hako-unixsock-nobody", SOCK_DGRAM, ECONNREFUSED);
	memset(abstract, '@', sizeof(abstract) - 1);
	abstract[sizeof(abstract) - 1] = '\0';
	assert_refused(abstract, SOCK_DGRAM, ENAMETOOLONG);
	snprintf(name, sizeof(name), "%s/s", path);
	assert_refused(name, SOCK_STREAM, ENOENT);
	assert_refused(path, SOCK_STREAM, ECONNREFUSED);
	close(serve(dir, "s", SOCK_STREAM, 4));
	assert_refused(name, SOCK_STREAM, ECONNREFUSED);
	assert_refused(name, SOCK_DGRAM, ECONNREFUSED);
	remove_folder(dir, path);
}

/* A listener that never accepts: the connection after the last that fits gives up. */
static void
test_full_queue(void **state)
{
	char path[256], name[300];
	int dir = make_folder(path, sizeof(path));
	int server = serve(dir, "s", SOCK_STREAM, 0);
	time_t begin = time(NULL);
	int first;

	(void)state;
	snprintf(name, sizeof(name), "%s/s", path);
	first = unixsock_connect(name, SOCK_STREAM);
	assert_true(first >= 0);
	assert_refused(name, SOCK_STREAM, EAGAIN);
	assert_in_range(time(NULL) - begin, 5, 60);
	close(first);
	close(server);
	remove_folder(dir, path);
}

/* Exactly one descriptor comes with the text, and it is the same file. */
static void
test_send_fd(void **state)
{
	char text[64], control[CMSG_SPACE(4 * sizeof(int))];
	struct iovec io = {.iov_base = text, .iov_len = sizeof(text)};
	struct msghdr message = {.msg_iov = &io,
	                         .msg_iovlen = 1,
	                         .msg_control = control,
	                         .msg_controllen = sizeof(control)};
	const struct cmsghdr *header;
	int pair[2], pipes[2], fd;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(unixsock_send_fd(pair[0], "standard", pipes[1]), 0);
	close(pipes[1]);
	assert_int_equal(recvmsg(pair[1], &message, 0), 8);
	assert_memory_equal(text, "standard", 8);
	header = CMSG_FIRSTHDR(&message);
	assert_non_null(header);
	assert_int_equal(header->cmsg_type, SCM_RIGHTS);
	assert_int_equal(header->cmsg_len, CMSG_LEN(sizeof(int)));
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	assert_int_equal(write(fd, "y", 1), 1);
	close(fd);
	assert_int_equal(read(pipes[0], text, sizeof(text)), 1);
	assert_int_equal(text[0], 'y');
	close(pair[1]);
	/* a peer that is gone is an error, not a signal */
	assert_int_equal(unixsock_send_fd(pair[0], "x", pipes[0]), -1);
	assert_int_equal(errno, EPIPE);
	close(pair[0]);
	close(pipes[0]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_full_queue),
		cmocka_unit_test(test_send_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
