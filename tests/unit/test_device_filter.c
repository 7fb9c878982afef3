/* SPDX-License-Identifier: MIT */
/*
 * Device filters. Programs run in an interpreter, for every request against many
 * lists of rules, and must agree with a model that fits in ten lines; the kernel
 * must take them, and devices must open or not as the list says.
 */
#include "hako/device_filter.h"
#include "hako/layer.h"
#include "hako/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

enum { M = BPF_DEVCG_ACC_MKNOD, R = BPF_DEVCG_ACC_READ, W = BPF_DEVCG_ACC_WRITE, RWM = R | W | M };

static struct arena arena;
static struct plan plan;
static struct error e;

static int
setup(void **state)
{
	(void)state;
	memset(&plan, 0, sizeof(plan));
	memset(&e, 0, sizeof(e));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	log_settings.strict = false;
	arena_free(&arena);
	return 0;
}

/* Model --------------------------------------------------------------------------------- */

/* For each kind of access the last rule that has it decides; all must be allowed. */
static bool
model(const struct device_rule *rules, size_t count, char type, int64_t major, int64_t minor,
      unsigned access)
{
	unsigned allowed = 0;

	for (size_t i = 0; i < count; i++) {
		const struct device_rule *r = &rules[i];

		if ((r->type == 'a' || r->type == type) && (r->major < 0 || r->major == major) &&
		    (r->minor < 0 || r->minor == minor))
			allowed = r->allow ? allowed | r->access : allowed & ~r->access;
	}
	return (access & ~allowed) == 0;
}

/* Interpreter --------------------------------------------------------------------------- */

static bool
jumps(const struct bpf_insn *i, uint32_t value)
{
	uint32_t imm = (uint32_t)i->imm;

	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return value == imm;
	case BPF_JNE:
		return value != imm;
	case BPF_JSET:
		return (value & imm) != 0;
	default:
		fail_msg("jump 0x%x", i->code);
		return false;
	}
}

static uint64_t
compute(const struct bpf_insn *i, uint64_t value, uint64_t source)
{
	uint32_t imm = (uint32_t)i->imm;

	switch (i->code) {
	case BPF_ALU64 | BPF_MOV | BPF_K:
		return (uint64_t)(int64_t)i->imm;
	case BPF_ALU | BPF_MOV | BPF_X:
		return (uint32_t)source;
	case BPF_ALU | BPF_RSH | BPF_K:
		return (uint32_t)value >> imm;
	case BPF_ALU | BPF_AND | BPF_K:
		return (uint32_t)value & imm;
	default:
		fail_msg("instruction 0x%x", i->code);
		return 0;
	}
}

static bool
evaluate(const struct bpf_insn *insns, size_t count, const struct bpf_cgroup_dev_ctx *context)
{
	uint64_t reg[11] = {0};

	for (size_t pc = 0; pc < count; pc++) {
		const struct bpf_insn *i = &insns[pc];
		uint32_t word;

		switch (BPF_CLASS(i->code)) {
		case BPF_LDX:
			assert_true(i->src_reg == BPF_REG_1 && i->off >= 0 && i->off <= 8);
			memcpy(&word, (const char *)context + i->off, sizeof(word));
			reg[i->dst_reg] = word;
			break;
		case BPF_JMP:
			if (BPF_OP(i->code) == BPF_EXIT)
				return reg[0] != 0;
			assert_true(BPF_OP(i->code) == BPF_JA && i->off >= 0);
			pc += (size_t)i->off;
			break;
		case BPF_JMP32:
			assert_true(i->off >= 0);
			pc += jumps(i, (uint32_t)reg[i->dst_reg]) ? (size_t)i->off : 0;
			break;
		default:
			reg[i->dst_reg] = compute(i, reg[i->dst_reg], reg[i->src_reg]);
		}
	}
	fail_msg("ran off the end");
	return false;
}

static bool
filter(const struct bpf_insn *insns, size_t count, char type, uint32_t major, uint32_t minor,
       unsigned access)
{
	struct bpf_cgroup_dev_ctx context = {
		.access_type =
			access << 16 | (type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK),
		.major = major,
		.minor = minor,
	};

	return count == 0 || evaluate(insns, count, &context);
}

