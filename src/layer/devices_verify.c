/* SPDX-License-Identifier: MIT */
/* Device nodes, as they can be found from the root of the process. */
#include "hako/devices.h"
#include "hako/layer.h"
#include "hako/path.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const char *
describe(struct arena *arena, mode_t mode, dev_t device, uid_t uid, gid_t gid, bool made)
{
	char type = S_ISBLK(mode) ? 'b' : S_ISCHR(mode) ? 'c' : S_ISFIFO(mode) ? 'p' : '-';
	const char *text = type == 'p' || type == '-' ? arena_printf(arena, "%c", type)
	                                              : arena_printf(arena, "%c %u:%u", type,
	                                                             major(device), minor(device));

	/* what is bound, or was there before, is as its owner has made it */
	return made ? arena_printf(arena, "%s mode %04o owner %u:%u", text, (unsigned)mode & 07777,
	                           uid, gid)
	            : text;
}

/*
 * Made by hako, with owner and mode: by init as root of the whole machine, or by the
 * parent in a tmpfs of its own (devices_bind.c).
 */
static bool
is_made(const struct plan *plan, struct observed *o, const struct device_plan *d, int fd)
{
	const struct mountinfo *mounts = observed_mounts(o);
	const struct mount_line *line;
	bool is_root;
	struct stat st;

	if (!plan_isolates(plan, CLONE_NEWUSER))
		return plan->options.privileged &&
		       plan_look_up(plan, plan->mount_count, d->path, &st) < 0;
	if (!devices_are_prepared(plan) || fd < 0 || mounts == NULL)
		return false;
	line = mountinfo_find(mounts, observed_mount_id(fd, &is_root));
	return line != NULL && strcmp(line->source, "devices") == 0;
}

static const char *
expect(const struct device_plan *d, const struct observed *o, bool made)
{
	uint32_t uid, gid;

	/* what is not mapped stays the host's root's */
	if (!observed_host_id(o, "uid_map", d->uid, &uid))
		uid = 0;
	if (!observed_host_id(o, "gid_map", d->gid, &gid))
		gid = 0;
	return describe(o->arena, d->mode, d->device, uid, gid, made);
}

static void
verify_device(const struct plan *plan, struct observed *o, struct verdicts *v,
              const struct device_plan *d)
{
	const struct claim claim = {CHECK_DEVICE, d->at, d->path};
	autoclose int fd = -1;
	const char *expected;
	struct stat st;
	bool made;
	int code;

	if (!verdict_begin(v, claim))
		return;
	fd = observed_open_path(o, d->path, false);
	code = errno;
	made = is_made(plan, o, d, fd);
	expected = expect(d, o, made);
	if (fd >= 0 && fstat(fd, &st) == 0)
		verdict_compare(
			v, claim, expected,
			describe(v->arena, st.st_mode, st.st_rdev, st.st_uid, st.st_gid, made));
	else if (code == ENOENT)
		verdict_compare(v, claim, expected, "no such file");
	else
		verdict_unknown(v, claim, "open: %s", error_text(code));
}

/* The one link of /dev that decides whose terminals are made; an image may have the others. */
static void
verify_ptmx(const struct observed *o, struct verdicts *v, const struct symlink_plan *s)
{
	const struct claim claim = {CHECK_DEVICE, NULL, "/dev/ptmx"};
	autoclose int fd = -1;
	char target[PATH_MAX];
	ssize_t n;

	if (!verdict_begin(v, claim))
		return;
	fd = observed_open_path(o, "/dev/ptmx", false);
	n = fd >= 0 ? readlinkat(fd, "", target, sizeof(target) - 1) : -1;
	target[n > 0 ? n : 0] = '\0';
	if (fd < 0 && errno != ENOENT)
		verdict_unknown(v, claim, "open: %s", error_text(errno));
	else
		verdict_compare(v, claim, arena_printf(v->arena, "a link to %s", s->target),
		                n >= 0 ? arena_printf(v->arena, "a link to %s", target)
		                       : "no link");
}

LAYER_VERIFY(devices_verify)
{
	for (size_t i = 0; i < plan->device_count; i++)
		verify_device(plan, o, v, &plan->devices[i]);
	for (size_t i = 0; i < plan->symlink_count; i++)
		if (strcmp(plan->symlinks[i].path, "ptmx") == 0)
			verify_ptmx(o, v, &plan->symlinks[i]);
}
