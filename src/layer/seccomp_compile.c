/* SPDX-License-Identifier: MIT */
/*
 * A profile becomes a program. Syscalls that it decides by number alone go into
 * tables, one an ABI, for seccomp_dispatch.c; libseccomp makes the rest, which
 * is short: arguments, socketcall(2) and ipc(2), rules that contradict each
 * other, foreign architectures. Both together do what libseccomp would do with
 * the whole profile, in a fraction of the time, except for one thing: where the
 * default is an error, syscalls newer than any that the profile names fail with
 * ENOSYS, because libc falls back to older ones only then.
 */
#include "hako/seccomp.h"
#include "hako/log.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

/* Tables ------------------------------------------------------------------ */

enum { ABIS_MAX = 32 };

/* In a table that is being filled: nothing was said about the syscall yet. */
#define UNSAID 0xfffffffeU

/* A syscall number means something only within one of these. */
struct abi {
	uint32_t arch;    /* SCMP_ARCH_... */
	bool multiplexed; /* has socketcall(2) or ipc(2): libseccomp knows what they hide */
	long newest;      /* highest place in the table that the profile names, -1: none */
	struct seccomp_table *table;
};

struct compiler {
	const struct config_seccomp *seccomp;
	uint32_t default_action;
	struct seccomp_table tables[ABIS_MAX];
	struct abi abis[ABIS_MAX];
	size_t count;
	unsigned tail_rules;
};

/*
 * libseccomp's pseudo numbers: -100 to -299 for what socketcall and ipc do, below: not there.
 * It gives them also where there is neither: with a rule for such a one libseccomp 2.5
 * forgets to load the number, and compares another with it.
 */
static bool
is_multiplexed(const struct abi *abi, int number)
{
	return abi->multiplexed && number <= -100 && number > -10000;
}

/* The place of a number in the ABI's table, or NULL: the tail's business. */
static uint32_t *
slot(struct abi *abi, int number)
{
	uint32_t n = (uint32_t)number - abi->table->base;

	return number >= 0 && n < SECCOMP_TABLE_SIZE ? &abi->table->actions[n] : NULL;
}

static void
name_newest(struct abi *abi, int number)
{
	const uint32_t *place = slot(abi, number);

	if (place != NULL && place - abi->table->actions > abi->newest)
		abi->newest = place - abi->table->actions;
}

static void
decide(struct abi *abi, const struct config_syscall *rule, uint32_t action, const char *name)
{
	int number = seccomp_syscall_resolve_name_arch(abi->arch, name);
	uint32_t *place = slot(abi, number);

	name_newest(abi, number);
	/* libseccomp does not tell the numbers that such a call has of its own; all are older */
	if (is_multiplexed(abi, number))
		name_newest(abi, seccomp_syscall_resolve_name_arch(abi->arch, "pidfd_send_signal"));
	if (place == NULL)
		return;
	if (rule->args.count > 0)
		*place = SECCOMP_TAIL;
	else if (*place == UNSAID)
		*place = action;
	else if (*place != action)
		*place = SECCOMP_TAIL;
}

static void
decide_rule(const struct compiler *c, struct abi *abi, const struct config_syscall *rule)
{
	uint32_t action = seccomp_rule_action(rule);

	for (size_t i = 0; i < rule->names.count; i++) {
		const char *name = rule->names.items[i];

		if (action != c->default_action)
			decide(abi, rule, action, name);
		else
			name_newest(abi, seccomp_syscall_resolve_name_arch(abi->arch, name));
	}
}

/* ENOSYS: not for a profile that kills, nor for one that wants another answer to all. */
static uint32_t
newer_action(const struct compiler *c, const struct abi *abi, uint32_t otherwise)
{
	bool errors = c->seccomp->default_action == SECCOMP_ACTION_ERRNO;

	return errors && abi->newest >= 0 ? SCMP_ACT_ERRNO(ENOSYS) : otherwise;
}

