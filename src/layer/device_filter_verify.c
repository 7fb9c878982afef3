/* SPDX-License-Identifier: MIT */
/*
 * The device programs of the container's cgroup. The kernel shows them as its verifier
 * has left them, so the expected one is loaded too, attached nowhere, and both are
 * compared instruction by instruction. Other programs there can only refuse more.
 */
#include "hako/device_filter.h"
#include "hako/layer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PROGRAMS_MAX = 64 };

struct program {
	struct bpf_insn *insns;
	size_t size; /* bytes */
	char name[BPF_OBJ_NAME_LEN];
};

static int
sys_bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

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
	memcpy(ret->name, info.name, sizeof(ret->name));
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

static const char *
describe(struct arena *arena, const struct program *p)
{
	return arena_printf(arena, "%zu instructions", p->size / sizeof(struct bpf_insn));
}

static void
compare(struct observed *o, struct verdicts *v, struct claim claim, const struct program *expected,
        const uint32_t *ids, int count)
{
	const char *found = "no program";

	for (int i = 0; i < count; i++) {
		autoclose int fd = open_program(ids[i]);
		struct program p;

		if (read_program(o->arena, fd, &p) < 0) {
			verdict_unknown(v, claim, "read the program: %s", error_text(errno));
			return;
		}
		if (p.size == expected->size && memcmp(p.insns, expected->insns, p.size) == 0) {
			found = describe(o->arena, expected);
			verdict_add(v, claim, true, found, found);
			return;
		}
		found = arena_printf(o->arena, "other %s%s%s%s", describe(o->arena, &p),
		                     p.name[0] != '\0' ? " (" : "", p.name,
		                     p.name[0] != '\0' ? ")" : "");
	}
	verdict_add(v, claim, expected->size == 0, describe(o->arena, expected), found);
}

LAYER_VERIFY(device_filter_verify)
{
	const struct config_resources *resources = plan->config->linux_->resources;
	const struct claim claim = {CHECK_DEVICE_FILTER,
	                            resources != NULL ? resources->devices.at : NULL};
	uint32_t ids[PROGRAMS_MAX];
	struct program expected;
	int count;

	/* who is not privileged has none */
	if (plan->device_rule_count == 0 || !plan->options.privileged ||
	    !verdicts_want(v, CHECK_DEVICE_FILTER, NULL) || o->cgroup < 0)
		return;
	count = list_programs(o->cgroup, ids);
	if (count < 0)
		verdict_unknown(v, claim, "list the programs of the cgroup: %s", error_text(errno));
	else if (make_expected(plan, v->arena, &expected) < 0)
		verdict_unknown(v, claim, "load the expected program: %s", error_text(errno));
	else
		compare(o, v, claim, &expected, ids, count);
}