static const uint32_t numbers[] = {1, 2, 3};

/* Every request that the rules can tell apart. */
static void
compare(const struct device_rule *rules, size_t count)
{
	struct bpf_insn *insns = NULL;
	size_t n;

	assert_int_equal(device_filter_program(rules, count, &insns, &n), 0);
	for (unsigned k = 0; k < 2 * 3 * 3 * 7; k++) {
		char type = k % 2 == 0 ? 'b' : 'c';
		uint32_t major = numbers[k / 2 % 3], minor = numbers[k / 6 % 3];
		unsigned access = k / 18 + 1;

		if (filter(insns, n, type, major, minor, access) ==
		    model(rules, count, type, major, minor, access))
			continue;
		for (size_t i = 0; i < count; i++)
			print_error("%s %c %d:%d %u\n", rules[i].allow ? "allow" : "deny",
			            rules[i].type, (int)rules[i].major, (int)rules[i].minor,
			            rules[i].access);
		fail_msg("%c %u:%u %u", type, major, minor, access);
	}
	free(insns);
}

/* Any rule over the numbers 1, 2 and any; 0 <= k < RULES. */
enum { RULES = 2 * 3 * 3 * 3 * 7 };

static struct device_rule
rule_number(unsigned k)
{
	return (struct device_rule){
		.allow = k % 2 != 0,
		.type = "abc"[k / 2 % 3],
		.major = k / 6 % 3 == 0 ? -1 : (int64_t)(k / 6 % 3),
		.minor = k / 18 % 3 == 0 ? -1 : (int64_t)(k / 18 % 3),
		.access = k / 54 + 1,
	};
}

static void
test_all_short_lists(void **state)
{
	struct device_rule rules[2] = {0};

	(void)state;
	compare(rules, 0);
	for (unsigned a = 0; a < RULES; a++) {
		rules[0] = rule_number(a);
		compare(rules, 1);
		for (unsigned b = 0; b < RULES; b++) {
			rules[1] = rule_number(b);
			compare(rules, 2);
		}
	}
}

static size_t
random_rules(struct device_rule *rules, size_t max, unsigned *seed)
{
	size_t count = (size_t)rand_r(seed) % max + 1;

	for (size_t i = 0; i < count; i++) {
		rules[i] = rule_number((unsigned)rand_r(seed) % RULES);
		if (rand_r(seed) % 2 == 0)
			rules[i].access = RWM;
	}
	return count;
}

static void
test_random_lists(void **state)
{
	struct device_rule rules[20];
	unsigned seed = 3;

	(void)state;
	for (int i = 0; i < 20000; i++)
		compare(rules, random_rules(rules, ARRAY_SIZE(rules), &seed));
}

static void
test_large_numbers(void **state)
{
	static const struct device_rule rules[] = {
		{true, 'c', 4095, 1048575, RWM},
		{true, 'b', UINT32_MAX, 0x80000000, R},
	};
	struct bpf_insn *insns;
	size_t n;

	(void)state;
	assert_int_equal(device_filter_program(rules, 2, &insns, &n), 0);
	assert_true(filter(insns, n, 'c', 4095, 1048575, RWM));
	assert_false(filter(insns, n, 'c', 4095, 1048574, R));
	assert_true(filter(insns, n, 'b', UINT32_MAX, 0x80000000, R));
	assert_false(filter(insns, n, 'b', UINT32_MAX, 0x80000000, R | W));
	assert_false(filter(insns, n, 'b', UINT32_MAX - 1, 0x80000000, R));
	free(insns);
}