static void
fill_table(const struct compiler *c, struct abi *abi)
{
	static const char *const multiplexers[] = {"socketcall", "ipc"};
	const struct config_syscall *rules = c->seccomp->syscalls.items;
	uint32_t *actions = abi->table->actions, unsaid;

	for (size_t i = 0; i < SECCOMP_TABLE_SIZE; i++)
		actions[i] = UNSAID;
	for (size_t i = 0; i < ARRAY_SIZE(multiplexers); i++) {
		uint32_t *place =
			slot(abi, seccomp_syscall_resolve_name_arch(abi->arch, multiplexers[i]));

		if (place != NULL) {
			*place = SECCOMP_TAIL;
			abi->multiplexed = true;
		}
	}
	for (size_t i = 0; i < c->seccomp->syscalls.count; i++)
		decide_rule(c, abi, &rules[i]);
	unsaid = abi->multiplexed ? SECCOMP_TAIL : c->default_action;
	for (long i = 0; i < SECCOMP_TABLE_SIZE; i++)
		if (i > abi->newest)
			actions[i] = newer_action(c, abi, unsaid);
		else if (actions[i] == UNSAID)
			actions[i] = unsaid;
}

/* Architectures ------------------------------------------------------------ */

static int
add_abi(struct compiler *c, uint32_t arch)
{
	struct seccomp_table *table = &c->tables[c->count];

	for (size_t i = 0; i < c->count; i++)
		if (c->abis[i].arch == arch)
			return 0;
	if (c->count == ABIS_MAX)
		return -1;
	table->audit_arch = arch;
	if (arch == SCMP_ARCH_X32) { /* the kernel tells it by a bit of the number only */
		table->audit_arch = SCMP_ARCH_X86_64;
		table->base = X32_BASE;
	}
	c->abis[c->count] = (struct abi){.arch = arch, .newest = -1, .table = table};
	fill_table(c, &c->abis[c->count]);
	c->count++;
	return 0;
}

/* "SCMP_ARCH_X86_64" -> SCMP_ARCH_X86_64; libseccomp wants "x86_64". 0: unknown to it. */
static uint32_t
arch_of(const char *name)
{
	static const char prefix[] = "SCMP_ARCH_";
	char lower[32];
	size_t n = 0;

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return 0;
	for (name += sizeof(prefix) - 1; n < sizeof(lower) - 1 && name[n] != '\0'; n++)
		lower[n] =
			(char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] + ('a' - 'A') : name[n]);
	lower[n] = '\0';
	return seccomp_arch_resolve_name(lower);
}

/*
 * All of them stay in the program, also those that this kernel cannot execute:
 * leaving one out would turn its refusals into kills. x32 comes last, as
 * seccomp_dispatch() wants it.
 */
static int
add_abis(struct compiler *c, struct error *e)
{
	const struct strings *names = &c->seccomp->architectures;
	uint32_t native = seccomp_arch_native();
	bool x32 = native == SCMP_ARCH_X32;

	if (!x32)
		add_abi(c, native);
	for (size_t i = 0; i < names->count; i++) {
		uint32_t arch = arch_of(names->items[i]);

		if (arch == SCMP_ARCH_X32)
			x32 = true;
		else if (arch == 0 || add_abi(c, arch) < 0)
			return json_error(strings_at(names, i), e, 0, "seccomp-unsupported",
			                  "libseccomp does not know %s", names->items[i]);
	}
	return x32 ? add_abi(c, SCMP_ARCH_X32) : 0;
}

/* The tail ----------------------------------------------------------------- */

static void
release(scmp_filter_ctx *filter)
{
	if (*filter != NULL)
		seccomp_release(*filter);
}

#define autorelease __attribute__((cleanup(release)))

