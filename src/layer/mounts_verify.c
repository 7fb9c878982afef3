/* SPDX-License-Identifier: MIT */
/*
 * Every mount of the plan, found from the root of the process by its destination, and
 * compared with the line of /proc/PID/mountinfo that has its id. What a later mount
 * covers is not looked for. A bind mount shows its source by device and inode.
 */
#include "hako/mounts.h"
#include "hako/file.h"
#include "hako/names.h"
#include "hako/syscall.h"
#include "hako/words.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One mount, what is expected of it when all remounts are counted in, and what there is. */
struct subject {
	const struct plan *plan;
	const struct observed *o;
	struct verdicts *v;
	const struct mount_plan *m;
	uint64_t set;   /* MOUNT_ATTR_... */
	uint64_t known; /* those that the config decides */
	uint64_t propagation;
	const struct mount_line *line;
	int fd; /* its root */
};

static struct claim
claim_of(const struct subject *s, enum check check, const char *member)
{
	const struct json *at = member != NULL ? json_member(s->m->at, member) : NULL;

	return (struct claim){check, at != NULL ? at : s->m->at, s->m->destination};
}

/* Type and source ------------------------------------------------------------------ */

static const char *
type_of_file(mode_t mode)
{
	return S_ISDIR(mode) ? "a directory" : S_ISREG(mode) ? "a file" : "a special file";
}

static bool
verify_type(const struct subject *s)
{
	const struct mount_plan *m = s->m;
	const struct claim claim = claim_of(s, CHECK_MOUNT_TYPE, "type");
	bool bind = m->kind == MOUNT_BIND;

	if (s->line == NULL)
		verdict_add(s->v, claim, false, bind ? "a bind mount" : m->type, "no mount");
	else if (bind)
		verdict_add(s->v, claim, true, "a bind mount", s->line->type);
	else
		verdict_compare(s->v, claim, m->type, s->line->type);
	return s->line != NULL;
}

/* Where init has found the source: below the rootfs an earlier mount may provide it. */
static int
stat_source(const struct subject *s, struct stat *ret)
{
	const char *inside = path_below(s->plan->rootfs, s->m->source);
	autoclose int fd = inside != NULL ? observed_open_path(s->o, inside, true) : -1;

	if (inside != NULL)
		return fd >= 0 ? observed_stat(fd, "", AT_EMPTY_PATH, ret) : -1;
	return observed_stat(AT_FDCWD, s->m->source,
	                     s->m->source_nofollow ? AT_SYMLINK_NOFOLLOW : 0, ret);
}

static void
verify_bind_source(const struct subject *s)
{
	const struct claim claim = claim_of(s, CHECK_MOUNT_SOURCE, "source");
	struct stat source, found;

	if (!verdict_begin(s->v, claim))
		return;
	if (stat_source(s, &source) < 0)
		verdict_unknown(s->v, claim, "%s: %s", s->m->source, error_text(errno));
	else if (observed_stat(s->fd, "", AT_EMPTY_PATH, &found) < 0)
		verdict_unknown(s->v, claim, "look at it: %s", error_text(errno));
	else if (file_is_same(&source, &found))
		verdict_add(s->v, claim, true, s->m->source, s->m->source);
	else
		verdict_add(s->v, claim, false, s->m->source,
		            arena_printf(s->v->arena, "%s of %s, %s there",
		                         type_of_file(found.st_mode), s->line->type,
		                         s->line->root));
}

/* A filesystem bound from the host instead (mounts_shown.c) has the host's words. */
static void
verify_source(const struct subject *s)
{
	const struct mount_plan *m = s->m;
	const char *expected = m->source != NULL ? m->source : "none";

	if (m->kind == MOUNT_BIND)
		verify_bind_source(s);
	else if (m->kind == MOUNT_FILESYSTEM && s->plan->options.privileged &&
	         !plan_isolates(s->plan, CLONE_NEWUSER))
		verdict_compare(s->v, claim_of(s, CHECK_MOUNT_SOURCE, "source"), expected,
		                s->line->source);
}

/* Attributes ------------------------------------------------------------------------ */