static void
test_size(void **state)
{
	enum { MANY = 40000 };
	struct device_rule *rules = calloc(MANY, sizeof(*rules));
	static const struct device_rule all[] = {{false, 'a', -1, -1, RWM},
	                                         {true, 'a', -1, -1, RWM}};
	struct bpf_insn *insns = NULL;
	size_t n;

	(void)state;
	/* everything allowed: no program */
	assert_int_equal(device_filter_program(all, 2, &insns, &n), 0);
	assert_int_equal(n, 0);
	assert_null(insns);
	for (int i = 0; i < MANY; i++)
		rules[i] = (struct device_rule){true, 'c', i / 200, i % 200, RWM};
	assert_int_equal(device_filter_program(rules, 2000, &insns, &n), 0);
	assert_in_range(n, 2000, 2100);
	free(insns);
	assert_int_equal(device_filter_program(rules, MANY, &insns, &n), -1);
	assert_int_equal(errno, E2BIG);
	free(rules);
}

/* Plan ------------------------------------------------------------------------------------ */

static int
plan_devices(const char *resources)
{
	const char *text = arena_printf(&arena,
	                                "{\"ociVersion\": \"1.2.0\", \"root\": {\"path\": \"r\"}, "
	                                "\"linux\": {%s}}",
	                                resources);
	struct planner p = {.arena = &arena, .plan = &plan};
	struct json_doc *doc;

	plan.device_rule_count = 0;
	if (json_parse(&arena, "config.json", text, strlen(text), &doc, &e) < 0 ||
	    config_decode(&arena, doc, &p.config, &e) < 0)
		return -1;
	plan.config = p.config;
	return device_filter_plan(&p, &e);
}

#define DEVICES(list) "\"resources\": {\"devices\": [" list "]}"
#define DENY_ALL "{\"allow\": false, \"access\": \"rwm\"}"

static bool
plan_allows(char type, int64_t major, int64_t minor, unsigned access)
{
	return model(plan.device_rules, plan.device_rule_count, type, major, minor, access);
}

static void
test_plan(void **state)
{
	(void)state;
	/* without a list: the defaults, and what linux.devices makes */
	plan.options.privileged = true;
	assert_int_equal(plan_devices(""), 0);
	assert_true(plan_allows('c', 1, 3, RWM));
	assert_false(plan_allows('c', 1, 1, R));
	assert_int_equal(plan_devices("\"resources\": {}, \"devices\": [{\"path\": \"/dev/fuse\", "
	                              "\"type\": \"c\", \"major\": 10, \"minor\": 229}]"),
	                 0);
	assert_true(plan_allows('c', 10, 229, RWM));
	assert_false(plan_allows('c', 10, 228, R));
	/* an ordinary user has no use for it */
	plan.options.privileged = false;
	assert_int_equal(plan_devices(""), 0);
	assert_int_equal(plan.device_rule_count, 0);
	/* an empty list is a list */
	assert_int_equal(plan_devices(DEVICES("")), 0);
	assert_true(plan_allows('c', 1, 3, RWM));
	assert_false(plan_allows('c', 1, 1, R));
	/* the defaults hold whatever the config says */
	assert_int_equal(
		plan_devices(DEVICES(
			"{\"allow\": true, \"type\": \"b\", \"major\": 8, \"access\": \"r\"}," DENY_ALL)),
		0);
	assert_true(plan_allows('c', 1, 3, RWM) && plan_allows('c', 1, 9, RWM));
	assert_true(plan_allows('c', 5, 0, RWM) && plan_allows('c', 5, 2, RWM));
	assert_true(plan_allows('c', 136, 77, RWM) && plan_allows('c', 10, 200, RWM));
	assert_true(plan_allows('b', 8, 0, M) && plan_allows('c', 7, 7, M));
	assert_false(plan_allows('b', 8, 0, R));
	assert_false(plan_allows('c', 5, 1, R));
	/* absent is any; -1 too */
	assert_int_equal(
		plan_devices(DEVICES(
			"{\"allow\": true, \"type\": \"c\", \"major\": 10, \"minor\": -1}")),
		0);
	assert_true(plan_allows('c', 10, 229, RWM));
	assert_false(plan_allows('b', 10, 229, R));
	assert_int_equal(plan_devices(DEVICES("{\"allow\": true}")), 0);
	assert_true(plan_allows('b', 8, 0, RWM));
	/* letters beside r, w and m mean nothing */
	assert_int_equal(plan_devices(DEVICES("{\"allow\": true, \"access\": \"ra\"}")), 0);
	assert_true(plan_allows('b', 8, 0, R));
	assert_false(plan_allows('b', 8, 0, RWM));
}