static bool
repeats_an_index(const struct config_syscall *rule)
{
	const struct config_seccomp_arg *args = rule->args.items;
	unsigned seen = 0;

	for (size_t i = 0; i < rule->args.count; i++) {
		if (seen & (1U << *args[i].index))
			return true;
		seen |= 1U << *args[i].index;
	}
	return false;
}

static const int operators[] = {
	[SECCOMP_OPERATOR_NE] = SCMP_CMP_NE,
	[SECCOMP_OPERATOR_LT] = SCMP_CMP_LT,
	[SECCOMP_OPERATOR_LE] = SCMP_CMP_LE,
	[SECCOMP_OPERATOR_EQ] = SCMP_CMP_EQ,
	[SECCOMP_OPERATOR_GE] = SCMP_CMP_GE,
	[SECCOMP_OPERATOR_GT] = SCMP_CMP_GT,
	[SECCOMP_OPERATOR_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
};

static struct scmp_arg_cmp
comparison(const struct config_seccomp_arg *arg)
{
	return (struct scmp_arg_cmp){
		.arg = (unsigned)*arg->index,
		.op = (enum scmp_compare)operators[arg->op],
		.datum_a = *arg->value,
		.datum_b = arg->value_two != NULL ? *arg->value_two : 0,
	};
}

/* libseccomp takes one comparison an argument: several become rules of their own ("or"). */
static int
add_rule(scmp_filter_ctx filter, const struct config_syscall *rule, const char *name)
{
	int number = seccomp_syscall_resolve_name(name);
	const struct config_seccomp_arg *args = rule->args.items;
	size_t count = rule->args.count;
	struct scmp_arg_cmp comparisons[SECCOMP_ARGUMENTS];
	int rc;

	if (!repeats_an_index(rule)) {
		for (size_t i = 0; i < count; i++)
			comparisons[i] = comparison(&args[i]);
		return seccomp_rule_add_array(filter, seccomp_rule_action(rule), number,
		                              (unsigned)count, comparisons);
	}
	for (size_t i = 0; i < count; i++) {
		comparisons[0] = comparison(&args[i]);
		rc = seccomp_rule_add_array(filter, seccomp_rule_action(rule), number, 1,
		                            comparisons);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Was the syscall left to the tail? Those that the ABI does not have need no rule at all. */
static bool
is_for_tail(struct abi *abi, const char *name)
{
	int number = seccomp_syscall_resolve_name_arch(abi->arch, name);
	const uint32_t *place = slot(abi, number);

	return place != NULL ? *place == SECCOMP_TAIL : number >= 0 || is_multiplexed(abi, number);
}

static int
add_rules(struct compiler *c, struct abi *abi, scmp_filter_ctx filter, struct error *e)
{
	const struct config_syscall *rules = c->seccomp->syscalls.items;

	for (size_t i = 0; i < c->seccomp->syscalls.count; i++) {
		const struct strings *names = &rules[i].names;

		if (seccomp_rule_action(&rules[i]) == c->default_action)
			continue;
		for (size_t k = 0; k < names->count; k++) {
			int rc;

			if (!is_for_tail(abi, names->items[k]))
				continue;
			c->tail_rules++;
			rc = add_rule(filter, &rules[i], names->items[k]);
			if (rc < 0)
				return json_error(rules[i].at, e, -rc, "seccomp-failed",
				                  "libseccomp refuses the rule for %s",
				                  names->items[k]);
		}
	}
	return 0;
}

/* One of the other byte order, as a rule. */
static int
refuse_arch(const struct compiler *c, uint32_t arch, struct error *e)
{
	const struct strings *names = &c->seccomp->architectures;
	size_t i = 0;

	while (i + 1 < names->count && arch_of(names->items[i]) != arch)
		i++;
	return json_error(strings_at(names, i), e, 0, "seccomp-unsupported",
	                  "libseccomp refuses %s on this machine: remove it", names->items[i]);
}

/* A filter of libseccomp's for one ABI: only what the table leaves open. */
static int
make_filter(struct compiler *c, struct abi *abi, scmp_filter_ctx *ret_filter, struct error *e)
{
	autorelease scmp_filter_ctx filter = seccomp_init(c->default_action);
	bool native = abi->arch == seccomp_arch_native();

	if (filter == NULL)
		return json_error(c->seccomp->at, e, 0, "seccomp-failed",
		                  "libseccomp refuses the default action");
	if (!native && (seccomp_arch_add(filter, abi->arch) < 0 ||
	                seccomp_arch_remove(filter, SCMP_ARCH_NATIVE) < 0))
		return refuse_arch(c, abi->arch, e);
	if (add_rules(c, abi, filter, e) < 0)
		return -1;
	*ret_filter = filter;
	filter = NULL;
	return 0;
}

/* Two filters into one; the second is gone afterwards. */
static int
merge(const struct compiler *c, scmp_filter_ctx *into, scmp_filter_ctx *other, struct error *e)
{
	int rc;

	if (*into == NULL) {
		*into = *other;
		*other = NULL;
		return 0;
	}
	rc = seccomp_merge(*into, *other);
	if (rc < 0)
		return json_error(c->seccomp->at, e, -rc, "seccomp-failed", "seccomp_merge");
	*other = NULL;
	return 0;
}

/* libseccomp 2.5 writes programs to descriptors only. Returns the length, or 0 with errno. */
static size_t
export_program(scmp_filter_ctx filter, struct sock_filter tail[static BPF_MAXINSNS])
{
	autoclose int fd = memfd_create("seccomp", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	const size_t room = BPF_MAXINSNS * sizeof(*tail);
	ssize_t size;
	int rc;

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("seccomp", MFD_CLOEXEC);
	if (fd < 0)
		return 0;
	rc = seccomp_export_bpf(filter, fd);
	if (rc < 0) {
		errno = -rc;
		return 0;
	}
	size = pread(fd, tail, room, 0);
	if (size > 0 && (size_t)size < room)
		return (size_t)size / sizeof(*tail);
	if (size >= 0)
		errno = EFBIG;
	return 0;
}

/* Above so many rules a binary tree is worth its comparisons. */
enum { LINEAR_MAX = 32 };

static size_t
make_tail(struct compiler *c, struct sock_filter tail[static BPF_MAXINSNS], struct error *e)
{
	autorelease scmp_filter_ctx filter = NULL;
	size_t length;

	for (size_t i = 0; i < c->count; i++) {
		autorelease scmp_filter_ctx part = NULL;

		if (make_filter(c, &c->abis[i], &part, e) < 0 || merge(c, &filter, &part, e) < 0)
			return 0;
	}
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE,
	                       c->tail_rules > LINEAR_MAX ? 2 : 1);
	length = export_program(filter, tail);
	if (length == 0)
		json_error(c->seccomp->at, e, errno, "seccomp-failed", "export the filter");
	return length;
}

/* Program --------------------------------------------------------------------------- */

int
seccomp_compile_profile(const struct config_seccomp *seccomp, struct sock_filter *filter,
                        struct error *e)
{
	autofree struct compiler *c = calloc(1, sizeof(*c));
	autofree struct sock_filter *tail = calloc(BPF_MAXINSNS, sizeof(*tail));
	uint32_t length;
	size_t tail_length;

	if (c == NULL || tail == NULL)
		return json_error(seccomp->at, e, errno, "seccomp-failed", "compile");
	c->seccomp = seccomp;
	c->default_action = seccomp_default_action(seccomp);
	tail_length = add_abis(c, e) < 0 ? 0 : make_tail(c, tail, e);
	if (tail_length == 0)
		return -1;
	length = seccomp_dispatch(c->tables, c->count, tail, tail_length, filter);
	if (length == 0)
		return json_error(seccomp->at, e, 0, "seccomp-failed",
		                  "over the kernel's maximum of %d instructions", BPF_MAXINSNS);
	return (int)length;
}
