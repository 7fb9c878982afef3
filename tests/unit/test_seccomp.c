/* SPDX-License-Identifier: MIT */
/*
 * Seccomp programs. What hako compiles is run in an interpreter and compared,
 * syscall by syscall, with what libseccomp makes of the whole profile; then the
 * kernel gets it.
 */
#include "hako/seccomp.h"
#include <seccomp.h>
#include "hako/layer.h"
#include "hako/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define X32 0x40000000
#define ERRNO(code) (SECCOMP_RET_ERRNO | (code))

static struct arena arena;
static struct plan plan;
static struct handles handles;
static struct error e;

/* Filters of the kernel hit valgrind's own calls. */
static bool
under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

/* valgrind does not know seccomp(2), by which libseccomp learns what the kernel can. */
static int
prepare(void **state)
{
	(void)state;
	return under_valgrind() ? seccomp_api_set(5) : 0;
}

static void
reset(void)
{
	if (plan.seccomp != NULL)
		munmap(plan.seccomp, sizeof(*plan.seccomp) + BPF_MAXINSNS * 8);
	memset(&plan, 0, sizeof(plan));
	memset(&e, 0, sizeof(e));
	memset(&handles, 0, sizeof(handles));
	handles.root_dir = -1;
}

static int
setup(void **state)
{
	(void)state;
	reset();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	reset();
	log_settings.strict = false;
	arena_free(&arena);
	return 0;
}

/* Plan a config whose linux.seccomp is this text. */
static int
plan_profile(const char *profile)
{
	const char *text = arena_printf(
		&arena,
		"{\"ociVersion\": \"1.2.0\", \"root\": {\"path\": \"r\"}, \"linux\": {%s%s}}",
		profile != NULL ? "\"seccomp\": " : "", profile != NULL ? profile : "");
	struct planner p = {.arena = &arena, .plan = &plan};
	struct json_doc *doc;

	if (json_parse(&arena, "config.json", text, strlen(text), &doc, &e) < 0 ||
	    config_decode(&arena, doc, &p.config, &e) < 0)
		return -1;
	plan.config = p.config;
	return seccomp_plan(&p, &e);
}

static const struct config_seccomp *
profile_of(const char *profile)
{
	if (plan_profile(profile) < 0)
		fail_msg("%s: %s", e.at, e.msg);
	return plan.config->linux_->seccomp;
}

static const struct sock_filter *
program(void)
{
	return (const struct sock_filter *)plan.seccomp->filter;
}

static void
compile_profile(const char *profile)
{
	profile_of(profile);
	if (seccomp_compile(&plan, &handles, &e) < 0)
		fail_msg("%s: %s", e.at, e.msg);
}