/* As mountinfo writes them, and what it writes for the opposite. */
static const struct {
	uint64_t mask;
	uint64_t value;
	const char *word;
	const char *otherwise; /* NULL: shown by another row */
} attributes[] = {
	{MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSUID, "nosuid", "suid"},
	{MOUNT_ATTR_NODEV, MOUNT_ATTR_NODEV, "nodev", "dev"},
	{MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOEXEC, "noexec", "exec"},
	{MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow", "symfollow"},
	{MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NODIRATIME, "nodiratime", "diratime"},
	{MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, "noatime", NULL},
	{MOUNT_ATTR__ATIME, MOUNT_ATTR_RELATIME, "relatime", NULL},
	{MOUNT_ATTR__ATIME, MOUNT_ATTR_STRICTATIME, "strictatime", NULL},
};

static uint64_t
bits_of_line(const struct mount_line *line)
{
	uint64_t bits = MOUNT_ATTR_STRICTATIME;

	if (words_include(line->options, "ro"))
		bits |= MOUNT_ATTR_RDONLY;
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
		if (words_include(line->options, attributes[i].word))
			bits = (bits & ~attributes[i].mask) | attributes[i].value;
	return bits;
}

/* "nosuid nodev exec": those of the mask. */
static const char *
words_of_bits(struct arena *arena, uint64_t bits, uint64_t mask)
{
	const char *list = "";

	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		bool is_set = (bits & attributes[i].mask) == attributes[i].value;
		const char *word = is_set ? attributes[i].word : attributes[i].otherwise;

		if ((mask & attributes[i].mask) != 0 && word != NULL)
			list = arena_printf(arena, "%s%s%s", list, list[0] != '\0' ? " " : "",
			                    word);
	}
	return list;
}

static void
verify_attributes(const struct subject *s)
{
	uint64_t found = bits_of_line(s->line);
	uint64_t mask = s->known & ~(uint64_t)MOUNT_ATTR_RDONLY;

	if ((s->known & MOUNT_ATTR_RDONLY) != 0)
		verdict_compare(s->v, claim_of(s, CHECK_MOUNT_READONLY, "options"),
		                mount_expects_readonly(s->o, s->m, s->line, s->set) ? "ro" : "rw",
		                (found & MOUNT_ATTR_RDONLY) != 0 ? "ro" : "rw");
	if (mask != 0)
		verdict_compare(s->v, claim_of(s, CHECK_MOUNT_OPTIONS, "options"),
		                words_of_bits(s->v->arena, s->set, mask),
		                words_of_bits(s->v->arena, found, mask));
}

/* A read-only path on it or above it has the last word, and so has the lack of a cgroup. */
static bool
is_made_readonly(const struct plan *plan, const struct observed *o, const struct mount_plan *m)
{
	for (size_t i = 0; i < plan->readonly_paths.count; i++)
		if (path_below(plan->readonly_paths.items[i], m->destination) != NULL)
			return true;
	return m->kind == MOUNT_CGROUP && o->cgroup_path == NULL;
}

/* A new filesystem has what it was given and nothing else; a bind also what its source had. */
static void
decide_attributes(struct subject *s, size_t index)
{
	const struct plan *plan = s->plan;

	if (s->m->kind == MOUNT_FILESYSTEM && plan->options.privileged &&
	    !plan_isolates(plan, CLONE_NEWUSER))
		s->known = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
		           MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR_NODIRATIME |
		           MOUNT_ATTR__ATIME;
	for (size_t i = index; i < plan->mount_count; i++) {
		const struct mount_plan *m = &plan->mounts[i];
		uint64_t clear = m->attr_clear | m->recursive_clear;
		uint64_t set = m->attr_set | m->recursive_set |
		               (m->readonly_late ? (uint64_t)MOUNT_ATTR_RDONLY : 0);

		if (i != index && (strcmp(m->destination, s->m->destination) != 0 ||
		                   (m->kind != MOUNT_REMOUNT && m->kind != MOUNT_BIND_REMOUNT)))
			continue;
		s->set = (s->set & ~clear) | set;
		s->known |= set | clear;
		for (size_t k = 0; k < ARRAY_SIZE(m->propagation); k++)
			if (m->propagation[k] != 0)
				s->propagation = m->propagation[k];
	}
	if (is_made_readonly(plan, s->o, s->m)) {
		s->set |= MOUNT_ATTR_RDONLY;
		s->known |= MOUNT_ATTR_RDONLY;
	}
}

/* Propagation ------------------------------------------------------------------------- */

static void
verify_propagation(const struct subject *s)
{
	const char *found = mount_propagation(s->line);
	const char *expected = (s->propagation & MS_SHARED) != 0       ? "shared"
	                       : (s->propagation & MS_UNBINDABLE) != 0 ? "unbindable"
	                       : (s->propagation & MS_PRIVATE) != 0    ? "private"
	                                                               : "slave";

	/* what was said for the whole tree later, decides */
	if (s->plan->root_propagation_after != 0)
		return;
	verdict_add(s->v, claim_of(s, CHECK_MOUNT_PROPAGATION, "options"),
	            strcmp(expected, found) == 0 ||
	                    (strcmp(expected, "slave") == 0 && strcmp(found, "private") == 0),
	            expected, found);
}

/* Data --------------------------------------------------------------------------------- */

/* hidepid: numbers are taken, words are shown. */
static const struct {
	const char *text;
	const char *word;
} hidepids[] = {{"0", "off"}, {"1", "noaccess"}, {"2", "invisible"}, {"4", "ptraceable"}};

