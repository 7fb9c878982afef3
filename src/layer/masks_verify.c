/* SPDX-License-Identifier: MIT */
/*
 * Masked and read-only paths, by trying: a masked file has nothing to read, a masked
 * directory no entry; what is read-only says so to who asks for access.
 */
#include "hako/layer.h"
#include "hako/path.h"
#include "hako/syscall.h"
#include "hako/words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* What does not exist needs no cover. */
static int
open_path(const struct observed *o, struct claim claim, struct verdicts *v)
{
	int fd;

	if (!verdict_begin(v, claim))
		return -1;
	fd = observed_open_path(o, claim.subject, true);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		verdict_add(v, claim, true, "nothing is there", "nothing is there");
	else if (fd < 0)
		verdict_unknown(v, claim, "open: %s", error_text(errno));
	return fd;
}

/* Masked ------------------------------------------------------------------------- */

static const char *
look_into_directory(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *entry = NULL;
	struct statvfs fs;

	if (dir == NULL)
		return "a directory that cannot be read";
	do
		entry = readdir(dir);
	while (entry != NULL && entry->d_name[0] == '.' && strspn(entry->d_name, ".") <= 2 &&
	       entry->d_name[strspn(entry->d_name, ".")] == '\0');
	closedir(dir);
	if (entry != NULL)
		return "a directory with something in it";
	if (fstatvfs(fd, &fs) < 0 || (fs.f_flag & ST_RDONLY) == 0)
		return "a directory that can be written to";
	return NULL;
}

/* Why it is not masked; NULL: it is. */
static const char *
look_into(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return "a file that cannot be looked at";
	if (S_ISDIR(st.st_mode))
		return look_into_directory(fd);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return "a file with its own content";
	return NULL;
}

LAYER_VERIFY(masks_verify)
{
	for (size_t i = 0; i < plan->masked_paths.count; i++) {
		const char *path = plan->masked_paths.items[i];
		const struct claim claim = {CHECK_MASKED_PATH, strings_at(&plan->masked_paths, i),
		                            path};
		autoclose int fd =
			strings_repeat(&plan->masked_paths, i) ? -1 : open_path(o, claim, v);
		const char *why = fd >= 0 ? look_into(fd) : NULL;

		if (fd >= 0)
			verdict_add(v, claim, why == NULL, "nothing to be read or written",
			            why != NULL ? why : "nothing to be read or written");
	}
}

/* Read-only ------------------------------------------------------------------------ */

/* A mount below that can be written to, or NULL. */
static const char *
find_writable(const struct plan *plan, struct observed *o, const char *path)
{
	const struct mountinfo *mounts = observed_mounts(o);

	for (size_t i = 0; mounts != NULL && i < mounts->count; i++) {
		const char *point = mounts->lines[i].point, *rest = path_below(path, point);

		if (rest != NULL && rest[0] != '\0' &&
		    !strings_include(&plan->masked_paths, point) &&
		    mountinfo_at(mounts, point) == &mounts->lines[i] &&
		    !words_include(mounts->lines[i].options, "ro"))
			return point;
	}
	return NULL;
}

static void
verify_readonly(const struct plan *plan, struct observed *o, struct claim claim, int fd,
                struct verdicts *v)
{
	const char *below = NULL;
	struct statvfs fs;

	if (fstatvfs(fd, &fs) < 0) {
		verdict_unknown(v, claim, "look at its filesystem: %s", error_text(errno));
		return;
	}
	if ((fs.f_flag & ST_RDONLY) != 0)
		below = find_writable(plan, o, claim.subject);
	if (below != NULL)
		verdict_add(v, claim, false, "read-only",
		            arena_printf(v->arena, "%s can be written to", below));
	else
		verdict_compare(v, claim, "read-only",
		                (fs.f_flag & ST_RDONLY) != 0 ? "read-only"
		                                             : "it can be written to");
}

LAYER_VERIFY(masks_verify_readonly)
{
	for (size_t i = 0; i < plan->readonly_paths.count; i++) {
		const char *path = plan->readonly_paths.items[i];
		const struct claim claim = {CHECK_READONLY_PATH,
		                            strings_at(&plan->readonly_paths, i), path};
		autoclose int fd = -1;

		if (strings_include(&plan->masked_paths, path) ||
		    strings_repeat(&plan->readonly_paths, i))
			continue;
		fd = open_path(o, claim, v);
		if (fd >= 0)
			verify_readonly(plan, o, claim, fd, v);
	}
}