static char *
read_file(const char *path)
{
	char *text = arena_alloc(&arena, 1 << 16);
	FILE *f = fopen(path, "r");

	if (f == NULL)
		fail_msg("%s: %s (run from the top of the tree)", path, strerror(errno));
	text[fread(text, 1, (1 << 16) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static char *
docker_profile(void)
{
	return read_file("tests/data/seccomp-docker.json");
}

/* Interpreter ------------------------------------------------------------------------ */

/* What the program answers; fails on what the kernel's checker would not let pass. */
static uint32_t
evaluate(const struct sock_filter *filter, size_t length, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < length; pc++) {
		const struct sock_filter *i = &filter[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(i->k % 4 == 0 && i->k < sizeof(*data));
			memcpy(&a, (const char *)data + i->k, 4);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			fail_msg("instruction %zu: code 0x%x", pc, i->code);
		}
	}
	fail_msg("ran off the end");
	return 0;
}

static uint32_t
answer(uint32_t arch, unsigned number, uint64_t first)
{
	struct seccomp_data data = {.arch = arch, .nr = (int)number, .args = {first}};

	return evaluate(program(), plan.seccomp->length, &data);
}

/* The same by libseccomp alone ---------------------------------------------------------- */

static const int operators[] = {
	[SECCOMP_OPERATOR_NE] = SCMP_CMP_NE,
	[SECCOMP_OPERATOR_LT] = SCMP_CMP_LT,
	[SECCOMP_OPERATOR_LE] = SCMP_CMP_LE,
	[SECCOMP_OPERATOR_EQ] = SCMP_CMP_EQ,
	[SECCOMP_OPERATOR_GE] = SCMP_CMP_GE,
	[SECCOMP_OPERATOR_GT] = SCMP_CMP_GT,
	[SECCOMP_OPERATOR_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
};

static int
add_to_library(scmp_filter_ctx filter, const struct config_syscall *rule, const char *name)
{
	const struct config_seccomp_arg *args = rule->args.items;
	uint32_t action = seccomp_rule_action(rule);
	struct scmp_arg_cmp all[SECCOMP_ARGUMENTS];
	int number = seccomp_syscall_resolve_name(name);

	if (number == __NR_SCMP_ERROR)
		return 0;
	assert_true(rule->args.count <= SECCOMP_ARGUMENTS);
	for (size_t i = 0; i < rule->args.count; i++)
		all[i] = (struct scmp_arg_cmp){
			(unsigned)*args[i].index, (enum scmp_compare)operators[args[i].op],
			*args[i].value, args[i].value_two ? *args[i].value_two : 0};
	return seccomp_rule_add_array(filter, action, number, (unsigned)rule->args.count, all);
}

static const char *const arch_words[][2] = {
	{"SCMP_ARCH_X86_64", "x86_64"}, {"SCMP_ARCH_X86", "x86"},
	{"SCMP_ARCH_X32", "x32"},       {"SCMP_ARCH_AARCH64", "aarch64"},
	{"SCMP_ARCH_ARM", "arm"},       {"SCMP_ARCH_PPC64LE", "ppc64le"},
	{"SCMP_ARCH_MIPSEL", "mipsel"}, {"SCMP_ARCH_RISCV64", "riscv64"},
};

static uint32_t
arch_token(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(arch_words); i++)
		if (strcmp(arch_words[i][0], name) == 0)
			return seccomp_arch_resolve_name(arch_words[i][1]);
	fail_msg("%s", name);
	return 0;
}

/* -1 when libseccomp refuses a rule. */
static int
compile_by_library(const struct config_seccomp *c, struct sock_filter filter[static BPF_MAXINSNS])
{
	uint32_t otherwise = seccomp_default_action(c);
	scmp_filter_ctx library = seccomp_init(otherwise);
	const struct config_syscall *rules = c->syscalls.items;
	int fd = memfd_create("reference", MFD_CLOEXEC), rc = 0;
	ssize_t size;

	assert_non_null(library);
	for (size_t i = 0; i < c->architectures.count; i++) {
		uint32_t token = arch_token(c->architectures.items[i]);

		if (token != seccomp_arch_native())
			assert_int_equal(seccomp_arch_add(library, token), 0);
	}
	for (size_t i = 0; i < c->syscalls.count; i++)
		for (size_t k = 0; k < rules[i].names.count && rc == 0; k++)
			if (seccomp_rule_action(&rules[i]) != otherwise)
				rc = add_to_library(library, &rules[i], rules[i].names.items[k]);
	if (rc == 0)
		assert_int_equal(seccomp_export_bpf(library, fd), 0);
	seccomp_release(library);
	size = pread(fd, filter, BPF_MAXINSNS * sizeof(*filter), 0);
	close(fd);
	return rc == 0 ? (int)(size / (ssize_t)sizeof(*filter)) : -1;
}

static const uint32_t audit_archs[] = {
	AUDIT_ARCH_X86_64,  AUDIT_ARCH_I386,   AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM,
	AUDIT_ARCH_PPC64LE, AUDIT_ARCH_MIPSEL, AUDIT_ARCH_RISCV64, 0,
};

static const uint32_t odd_numbers[] = {
	UINT32_MAX, UINT32_MAX - 1, 0x80000000, 0x7fffffff, X32 - 1, X32 + 1023,
	X32 + 1024, 0xf0002,        4000,       4003,       5000,    983045,
};

/* Values around those that the profiles of these tests compare with. */
static const uint64_t values[] = {
	0,          1,          2,          3,      7,          8,          9,
	17,         40,         131072,     131080, UINT32_MAX, 1ULL << 32, (1ULL << 32) + 8,
	2114060288, 0x10000000, UINT64_MAX,
};

struct comparison {
	struct sock_filter reference[BPF_MAXINSNS];
	size_t length;
	uint32_t otherwise; /* the default action */
	unsigned seed;
	unsigned enosys; /* how often the newer syscalls made a difference */
};

static void
compare(struct comparison *c, uint32_t arch, uint32_t number)
{
	struct seccomp_data data = {.arch = arch, .nr = (int)number};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		uint32_t ours, theirs;

		data.args[0] = values[i];
		for (int k = 1; k < SECCOMP_ARGUMENTS; k++)
			data.args[k] = values[(size_t)rand_r(&c->seed) % ARRAY_SIZE(values)];
		ours = evaluate(program(), plan.seccomp->length, &data);
		theirs = evaluate(c->reference, c->length, &data);
		if (ours == theirs)
			continue;
		if (ours != ERRNO(ENOSYS) || theirs != c->otherwise)
			fail_msg(
				"arch 0x%x syscall %u (0x%x) argument 0x%llx: 0x%x, libseccomp 0x%x",
				arch, number, number, (unsigned long long)values[i], ours, theirs);
		c->enosys++;
	}
}

/*
 * Returns how often ENOSYS took the place of the default; UINT32_MAX: libseccomp
 * refuses, if only for contradictions about a syscall that an ABI does not have.
 */
static unsigned
compare_with_library(const char *profile)
{
	static struct comparison c;
	const struct config_seccomp *seccomp = profile_of(profile);
	int length = compile_by_library(seccomp, c.reference);

	if (length < 0)
		return UINT32_MAX;
	c.length = (size_t)length;
	c.otherwise = seccomp_default_action(seccomp);
	c.seed = 1;
	c.enosys = 0;
	if (seccomp_compile(&plan, &handles, &e) < 0)
		fail_msg("%s: %s", e.at, e.msg);
	for (size_t a = 0; a < ARRAY_SIZE(audit_archs); a++) {
		for (uint32_t n = 0; n < SECCOMP_TABLE_SIZE + 2; n++) {
			compare(&c, audit_archs[a], n);
			compare(&c, audit_archs[a], n + X32);
		}
		for (size_t i = 0; i < ARRAY_SIZE(odd_numbers); i++)
			compare(&c, audit_archs[a], odd_numbers[i]);
	}
	return c.enosys;
}

#define ARCHS "\"architectures\": [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X86\", \"SCMP_ARCH_X32\"]"
#define RULE(names, rest) "{\"names\": [" names "], " rest "}"
#define ALLOW(names) RULE(names, "\"action\": \"SCMP_ACT_ALLOW\"")
#define ARG(index, op, value)                                                                      \
	"{\"index\": " #index ", \"op\": \"SCMP_CMP_" #op "\", \"value\": " #value                 \
	", \"valueTwo\": 1}"
#define IF(action, names, args)                                                                    \
	RULE(names, "\"action\": \"SCMP_ACT_" action "\", \"args\": [" args "]")
#define PROFILE(otherwise, rules)                                                                  \
	"{\"defaultAction\": \"SCMP_ACT_" otherwise "\", " ARCHS ", \"syscalls\": [" rules "]}"

static void
test_same_as_library(void **state)
{
	static const char *const profiles[] = {
		PROFILE("ERRNO", ""),
		PROFILE("KILL_PROCESS", ALLOW("\"exit\"")),
		PROFILE("ALLOW", RULE("\"mkdir\", \"socket\", \"semget\"",
	                              "\"action\": \"SCMP_ACT_ERRNO\"")),
		/* the same through the numbers that socketcall and ipc hide */
		PROFILE("ALLOW", IF("KILL", "\"socket\", \"shmget\"", ARG(0, EQ, 1))),
		PROFILE("ERRNO", ALLOW("\"socketcall\", \"bind\", \"read\"")),
		PROFILE("ERRNO", ALLOW("\"bind\", \"connect\"")),
		PROFILE("ERRNO", ALLOW("\"socketcall\"") "," RULE("\"socket\"",
	                                                          "\"action\": \"SCMP_ACT_TRAP\"")),
		/* every operator, several arguments */
		PROFILE("ERRNO",
	                IF("ALLOW", "\"open\"", ARG(0, NE, 8)) "," IF(
				"ALLOW", "\"dup\"",
				ARG(0, LT, 8)) "," IF("ALLOW", "\"dup2\"",
	                                              ARG(0, LE, 8)) "," IF("ALLOW", "\"read\"",
	                                                                    ARG(0, GT,
	                                                                        4294967296))),
		PROFILE("LOG", IF("KILL", "\"open\"", ARG(0, GE, 8) "," ARG(1, EQ, 3)) "," IF(
				       "TRACE", "\"write\"", ARG(5, MASKED_EQ, 9))),
		/* rules that contradict or repeat each other */
		PROFILE("ERRNO", ALLOW("\"read\", \"read\"") "," RULE(
					 "\"read\"", "\"action\": \"SCMP_ACT_KILL\"")),
		PROFILE("ERRNO", IF("LOG", "\"read\"", ARG(0, EQ, 3)) "," ALLOW("\"read\"")),
		PROFILE("ERRNO", ALLOW("\"read\"") "," IF("LOG", "\"read\"", ARG(0, EQ, 3))),
		/* numbers that are shared (umount, umount2), odd (ARM) or unknown */
		PROFILE("ERRNO",
	                ALLOW("\"umount\", \"umount2\", \"cacheflush\", \"set_tls\", \"no_such_call\"")),
		"{\"defaultAction\": \"SCMP_ACT_KILL\", \"architectures\": [\"SCMP_ARCH_ARM\","
		" \"SCMP_ARCH_AARCH64\","
		" \"SCMP_ARCH_PPC64LE\", \"SCMP_ARCH_MIPSEL\", \"SCMP_ARCH_RISCV64\"], \"syscalls\": [" ALLOW(
			"\"read\", \"socket\", \"semop\", \"cacheflush\", \"set_tls\", \"openat\", \"ipc\"") "]}",
		"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [" ALLOW(
			"\"read\", \"socket\"") "]}",
		"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"architectures\": [\"SCMP_ARCH_X32\"]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++) {
		reset();
		assert_int_not_equal(compare_with_library(profiles[i]), UINT32_MAX);
	}
	reset();
	assert_true(compare_with_library(docker_profile()) > 0);
}

static const char *const random_names[] = {
	"read",         "write",        "open",
	"openat",       "socket",       "socketcall",
	"bind",         "recvmmsg",     "ipc",
	"semop",        "shmget",       "msgrcv",
	"clone",        "clone3",       "personality",
	"mmap",         "mmap2",        "stat64",
	"time",         "umount",       "umount2",
	"ioctl",        "execve",       "getpid",
	"futex",        "futex_time64", "renameat2",
	"memfd_create", "statx",        "openat2",
	"arch_prctl",   "cacheflush",   "nothing_like_that",
};

static void
put_random_rule(FILE *f, unsigned *seed)
{
	static const char *const actions[] = {"ALLOW", "ERRNO", "KILL",
	                                      "LOG",   "TRAP",  "KILL_PROCESS"};
	static const char *const ops[] = {"NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"};
	unsigned args = rand_r(seed) % 3 == 0 ? 1 + (unsigned)rand_r(seed) % 3 : 0;
	unsigned names = 1 + (unsigned)rand_r(seed) % 8;

	fprintf(f, "{\"names\": [");
	for (unsigned i = 0; i < names; i++)
		fprintf(f, "%s\"%s\"", i > 0 ? "," : "",
		        random_names[(size_t)rand_r(seed) % ARRAY_SIZE(random_names)]);
	fprintf(f, "], \"action\": \"SCMP_ACT_%s\", \"args\": [",
	        actions[(size_t)rand_r(seed) % ARRAY_SIZE(actions)]);
	for (unsigned i = 0; i < args; i++)
		fprintf(f,
		        "%s{\"index\": %u, \"op\": \"SCMP_CMP_%s\", \"value\": %llu, \"valueTwo\": 8}",
		        i > 0 ? "," : "", i, ops[(size_t)rand_r(seed) % ARRAY_SIZE(ops)],
		        (unsigned long long)values[(size_t)rand_r(seed) % ARRAY_SIZE(values)]);
	fprintf(f, "]}");
}

static void
test_random_profiles(void **state)
{
	static const char *const defaults[] = {"ERRNO", "ALLOW", "KILL", "LOG"};
	unsigned seed = 42, refused = 0;

	(void)state;
	for (int round = 0; round < 100; round++) {
		char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);
		int rules = 1 + rand_r(&seed) % 12;

		fprintf(f, "{\"defaultAction\": \"SCMP_ACT_%s\", " ARCHS ", \"syscalls\": [",
		        defaults[(size_t)rand_r(&seed) % ARRAY_SIZE(defaults)]);
		for (int i = 0; i < rules; i++) {
			fputs(i > 0 ? "," : "", f);
			put_random_rule(f, &seed);
		}
		fputs("]}", f);
		fclose(f);
		reset();
		refused += compare_with_library(text) == UINT32_MAX;
		free(text);
	}
	assert_true(refused < 60);
}