static bool
is_same_hidepid(const char *text, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(hidepids); i++)
		if (strcmp(hidepids[i].text, text) == 0)
			return strcmp(hidepids[i].word, word) == 0;
	return false;
}

/* hugetlbfs takes "2MB" as "2M". */
static bool
is_end_of_size(const char *text)
{
	return text[0] == '\0' || strcmp(text, "B") == 0;
}

/* "0755" and "755", "64k" and "65536": the kernel has one way to write it. */
static bool
is_same_value(const char *key, const char *a, const char *b)
{
	static const char suffixes[] = "kmgtpe";
	const char *texts[] = {a, b};
	unsigned long long values[2];
	char *end;

	if (strcmp(a, b) == 0)
		return true;
	if (strcmp(key, "hidepid") == 0)
		return is_same_hidepid(a, b);
	for (size_t i = 0; i < 2; i++) {
		const char *suffix;

		values[i] = strtoull(texts[i], &end, strstr(key, "mode") != NULL ? 8 : 0);
		if (end == texts[i])
			return false;
		suffix = *end != '\0' ? strchr(suffixes, *end | 0x20) : NULL;
		if (*end != '\0' && (suffix == NULL || !is_end_of_size(end + 1)))
			return false;
		if (suffix != NULL)
			values[i] <<= 10 * (suffix - suffixes + 1);
	}
	/* a filesystem counts pages */
	return values[0] == values[1] ||
	       (strcmp(key, "size") == 0 && values[1] / 4096 == (values[0] + 4095) / 4096);
}

static const char *
append(struct arena *arena, const char *list, const char *key, const char *value)
{
	return arena_printf(arena, "%s%s%s=%s", list, list[0] != '\0' ? " " : "", key, value);
}

/* What a remount has said since counts. */
static const char *
last_value(const struct subject *s, const struct string_pair *pair)
{
	const struct plan *plan = s->plan;
	const char *value = pair->value;

	for (const struct mount_plan *m = s->m + 1; m < plan->mounts + plan->mount_count; m++) {
		const char *later =
			m->kind == MOUNT_REMOUNT && strcmp(m->destination, s->m->destination) == 0
				? string_map_find(&m->data, pair->key)
				: NULL;

		value = later != NULL ? later : value;
	}
	return value;
}

/* Ids are shown as the namespace has them, a share of memory as what it came to, nodes as ranges. */
static bool
is_comparable(const struct subject *s, const char *key, const char *value)
{
	bool is_id = strcmp(key, "uid") == 0 || strcmp(key, "gid") == 0;

	return strstr(key, "context") == NULL && strchr(value, '%') == NULL &&
	       strcmp(key, "mpol") != 0 && !(is_id && plan_isolates(s->plan, CLONE_NEWUSER));
}

/* Those that the kernel shows; what is the default it does not. */
static void
verify_data(const struct subject *s)
{
	const char *expected = "", *found = "";

	for (size_t i = 0; i < s->m->data.count; i++) {
		const struct string_pair *pair = &s->m->data.items[i];
		const char *wanted = last_value(s, pair);
		const char *value = mount_value(s->v->arena, s->line->superblock, pair->key);

		if (value == NULL && strcmp(pair->key, "hidepid") == 0 &&
		    !plan_isolates(s->plan, CLONE_NEWUSER))
			value = hidepids[0].word;
		if (value == NULL || !is_comparable(s, pair->key, wanted))
			continue;
		expected = append(s->v->arena, expected, pair->key, wanted);
		found = append(s->v->arena, found, pair->key,
		               is_same_value(pair->key, wanted, value) ? wanted : value);
	}
	if (expected[0] != '\0')
		verdict_compare(s->v, claim_of(s, CHECK_MOUNT_DATA, "options"), expected, found);
}

/* Idmap -------------------------------------------------------------------------------- */

/* An id of the filesystem as it is shown through the map; -1: by none. */
static int64_t
map_id(const char *map, uint32_t id)
{
	unsigned inside, outside, size;

	for (; map != NULL && *map != '\0'; map += strcspn(map, "\n"), map += *map != '\0')
		if (sscanf(map, "%u %u %u", &inside, &outside, &size) == 3 && id >= inside &&
		    id - inside < size)
			return (int64_t)outside + (id - inside);
	return -1;
}

