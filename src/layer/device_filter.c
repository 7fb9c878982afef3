/* SPDX-License-Identifier: MIT */
/*
 * Which devices may be used (config-linux.md "Allowed Device List"): a program
 * of type BPF_PROG_TYPE_CGROUP_DEVICE on the container's cgroup. The rules are
 * tested from the last to the first, so that the first answer counts, and apart
 * for character and block devices. A few default rules follow the config's own:
 * without /dev/null and terminals nothing runs. Without a list only those and the
 * nodes of linux.devices may be used ("Containers MAY NOT access any device node
 * that is not either explicitly referenced or one of the default devices").
 */
#include "hako/device_filter.h"
#include "hako/layer.h"
#include "hako/log.h"
#include "hako/problem.h"
#include "hako/syscall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANY = -1 };
#define ACC_ALL (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

/* Plan -------------------------------------------------------------------------- */

/* Making a node is harmless: what counts is to open it. */
static const struct device_rule default_rules[] = {
	{true, 'c', ANY, ANY, BPF_DEVCG_ACC_MKNOD},
	{true, 'b', ANY, ANY, BPF_DEVCG_ACC_MKNOD},
	{true, 'c', 1, 3, ACC_ALL},     /* null */
	{true, 'c', 1, 5, ACC_ALL},     /* zero */
	{true, 'c', 1, 7, ACC_ALL},     /* full */
	{true, 'c', 1, 8, ACC_ALL},     /* random */
	{true, 'c', 1, 9, ACC_ALL},     /* urandom */
	{true, 'c', 5, 0, ACC_ALL},     /* tty */
	{true, 'c', 5, 2, ACC_ALL},     /* ptmx */
	{true, 'c', 136, ANY, ACC_ALL}, /* pts */
	{true, 'c', 10, 200, ACC_ALL},  /* net/tun */
};

/* "rwm" -> BPF_DEVCG_ACC_...; other letters mean nothing, as for runc. */
static unsigned
access_bits(const char *text)
{
	static const char letters[] = "mrw"; /* in the order of the bits */
	unsigned bits = 0;

	if (text == NULL)
		return ACC_ALL;
	for (; *text != '\0'; text++) {
		const char *letter = strchr(letters, *text);

		if (letter != NULL)
			bits |= 1U << (letter - letters);
	}
	return bits;
}

static bool
is_number(const int64_t *number)
{
	return number == NULL || (*number >= ANY && *number <= UINT32_MAX);
}

static int
plan_rule(const struct config_device_rule *c, struct device_rule *rule, struct error *e)
{
	const char *type = c->type != NULL ? c->type : "a";

	if (strchr("abc", type[0]) == NULL || strlen(type) != 1)
		return json_error(c->at, e, 0, "device-invalid", "type %s: want a, b or c", type);
	if (!is_number(c->major) || !is_number(c->minor))
		return json_error(c->at, e, 0, "device-invalid", "a number is out of range");
	rule->access = access_bits(c->access);
	if (rule->access == 0)
		return json_error(c->at, e, 0, "device-invalid",
		                  "access \"%s\": want some of r, w, m", c->access);
	rule->allow = c->allow;
	rule->type = type[0];
	rule->major = c->major != NULL ? *c->major : ANY;
	rule->minor = c->minor != NULL ? *c->minor : ANY;
	return 0;
}

static int
plan_rules(const struct objects *list, struct device_rule *rules, struct error *e)
{
	const struct config_device_rule *rows = list->items;

	for (size_t i = 0; i < list->count; i++)
		if (json_stops(rows[i].at, plan_rule(&rows[i], &rules[i], e)))
			return -1;
	return 0;
}

/* Does the list let that device be read or written? */
static bool
is_allowed(const struct device_rule *rules, size_t count, const struct config_device *device,
           unsigned access)
{
	char type = device->type[0] == 'b' ? 'b' : 'c';

	while (count-- > 0) {
		const struct device_rule *rule = &rules[count];

		if ((rule->type == 'a' || rule->type == type) && (rule->access & access) != 0 &&
		    (rule->major == ANY || rule->major == *device->major) &&
		    (rule->minor == ANY || rule->minor == *device->minor))
			return rule->allow;
	}
	return false;
}

