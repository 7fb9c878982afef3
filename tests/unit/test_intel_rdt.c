/* SPDX-License-Identifier: MIT */
/*
 * Groups of resctrl, in a folder that looks like it: which are made, what is
 * written to them, which are removed. What the kernel would put into a new group
 * is put there between the steps.
 */
#include "hako/intel_rdt.h"
#include "hako/file.h"
#include "hako/layer.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PID = 4711 };

static struct arena arena;
static char root[32];
static struct plan plan;
static struct handles h;
static struct error e;

static void
put(const char *path, const char *text)
{
	int fd = openat(h.resctrl, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* A group as the kernel makes it. */
static void
populate(const char *group)
{
	put(arena_printf(&arena, "%s/tasks", group), "");
	put(arena_printf(&arena, "%s/schemata", group), "    L3:0=fff;1=fff\n    MB:0=100;1=100\n");
	(void)mkdirat(h.resctrl, arena_printf(&arena, "%s/mon_groups", group), 0755);
}

static void
make_group(const char *group)
{
	assert_int_equal(mkdirat(h.resctrl, group, 0755), 0);
	populate(group);
}

static bool
exists(const char *path)
{
	return faccessat(h.resctrl, path, F_OK, 0) == 0;
}

static void
assert_holds(const char *path, const char *expected)
{
	char text[512];

	assert_true(file_read_at(h.resctrl, path, text, sizeof(text)) >= 0);
	assert_string_equal(text, expected);
}

/* A file of the kernel takes what is written as a whole; what was there before stays behind here. */
static void
assert_begins(const char *path, const char *expected)
{
	char text[512];

	assert_true(file_read_at(h.resctrl, path, text, sizeof(text)) >= 0);
	text[strlen(expected)] = '\0';
	assert_string_equal(text, expected);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/hako-test-XXXXXX");
	assert_non_null(mkdtemp(root));
	memset(&plan, 0, sizeof(plan));
	memset(&e, 0, sizeof(e));
	handles_init(&h);
	h.init_pid = PID;
	h.resctrl = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(h.resctrl >= 0);
	populate(".");
	assert_int_equal(mkdirat(h.resctrl, "info", 0755), 0);
	put("info/last_cmd_status", "ok\n");
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
teardown(void **state)
{
	(void)state;
	close(h.resctrl);
	arena_free(&arena);
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
decide(const char *rdt)
{
	const char *text = arena_printf(
		&arena,
		"{\"ociVersion\": \"1.3.0\", \"root\": {\"path\": \"r\"}, \"linux\": {\"intelRdt\": %s}}",
		rdt);
	struct planner planner = {.arena = &arena, .plan = &plan};
	struct json_doc *doc;

	assert_int_equal(json_parse(&arena, "config.json", text, strlen(text), &doc, &e), 0);
	assert_int_equal(config_decode(&arena, doc, &planner.config, &e), 0);
	plan.config = planner.config;
	plan.options.id = "box";
	assert_int_equal(intel_rdt_plan(&planner, &e), 0);
}

/* Find, make, and what the kernel does then. */
static void
make(const char *group)
{
	if (intel_rdt_find(&plan, &h, &e) < 0 || intel_rdt_make(&plan, &h, &e) < 0)
		fail_msg("%s %s", e.at, e.msg);
	if (h.resctrl_new)
		populate(group);
	if (plan.intel_rdt.monitor != NULL)
		put(arena_printf(&arena, "%s/tasks", plan.intel_rdt.monitor), "");
}

static void
join(void)
{
	if (intel_rdt_join(&plan, &h, &e) < 0)
		fail_msg("%s %s", e.at, e.msg);
}

/* rmdir of a group takes all of its files along. */
static void
empty(const char *path)
{
	nftw(arena_printf(&arena, "%s/%s", root, path), remove_one, 8, FTW_DEPTH | FTW_PHYS);
	assert_int_equal(mkdirat(h.resctrl, path, 0755), 0);
}

static void
undo(void)
{
	const struct state state = {.resctrl_path = h.resctrl_path};

	if (h.resctrl_path != NULL)
		empty(h.resctrl_path);
	assert_int_equal(intel_rdt_undo(&state, &h, &e), 0);
	assert_int_equal(intel_rdt_undo(&state, &h, &e), 0); /* and once more */
}

static void
test_not_asked_for(void **state)
{
	(void)state;
	assert_int_equal(intel_rdt_find(&plan, &h, &e), 0);
	assert_int_equal(intel_rdt_make(&plan, &h, &e), 0);
	assert_int_equal(intel_rdt_join(&plan, &h, &e), 0);
	assert_null(h.resctrl_path);
	assert_holds("tasks", "");
}

static void
test_group_of_the_id(void **state)
{
	(void)state;
	decide("{\"l3CacheSchema\": \"L3:0=f\", \"memBwSchema\": \"MB:0=20\", "
	       "\"schemata\": [\"L2:0=3\", \"L3:1=f0\"]}");
	make("box");
	join();
	assert_begins("box/schemata", "L3:0=f\nMB:0=20\nL2:0=3\nL3:1=f0\n");
	assert_holds("box/tasks", "4711");
	assert_string_equal(h.resctrl_path, "box");
	undo();
	assert_false(exists("box"));
}

static void
test_group_of_the_id_without_schemata(void **state)
{
	(void)state;
	decide("{}");
	make("box");
	join();
	assert_holds("box/tasks", "4711");
	assert_holds("box/schemata", "    L3:0=fff;1=fff\n    MB:0=100;1=100");
	undo();
	assert_false(exists("box"));
}

static void
test_group_that_was_there_stays(void **state)
{
	(void)state;
	make_group("box");
	decide("{\"schemata\": [\"L3:0=f\"]}");
	make("box");
	join();
	assert_holds("box/tasks", "4711");
	assert_null(h.resctrl_path);
	undo();
	assert_true(exists("box"));
}

static void
test_named_group_is_made_and_stays(void **state)
{
	(void)state;
	decide("{\"closID\": \"gold\", \"l3CacheSchema\": \"L3:0=f\"}");
	make("gold");
	join();
	assert_begins("gold/schemata", "L3:0=f\n");
	assert_holds("gold/tasks", "4711");
	assert_null(h.resctrl_path);
	undo();
	assert_true(exists("gold"));
}

static void
test_named_group_without_schemata(void **state)
{
	(void)state;
	decide("{\"closID\": \"gold\"}");
	assert_int_equal(intel_rdt_find(&plan, &h, &e), -1);
	assert_string_equal(e.id, "rdt-no-group");
	assert_non_null(strstr(e.at, " /linux/intelRdt/closID"));
	assert_false(exists("gold"));
	make_group("gold");
	make("gold");
	join();
	assert_holds("gold/tasks", "4711");
	assert_holds("gold/schemata", "    L3:0=fff;1=fff\n    MB:0=100;1=100");
}

static void
test_root_group(void **state)
{
	(void)state;
	decide("{\"closID\": \"/\"}");
	make(".");
	join();
	assert_holds("tasks", "4711");
	assert_null(h.resctrl_path);
}

/* What an existing group of that name must have. */
static void
test_comparison(void **state)
{
	static const struct {
		const char *wanted;
		bool same;
	} cases[] = {
		{"\"l3CacheSchema\": \"L3:0=fff;1=fff\"", true},
		{"\"l3CacheSchema\": \"L3:1=FFF;0=fff\"", true},
		{"\"l3CacheSchema\": \"L3:0=0fff\"", true},
		{"\"l3CacheSchema\": \"L3:0=fff;1=fff;\"", true},
		{"\"l3CacheSchema\": \"L3:\"", true},
		{"\"memBwSchema\": \"MB:1=100;0=100\"", true},
		{"\"l3CacheSchema\": \"L3:0=fff\\nMB:0=100\"", true},
		{"\"l3CacheSchema\": \"L3:0=fff\", \"memBwSchema\": \"MB:1=100\"", true},
		{"\"l3CacheSchema\": \"L3:0=ff\"", false},
		{"\"l3CacheSchema\": \"L3:0=ffff\"", false},
		{"\"l3CacheSchema\": \"L3:0=fff;2=fff\"", false},
		{"\"l3CacheSchema\": \"L3:00=fff\"", false},
		{"\"l3CacheSchema\": \"L2:0=fff\"", false},
		{"\"l3CacheSchema\": \"L:0=fff\"", false},
		{"\"l3CacheSchema\": \"L3CODE:0=fff\"", false},
		{"\"l3CacheSchema\": \"L3\"", false},
		{"\"l3CacheSchema\": \"L3:0\"", false},
		{"\"l3CacheSchema\": \"L3:0=fff\\nMB:0=10\"", false},
		{"\"l3CacheSchema\": \"L3:0=fff\", \"memBwSchema\": \"MB:1=10\"", false},
		{"\"memBwSchema\": \"MB:1=1000\"", false},
	};

	(void)state;
	make_group("gold");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int rc;

		decide(arena_printf(&arena, "{\"closID\": \"gold\", %s}", cases[i].wanted));
		rc = intel_rdt_find(&plan, &h, &e);
		if (rc != (cases[i].same ? 0 : -1))
			fail_msg("%s", cases[i].wanted);
		if (rc < 0)
			assert_string_equal(e.id, "rdt-differs");
	}
	/* the specification has schemata written, not compared */
	decide("{\"closID\": \"gold\", \"schemata\": [\"L3:0=1\"]}");
	make("gold");
	join();
	assert_begins("gold/schemata", "L3:0=1\n");
}

static void
test_monitoring(void **state)
{
	(void)state;
	make_group("gold");
	decide("{\"closID\": \"gold\", \"enableMonitoring\": true}");
	make("gold");
	join();
	assert_holds("gold/tasks", "4711");
	assert_holds("gold/mon_groups/box/tasks", "4711");
	assert_string_equal(h.resctrl_path, "gold/mon_groups/box");
	undo();
	assert_false(exists("gold/mon_groups/box"));
	assert_true(exists("gold/mon_groups"));
}

static void
test_monitoring_in_the_root(void **state)
{
	(void)state;
	decide("{\"closID\": \"/\", \"enableMonitoring\": true}");
	make(".");
	join();
	assert_holds("mon_groups/box/tasks", "4711");
	assert_string_equal(h.resctrl_path, "mon_groups/box");
	undo();
	assert_false(exists("mon_groups/box"));
}

/* It goes with the group that it is in. */
static void
test_monitoring_in_an_own_group(void **state)
{
	(void)state;
	decide("{\"enableMonitoring\": true}");
	assert_int_equal(intel_rdt_find(&plan, &h, &e), 0);
	assert_string_equal(h.resctrl_path, "box");
	/* the kernel makes mon_groups at once */
	assert_int_equal(mkdirat(h.resctrl, "box", 0755), 0);
	assert_int_equal(mkdirat(h.resctrl, "box/mon_groups", 0755), 0);
	h.resctrl_new = false;
	assert_int_equal(intel_rdt_make(&plan, &h, &e), 0);
	populate("box");
	put("box/mon_groups/box/tasks", "");
	join();
	assert_holds("box/mon_groups/box/tasks", "4711");
	undo();
	assert_false(exists("box"));
}

static void
test_monitoring_group_of_another(void **state)
{
	(void)state;
	make_group("gold");
	assert_int_equal(mkdirat(h.resctrl, "gold/mon_groups/box", 0755), 0);
	decide("{\"closID\": \"gold\", \"enableMonitoring\": true}");
	assert_int_equal(intel_rdt_find(&plan, &h, &e), -1);
	assert_int_equal(e.code, EEXIST);
	assert_null(h.resctrl_path);
}

/* Somebody else was faster: then it is not ours to remove. */
static void
test_race(void **state)
{
	(void)state;
	decide("{}");
	assert_int_equal(intel_rdt_find(&plan, &h, &e), 0);
	make_group("box");
	assert_int_equal(intel_rdt_make(&plan, &h, &e), -1);
	assert_int_equal(e.code, EEXIST);
	assert_null(h.resctrl_path);
	undo();
	assert_true(exists("box"));
}

static void
test_race_for_a_name(void **state)
{
	(void)state;
	decide("{\"closID\": \"gold\", \"l3CacheSchema\": \"L3:0=f\"}");
	assert_int_equal(intel_rdt_find(&plan, &h, &e), 0);
	make_group("gold");
	assert_int_equal(intel_rdt_make(&plan, &h, &e), 0);
	join();
	assert_begins("gold/schemata", "L3:0=f\n");
}

/* The kernel takes the files of a group along: rmdir(2) of a fake one needs it to be empty. */
static void
test_take_back(void **state)
{
	(void)state;
	intel_rdt_take_back(&plan, &h);
	decide("{\"closID\": \"gold\", \"l3CacheSchema\": \"L3:0=f\"}");
	assert_int_equal(intel_rdt_find(&plan, &h, &e), 0);
	assert_int_equal(intel_rdt_make(&plan, &h, &e), 0);
	put("gold/tasks", "99\n"); /* somebody else's */
	intel_rdt_take_back(&plan, &h);
	assert_true(exists("gold/tasks"));
	put("gold/tasks", "");
	errno = 0;
	intel_rdt_take_back(&plan, &h);
	assert_int_equal(errno, ENOTEMPTY); /* it was tried */
	unlinkat(h.resctrl, "gold/tasks", 0);
	intel_rdt_take_back(&plan, &h);
	assert_true(exists("gold")); /* without tasks it is no group */
}

static void
test_exec_only_joins(void **state)
{
	(void)state;
	make_group("gold");
	decide("{\"closID\": \"gold\", \"l3CacheSchema\": \"L3:0=f\"}");
	h.target_pidfd = 0;
	h.init_pid = 99;
	join();
	assert_holds("gold/tasks", "99");
	assert_holds("gold/schemata", "    L3:0=fff;1=fff\n    MB:0=100;1=100");
}

static void
test_update(void **state)
{
	const char *before;

	(void)state;
	make_group("box");
	decide("{\"memBwSchema\": \"MB:0=20\"}");
	if (intel_rdt_update(&plan.intel_rdt, &h, &arena, &before, &e) < 0)
		fail_msg("%s", e.msg);
	assert_begins("box/schemata", "MB:0=20\n");
	assert_string_equal(before, "    L3:0=fff;1=fff\n    MB:0=100;1=100\n");
	plan.intel_rdt.schemata = before;
	assert_int_equal(intel_rdt_update(&plan.intel_rdt, &h, &arena, &before, &e), 0);
	assert_holds("box/schemata", "    L3:0=fff;1=fff\n    MB:0=100;1=100");
	plan.intel_rdt.group = "gone";
	assert_int_equal(intel_rdt_update(&plan.intel_rdt, &h, &arena, &before, &e), -1);
	assert_int_equal(e.code, ENOENT);
}

static void
test_what_the_kernel_says(void **state)
{
	(void)state;
	put("info/last_cmd_status", "Mask out of range\n");
	decide("{\"closID\": \"gold\", \"l3CacheSchema\": \"L3:0=f\"}");
	assert_int_equal(mkdirat(h.resctrl, "gold", 0755), 0);
	assert_int_equal(intel_rdt_join(&plan, &h, &e), -1);
	assert_string_equal(e.msg, "write the schemata of gold: Mask out of range: "
	                           "no such file or directory");
}

static void
test_names_do_not_lead_out(void **state)
{
	(void)state;
	assert_int_equal(symlinkat("/tmp", h.resctrl, "gold"), 0);
	decide("{\"closID\": \"gold\"}");
	assert_int_equal(intel_rdt_find(&plan, &h, &e), -1);
	assert_int_equal(e.code, ELOOP);
}

static void
test_no_resctrl(void **state)
{
	int fd = h.resctrl;

	(void)state;
	h.resctrl = -1;
	decide("{}");
	if (intel_rdt_find(&plan, &h, &e) == 0) {
		close(h.resctrl);
		h.resctrl = fd;
		skip(); /* this machine has it */
	}
	h.resctrl = fd;
	assert_string_equal(e.id, "rdt-missing");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_not_asked_for),
		TEST(test_group_of_the_id),
		TEST(test_group_of_the_id_without_schemata),
		TEST(test_group_that_was_there_stays),
		TEST(test_named_group_is_made_and_stays),
		TEST(test_named_group_without_schemata),
		TEST(test_root_group),
		TEST(test_comparison),
		TEST(test_monitoring),
		TEST(test_monitoring_in_the_root),
		TEST(test_monitoring_in_an_own_group),
		TEST(test_monitoring_group_of_another),
		TEST(test_race),
		TEST(test_race_for_a_name),
		TEST(test_take_back),
		TEST(test_exec_only_joins),
		TEST(test_update),
		TEST(test_what_the_kernel_says),
		TEST(test_names_do_not_lead_out),
		TEST(test_no_resctrl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