static void
verify_idmap(const struct subject *s)
{
	const struct mount_idmap *map = s->m->idmap;
	const struct claim claim = {CHECK_MOUNT_IDMAP, map != NULL ? map->at : s->m->at,
	                            s->m->destination};
	bool mapped = words_include(s->line->options, "idmapped");
	const char *uids, *gids;
	struct stat source, found;

	if (map == NULL || !mapped) {
		verdict_compare(s->v, claim, map != NULL ? "idmapped" : "not idmapped",
		                mapped ? "idmapped" : "not idmapped");
		return;
	}
	uids = map->uid_map != NULL ? map->uid_map : observed_read(s->o, "uid_map", NULL);
	gids = map->gid_map != NULL ? map->gid_map : observed_read(s->o, "gid_map", NULL);
	if (stat_source(s, &source) < 0 || observed_stat(s->fd, "", AT_EMPTY_PATH, &found) < 0 ||
	    uids == NULL || gids == NULL)
		verdict_unknown(s->v, claim, "look at its owner: %s", error_text(errno));
	else if (map_id(uids, source.st_uid) < 0 || map_id(gids, source.st_gid) < 0)
		verdict_add(s->v, claim, true, "idmapped", "idmapped");
	else
		verdict_compare(
			s->v, claim,
			arena_printf(s->v->arena, "owner %lld:%lld",
		                     (long long)map_id(uids, source.st_uid),
		                     (long long)map_id(gids, source.st_gid)),
			arena_printf(s->v->arena, "owner %u:%u", found.st_uid, found.st_gid));
}

/* All of them -------------------------------------------------------------------------- */

/* What comes later is mounted over it, or above it. */
static bool
is_hidden(const struct plan *plan, size_t i)
{
	const char *destination = plan->mounts[i].destination;

	for (size_t k = i + 1; k < plan->mount_count; k++) {
		const struct mount_plan *m = &plan->mounts[k];

		if (m->kind != MOUNT_REMOUNT && m->kind != MOUNT_BIND_REMOUNT &&
		    path_below(m->destination, destination) != NULL)
			return true;
	}
	for (size_t k = 0; k < plan->masked_paths.count; k++)
		if (path_below(plan->masked_paths.items[k], destination) != NULL)
			return true;
	return false;
}

static bool
is_wanted(const struct verdicts *v, const struct mount_plan *m)
{
	for (enum check i = CHECK_MOUNT_TYPE; i <= CHECK_MOUNT_IDMAP; i++)
		if (verdicts_want(v, i, m->destination))
			return true;
	return false;
}

/* copy-symlink: there is a link, and no mount. */
static bool
verify_link(const struct subject *s)
{
	char expected[PATH_MAX], found[PATH_MAX];
	ssize_t length = readlink(s->m->source, expected, sizeof(expected) - 1);
	ssize_t other;

	if (!s->m->copy_symlink || length < 0)
		return false;
	expected[length] = '\0';
	other = s->fd >= 0 ? readlinkat(s->fd, "", found, sizeof(found) - 1) : -1;
	found[other > 0 ? other : 0] = '\0';
	verdict_compare(s->v, claim_of(s, CHECK_MOUNT_SOURCE, "source"), expected,
	                other >= 0 ? found : "no link");
	return true;
}

static void
verify_mount(struct subject *s, const struct mountinfo *mounts)
{
	bool is_root = false, follow = !s->m->destination_nofollow && !s->m->copy_symlink;
	autoclose int fd = -1;
	uint64_t id;

	if (!verdict_begin_first(s->v, claim_of(s, CHECK_MOUNT_TYPE, "type")))
		return;
	fd = observed_open_path(s->o, s->m->destination, follow);
	s->fd = fd;
	if (fd < 0 && errno != ENOENT && errno != ENOTDIR) {
		verdict_unknown(s->v, claim_of(s, CHECK_MOUNT_TYPE, "type"), "open: %s",
		                error_text(errno));
		return;
	}
	if (verify_link(s))
		return;
	id = fd >= 0 ? observed_mount_id(fd, &is_root) : 0;
	s->line = is_root ? mountinfo_find(mounts, id) : NULL;
	if (!verify_type(s))
		return;
	verify_source(s);
	verify_attributes(s);
	verify_data(s);
	verify_propagation(s);
	if (s->m->kind == MOUNT_BIND)
		verify_idmap(s);
}

LAYER_VERIFY(mounts_verify)
{
	const struct mountinfo *mounts = observed_mounts(o);

	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct mount_plan *m = &plan->mounts[i];
		struct subject s = {.plan = plan, .o = o, .v = v, .m = m, .fd = -1};

		if (m->kind == MOUNT_REMOUNT || m->kind == MOUNT_BIND_REMOUNT ||
		    is_hidden(plan, i) || !is_wanted(v, m))
			continue;
		if (mounts == NULL) {
			verdict_unknown(v, claim_of(&s, CHECK_MOUNT_TYPE, "type"),
			                "/proc/PID/mountinfo: %s", error_text(errno));
			continue;
		}
		decide_attributes(&s, i);
		verify_mount(&s, mounts);
	}
}