/* Newer syscalls ------------------------------------------------------------------------- */

static void
test_newer_syscalls(void **state)
{
	(void)state;
	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		skip();
	compile_profile(PROFILE("ERRNO", ALLOW("\"read\", \"pidfd_open\"") "," RULE(
						 "\"clone3\"", "\"action\": \"SCMP_ACT_ERRNO\"")));
	assert_int_equal(answer(AUDIT_ARCH_X86_64, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(AUDIT_ARCH_X86_64, 434, 0), SECCOMP_RET_ALLOW);
	/* named, though with the default action: known to the author */
	assert_int_equal(answer(AUDIT_ARCH_X86_64, 435, 0), ERRNO(EPERM));
	assert_int_equal(answer(AUDIT_ARCH_X86_64, 433, 0), ERRNO(EPERM));
	assert_int_equal(answer(AUDIT_ARCH_X86_64, 436, 0), ERRNO(ENOSYS));
	assert_int_equal(answer(AUDIT_ARCH_X86_64, 1023, 0), ERRNO(ENOSYS));
	assert_int_equal(answer(AUDIT_ARCH_X86_64, UINT32_MAX, 0), ERRNO(EPERM));
	assert_int_equal(answer(AUDIT_ARCH_I386, 435, 0), ERRNO(EPERM));
	assert_int_equal(answer(AUDIT_ARCH_I386, 436, 0), ERRNO(ENOSYS));
	assert_int_equal(answer(AUDIT_ARCH_X86_64, X32 + 435, 0), ERRNO(EPERM));
	assert_int_equal(answer(AUDIT_ARCH_X86_64, X32 + 436, 0), ERRNO(ENOSYS));
	assert_int_equal(answer(AUDIT_ARCH_AARCH64, 0, 0), SECCOMP_RET_KILL_THREAD);
}

/* i386 reaches sockets by numbers of their own, above those of older calls. */
static void
test_newer_syscalls_and_sockets(void **state)
{
	(void)state;
	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		skip();
	compile_profile(PROFILE("ERRNO", ALLOW("\"read\", \"socket\"")));
	assert_int_equal(answer(AUDIT_ARCH_I386, 102, 1), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(AUDIT_ARCH_I386, 102, 2), ERRNO(EPERM));
	assert_int_equal(answer(AUDIT_ARCH_I386, 359, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(AUDIT_ARCH_I386, 425, 0), ERRNO(ENOSYS));
	assert_int_equal(answer(AUDIT_ARCH_X86_64, 41, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(AUDIT_ARCH_X86_64, 42, 0), ERRNO(ENOSYS));
}

/* Only a default that is an error gets it, and only where something is named. */
static void
test_no_enosys(void **state)
{
	static const struct {
		const char *profile;
		uint32_t expected;
	} rows[] = {
		{PROFILE("KILL_PROCESS", ALLOW("\"read\"")), SECCOMP_RET_KILL_PROCESS},
		{PROFILE("TRAP", ALLOW("\"read\"")), SECCOMP_RET_TRAP},
		{PROFILE("LOG", RULE("\"read\"", "\"action\": \"SCMP_ACT_KILL\"")),
	         SECCOMP_RET_LOG},
		{PROFILE("TRACE", ALLOW("\"read\"")), SECCOMP_RET_TRACE | EPERM},
		{PROFILE("ERRNO", ""), ERRNO(EPERM)},
		{"{\"defaultAction\": \"SCMP_ACT_TRACE\", \"defaultErrnoRet\": 60000, \"syscalls\": [" ALLOW(
			 "\"read\"") "]}",
	         SECCOMP_RET_TRACE | 60000},
	};

	(void)state;
	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		reset();
		compile_profile(rows[i].profile);
		assert_int_equal(answer(AUDIT_ARCH_X86_64, 1000, 0), rows[i].expected);
	}
}

/* Several comparisons of one argument: any of them is enough. */
static void
test_same_argument_twice(void **state)
{
	(void)state;
	if (seccomp_arch_native() != SCMP_ARCH_X86_64)
		skip();
	compile_profile(
		PROFILE("ERRNO", IF("ALLOW", "\"personality\"", ARG(0, EQ, 0) "," ARG(0, EQ, 8))));
	assert_int_equal(answer(AUDIT_ARCH_X86_64, SYS_personality, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(AUDIT_ARCH_X86_64, SYS_personality, 8), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(AUDIT_ARCH_X86_64, SYS_personality, 9), ERRNO(EPERM));
	assert_int_equal(answer(AUDIT_ARCH_X86_64, SYS_personality, 1ULL << 32), ERRNO(EPERM));
}

/* libseccomp's programs for such names do not load the number: both would be wrong alike. */
static void
test_names_of_other_architectures(void **state)
{
	static const uint32_t archs[] = {AUDIT_ARCH_AARCH64, AUDIT_ARCH_RISCV64};
	enum { CLONE = 220 }; /* of both */

	(void)state;
	compile_profile(
		"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"architectures\": "
		"[\"SCMP_ARCH_AARCH64\", \"SCMP_ARCH_RISCV64\"], \"syscalls\": [" ALLOW(
			"\"recv\", \"send\", \"open\", \"fork\"") "," IF("ALLOW", "\"clone\"",
	                                                                 ARG(0, EQ, 17)) "]}");
	for (size_t i = 0; i < ARRAY_SIZE(archs); i++) {
		assert_int_equal(answer(archs[i], CLONE, 17), SECCOMP_RET_ALLOW);
		assert_int_equal(answer(archs[i], CLONE, 18), ERRNO(EPERM));
		assert_int_equal(answer(archs[i], CLONE - 1, 17), ERRNO(EPERM));
	}
}

/* Dispatch ---------------------------------------------------------------------------------- */

static const struct sock_filter short_tail[] = {BPF_STMT(BPF_RET | BPF_K, 0xdead)};

static void
assert_table(const struct seccomp_table *tables, size_t count, const struct sock_filter *filter,
             uint32_t length, uint32_t arch, uint32_t number)
{
	struct seccomp_data data = {.arch = arch, .nr = (int)number};
	uint32_t expected = 0xdead;

	for (size_t i = 0; i < count; i++) {
		uint32_t n = number - tables[i].base;

		if (tables[i].audit_arch == arch && n < SECCOMP_TABLE_SIZE &&
		    tables[i].actions[n] != SECCOMP_TAIL)
			expected = tables[i].actions[n];
	}
	assert_int_equal(evaluate(filter, length, &data), expected);
}

/* From one action for all to another one for each. */
static void
test_dispatch(void **state)
{
	static struct seccomp_table tables[3];
	static struct sock_filter filter[BPF_MAXINSNS];
	unsigned seed = 7;

	(void)state;
	tables[0].audit_arch = 1;
	tables[1].audit_arch = 2;
	tables[2].audit_arch = 1;
	tables[2].base = X32;
	for (unsigned kinds = 1; kinds < 40; kinds += kinds < 6 ? 1 : 7) {
		uint32_t length;

		for (size_t t = 0; t < 3; t++)
			for (size_t i = 0; i < SECCOMP_TABLE_SIZE; i++) {
				unsigned kind = (unsigned)rand_r(&seed) % kinds;

				/* short of the maximum, where many differ */
				if (rand_r(&seed) % 4 != 0 && i > 0)
					tables[t].actions[i] = tables[t].actions[i - 1];
				else
					tables[t].actions[i] = kind == 1 ? SECCOMP_TAIL : kind;
			}
		length = seccomp_dispatch(tables, 3, short_tail, 1, filter);
		assert_in_range(length, 1, BPF_MAXINSNS);
		for (uint32_t n = 0; n < SECCOMP_TABLE_SIZE + 2; n++)
			for (uint32_t arch = 0; arch < 4; arch++) {
				assert_table(tables, 3, filter, length, arch, n);
				assert_table(tables, 3, filter, length, arch, n + X32);
				assert_table(tables, 3, filter, length, arch, n - 3);
			}
	}
}

static void
test_dispatch_limits(void **state)
{
	static struct seccomp_table tables[3];
	static struct sock_filter filter[BPF_MAXINSNS], tail[BPF_MAXINSNS];

	(void)state;
	for (size_t i = 0; i < BPF_MAXINSNS; i++)
		tail[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	tail[BPF_MAXINSNS - 1] = short_tail[0];
	tables[0].audit_arch = 1;
	assert_int_equal(seccomp_dispatch(tables, 1, tail, 0, filter), 0);
	assert_int_equal(seccomp_dispatch(tables, 1, tail, BPF_MAXINSNS, filter), 0);
	/* room for exactly what comes in front */
	assert_int_equal(seccomp_dispatch(tables, 1, tail + 12, BPF_MAXINSNS - 12, filter),
	                 seccomp_dispatch(tables, 1, short_tail, 1, filter) + BPF_MAXINSNS - 13);
	for (uint32_t t = 0; t < 3; t++) {
		tables[t].audit_arch = t;
		for (uint32_t i = 0; i < SECCOMP_TABLE_SIZE; i++)
			tables[t].actions[i] = i;
	}
	assert_int_not_equal(seccomp_dispatch(tables, 1, short_tail, 1, filter), 0);
	assert_int_equal(seccomp_dispatch(tables, 3, short_tail, 1, filter), 0);
}

/* Plan ---------------------------------------------------------------------------------------- */

static void
test_no_filter(void **state)
{
	(void)state;
	assert_int_equal(plan_profile(NULL), 0);
	assert_null(plan.seccomp);
	assert_int_equal(plan_profile("{\"defaultAction\": \"SCMP_ACT_ALLOW\"}"), 0);
	assert_null(plan.seccomp);
	assert_int_equal(seccomp_compile(&plan, &handles, &e), 0);
	assert_int_equal(seccomp_install(&plan, &handles, &e), 0);
	/* this one confines to an architecture */
	assert_int_equal(plan_profile(PROFILE("ALLOW", "")), 0);
	assert_non_null(plan.seccomp);
}

static void
test_empty_object(void **state)
{
	struct config_seccomp seccomp = {0};
	struct config_linux lin = {.seccomp = &seccomp};
	struct config config = {.linux_ = &lin};
	struct planner p = {&arena, &config, &plan};
	struct config_syscall rule = {.action = SECCOMP_ACTION_ALLOW};

	(void)state;
	assert_int_equal(seccomp_plan(&p, &e), 0);
	assert_null(plan.seccomp);
	seccomp.syscalls = (struct objects){&rule, 1, NULL};
	assert_int_equal(seccomp_plan(&p, &e), -1);
	assert_null(plan.seccomp);
}

static void
test_refused_profiles(void **state)
{
	static const char *const profiles[] = {
		PROFILE("NOTIFY", ""),
		PROFILE("NONSENSE", ""),
		PROFILE("ERRNO", RULE("\"read\"", "\"action\": \"SCMP_ACT_NOTIFY\"")),
		PROFILE("ERRNO",
	                RULE("\"read\"", "\"action\": \"SCMP_ACT_ALLOW\", \"errnoRet\": 1")),
		PROFILE("ERRNO",
	                RULE("\"read\"", "\"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 4096")),
		PROFILE("ERRNO",
	                RULE("\"read\"", "\"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": -1")),
		PROFILE("ERRNO",
	                RULE("\"read\"", "\"action\": \"SCMP_ACT_TRACE\", \"errnoRet\": 65536")),
		PROFILE("ERRNO", RULE("\"read\"", "\"comment\": \"no action\"")),
		PROFILE("ERRNO", RULE("", "\"action\": \"SCMP_ACT_ALLOW\"")),
		PROFILE("ERRNO", IF("ALLOW", "\"read\"", ARG(6, EQ, 0))),
		PROFILE("ERRNO",
	                IF("ALLOW", "\"read\"", "{\"index\": 0, \"op\": \"SCMP_CMP_EQ\"}")),
		PROFILE("ERRNO", IF("ALLOW", "\"read\"", "{\"index\": 0, \"value\": 1}")),
		PROFILE("ERRNO", IF("ALLOW", "\"read\"", ARG(0, LIKE, 0))),
		"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultErrnoRet\": 1, " ARCHS "}",
		"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"architectures\": [\"SCMP_ARCH_VAX\"]}",
		"{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"flags\": [\"SECCOMP_FILTER_FLAG_NEW\"]}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++) {
		reset();
		if (plan_profile(profiles[i]) == 0)
			fail_msg("accepted: %s", profiles[i]);
		assert_null(plan.seccomp);
		assert_true(strstr(e.at, "/linux/seccomp") != NULL && e.msg[0] != '\0');
	}
}

/* A rule that cannot be heeded is told, and is an error under --strict. */
static void
test_useless_rules(void **state)
{
	static const struct {
		const char *profile;
		bool told;
	} rows[] = {
		{PROFILE("ERRNO", ALLOW("\"read\", \"mkdir\"") "," RULE(
					  "\"mkdir\"", "\"action\": \"SCMP_ACT_ERRNO\"")),
	         true},
		{PROFILE("ERRNO",
	                 IF("ERRNO", "\"mkdir\"", ARG(0, EQ, 1)) "," ALLOW("\"read\", \"mkdir\"")),
	         true},
		{PROFILE("ERRNO", IF("ALLOW", "\"mkdir\"",
	                             ARG(0, NE, 1)) "," IF("ERRNO", "\"mkdir\"", ARG(0, EQ, 1))),
	         false},
		{PROFILE("ERRNO",
	                 ALLOW("\"read\"") "," RULE("\"mkdir\"", "\"action\": \"SCMP_ACT_ERRNO\"")),
	         false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		log_settings.strict = false;
		reset();
		assert_int_equal(plan_profile(rows[i].profile), 0);
		log_settings.strict = true;
		reset();
		assert_int_equal(plan_profile(rows[i].profile), rows[i].told ? -1 : 0);
		if (rows[i].told)
			assert_string_equal(e.id, "seccomp-rule-ignored");
	}
}

#define FLAGS(list) "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"flags\": [" list "]}"

static void
test_flags(void **state)
{
	static const struct {
		const char *profile;
		uint32_t flags;
	} rows[] = {
		{"{\"defaultAction\": \"SCMP_ACT_ERRNO\"}", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
		{FLAGS(""), 0},
		{FLAGS("\"SECCOMP_FILTER_FLAG_LOG\""), SECCOMP_FILTER_FLAG_LOG},
		{FLAGS("\"SECCOMP_FILTER_FLAG_LOG\", \"SECCOMP_FILTER_FLAG_TSYNC\""),
	         SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_TSYNC},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		reset();
		assert_int_equal(plan_profile(rows[i].profile), 0);
		assert_int_equal(plan.seccomp->flags, rows[i].flags);
		assert_int_equal(plan.seccomp->length, 0);
	}
}

/* Where the kernel knows the flag it is left out, as there is no listener; else an error. */
static void
test_flag_for_listeners(void **state)
{
	long rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	                  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV | SECCOMP_FILTER_FLAG_NEW_LISTENER,
	                  NULL);
	bool known = rc < 0 && errno == EFAULT;

	(void)state;
	assert_int_equal(plan_profile(FLAGS("\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"")), 0);
	assert_int_equal(seccomp_compile(&plan, &handles, &e), known ? 0 : -1);
	assert_int_equal(plan.seccomp->flags, 0);
	if (!known)
		assert_non_null(strstr(e.msg, "WAIT_KILLABLE_RECV"));
}

static void
test_too_large(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	fprintf(f, "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [");
	for (int i = 0; i < 5000; i++)
		fprintf(f,
		        "%s{\"names\": [\"ioctl\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 1,"
		        "\"value\": %d, \"op\": \"SCMP_CMP_EQ\"}]}",
		        i > 0 ? "," : "", i * 3);
	fputs("]}", f);
	fclose(f);
	profile_of(text);
	assert_int_equal(seccomp_compile(&plan, &handles, &e), -1);
	assert_int_equal(plan.seccomp->length, 0);
	assert_string_equal(e.id, "seccomp-failed");
	free(text);
}

/* The kernel ------------------------------------------------------------------------ */

/* Run check in a child behind the filter; returns its wait status. */
static int
behind_filter(int (*check)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    seccomp_install(&plan, &handles, &e) < 0)
			syscall(SYS_exit_group, 200);
		syscall(SYS_exit_group, check());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int
check_nothing(void)
{
	return 0;
}

/* Between the filter and execve nothing else is called: only exit_group is allowed here. */
static void
test_single_call(void **state)
{
	(void)state;
	if (under_valgrind())
		skip();
	compile_profile(PROFILE("KILL_PROCESS", ALLOW("\"exit_group\"")));
	assert_int_equal(behind_filter(check_nothing), 0);
}

static int
check_errors(void)
{
	if (syscall(SYS_mkdirat, AT_FDCWD, "/", 0700) != -1 || errno != EDOM)
		return 1;
	if (syscall(SYS_getpriority, 0, 0) != -1 || errno != EPERM)
		return 2;
	if (syscall(SYS_getpriority, 1, 0) == -1)
		return 3;
	return syscall(SYS_getpid) > 0 ? 0 : 4;
}

static void
test_errors(void **state)
{
	(void)state;
	if (under_valgrind())
		skip();
	compile_profile(PROFILE(
		"ALLOW",
		RULE("\"mkdirat\"", "\"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 33") "," IF(
			"ERRNO", "\"getpriority\"", ARG(0, EQ, 0))));
	assert_int_equal(behind_filter(check_errors), 0);
}

static void
test_kill(void **state)
{
	int status;

	(void)state;
	if (under_valgrind())
		skip();
	compile_profile(
		PROFILE("ALLOW", RULE("\"mkdirat\"", "\"action\": \"SCMP_ACT_KILL_PROCESS\"")));
	status = behind_filter(check_errors);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

#ifdef __x86_64__
static long
call_i386(long number, long first)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first) : "memory");
	return (int)result;
}

/* 20: getpid, 24: getuid, 436: close_range */
static int
check_i386(void)
{
	if (call_i386(24, 0) != -EPERM)
		return 1;
	if (call_i386(436, 0) != -ENOSYS)
		return 2;
	return call_i386(20, 0) > 0 ? 0 : 3;
}

static int
check_i386_killed(void)
{
	call_i386(20, 0);
	return 0;
}

/* A kernel built or booted without it ends who tries (and cmocka would catch that). */
static bool
kernel_has_i386(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		syscall(SYS_exit_group, call_i386(20, 0) == (long)getpid() ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status == 0;
}

/* The wait status of check behind the filter where it can run; else what it would be. */
static int
behind_filter_i386(int (*check)(void), int otherwise)
{
	return under_valgrind() || !kernel_has_i386() ? otherwise : behind_filter(check);
}
#else
#define behind_filter_i386(check, otherwise) (otherwise)
#endif

/* By the interpreter everywhere, and by the kernel where it runs such programs. */
static void
test_i386(void **state)
{
	(void)state;
	compile_profile(PROFILE("ERRNO", ALLOW("\"getpid\", \"exit_group\", \"clone3\"")));
	assert_int_equal(answer(AUDIT_ARCH_I386, 24, 0), ERRNO(EPERM));
	assert_int_equal(answer(AUDIT_ARCH_I386, 436, 0), ERRNO(ENOSYS));
	assert_int_equal(answer(AUDIT_ARCH_I386, 20, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(behind_filter_i386(check_i386, 0), 0);
}

/* An architecture that the profile does not list is killed, as libseccomp has it. */
static void
test_unlisted_architecture(void **state)
{
	int status;

	(void)state;
	compile_profile(
		"{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_X86_64\"]}");
	assert_int_equal(answer(AUDIT_ARCH_I386, 20, 0), SECCOMP_RET_KILL);
	status = behind_filter_i386(check_i386_killed, SIGSYS);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static int
check_x32(void)
{
	/* refused by the filter, whether the kernel knows x32 or not */
	if (syscall(X32 + SYS_getuid) != -1 || errno != EPERM)
		return 1;
	/* let through: only the kernel without x32 knows no such call */
	if (syscall(X32 + SYS_getpid) == -1 && errno != ENOSYS)
		return 2;
	return 0;
}

static void
test_x32(void **state)
{
	(void)state;
	if (under_valgrind() || seccomp_arch_native() != SCMP_ARCH_X86_64)
		skip();
	compile_profile(PROFILE("ERRNO", ALLOW("\"getpid\", \"exit_group\", \"clone3\"")));
	assert_int_equal(behind_filter(check_x32), 0);
}

static int
check_docker(void)
{
	if (syscall(SYS_clone, 0x10000000 /* CLONE_NEWUSER */, 0, 0, 0, 0) != -1 || errno != EPERM)
		return 1;
	if (syscall(435 /* clone3 */, NULL, 0) != -1 || errno != ENOSYS)
		return 2;
	if (syscall(SYS_mount, NULL, NULL, NULL, 0, NULL) != -1 || errno != EPERM)
		return 3;
	if (syscall(SYS_personality, 0x20009) != -1 || errno != EPERM)
		return 4;
	return syscall(SYS_socket, 40, 1, 0) == -1 && errno == EPERM ? 0 : 5;
}

static void
test_docker(void **state)
{
	(void)state;
	if (under_valgrind())
		skip();
	compile_profile(docker_profile());
	assert_int_equal(behind_filter(check_docker), 0);
	assert_true(plan.seccomp->length < 500);
}

static int
refused_without_privileges(void)
{
	/* 65534 has no capabilities, no_new_privs is not set */
	if (setresuid(65534, 65534, 65534) < 0)
		return 1;
	if (seccomp_install(&plan, &handles, &e) != -1 || e.code != EACCES)
		return 2;
	return 0;
}

static void
test_needs_privileges(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	if (geteuid() != 0 || under_valgrind())
		skip();
	compile_profile(PROFILE("ALLOW", RULE("\"mkdirat\"", "\"action\": \"SCMP_ACT_ERRNO\"")));
	pid = fork();
	if (pid == 0)
		_exit(refused_without_privileges());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Not compiled: an error and no call. */
static void
test_nothing_to_install(void **state)
{
	(void)state;
	profile_of(PROFILE("ERRNO", ""));
	assert_int_equal(seccomp_install(&plan, &handles, &e), -1);
	plan.seccomp->length = BPF_MAXINSNS + 1;
	assert_int_equal(seccomp_install(&plan, &handles, &e), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_same_as_library),
		TEST(test_random_profiles),
		TEST(test_newer_syscalls),
		TEST(test_newer_syscalls_and_sockets),
		TEST(test_no_enosys),
		TEST(test_same_argument_twice),
		TEST(test_names_of_other_architectures),
		TEST(test_dispatch),
		TEST(test_dispatch_limits),
		TEST(test_no_filter),
		TEST(test_empty_object),
		TEST(test_refused_profiles),
		TEST(test_useless_rules),
		TEST(test_flags),
		TEST(test_flag_for_listeners),
		TEST(test_too_large),
		TEST(test_single_call),
		TEST(test_errors),
		TEST(test_kill),
		TEST(test_i386),
		TEST(test_unlisted_architecture),
		TEST(test_x32),
		TEST(test_docker),
		TEST(test_needs_privileges),
		TEST(test_nothing_to_install),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
