/* SPDX-License-Identifier: MIT */
/*
 * The device programs of the container's cgroup. The kernel shows them as its verifier
 * has left them, so the expected one is loaded too, attached nowhere, and both are
 * compared instruction by instruction. Other programs there can only refuse more. Where
 * it is not among them, as in a container of another runtime, what they decide counts.
 */
#include "hako/device_filter.h"
#include "hako/layer.h"
#include "hako/syscall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROGRAMS_MAX = 64 };

struct program {
	struct bpf_insn *insns;
	size_t size; /* bytes */
};

static int
get_info(int fd, struct bpf_prog_info *info)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(*info);
	attr.info.info = (uintptr_t)info;
	return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

static int
read_program(struct arena *arena, int fd, struct program *ret)
{
	struct bpf_prog_info info = {0};
	uint32_t size;

	if (fd < 0 || get_info(fd, &info) < 0)
		return -1;
	size = info.xlated_prog_len;
	ret->insns = arena_alloc(arena, size + 1);
	info = (struct bpf_prog_info){.xlated_prog_len = size,
	                              .xlated_prog_insns = (uintptr_t)ret->insns};
	if (get_info(fd, &info) < 0)
		return -1;
	ret->size = size;
	if (size > 0 && info.xlated_prog_insns != 0)
		return 0;
	errno = EPERM; /* the kernel hides them */
	return -1;
}

/* How many programs are attached; -1 with errno. */
static int
list_programs(int cgroup, uint32_t ids[static PROGRAMS_MAX])
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)cgroup;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uintptr_t)ids;
	attr.query.prog_cnt = PROGRAMS_MAX;
	return sys_bpf(BPF_PROG_QUERY, &attr) < 0 ? -1 : (int)attr.query.prog_cnt;
}

static int
open_program(uint32_t id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	return sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
}

static int
make_expected(const struct plan *plan, struct arena *arena, struct program *ret)
{
	autofree struct bpf_insn *insns = NULL;
	autoclose int fd = -1;
	size_t count;

	if (device_filter_program(plan->device_rules, plan->device_rule_count, &insns, &count) < 0)
		return -1;
	ret->size = 0;
	if (count == 0)
		return 0;
	fd = device_filter_load(insns, count, NULL, 0);
	return read_program(arena, fd, ret);
}

static size_t
length(const struct program *p)
{
	return p->size / sizeof(struct bpf_insn);
}

/* Compare ---------------------------------------------------------------------------- */

/* All that are attached must allow; of no program everything is allowed. */
static bool
is_allowed(const struct program *programs, int count, const struct device_access *access)
{
	for (int i = 0; i < count; i++)
		if (programs[i].size > 0 &&
		    !device_filter_decide(programs[i].insns, length(&programs[i]), access))
			return false;
	return true;
}

struct comparison {
	const struct program *expected;
	const struct program *found;
	int count;
	struct device_numbers numbers;
};

/* What the kernel asks: mknod(2) by itself, an open for one or both. */
static const uint32_t requests[] = {BPF_DEVCG_ACC_MKNOD, BPF_DEVCG_ACC_READ, BPF_DEVCG_ACC_WRITE,
                                    BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE};

static bool
agree(const struct comparison *c, struct device_access *access)
{
	for (access->type = BPF_DEVCG_DEV_BLOCK; access->type <= BPF_DEVCG_DEV_CHAR; access->type++)
		for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
			access->kinds = requests[i];
			if (is_allowed(c->expected, 1, access) !=
			    is_allowed(c->found, c->count, access))
				return false;
		}
	return true;
}

static bool
find_difference(const struct comparison *c, struct device_access *access)
{
	const struct device_numbers *numbers = &c->numbers;

	for (size_t i = 0; i < numbers->count; i++)
		for (size_t k = 0; k < numbers->count; k++) {
			access->major = numbers->items[i];
			access->minor = numbers->items[k];
			if (!agree(c, access))
				return true;
		}
	return false;
}

static const char *
describe_difference(const struct comparison *c, struct arena *arena,
                    const struct device_access *access)
{
	return arena_printf(arena, "%d other program%s: %c %u:%u %s%s%s is %s", c->count,
	                    c->count == 1 ? "" : "s",
	                    access->type == BPF_DEVCG_DEV_BLOCK ? 'b' : 'c', access->major,
	                    access->minor, (access->kinds & BPF_DEVCG_ACC_READ) != 0 ? "r" : "",
	                    (access->kinds & BPF_DEVCG_ACC_WRITE) != 0 ? "w" : "",
	                    (access->kinds & BPF_DEVCG_ACC_MKNOD) != 0 ? "m" : "",
	                    is_allowed(c->found, c->count, access) ? "allowed" : "refused");
}

static bool
is_among(const struct comparison *c)
{
	for (int i = 0; i < c->count; i++)
		if (c->found[i].size == c->expected->size &&
		    memcmp(c->found[i].insns, c->expected->insns, c->expected->size) == 0)
			return true;
	return false;
}

static void
compare(struct verdicts *v, struct claim claim, struct comparison *c)
{
	const char *expected = arena_printf(v->arena, "%zu instructions", length(c->expected));
	struct device_access access;

	if (is_among(c)) {
		verdict_add(v, claim, true, expected, expected);
		return;
	}
	device_filter_numbers(c->expected->insns, length(c->expected), &c->numbers);
	for (int i = 0; i < c->count; i++)
		device_filter_numbers(c->found[i].insns, length(&c->found[i]), &c->numbers);
	if (find_difference(c, &access))
		verdict_add(v, claim, false, expected, describe_difference(c, v->arena, &access));
	else
		verdict_add(v, claim, true, expected, "others that decide the same");
}

static int
read_programs(struct arena *arena, const uint32_t *ids, int count, struct program *ret)
{
	for (int i = 0; i < count; i++) {
		autoclose int fd = open_program(ids[i]);

		if (read_program(arena, fd, &ret[i]) < 0)
			return -1;
	}
	return 0;
}

LAYER_VERIFY(device_filter_verify)
{
	const struct config_resources *resources = plan->config->linux_->resources;
	const struct claim claim = {CHECK_DEVICE_FILTER,
	                            resources != NULL ? resources->devices.at : NULL};
	struct program expected = {0}, found[PROGRAMS_MAX] = {0};
	struct comparison c = {.expected = &expected, .found = found};
	uint32_t ids[PROGRAMS_MAX];

	/* who is not privileged has none */
	if (plan->device_rule_count == 0 || !plan->options.privileged ||
	    !verdicts_want(v, CHECK_DEVICE_FILTER, NULL) || o->cgroup < 0)
		return;
	c.count = list_programs(o->cgroup, ids);
	if (c.count < 0)
		verdict_unknown(v, claim, "list the programs of the cgroup: %s", error_text(errno));
	else if (make_expected(plan, v->arena, &expected) < 0)
		verdict_unknown(v, claim, "load the expected program: %s", error_text(errno));
	else if (read_programs(v->arena, ids, c.count, found) < 0)
		verdict_unknown(v, claim, "read the programs of the cgroup: %s", error_text(errno));
	else
		compare(v, claim, &c);
}
