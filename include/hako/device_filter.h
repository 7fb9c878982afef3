/* SPDX-License-Identifier: MIT */
#ifndef HAKO_DEVICE_FILTER_H
#define HAKO_DEVICE_FILTER_H

#include "hako/plan.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * What the rules allow, as a program of type BPF_PROG_TYPE_CGROUP_DEVICE. Each
 * kind of access (mknod, read, write) that a request asks for is decided by the
 * last rule that matches the device and has that kind, and is refused when there
 * is none; a request passes when all of it does. *ret_insns is from malloc;
 * *ret_count is 0 when everything is allowed, so that no program is needed.
 * Returns 0, or -1 with errno (E2BIG: too many rules).
 */
int
device_filter_program(const struct device_rule *rules, size_t count, struct bpf_insn **ret_insns,
                      size_t *ret_count);

/*
 * A descriptor of the program, loaded and attached nowhere; -1 with errno. log: where
 * to put what the kernel's verifier says, or NULL.
 */
int
device_filter_load(const struct bpf_insn *insns, size_t count, char *log, uint32_t log_size);

/* device_filter_decide.c: what a program makes of a request ------------------------ */

struct device_access {
	uint32_t type;  /* BPF_DEVCG_DEV_... */
	uint32_t kinds; /* BPF_DEVCG_ACC_... or'ed */
	uint32_t major;
	uint32_t minor;
};

bool
device_filter_decide(const struct bpf_insn *insns, size_t count,
                     const struct device_access *access);

/* Those that programs compare something with. */
struct device_numbers {
	uint32_t items[96];
	size_t count;
};

void
device_filter_numbers(const struct bpf_insn *insns, size_t count, struct device_numbers *numbers);

#endif