/* A device that is made for nobody is hardly meant. */
static void
warn_of_useless(const struct objects *devices, const struct device_rule *rules, size_t count)
{
	const struct config_device *rows = devices->items;

	for (size_t i = 0; i < devices->count; i++)
		if (rows[i].type[0] != 'p' && rows[i].major != NULL && rows[i].minor != NULL &&
		    !is_allowed(rules, count, &rows[i], BPF_DEVCG_ACC_READ) &&
		    !is_allowed(rules, count, &rows[i], BPF_DEVCG_ACC_WRITE))
			json_warning(rows[i].at, "device-forbidden",
			             "/linux/resources/devices lets nobody open this device");
}

/* Nothing, but for the nodes that the config makes. */
static size_t
plan_nodes(const struct objects *devices, struct device_rule *rules)
{
	const struct config_device *rows = devices->items;
	size_t count = 0;

	rules[count++] = (struct device_rule){false, 'a', ANY, ANY, ACC_ALL};
	for (size_t i = 0; i < devices->count; i++)
		if (rows[i].type[0] != 'p' && rows[i].major != NULL && rows[i].minor != NULL)
			rules[count++] =
				(struct device_rule){true, rows[i].type[0] == 'b' ? 'b' : 'c',
			                             *rows[i].major, *rows[i].minor, ACC_ALL};
	return count;
}

LAYER_PLAN(device_filter_plan)
{
	static const struct objects none = {0};
	const struct config_linux *lin = p->config->linux_;
	const struct objects *list = lin->resources != NULL ? &lin->resources->devices : &none;
	size_t count = list->at != NULL ? list->count : 1 + lin->devices.count;
	struct device_rule *rules =
		arena_array(p->arena, count + ARRAY_SIZE(default_rules), sizeof(*rules));

	/* an ordinary user cannot make devices, and mostly cannot filter them either */
	if (list->at == NULL && !p->plan->options.privileged)
		return 0;
	if (list->at == NULL)
		count = plan_nodes(&lin->devices, rules);
	else if (plan_rules(list, rules, e) < 0)
		return -1;
	memcpy(rules + count, default_rules, sizeof(default_rules));
	p->plan->device_rules = rules;
	p->plan->device_rule_count = count + ARRAY_SIZE(default_rules);
	if (list->at != NULL && json_goes_on(list->at))
		warn_of_useless(&lin->devices, rules, p->plan->device_rule_count);
	return 0;
}

/* Program ----------------------------------------------------------------------- */

/* The rules for one type of device in the order of testing, and what is left after them. */
struct list {
	const struct device_rule **rules;
	size_t count;
	bool otherwise;
};

/* After this rule nothing is left to say about what that one matches. */
static bool
covers(const struct device_rule *a, const struct device_rule *b)
{
	return (a->access & b->access) == b->access && (a->major == ANY || a->major == b->major) &&
	       (a->minor == ANY || a->minor == b->minor);
}

static bool
is_covered(const struct list *list, const struct device_rule *rule)
{
	for (size_t i = 0; i < list->count; i++)
		if (covers(list->rules[i], rule))
			return true;
	return false;
}

/*
 * Rules that can change nothing are left out, also because the kernel refuses a
 * program with instructions that are never reached.
 */
static void
make_list(struct list *list, const struct device_rule *rules, size_t count, char type)
{
	list->count = 0;
	list->otherwise = false;
	for (size_t i = count; i-- > 0;) {
		const struct device_rule *rule = &rules[i];

		if ((rule->type != 'a' && rule->type != type) || is_covered(list, rule))
			continue;
		if (rule->major == ANY && rule->minor == ANY && rule->access == ACC_ALL) {
			list->otherwise = rule->allow;
			break;
		}
		list->rules[list->count++] = rule;
	}
	while (list->count > 0 && list->rules[list->count - 1]->allow == list->otherwise)
		list->count--;
}

/* Registers: the kernel expects the answer in the first and brings the context in the second. */
enum { ANSWER, CONTEXT, ACCESS, TYPE, MAJOR, MINOR };

/* Offset of a jump to the end, which is not written yet. All jumps go forward. */
enum { TO_ALLOW = -1, TO_DENY = -2 };

struct writer {
	struct bpf_insn *insns;
	size_t count;
};

