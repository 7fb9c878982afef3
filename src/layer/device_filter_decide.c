/* SPDX-License-Identifier: MIT */
/*
 * Do device programs decide the same? They see a type, numbers and a kind of access,
 * and consist of loads, arithmetic and jumps forward: both are run for every type and
 * kind, with all numbers that one of them knows, and one that none knows.
 */
#include "hako/device_filter.h"

#include <string.h>

/* What may stand in a register: a number; r1 begins as the context, r10 is not used. */
struct machine {
	uint64_t registers[MAX_BPF_REG];
	const struct device_access *access;
};

static uint64_t
load(const struct device_access *access, int16_t offset)
{
	switch (offset) {
	case offsetof(struct bpf_cgroup_dev_ctx, access_type):
		return access->kinds << 16 | access->type;
	case offsetof(struct bpf_cgroup_dev_ctx, major):
		return access->major;
	case offsetof(struct bpf_cgroup_dev_ctx, minor):
		return access->minor;
	default:
		return 0;
	}
}

static uint64_t
calculate(uint8_t op, uint64_t a, uint64_t b)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_OR:
		return a | b;
	case BPF_AND:
		return a & b;
	case BPF_LSH:
		return a << (b & 63);
	case BPF_RSH:
		return a >> (b & 63);
	case BPF_XOR:
		return a ^ b;
	default:
		return b; /* BPF_MOV */
	}
}

static bool
jumps(uint8_t op, uint64_t a, uint64_t b)
{
	switch (op) {
	case BPF_JEQ:
		return a == b;
	case BPF_JNE:
		return a != b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	case BPF_JLT:
		return a < b;
	case BPF_JLE:
		return a <= b;
	case BPF_JSET:
		return (a & b) != 0;
	default:
		return true; /* BPF_JA */
	}
}

static uint64_t
narrow(bool is_wide, uint64_t value)
{
	return is_wide ? value : (uint32_t)value;
}

/* false: it goes on. */
static bool
step(struct machine *m, const struct bpf_insn *insn, size_t *position, bool *ret_allowed)
{
	uint8_t class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);
	uint64_t *to = &m->registers[insn->dst_reg % MAX_BPF_REG];
	uint64_t operand = BPF_SRC(insn->code) == BPF_X ? m->registers[insn->src_reg % MAX_BPF_REG]
	                                                : (uint64_t)(int64_t)insn->imm;
	bool is_wide = class == BPF_ALU64 || class == BPF_JMP;

	if (class == BPF_LDX) {
		*to = load(m->access, insn->off);
	} else if (class == BPF_ALU || class == BPF_ALU64) {
		*to = narrow(is_wide, calculate(op, *to, narrow(is_wide, operand)));
	} else if (op == BPF_EXIT) {
		*ret_allowed = m->registers[0] != 0;
		return true;
	} else if (jumps(op, narrow(is_wide, *to), narrow(is_wide, operand))) {
		*position += (size_t)insn->off;
	}
	return false;
}

bool
device_filter_decide(const struct bpf_insn *insns, size_t count, const struct device_access *access)
{
	struct machine m = {.access = access};
	bool allowed = false;

	for (size_t i = 0; i < count; i++)
		if (step(&m, &insns[i], &i, &allowed))
			return allowed;
	return false;
}

/* Numbers ---------------------------------------------------------------------------- */

static void
add_number(struct device_numbers *numbers, uint32_t number)
{
	for (size_t i = 0; i < numbers->count; i++)
		if (numbers->items[i] == number)
			return;
	if (numbers->count < sizeof(numbers->items) / sizeof(numbers->items[0]))
		numbers->items[numbers->count++] = number;
}

void
device_filter_numbers(const struct bpf_insn *insns, size_t count, struct device_numbers *numbers)
{
	enum { NOBODYS = 3999 };

	add_number(numbers, NOBODYS);
	for (size_t i = 0; i < count; i++)
		if (BPF_CLASS(insns[i].code) == BPF_JMP || BPF_CLASS(insns[i].code) == BPF_JMP32)
			add_number(numbers, (uint32_t)insns[i].imm);
}
