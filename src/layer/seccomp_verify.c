/* SPDX-License-Identifier: MIT */
/*
 * The filter that the kernel has, fetched with PTRACE_SECCOMP_GET_FILTER (ptrace(2))
 * and compared with the one that the profile compiles to, anew and not from the cache.
 * For that the process is stopped for a moment. A filter that some other program has
 * compiled may have other instructions and still decide the same: then both are tried
 * with every system call.
 */
#include "hako/layer.h"
#include "hako/seccomp.h"
#include "hako/syscall.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif

enum { STOP_TRIES = 4000, STOP_PAUSE_NS = 1000000 };

static struct claim
claim_of(const struct plan *plan, enum check check)
{
	return (struct claim){check, json_member(plan->config->linux_->at, "seccomp")};
}

/* Fetch ---------------------------------------------------------------------------- */

/* It stops when it next comes out of the kernel; not at once when it is busy there. */
static int
wait_stopped(pid_t pid)
{
	struct timespec pause = {.tv_nsec = STOP_PAUSE_NS};
	int status;

	for (int i = 0; i < STOP_TRIES; i++) {
		pid_t done = waitpid(pid, &status, WNOHANG | __WALL);

		if (done < 0)
			return -1;
		if (done == pid && WIFSTOPPED(status))
			return 0;
		if (done == pid)
			break;
		nanosleep(&pause, NULL);
	}
	errno = ETIMEDOUT;
	return -1;
}

/* The newest of the filters is the last; returns its length, or -1 with errno. */
static long
fetch(pid_t pid, long index, struct sock_filter *filter)
{
	long length = -1;
	int code;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return -1;
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 && wait_stopped(pid) == 0)
		length = ptrace((enum __ptrace_request)PTRACE_SECCOMP_GET_FILTER, pid, index,
		                filter);
	code = errno;
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	errno = code;
	return length;
}

/* Run ------------------------------------------------------------------------------ */

static uint32_t
load(const struct seccomp_data *data, uint32_t offset)
{
	uint32_t word = 0;

	if (offset <= sizeof(*data) - sizeof(word))
		memcpy(&word, (const char *)data + offset, sizeof(word));
	return word;
}

static uint32_t
calculate(uint32_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return b != 0 ? a / b : 0;
	case BPF_OR:
		return a | b;
	case BPF_AND:
		return a & b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	case BPF_RSH:
		return b < 32 ? a >> b : 0;
	default:
		return -a;
	}
}

static bool
jumps(uint32_t op, uint32_t a, uint32_t b)
{
	return op == BPF_JEQ   ? a == b
	       : op == BPF_JGT ? a > b
	       : op == BPF_JGE ? a >= b
	                       : (a & b) != 0;
}

