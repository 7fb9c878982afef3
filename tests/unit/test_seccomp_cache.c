/* SPDX-License-Identifier: MIT */
/*
 * The cache of seccomp programs: what was put in comes out, and everything that
 * must not be believed is not.
 */
#include "hako/seccomp.h"
#include "hako/layer.h"
#include "hako/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena arena;

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

struct cache {
	char root[32];
	int dir;
};

static struct cache
make_cache(void)
{
	struct cache c = {.root = "/tmp/hako-test-XXXXXX"};

	assert_non_null(mkdtemp(c.root));
	c.dir = open(c.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(c.dir >= 0);
	return c;
}

static void
remove_cache(struct cache *c)
{
	int dir = openat(c->dir, ".cache/seccomp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = dir >= 0 ? fdopendir(dir) : NULL;
	const struct dirent *entry;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
		if (unlinkat(dir, entry->d_name, 0) < 0)
			(void)unlinkat(dir, entry->d_name, AT_REMOVEDIR);
	if (stream != NULL)
		closedir(stream);
	(void)unlinkat(c->dir, ".cache/seccomp", AT_REMOVEDIR);
	(void)unlinkat(c->dir, ".cache", AT_REMOVEDIR);
	close(c->dir);
	assert_int_equal(rmdir(c->root), 0);
}

/* The one regular file in the cache; "" when there is none. */
static const char *
cached_file(const struct cache *c)
{
	char *path = arena_alloc(&arena, 512);
	int dir = openat(c->dir, ".cache/seccomp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = dir >= 0 ? fdopendir(dir) : NULL;
	const struct dirent *entry;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
		if (entry->d_name[0] != '.')
			snprintf(path, 512, "%s/.cache/seccomp/%s", c->root, entry->d_name);
	if (stream != NULL)
		closedir(stream);
	return path;
}

static const struct sock_filter stored[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
	BPF_STMT(BPF_RET | BPF_K, 0x7fff0000),
};

static void
test_keeps(void **state)
{
	struct cache c = make_cache();
	struct seccomp_key key = {"{\"profile\": 1}", 14, {2, 5, 4}}, other;
	static struct sock_filter filter[BPF_MAXINSNS];

	(void)state;
	assert_int_equal(seccomp_cache_load(c.dir, &key, filter), 0);
	seccomp_cache_store(c.dir, &key, stored, 2);
	assert_int_equal(seccomp_cache_load(c.dir, &key, filter), 2);
	assert_memory_equal(filter, stored, sizeof(stored));
	other = key;
	other.version[2]++;
	assert_int_equal(seccomp_cache_load(c.dir, &other, filter), 0);
	other = key;
	other.text = "{\"profile\": 2}";
	assert_int_equal(seccomp_cache_load(c.dir, &other, filter), 0);
	other.text = NULL;
	seccomp_cache_store(c.dir, &other, stored, 2);
	assert_int_equal(seccomp_cache_load(c.dir, &other, filter), 0);
	assert_int_equal(seccomp_cache_load(-1, &key, filter), 0);
	remove_cache(&c);
}

/* Two profiles with the same hash are still two profiles. */
static void
test_collision(void **state)
{
	struct cache c = make_cache();
	struct seccomp_key key = {"{\"profile\": 1}", 14, {2, 5, 4}}, other = key;
	static struct sock_filter filter[BPF_MAXINSNS];
	char *first, *second;

	(void)state;
	seccomp_cache_store(c.dir, &key, stored, 2);
	first = arena_strdup(&arena, cached_file(&c));
	assert_int_equal(rename(first, arena_printf(&arena, "%s/first", c.root)), 0);
	other.text = "{\"profile\": 2}";
	seccomp_cache_store(c.dir, &other, stored, 2);
	second = arena_strdup(&arena, cached_file(&c));
	assert_string_not_equal(first, second);
	assert_int_equal(rename(arena_printf(&arena, "%s/first", c.root), second), 0);
	assert_int_equal(seccomp_cache_load(c.dir, &other, filter), 0);
	seccomp_cache_store(c.dir, &other, stored, 2);
	assert_int_equal(seccomp_cache_load(c.dir, &other, filter), 2);
	remove_cache(&c);
}

static void
truncate_by(const char *path, off_t bytes)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - bytes), 0);
}

static void
damage_short(const char *path)
{
	truncate_by(path, (off_t)sizeof(struct sock_filter));
}
static void
damage_odd(const char *path)
{
	truncate_by(path, 3);
}
static void
damage_empty(const char *path)
{
	assert_int_equal(truncate(path, 0), 0);
}
static void
damage_long(const char *path)
{
	truncate_by(path, -(off_t)sizeof(struct sock_filter));
}
static void
damage_huge(const char *path)
{
	truncate_by(path, -(off_t)(BPF_MAXINSNS * sizeof(struct sock_filter)));
}
static void
damage_mode(const char *path)
{
	assert_int_equal(chmod(path, 0620), 0);
}
static void
damage_world(const char *path)
{
	assert_int_equal(chmod(path, 0602), 0);
}
static void
damage_symlink(const char *path)
{
	const char *target = arena_printf(&arena, "%s.real", path);

	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink(target, path), 0);
}
static void
damage_fifo(const char *path)
{
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
}
static void
damage_owner(const char *path)
{
	assert_true(geteuid() != 0 || chown(path, 1, 1) == 0);
	if (geteuid() != 0)
		assert_int_equal(unlink(path), 0);
}

