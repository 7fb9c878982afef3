/* SPDX-License-Identifier: MIT */
/*
 * The process's terminal (config.md "process.terminal"): a pty of the container's
 * own devpts, so that its name means something inside. Its other end goes to the
 * caller through a socket, that of --console-socket or hako's own.
 *
 * Everything under these names may be a trap of the rootfs: ptmx must be the one of
 * a devpts, the terminal comes from the kernel by TIOCGPTPEER and never by its name,
 * and it is that descriptor which is mounted on /dev/console (CVE-2025-52565).
 */
#include "hako/layer.h"
#include "hako/path.h"
#include "hako/problem.h"
#include "hako/syscall.h"
#include "hako/unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

enum { PTMX_MAJOR = 5, PTMX_MINOR = 2, PTMX_INODE = 2 };

static const struct json *
terminal_at(const struct plan *plan)
{
	return json_member(plan->process.at, "terminal");
}

/* Plan ------------------------------------------------------------------------ */

/* A mount that is bound may bring it along; so may the rootfs, or a hook, but hardly. */
static bool
may_have_devpts(const struct plan *plan)
{
	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct mount_plan *m = &plan->mounts[i];

		if (path_below(m->destination, "/dev/pts") != NULL &&
		    (m->kind == MOUNT_BIND || strcmp(m->type, "devpts") == 0))
			return true;
	}
	return false;
}

LAYER_PLAN(terminal_plan)
{
	const struct config_process *c = p->config->process;
	struct terminal_plan *terminal = &p->plan->terminal;
	const char *socket = p->plan->options.console_socket;
	const struct config_console_size *size;

	if (c == NULL || !c->terminal)
		return socket == NULL ? 0
		                      : error_set(e, 0, "console-socket-unused",
		                                  "--console-socket is for processes with "
		                                  "\"terminal\": true");
	if (socket == NULL && p->plan->options.detached)
		return json_error(json_member(c->at, "terminal"), e, 0, "console-socket-missing",
		                  "nobody would hold the terminal: --console-socket is missing");
	terminal->wanted = true;
	if (!may_have_devpts(p->plan))
		json_warning(json_member(c->at, "terminal"), "terminal-devpts",
		             "there is no devpts on /dev/pts in /mounts to have it from");
	size = c->console_size;
	if (size != NULL && size->height != NULL && size->width != NULL) { /* `check` has told */
		terminal->rows = (unsigned short)*size->height;
		terminal->columns = (unsigned short)*size->width;
	}
	return 0;
}

/* The caller's end -------------------------------------------------------------- */

