/* SPDX-License-Identifier: MIT */
/*
 * The runtime's own binary, out of a container's reach. The last process image
 * before the container's program is hako itself: a container whose program is
 * "/proc/self/exe", or a neighbour with CAP_SYS_PTRACE, can open it, and write
 * to it once nobody runs it any more. Behind a read-only mount that nobody can
 * remount (it is attached nowhere), the open for writing fails with EROFS.
 *
 * The proof that the running image is protected is taken from the kernel each
 * time (ST_RDONLY of /proc/self/exe), never from the environment or argv.
 */
#include "hako/selfexe.h"
#include "hako/mem.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

static const char self[] = "/proc/self/exe";

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

/* A sealed copy in memory: there is no mount to be read-only, the seals say it. */
static bool
is_sealed(void)
{
	autoclose int fd = open(self, O_RDONLY | O_CLOEXEC);
	int seals = fd >= 0 ? fcntl(fd, F_GET_SEALS) : -1;

	return seals >= 0 && (seals & SEALS) == SEALS;
}

/* Nobody but its owner may write it, and the owner is not who runs the container. */
static bool
belongs_to_another(void)
{
	struct stat st;

	return geteuid() != 0 && stat(self, &st) == 0 && st.st_uid != geteuid() &&
	       (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool
is_protected(void)
{
	struct statfs fs;
	struct statx sx;

	if (statfs(self, &fs) < 0)
		return false;
	if ((fs.f_flags & ST_RDONLY) != 0)
		return true;
	if (fs.f_type == TMPFS_MAGIC && is_sealed())
		return true;
	if (belongs_to_another())
		return true;
	return statx(AT_FDCWD, self, 0, STATX_BASIC_STATS, &sx) == 0 &&
	       (sx.stx_attributes & STATX_ATTR_VERITY) != 0;
}

static int
open_readonly_clone(void)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	autoclose int fd = open_tree(AT_FDCWD, self, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -1;
	return take_fd(&fd);
}

/* Executable also where sysctl vm.memfd_noexec is set; older kernels do not know the flag. */
static int
create_memfd(void)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("hako", flags | MFD_EXEC);

	return fd < 0 && errno == EINVAL ? memfd_create("hako", flags) : fd;
}

static int
open_sealed_copy(void)
{
	autoclose int from = open(self, O_RDONLY | O_CLOEXEC);
	autoclose int to = create_memfd();
	struct stat st;

	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return -1;
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = sendfile(to, from, NULL, (size_t)left);

		if (n <= 0)
			return -1;
		left -= n;
	}
	if (fchmod(to, 0500) < 0 || fcntl(to, F_ADD_SEALS, SEALS) < 0)
		return -1;
	return take_fd(&to);
}

int
selfexe_protect(char *const argv[], struct error *e)
{
	autoclose int fd = -1;

	if (is_protected())
		return 0;
	fd = open_readonly_clone();
	if (fd < 0)
		fd = open_sealed_copy();
	if (fd >= 0)
		execveat(fd, "", argv, environ, AT_EMPTY_PATH);
	return error_set(e, errno, "selfexe-failed",
	                 "make a protected copy of hako's own binary (CVE-2019-5736)");
}