static void
test_damage(void **state)
{
	static void (*const damages[])(const char *path) = {
		damage_short, damage_odd,     damage_empty, damage_long,  damage_huge,
		damage_mode,  damage_symlink, damage_fifo,  damage_world, damage_owner,
	};
	struct seccomp_key key = {"{\"profile\": 1}", 14, {2, 5, 4}};
	static struct sock_filter filter[BPF_MAXINSNS];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		struct cache c = make_cache();

		seccomp_cache_store(c.dir, &key, stored, 2);
		assert_int_equal(seccomp_cache_load(c.dir, &key, filter), 2);
		damages[i](cached_file(&c));
		assert_int_equal(seccomp_cache_load(c.dir, &key, filter), 0);
		seccomp_cache_store(c.dir, &key, stored, 2);
		assert_int_equal(seccomp_cache_load(c.dir, &key, filter), 2);
		remove_cache(&c);
	}
}

/* One wrong bit anywhere. */
static void
test_bits(void **state)
{
	struct cache c = make_cache();
	struct seccomp_key key = {"{\"profile\": 1}", 14, {2, 5, 4}};
	static struct sock_filter filter[BPF_MAXINSNS];
	struct stat st;
	int fd;

	(void)state;
	seccomp_cache_store(c.dir, &key, stored, 2);
	fd = open(cached_file(&c), O_RDWR | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t i = 0; i < st.st_size; i++) {
		unsigned char byte, wrong;

		assert_int_equal(pread(fd, &byte, 1, i), 1);
		wrong = byte ^ (unsigned char)(1U << (i % 8));
		assert_int_equal(pwrite(fd, &wrong, 1, i), 1);
		assert_int_equal(seccomp_cache_load(c.dir, &key, filter), 0);
		assert_int_equal(pwrite(fd, &byte, 1, i), 1);
	}
	assert_int_equal(seccomp_cache_load(c.dir, &key, filter), 2);
	close(fd);
	remove_cache(&c);
}

static void
test_bounds(void **state)
{
	struct cache c = make_cache();
	static struct sock_filter filter[BPF_MAXINSNS];
	static char big[100 << 10];
	struct seccomp_key key = {NULL, 0, {2, 5, 4}}, large = {big, sizeof(big), {2, 5, 4}};
	unsigned kept = 0;

	(void)state;
	seccomp_cache_store(c.dir, &large, stored, 2);
	assert_int_equal(seccomp_cache_load(c.dir, &large, filter), 0);
	for (int i = 0; i < 300; i++) {
		key.text = arena_printf(&arena, "profile %d", i);
		key.length = strlen(key.text);
		seccomp_cache_store(c.dir, &key, stored, 2);
		kept += seccomp_cache_load(c.dir, &key, filter) == 2;
	}
	assert_in_range(kept, 250, 256);
	/* what is there can still be replaced */
	key.text = "profile 0";
	key.length = strlen(key.text);
	seccomp_cache_store(c.dir, &key, stored, 1);
	assert_int_equal(seccomp_cache_load(c.dir, &key, filter), 1);
	remove_cache(&c);
}

/* With seccomp_compile() -------------------------------------------------------- */

#define PROFILE                                                                                    \
	"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": [\"read\"], "          \
	"\"action\": \"SCMP_ACT_ALLOW\"}]}"

static void
plan_filter(struct plan *plan)
{
	static const char text[] = "{\"ociVersion\": \"1.2.0\", \"root\": {\"path\": \"r\"}, "
				   "\"linux\": {\"seccomp\": " PROFILE "}}";
	struct planner p = {.arena = &arena, .plan = plan};
	struct json_doc *doc;
	struct error e = {0};

	memset(plan, 0, sizeof(*plan));
	if (json_parse(&arena, "config.json", text, strlen(text), &doc, &e) < 0 ||
	    config_decode(&arena, doc, &p.config, &e) < 0 || seccomp_plan(&p, &e) < 0)
		fail_msg("%s: %s", e.at, e.msg);
	plan->config = p.config;
}

static void
assert_compiled(const struct plan *plan, int root_dir)
{
	struct handles h = {.root_dir = root_dir};
	struct error e = {0};

	plan->seccomp->length = 0;
	memset(plan->seccomp->filter, 0, sizeof(struct sock_filter));
	if (seccomp_compile(plan, &h, &e) < 0)
		fail_msg("%s: %s", e.at, e.msg);
	assert_int_not_equal(plan->seccomp->length, 0);
}

/* What is in the cache is taken: libseccomp has no part in it. */
static void
test_hit(void **state)
{
	static struct sock_filter compiled[BPF_MAXINSNS];
	struct seccomp_key key = {PROFILE, sizeof(PROFILE) - 1, {0}};
	struct cache c = make_cache();
	struct plan plan;
	uint32_t length;

	(void)state;
	plan_filter(&plan);
	assert_compiled(&plan, c.dir);
	length = plan.seccomp->length;
	memcpy(compiled, plan.seccomp->filter, length * sizeof(*compiled));
	assert_compiled(&plan, c.dir);
	assert_int_equal(plan.seccomp->length, length);
	assert_memory_equal(plan.seccomp->filter, compiled, length * sizeof(*compiled));

	seccomp_library_version(key.version);
	seccomp_cache_store(c.dir, &key, stored, 2);
	assert_compiled(&plan, c.dir);
	assert_int_equal(plan.seccomp->length, 2);
	remove_cache(&c);
}

/* A root that cannot be written only costs time. */
static void
test_no_directory(void **state)
{
	int dir = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct plan plan;

	(void)state;
	plan_filter(&plan);
	assert_compiled(&plan, dir);
	close(dir);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_keeps, teardown),
		cmocka_unit_test_teardown(test_collision, teardown),
		cmocka_unit_test_teardown(test_damage, teardown),
		cmocka_unit_test_teardown(test_bits, teardown),
		cmocka_unit_test_teardown(test_bounds, teardown),
		cmocka_unit_test_teardown(test_hit, teardown),
		cmocka_unit_test_teardown(test_no_directory, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