LAYER_RUN(terminal_connect)
{
	const char *path = plan->options.console_socket;
	int ends[2];

	if (!plan->terminal.wanted)
		return 0;
	if (path != NULL) {
		h->console = unixsock_connect(path, SOCK_STREAM);
		return h->console < 0 ? error_set(e, errno, "console-socket-failed",
		                                  "connect to the console socket %s", path)
		                      : 0;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_set(e, errno, "console-socket-failed", "make a socket pair");
	h->console = ends[0];
	h->console_peer = ends[1];
	return 0;
}

/* The pty --------------------------------------------------------------------------- */

static int
fail(const struct plan *plan, int code, struct error *e, const char *what)
{
	return json_error(terminal_at(plan), e, code, "terminal-failed", "%s", what);
}

static bool
is_ptmx(int fd)
{
	struct statfs fs;
	struct stat st;

	return fstatfs(fd, &fs) == 0 && fs.f_type == DEVPTS_SUPER_MAGIC && fstat(fd, &st) == 0 &&
	       S_ISCHR(st.st_mode) && st.st_rdev == makedev(PTMX_MAJOR, PTMX_MINOR) &&
	       st.st_ino == PTMX_INODE;
}

/* Looked at before it is opened: opening a device may be an act of its own. */
static int
open_ptmx(const struct plan *plan, int root, struct error *e)
{
	autoclose int found = path_open_in_root(root, "/dev/pts/ptmx", O_PATH | O_NOFOLLOW);
	autoclose int ptmx = -1;

	if (found < 0)
		return fail(plan, errno, e, "open /dev/pts/ptmx (is a devpts in /mounts?)");
	if (!is_ptmx(found))
		return fail(plan, 0, e, "/dev/pts/ptmx is not the one of a devpts");
	ptmx = path_open_in_root(root, "/dev/pts/ptmx", O_RDWR | O_NOFOLLOW | O_NOCTTY);
	if (ptmx < 0 || !is_ptmx(ptmx))
		return fail(plan, ptmx < 0 ? errno : 0, e, "open /dev/pts/ptmx");
	return take_fd(&ptmx);
}

/* Standard streams are still the caller's. */
static struct winsize
size_of_caller(void)
{
	struct winsize size = {0};

	for (int fd = 0; fd <= 2 && ioctl(fd, TIOCGWINSZ, &size) < 0; fd++)
		;
	return size;
}

/*
 * As it must be before the program sees it. Served by hako, it has no carriage
 * returns of its own: the caller's terminal adds them, and a pipe wants none.
 */
static int
set_up(const struct plan *plan, int ptmx, struct error *e)
{
	bool served = plan->options.console_socket == NULL;
	struct winsize size = {.ws_row = plan->terminal.rows, .ws_col = plan->terminal.columns};
	struct termios modes;

	if (served && size.ws_row == 0)
		size = size_of_caller();
	if (size.ws_row != 0 && size.ws_col != 0 && ioctl(ptmx, TIOCSWINSZ, &size) < 0)
		return fail(plan, errno, e, "set the size of the terminal");
	if (!served)
		return 0;
	if (tcgetattr(ptmx, &modes) < 0)
		return fail(plan, errno, e, "read the modes of the terminal");
	modes.c_oflag &= ~(tcflag_t)ONLCR;
	if (tcsetattr(ptmx, TCSANOW, &modes) < 0)
		return fail(plan, errno, e, "set the modes of the terminal");
	return 0;
}

static int
open_peer(const struct plan *plan, int ptmx, struct error *e)
{
	int unlock = 0, peer;

	if (ioctl(ptmx, TIOCSPTLCK, &unlock) < 0)
		return fail(plan, errno, e, "unlock the pty");
	if (set_up(plan, ptmx, e) < 0)
		return -1;
	peer = ioctl(ptmx, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return peer < 0 ? fail(plan, errno, e, "open the terminal of the pty") : peer;
}

/* A mount point for the console: a file, made when it is missing, never followed. */
static int
open_console(const struct plan *plan, const struct handles *h, struct error *e)
{
	autoclose int dev = path_make_dirs_in_root(h->rootfs, "/dev");
	autoclose int console = -1;
	struct stat st;

	if (dev < 0)
		return fail(plan, errno, e, "open /dev in the rootfs");
	if (mknodat(dev, "console", S_IFREG | 0600, 0) < 0 && errno != EEXIST)
		return fail(plan, errno, e, "make /dev/console");
	console = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (console < 0 || fstat(console, &st) < 0)
		return fail(plan, errno, e, "open /dev/console");
	if (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode))
		return fail(plan, 0, e,
		            "/dev/console in the rootfs is a symbolic link or a directory");
	return take_fd(&console);
}

static int
mount_console(const struct plan *plan, struct handles *h, struct error *e)
{
	autoclose int console = open_console(plan, h, e);
	autoclose int tree = -1;

	if (console < 0)
		return -1;
	tree = open_tree(h->terminal, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0 || sys_attach(tree, console) < 0)
		return fail(plan, errno, e, "mount the terminal on /dev/console");
	return 0;
}

LAYER_RUN(terminal_open)
{
	/* create: before the pivot, in the rootfs; exec: / is the container's */
	int root = h->rootfs >= 0 ? h->rootfs : AT_FDCWD;
	autoclose int ptmx = -1;

	if (!plan->terminal.wanted)
		return 0;
	ptmx = open_ptmx(plan, root, e);
	if (ptmx < 0)
		return -1;
	h->terminal = open_peer(plan, ptmx, e);
	if (h->terminal < 0)
		return -1;
	if (h->rootfs >= 0 && plan_may_mount(plan) && mount_console(plan, h, e) < 0)
		return -1;
	if (unixsock_send_fd(h->console, "/dev/ptmx", ptmx) < 0)
		return error_set(e, errno, "console-socket-failed",
		                 "send the pty through the console socket");
	close(h->console);
	h->console = -1;
	return 0;
}

/* Init leads a session since it was made: the terminal becomes that session's. */
LAYER_RUN(terminal_take)
{
	if (!plan->terminal.wanted)
		return 0;
	if (ioctl(h->terminal, TIOCSCTTY, 0) < 0)
		return fail(plan, errno, e, "make it the controlling terminal");
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(h->terminal, fd) < 0)
			return fail(plan, errno, e, "make it the standard streams");
	close(h->terminal);
	h->terminal = -1;
	return 0;
}