static size_t
put(struct writer *w, unsigned code, unsigned reg, unsigned imm, int16_t offset)
{
	w->insns[w->count] = (struct bpf_insn){
		.code = (uint8_t)code,
		.dst_reg = reg & 0xf,
		.off = offset,
		.imm = (int32_t)imm,
	};
	return w->count++;
}

/* 32 bits wide, as all numbers are. */
static size_t
put_jump(struct writer *w, unsigned op, unsigned reg, unsigned imm, int16_t offset)
{
	return put(w, BPF_JMP32 | op | BPF_K, reg, imm, offset);
}

/* Let a jump forward land here. */
static void
land(struct writer *w, size_t jump)
{
	w->insns[jump].off = (int16_t)(w->count - jump - 1);
}

/* reg = *(uint32_t *)(context + offset) */
static void
put_load(struct writer *w, unsigned reg, size_t offset)
{
	size_t n = put(w, BPF_LDX | BPF_W | BPF_MEM, reg, 0, (int16_t)offset);

	w->insns[n].src_reg = CONTEXT;
}

/* Of the kinds of access asked for, ACCESS holds those that are not decided yet. */
static void
put_rule(struct writer *w, const struct device_rule *rule)
{
	int16_t verdict = rule->allow ? TO_ALLOW : TO_DENY;
	size_t skip = SIZE_MAX;

	if (rule->access == ACC_ALL && rule->minor != ANY) {
		put_jump(w, BPF_JEQ, MINOR, (unsigned)rule->minor, verdict);
		return;
	}
	if (rule->access == ACC_ALL) {
		put(w, BPF_JMP | BPF_JA, 0, 0, verdict);
		return;
	}
	if (rule->minor != ANY)
		skip = put_jump(w, BPF_JNE, MINOR, (unsigned)rule->minor, 0);
	if (rule->allow) {
		put(w, BPF_ALU | BPF_AND | BPF_K, ACCESS, ~rule->access, 0);
		put_jump(w, BPF_JEQ, ACCESS, 0, verdict);
	} else {
		put_jump(w, BPF_JSET, ACCESS, rule->access, verdict);
	}
	if (skip != SIZE_MAX)
		land(w, skip);
}

/* One test of the major number for all neighbours that share it. */
static void
put_list(struct writer *w, const struct list *list)
{
	for (size_t i = 0, end; i < list->count; i = end) {
		int64_t major = list->rules[i]->major;
		size_t skip = SIZE_MAX;

		if (major != ANY)
			skip = put_jump(w, BPF_JNE, MAJOR, (unsigned)major, 0);
		for (end = i; end < list->count && list->rules[end]->major == major; end++)
			put_rule(w, list->rules[end]);
		if (skip != SIZE_MAX)
			land(w, skip);
	}
	put(w, BPF_JMP | BPF_JA, 0, 0, list->otherwise ? TO_ALLOW : TO_DENY);
}

static void
put_program(struct writer *w, const struct list *chars, const struct list *blocks)
{
	size_t other;

	put(w, BPF_ALU64 | BPF_MOV | BPF_K, ANSWER, 0, 0);
	put_load(w, TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type));
	put_load(w, MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
	put_load(w, MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
	w->insns[put(w, BPF_ALU | BPF_MOV | BPF_X, ACCESS, 0, 0)].src_reg = TYPE;
	put(w, BPF_ALU | BPF_RSH | BPF_K, ACCESS, 16, 0);
	put(w, BPF_ALU | BPF_AND | BPF_K, TYPE, 0xffff, 0);
	other = put_jump(w, BPF_JNE, TYPE, BPF_DEVCG_DEV_CHAR, 0);
	put_list(w, chars);
	land(w, other);
	put_jump(w, BPF_JNE, TYPE, BPF_DEVCG_DEV_BLOCK, TO_DENY);
	put_list(w, blocks);
}

static bool
allows_anything(const struct writer *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->insns[i].off == TO_ALLOW)
			return true;
	return false;
}

/* The end that all verdicts jump to: ANSWER = 1 for those that allow, then exit. */
static int
put_end(struct writer *w)
{
	size_t allow = w->count, deny;

	if (allows_anything(w))
		put(w, BPF_ALU64 | BPF_MOV | BPF_K, ANSWER, 1, 0);
	deny = put(w, BPF_JMP | BPF_EXIT, 0, 0, 0);
	if (w->count > INT16_MAX) {
		errno = E2BIG;
		return -1;
	}
	for (size_t i = 0; i < w->count; i++) {
		struct bpf_insn *insn = &w->insns[i];

		if (insn->off < 0)
			insn->off = (int16_t)((insn->off == TO_ALLOW ? allow : deny) - i - 1);
	}
	return 0;
}

