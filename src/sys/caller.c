/* SPDX-License-Identifier: MIT */
/*
 * Where hako has been called (user_namespaces(7), seccomp(2)): perhaps by an
 * ordinary user, in another user namespace than the initial one, in a container
 * with a filter of its own. In another user namespace root has capabilities over
 * what belongs to that namespace alone: not over the host's files, devices and
 * cgroups.
 */
#include "hako/caller.h"
#include "hako/file.h"
#include "hako/mem.h"
#include "hako/passwd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* User namespaces ------------------------------------------------------------------ */

/* Its number is fixed: PROC_USER_INIT_INO of the kernel. */
enum { INITIAL_USER_NAMESPACE = 0xEFFFFFFDU };

bool
caller_is_in_initial_userns(void)
{
	struct stat st;

	return stat("/proc/self/ns/user", &st) < 0 || st.st_ino == INITIAL_USER_NAMESPACE;
}

/* How many ids from `first` on the row of a map has that holds it; 0: none holds it. */
static uint64_t
count_mapped(const char *map, uint64_t first)
{
	for (const char *row = map; row != NULL; row = strchr(row, '\n')) {
		uint64_t inside, size;

		row += *row == '\n';
		if (sscanf(row, "%" SCNu64 " %*u %" SCNu64, &inside, &size) == 2 &&
		    first >= inside && first - inside < size)
			return inside + size - first;
	}
	return 0;
}

bool
caller_has_ids(enum caller_ids ids, uint32_t first, uint32_t count)
{
	const char *file = ids == CALLER_UIDS ? "/proc/self/uid_map" : "/proc/self/gid_map";
	uint64_t id = first, end = id + count, mapped;
	char map[16384]; /* at most 340 rows of 33 bytes */

	if (file_read_at(AT_FDCWD, file, map, sizeof(map)) < 0)
		return true;
	for (; id < end; id += mapped) {
		mapped = count_mapped(map, id);
		if (mapped == 0)
			return false;
	}
	return true;
}

const char *
caller_user_text(uint32_t uid, char *buf, size_t size)
{
	autoclose int passwd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	char name[64];

	if (passwd >= 0 && passwd_lookup(passwd, uid, PASSWD_NAME, name, sizeof(name)) == 0)
		snprintf(buf, size, "%s (uid %u)", name, uid);
	else
		snprintf(buf, size, "uid %u", uid);
	return buf;
}

/* Switches of distributions; a kernel without one has no such file. */
static const struct {
	const char *file, *off, *text;
} switches[] = {
	{"/proc/sys/kernel/unprivileged_userns_clone", "0",
         "user namespaces are for root only (sysctl kernel.unprivileged_userns_clone)"},
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
         "AppArmor restricts user namespaces (sysctl "
         "kernel.apparmor_restrict_unprivileged_userns)"},
};

const char *
caller_why_no_userns(void)
{
	struct statx sx;
	char value[16];

	if (statx(AT_FDCWD, "/", 0, STATX_TYPE, &sx) == 0 &&
	    (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0)
		return "the kernel makes no user namespace in a chroot";
	if (!caller_has_ids(CALLER_UIDS, geteuid(), 1) ||
	    !caller_has_ids(CALLER_GIDS, getegid(), 1))
		return "the user who runs hako is not mapped in its user namespace";
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		if (file_read_at(AT_FDCWD, switches[i].file, value, sizeof(value)) > 0 &&
		    strcmp(value, switches[i].off) == 0)
			return switches[i].text;
	return NULL;
}

/* The value of "\nNAME:" in /proc/self/status; `unknown` when it cannot be read. */
static uint64_t
read_status(const char *name, int base, uint64_t unknown)
{
	char status[8192];
	const char *line;

	if (file_read_at(AT_FDCWD, "/proc/self/status", status, sizeof(status)) < 0)
		return unknown;
	line = strstr(status, name);
	return line != NULL ? strtoull(line + strlen(name), NULL, base) : unknown;
}

uint64_t
caller_ignored_signals(void)
{
	return read_status("\nSigIgn:", 16, UINT64_MAX);
}

/* Seccomp ----------------------------------------------------------------------------- */

bool
caller_has_filter(void)
{
	return read_status("\nSeccomp:", 10, 0) == SECCOMP_MODE_FILTER;
}

/* Calls that the kernel refuses for their arguments, some only after a look at privileges. */
static const struct {
	const char *name;
	long number;
	bool privileged;
	long args[4];
} harmless[] = {
	{"clone3", SYS_clone3, false, {0, 0, 0, 0}},
	{"openat2", SYS_openat2, false, {-1, 0, 0, 0}},
	{"open_tree", SYS_open_tree, false, {-1, 0, -1, 0}},
	{"move_mount", SYS_move_mount, true, {-1, 0, -1, 0}},
	{"fsopen", SYS_fsopen, true, {0, -1, 0, 0}},
	{"fsconfig", SYS_fsconfig, false, {-1, -1, 0, 0}},
	{"fsmount", SYS_fsmount, true, {-1, -1, -1, 0}},
	{"mount_setattr", SYS_mount_setattr, false, {-1, 0, -1, 0}},
	{"pivot_root", SYS_pivot_root, true, {0, 0, 0, 0}},
	{"pidfd_open", SYS_pidfd_open, false, {-1, 0, 0, 0}},
	{"setns", SYS_setns, false, {-1, 0, 0, 0}},
};

bool
caller_is_filtered(char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(harmless) && used < size; i++) {
		const long *a = harmless[i].args;
		bool filtered = syscall(harmless[i].number, a[0], a[1], a[2], a[3], 0) < 0 &&
		                (errno == ENOSYS || (errno == EPERM && !harmless[i].privileged));

		if (filtered)
			used += (size_t)snprintf(buf + used, size - used, "%s%s",
			                         used > 0 ? ", " : "", harmless[i].name);
	}
	return used > 0;
}