/* What a program says to a system call; jumps go forward only, so it ends. */
static uint32_t
decide(const struct sock_filter *filter, long length, const struct seccomp_data *data)
{
	uint32_t a = 0, x = 0, memory[BPF_MEMWORDS] = {0};

	for (long i = 0; i < length; i++) {
		const struct sock_filter *f = &filter[i];
		uint32_t operand = BPF_SRC(f->code) == BPF_X ? x : f->k;
		uint32_t value = BPF_MODE(f->code) == BPF_ABS   ? load(data, f->k)
		                 : BPF_MODE(f->code) == BPF_MEM ? memory[f->k % BPF_MEMWORDS]
		                 : BPF_MODE(f->code) == BPF_LEN ? sizeof(*data)
		                                                : f->k;

		switch (BPF_CLASS(f->code)) {
		case BPF_LD:
			a = value;
			break;
		case BPF_LDX:
			x = value;
			break;
		case BPF_ST:
			memory[f->k % BPF_MEMWORDS] = a;
			break;
		case BPF_STX:
			memory[f->k % BPF_MEMWORDS] = x;
			break;
		case BPF_ALU:
			a = calculate(BPF_OP(f->code), a, operand);
			break;
		case BPF_JMP:
			i += BPF_OP(f->code) == BPF_JA            ? (long)f->k
			     : jumps(BPF_OP(f->code), a, operand) ? f->jt
			                                          : f->jf;
			break;
		case BPF_MISC:
			if (BPF_MISCOP(f->code) == BPF_TAX)
				x = a;
			else
				a = x;
			break;
		default:
			return BPF_RVAL(f->code) == BPF_A ? a : f->k;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}

/* Compare -------------------------------------------------------------------------- */

struct pair {
	const struct sock_filter *expected, *found;
	long expected_length, found_length;
};

/* Values that one of the programs compares something with, and their neighbours. */
struct values {
	uint32_t items[3 * 256];
	size_t count;
};

static void
add_value(struct values *values, uint32_t value)
{
	for (size_t i = 0; i < values->count; i++)
		if (values->items[i] == value)
			return;
	if (values->count < ARRAY_SIZE(values->items))
		values->items[values->count++] = value;
}

/* What follows a load of an argument is a test of that; system call numbers are tried anyway. */
static void
collect_values(struct values *values, const struct sock_filter *filter, long length)
{
	bool argument = false;

	for (long i = 0; i < length; i++) {
		uint32_t class = BPF_CLASS(filter[i].code);

		if (class == BPF_LD && BPF_MODE(filter[i].code) == BPF_ABS)
			argument = filter[i].k >= offsetof(struct seccomp_data, args);
		if (!argument || (class != BPF_JMP && class != BPF_ALU))
			continue;
		for (uint32_t d = 0; d < 3; d++)
			add_value(values, filter[i].k + d - 1);
	}
}

static bool
agree(const struct pair *p, const struct seccomp_data *data)
{
	return decide(p->expected, p->expected_length, data) ==
	       decide(p->found, p->found_length, data);
}

/* With each argument at each value, the others at 0. */
static bool
agree_on_call(const struct pair *p, struct seccomp_data *data, const struct values *values)
{
	memset(data->args, 0, sizeof(data->args));
	for (size_t i = 0; i < SECCOMP_ARGUMENTS; i++) {
		for (size_t k = 0; k < values->count; k++) {
			data->args[i] = values->items[k];
			if (!agree(p, data))
				return false;
		}
		data->args[i] = 0;
	}
	return true;
}

/* The first system call about which they do not agree; its number, or -1. */
static long
find_difference(const struct pair *p, uint32_t audit_arch, uint32_t base)
{
	static struct values values;
	struct seccomp_data data = {.arch = audit_arch};

	values.count = 0;
	add_value(&values, 0);
	add_value(&values, UINT32_MAX);
	collect_values(&values, p->expected, p->expected_length);
	collect_values(&values, p->found, p->found_length);
	for (uint32_t n = 0; n < SECCOMP_TABLE_SIZE; n++) {
		data.nr = (int)(base + n);
		if (!agree_on_call(p, &data, &values))
			return n;
	}
	return -1;
}

static void
compare(const struct plan *plan, struct verdicts *v, const struct pair *p)
{
	const struct claim claim = claim_of(plan, CHECK_SECCOMP_FILTER);
	const char *expected = arena_printf(v->arena, "%ld instructions", p->expected_length);
	struct seccomp_abi abi;
	long number = -1;

	if (p->expected_length == p->found_length &&
	    memcmp(p->expected, p->found, (size_t)p->found_length * sizeof(*p->found)) == 0) {
		verdict_add(v, claim, true, expected, expected);
		return;
	}
	for (size_t i = 0; number < 0 && seccomp_list_abi(i, &abi); i++)
		number = find_difference(p, abi.audit_arch, abi.base);
	if (number < 0) {
		verdict_add(
			v, claim, true, expected,
			arena_printf(v->arena, "%ld others that decide the same", p->found_length));
		return;
	}
	verdict_add(v, claim, false, expected,
	            arena_printf(v->arena, "%ld others that decide %s (%ld) of %s differently",
	                         p->found_length, seccomp_name_call(&abi, number), number,
	                         abi.name));
}

static void
verify_filter(const struct plan *plan, const struct observed *o, struct verdicts *v, long index)
{
	const struct claim claim = claim_of(plan, CHECK_SECCOMP_FILTER);
	autofree struct sock_filter *expected = calloc(BPF_MAXINSNS, sizeof(*expected));
	autofree struct sock_filter *found = calloc(BPF_MAXINSNS, sizeof(*found));
	struct pair p = {.expected = expected, .found = found};
	struct error e;

	if (expected == NULL || found == NULL)
		return;
	p.found_length = fetch(o->pid, index, found);
	if (p.found_length <= 0) {
		verdict_unknown(v, claim, "fetch the filter: %s", error_text(errno));
		return;
	}
	p.expected_length = seccomp_compile_profile(plan->config->linux_->seccomp, expected, &e);
	if (p.expected_length < 0)
		verdict_unknown(v, claim, "%s", e.msg);
	else
		compare(plan, v, &p);
}

/* Counts: those that hako itself is under were inherited. */
LAYER_VERIFY(seccomp_verify)
{
	bool wanted = plan->seccomp != NULL;
	const char *own = observed_own_status(o->arena, "Seccomp_filters"), *count, *mode;
	long inherited = own != NULL ? atol(own) : 0, total;

	if (!o->executed) {
		verdict_pending(v, claim_of(plan, CHECK_SECCOMP_MODE));
		return;
	}
	mode = observed_status(o, "Seccomp");
	verdict_compare(v, claim_of(plan, CHECK_SECCOMP_MODE), wanted || inherited > 0 ? "2" : "0",
	                mode);
	total = inherited + wanted;
	count = observed_status(o, "Seccomp_filters");
	if (count != NULL) /* since Linux 5.9 */
		verdict_compare(v, claim_of(plan, CHECK_SECCOMP_COUNT),
		                arena_printf(v->arena, "%ld", total), count);
	if (wanted && mode != NULL && strcmp(mode, "2") == 0 &&
	    verdicts_want(v, CHECK_SECCOMP_FILTER, NULL))
		verify_filter(plan, o, v, total - 1);
}