/* At most four instructions a rule and two a group, for either type, and the frame. */
static size_t
space_for(size_t rules)
{
	return rules * 2 * 6 + 16;
}

int
device_filter_program(const struct device_rule *rules, size_t count, struct bpf_insn **ret_insns,
                      size_t *ret_count)
{
	autofree const struct device_rule **pointers = calloc(2 * count + 1, sizeof(*pointers));
	autofree struct bpf_insn *insns = calloc(space_for(count), sizeof(*insns));
	struct list chars = {.rules = pointers}, blocks;
	struct writer w = {.insns = insns};

	if (pointers == NULL || insns == NULL)
		return -1;
	blocks.rules = pointers + count;
	make_list(&chars, rules, count, 'c');
	make_list(&blocks, rules, count, 'b');
	if (chars.count + blocks.count > 0 || !chars.otherwise || !blocks.otherwise) {
		put_program(&w, &chars, &blocks);
		if (put_end(&w) < 0)
			return -1;
		*ret_insns = insns;
		insns = NULL;
	}
	*ret_count = w.count;
	return 0;
}

/* Attach ------------------------------------------------------------------------- */

enum { LOAD_TRIES = 5 };

/* With a log the kernel takes longer: only to learn what it does not like. */
int
device_filter_load(const struct bpf_insn *insns, size_t count, char *log, uint32_t log_size)
{
	static const char license[] = "MIT", name[] = "hako_devices";
	union bpf_attr attr;
	int fd, tries = LOAD_TRIES;

	memset(&attr, 0, sizeof(attr)); /* all of the union: the kernel looks */
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insn_cnt = (uint32_t)count;
	attr.insns = (uintptr_t)insns;
	attr.license = (uintptr_t)license;
	attr.log_level = log != NULL;
	attr.log_size = log_size;
	attr.log_buf = (uintptr_t)log;
	memcpy(attr.prog_name, name, sizeof(name));
	do /* EAGAIN: a signal, such as that of init's death, has interrupted the verifier */
		fd = sys_bpf(BPF_PROG_LOAD, &attr);
	while (fd < 0 && errno == EAGAIN && --tries > 0);
	return fd;
}

/* Other programs on the cgroup and above it keep their say: all must allow. */
static int
attach(int cgroup, int program)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	return sys_bpf(BPF_PROG_ATTACH, &attr);
}

static const struct json *
rules_at(const struct plan *plan)
{
	const struct config_resources *resources = plan->config->linux_->resources;

	return resources != NULL ? resources->devices.at
	                         : NULL; /* there are rules without any, too */
}

/* Without privileges nobody gets at a device: nodes cannot be made, binds are nodev. */
static int
refuse(const struct plan *plan, int code, const char *what, const char *log, struct error *e)
{
	if (code == EPERM && !plan->options.privileged)
		return log_fallback(e, "device-filter-none", "%s: %s: no device filter", what,
		                    error_text(code));
	return json_error(rules_at(plan), e, code, "device-filter-failed", "%s%s%.200s", what,
	                  log[0] != '\0' ? ": " : "", log);
}

LAYER_RUN(device_filter_attach)
{
	autofree struct bpf_insn *insns = NULL;
	autoclose int program = -1;
	char log[4096] = "";
	size_t count;
	int code;

	if (plan->device_rule_count == 0)
		return 0;
	if (device_filter_program(plan->device_rules, plan->device_rule_count, &insns, &count) < 0)
		return refuse(plan, errno, "device filter", "", e);
	if (count == 0)
		return 0;
	if (h->cgroup < 0)
		return log_fallback(e, "device-filter-none", "no cgroup, no device filter");
	program = device_filter_load(insns, count, NULL, 0);
	if (program < 0) {
		code = errno;
		if (code != EPERM)
			(void)device_filter_load(insns, count, log, sizeof(log));
		return refuse(plan, code, "load the device filter", log, e);
	}
	if (attach(h->cgroup, program) < 0)
		return refuse(plan, errno, "attach the device filter", "", e);
	return 0;
}