static void
test_plan_refuses(void **state)
{
	static const char *const lists[] = {
		"{\"allow\": true, \"type\": \"p\"}",       "{\"allow\": true, \"type\": \"cb\"}",
		"{\"allow\": true, \"access\": \"x\"}",     "{\"allow\": true, \"major\": -2}",
		"{\"allow\": true, \"minor\": 4294967296}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		char text[256];

		snprintf(text, sizeof(text), DEVICES("%s"), lists[i]);
		if (plan_devices(text) == 0)
			fail_msg("accepted: %s", text);
		assert_non_null(strstr(e.at, "/linux/resources/devices/0"));
	}
}

/* The kernel -------------------------------------------------------------------------------- */

static int
load(const struct bpf_insn *insns, size_t count)
{
	static char log[1 << 16];
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insn_cnt = (uint32_t)count;
	attr.insns = (uintptr_t)insns;
	attr.license = (uintptr_t) "MIT";
	attr.log_level = 1;
	attr.log_size = sizeof(log);
	attr.log_buf = (uintptr_t)log;
	fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0 && errno != EPERM)
		print_error("%s\n", log);
	return fd;
}

static bool
may_load(void)
{
	static const struct bpf_insn deny[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = geteuid() == 0 ? load(deny, 2) : -1;

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Whatever the list, the kernel's checker finds nothing in the program to refuse. */
static void
test_kernel_takes_all(void **state)
{
	struct device_rule rules[12];
	unsigned seed = 11;

	(void)state;
	if (!may_load())
		skip();
	for (int i = 0; i < 400; i++) {
		size_t n, count = random_rules(rules, ARRAY_SIZE(rules), &seed);
		struct bpf_insn *insns = NULL;
		int fd;

		assert_int_equal(device_filter_program(rules, count, &insns, &n), 0);
		fd = n > 0 ? load(insns, n) : 0;
		if (fd < 0)
			fail_msg("round %d: %s", i, strerror(errno));
		if (n > 0)
			close(fd);
		free(insns);
	}
}

/* A cgroup v2 mount of our own, in a mount namespace of our own. */
struct ground {
	char dir[32];
	char cgroup[64];
	int fd;
};

static bool
make_ground(struct ground *g)
{
	strcpy(g->dir, "/tmp/hako-test-XXXXXX");
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_PRIVATE | MS_REC, NULL) < 0 ||
	    mkdtemp(g->dir) == NULL)
		return false;
	if (mount("none", g->dir, "cgroup2", 0, NULL) < 0) {
		rmdir(g->dir);
		return false;
	}
	snprintf(g->cgroup, sizeof(g->cgroup), "%s/hako-test-%d", g->dir, (int)getpid());
	if (mkdir(g->cgroup, 0755) < 0)
		return false;
	g->fd = open(g->cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return g->fd >= 0;
}

static void
remove_ground(struct ground *g)
{
	close(g->fd);
	for (int i = 0; rmdir(g->cgroup) < 0 && errno == EBUSY && i < 100; i++)
		usleep(10000);
	umount2(g->dir, MNT_DETACH);
	rmdir(g->dir);
}

static int
try_open(const char *dir, unsigned major, unsigned minor, int flags)
{
	char path[64];
	int fd, code;

	snprintf(path, sizeof(path), "%s/node", dir);
	unlink(path);
	if (mknod(path, S_IFCHR | 0666, makedev(major, minor)) < 0)
		return errno;
	fd = open(path, flags | O_CLOEXEC);
	code = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	return code;
}

/* In the cgroup, on a tmpfs that goes with the namespace: 1:3 null, 1:5 zero, 1:7 full. */
static int
use_devices(const struct ground *g)
{
	char procs[128];
	FILE *f;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", g->cgroup);
	f = fopen(procs, "w");
	if (f == NULL || fprintf(f, "0") < 0 || fclose(f) != 0)
		return 1;
	if (mount("none", "/mnt", "tmpfs", 0, NULL) < 0)
		return 2;
	if (try_open("/mnt", 1, 5, O_RDWR) != 0 || try_open("/mnt", 1, 7, O_RDONLY) != 0)
		return 3;
	if (try_open("/mnt", 1, 7, O_WRONLY) != EPERM || try_open("/mnt", 1, 7, O_RDWR) != EPERM)
		return 4;
	if (try_open("/mnt", 1, 8, O_RDONLY) != EPERM)
		return 5;
	/* 1:11 kmsg: may be made, by default, and not opened */
	return try_open("/mnt", 1, 11, O_RDONLY) == EPERM ? 0 : 6;
}

static int
try_filter(struct handles *h)
{
	struct ground g;
	int status = 90;

	if (!make_ground(&g))
		return 77;
	h->cgroup = g.fd;
	if (device_filter_attach(&plan, h, &e) == 0) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(use_devices(&g));
		if (waitpid(pid, &status, 0) == pid)
			status = WIFEXITED(status) ? WEXITSTATUS(status) : 91;
	}
	remove_ground(&g);
	return status;
}

static void
test_attach(void **state)
{
	static const struct device_rule rules[] = {
		{true, 'a', -1, -1, RWM}, {false, 'c', 1, -1, R | W}, {true, 'c', 1, 3, RWM},
		{true, 'c', 1, 5, R},     {true, 'c', 1, 5, W},       {true, 'c', 1, 7, RWM},
		{false, 'c', 1, 7, W},
	};
	struct handles h;
	int status;
	pid_t pid;

	(void)state;
	if (!may_load())
		skip();
	assert_int_equal(plan_devices(DEVICES(DENY_ALL)), 0);
	plan.device_rules = (struct device_rule *)rules;
	plan.device_rule_count = ARRAY_SIZE(rules);
	plan.options.privileged = true;
	memset(&h, 0, sizeof(h));
	pid = fork();
	if (pid == 0)
		_exit(try_filter(&h));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* no mount of cgroup2 here */
	assert_int_equal(status, 0);
}

/* Without CAP_BPF: 0 when the fallback is taken. */
static int
attach_as_nobody(bool privileged, bool strict)
{
	struct handles h = {.cgroup = 0};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		plan.options.privileged = privileged;
		log_settings.strict = strict;
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(9);
		_exit(device_filter_attach(&plan, &h, &e) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_attach_refused(void **state)
{
	(void)state;
	assert_int_equal(plan_devices(DEVICES(DENY_ALL)), 0);
	assert_int_equal(attach_as_nobody(true, false), 1);
	assert_int_equal(attach_as_nobody(false, false), 0);
	assert_int_equal(attach_as_nobody(false, true), 1);
}

static void
test_nothing_to_attach(void **state)
{
	struct handles h = {.cgroup = -1};

	(void)state;
	assert_int_equal(device_filter_attach(&plan, &h, &e), 0);
	assert_int_equal(plan_devices(DEVICES("{\"allow\": true}")), 0);
	plan.options.privileged = true;
	log_settings.strict = true;
	assert_int_equal(device_filter_attach(&plan, &h, &e), 0);
	/* a filter and no cgroup */
	assert_int_equal(plan_devices(DEVICES(DENY_ALL)), 0);
	assert_int_equal(device_filter_attach(&plan, &h, &e), -1);
	assert_string_equal(e.id, "device-filter-none");
	log_settings.strict = false;
	assert_int_equal(device_filter_attach(&plan, &h, &e), 0);
	/* not a cgroup */
	h.cgroup = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(device_filter_attach(&plan, &h, &e), -1);
	close(h.cgroup);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_all_short_lists),
		TEST(test_random_lists),
		TEST(test_large_numbers),
		TEST(test_size),
		TEST(test_plan),
		TEST(test_plan_refuses),
		TEST(test_kernel_takes_all),
		TEST(test_attach),
		TEST(test_attach_refused),
		TEST(test_nothing_to_attach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
