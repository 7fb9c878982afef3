/* SPDX-License-Identifier: MIT */
/*
 * The words of the specification and the kernel's numbers for them, one row a
 * word, and the strict readings of numbers and signals. Tables whose kernel
 * numbers include 0 hold the number + 1: in the decoded structs 0 means absent.
 */
#include "hako/names.h"
#include "hako/config.h"
#include "hako/syscall.h"

#include <ctype.h>
#include <errno.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>

#ifndef SCHED_ISO
#define SCHED_ISO 4 /* reserved in the kernel */
#endif

/* An enumerator of linux/mempolicy.h since Linux 6.9. */
enum { WEIGHTED_INTERLEAVE = 6 };

const struct name namespace_names[] = {
	{"pid", CLONE_NEWPID},       {"network", CLONE_NEWNET}, {"mount", CLONE_NEWNS},
	{"ipc", CLONE_NEWIPC},       {"uts", CLONE_NEWUTS},     {"user", CLONE_NEWUSER},
	{"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME},   {NULL, 0},
};

const struct name namespace_files[] = {
	{"mnt", CLONE_NEWNS},        {"pid", CLONE_NEWPID},   {"net", CLONE_NEWNET},
	{"ipc", CLONE_NEWIPC},       {"uts", CLONE_NEWUTS},   {"user", CLONE_NEWUSER},
	{"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME}, {NULL, 0},
};

const struct name rlimit_names[] = {
	{"RLIMIT_AS", RLIMIT_AS + 1},
	{"RLIMIT_CORE", RLIMIT_CORE + 1},
	{"RLIMIT_CPU", RLIMIT_CPU + 1},
	{"RLIMIT_DATA", RLIMIT_DATA + 1},
	{"RLIMIT_FSIZE", RLIMIT_FSIZE + 1},
	{"RLIMIT_LOCKS", RLIMIT_LOCKS + 1},
	{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK + 1},
	{"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE + 1},
	{"RLIMIT_NICE", RLIMIT_NICE + 1},
	{"RLIMIT_NOFILE", RLIMIT_NOFILE + 1},
	{"RLIMIT_NPROC", RLIMIT_NPROC + 1},
	{"RLIMIT_RSS", RLIMIT_RSS + 1},
	{"RLIMIT_RTPRIO", RLIMIT_RTPRIO + 1},
	{"RLIMIT_RTTIME", RLIMIT_RTTIME + 1},
	{"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING + 1},
	{"RLIMIT_STACK", RLIMIT_STACK + 1},
	{NULL, 0},
};

const struct name propagation_names[] = {
	{"private", MS_PRIVATE},
	{"shared", MS_SHARED},
	{"slave", MS_SLAVE},
	{"unbindable", MS_UNBINDABLE},
	{"rprivate", MS_PRIVATE | MS_REC},
	{"rshared", MS_SHARED | MS_REC},
	{"rslave", MS_SLAVE | MS_REC},
	{"runbindable", MS_UNBINDABLE | MS_REC},
	{NULL, 0},
};

const struct name personality_names[] = {
	{"LINUX", PER_LINUX + 1},
	{"LINUX32", PER_LINUX32 + 1},
	{NULL, 0},
};

const struct name seccomp_action_names[] = {
	{"SCMP_ACT_ALLOW", SECCOMP_ACTION_ALLOW},
	{"SCMP_ACT_ERRNO", SECCOMP_ACTION_ERRNO},
	{"SCMP_ACT_KILL_THREAD", SECCOMP_ACTION_KILL_THREAD},
	{"SCMP_ACT_KILL", SECCOMP_ACTION_KILL_THREAD},
	{"SCMP_ACT_KILL_PROCESS", SECCOMP_ACTION_KILL_PROCESS},
	{"SCMP_ACT_TRAP", SECCOMP_ACTION_TRAP},
	{"SCMP_ACT_TRACE", SECCOMP_ACTION_TRACE},
	{"SCMP_ACT_LOG", SECCOMP_ACTION_LOG},
	{"SCMP_ACT_NOTIFY", SECCOMP_ACTION_NOTIFY},
	{NULL, 0},
};

/* The numbers only tell them apart: the seccomp layer knows the architectures by name. */
const struct name seccomp_arch_names[] = {
	{"SCMP_ARCH_X86", 1},          {"SCMP_ARCH_X86_64", 2},   {"SCMP_ARCH_X32", 3},
	{"SCMP_ARCH_ARM", 4},          {"SCMP_ARCH_AARCH64", 5},  {"SCMP_ARCH_LOONGARCH64", 6},
	{"SCMP_ARCH_M68K", 7},         {"SCMP_ARCH_MIPS", 8},     {"SCMP_ARCH_MIPS64", 9},
	{"SCMP_ARCH_MIPS64N32", 10},   {"SCMP_ARCH_MIPSEL", 11},  {"SCMP_ARCH_MIPSEL64", 12},
	{"SCMP_ARCH_MIPSEL64N32", 13}, {"SCMP_ARCH_PPC", 14},     {"SCMP_ARCH_PPC64", 15},
	{"SCMP_ARCH_PPC64LE", 16},     {"SCMP_ARCH_S390", 17},    {"SCMP_ARCH_S390X", 18},
	{"SCMP_ARCH_SH", 19},          {"SCMP_ARCH_SHEB", 20},    {"SCMP_ARCH_PARISC", 21},
	{"SCMP_ARCH_PARISC64", 22},    {"SCMP_ARCH_RISCV64", 23}, {NULL, 0},
};

const struct name seccomp_operator_names[] = {
	{"SCMP_CMP_NE", SECCOMP_OPERATOR_NE},
	{"SCMP_CMP_LT", SECCOMP_OPERATOR_LT},
	{"SCMP_CMP_LE", SECCOMP_OPERATOR_LE},
	{"SCMP_CMP_EQ", SECCOMP_OPERATOR_EQ},
	{"SCMP_CMP_GE", SECCOMP_OPERATOR_GE},
	{"SCMP_CMP_GT", SECCOMP_OPERATOR_GT},
	{"SCMP_CMP_MASKED_EQ", SECCOMP_OPERATOR_MASKED_EQ},
	{NULL, 0},
};

const struct name seccomp_flag_names[] = {
	{"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
	{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
	{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
	{NULL, 0},
};

const struct name scheduler_names[] = {
	{"SCHED_OTHER", SCHED_NORMAL + 1},
	{"SCHED_FIFO", SCHED_FIFO + 1},
	{"SCHED_RR", SCHED_RR + 1},
	{"SCHED_BATCH", SCHED_BATCH + 1},
	{"SCHED_ISO", SCHED_ISO + 1},
	{"SCHED_IDLE", SCHED_IDLE + 1},
	{"SCHED_DEADLINE", SCHED_DEADLINE + 1},
	{NULL, 0},
};

const struct name scheduler_flag_names[] = {
	{"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
	{"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
	{"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
	{"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
	{"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
	{"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
	{"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX},
	{NULL, 0},
};

const struct name io_class_names[] = {
	{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
	{"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
	{"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
	{NULL, 0},
};

const struct name memory_policy_names[] = {
	{"MPOL_DEFAULT", MPOL_DEFAULT + 1},
	{"MPOL_BIND", MPOL_BIND + 1},
	{"MPOL_INTERLEAVE", MPOL_INTERLEAVE + 1},
	{"MPOL_WEIGHTED_INTERLEAVE", WEIGHTED_INTERLEAVE + 1},
	{"MPOL_PREFERRED", MPOL_PREFERRED + 1},
	{"MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY + 1},
	{"MPOL_LOCAL", MPOL_LOCAL + 1},
	{NULL, 0},
};

const struct name memory_policy_flag_names[] = {
	{"MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING},
	{"MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES},
	{"MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES},
	{NULL, 0},
};

const char *const annotation_names[ANNOTATIONS] = {
	[ANNOTATION_SYSTEMD_PROPERTY] = "org.systemd.property.",
	[ANNOTATION_HOOKS_STDERR] = "run.oci.hooks.stderr",
	[ANNOTATION_HOOKS_STDOUT] = "run.oci.hooks.stdout",
	[ANNOTATION_KEEP_GROUPS] = "run.oci.keep_original_groups",
	[ANNOTATION_MOUNT_CONTEXT] = "run.oci.mount_context_type",
	[ANNOTATION_SECCOMP_RECEIVER] = "run.oci.seccomp.receiver",
	[ANNOTATION_SECCOMP_UNKNOWN] = "run.oci.seccomp_fail_unknown_syscall",
};

/* Without their SIG; aliases included. */
static const struct name signal_names[] = {
	{"ABRT", SIGABRT},
	{"ALRM", SIGALRM},
	{"BUS", SIGBUS},
	{"CHLD", SIGCHLD},
	{"CLD", SIGCHLD},
	{"CONT", SIGCONT},
	{"FPE", SIGFPE},
	{"HUP", SIGHUP},
	{"ILL", SIGILL},
	{"INT", SIGINT},
	{"IO", SIGIO},
	{"IOT", SIGIOT},
	{"KILL", SIGKILL},
	{"PIPE", SIGPIPE},
	{"POLL", SIGPOLL},
	{"PROF", SIGPROF},
	{"PWR", SIGPWR},
	{"QUIT", SIGQUIT},
	{"SEGV", SIGSEGV},
	{"STKFLT", SIGSTKFLT},
	{"STOP", SIGSTOP},
	{"SYS", SIGSYS},
	{"TERM", SIGTERM},
	{"TRAP", SIGTRAP},
	{"TSTP", SIGTSTP},
	{"TTIN", SIGTTIN},
	{"TTOU", SIGTTOU},
	{"URG", SIGURG},
	{"USR1", SIGUSR1},
	{"USR2", SIGUSR2},
	{"VTALRM", SIGVTALRM},
	{"WINCH", SIGWINCH},
	{"XCPU", SIGXCPU},
	{"XFSZ", SIGXFSZ},
	{NULL, 0},
};

const struct name *
name_find(const struct name *table, const char *name)
{
	while (table->name != NULL && strcmp(table->name, name) != 0)
		table++;
	return table->name != NULL ? table : NULL;
}

const char *
name_of(const struct name *table, uint64_t value)
{
	while (table->name != NULL && table->value != value)
		table++;
	return table->name;
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: three rows of the table of distances between beginnings. */
unsigned
name_distance(const char *a, const char *b)
{
	enum { LONGEST = 64 };
	unsigned rows[3][LONGEST + 1];
	size_t length = strlen(b), i, k;

	if (strlen(a) > LONGEST || length > LONGEST)
		return NAME_FAR;
	for (k = 0; k <= length; k++)
		rows[0][k] = (unsigned)k;
	for (i = 1; a[i - 1] != '\0'; i++) {
		unsigned *row = rows[i % 3], *last = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (k = 1; k <= length; k++) {
			int x = tolower(a[i - 1]), y = tolower(b[k - 1]);

			row[k] = least(last[k - 1] + (x != y), least(last[k], row[k - 1]) + 1);
			if (i > 1 && k > 1 && x == tolower(b[k - 2]) && tolower(a[i - 2]) == y)
				row[k] = least(row[k], before[k - 2] + 1);
		}
	}
	return rows[(i - 1) % 3][length];
}

struct name_search
name_search_for(const char *word)
{
	return (struct name_search){.word = word, .distance = NAME_FAR};
}

void
name_search_look(struct name_search *search, const char *other)
{
	unsigned distance = name_distance(search->word, other);

	if (distance >= search->distance)
		return;
	search->distance = distance;
	search->nearest = other;
}

bool
name_search_is_near(const struct name_search *search)
{
	return search->nearest != NULL && search->distance <= 1 + strlen(search->word) / 4;
}

int
parse_uint(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (*text == '\0')
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return -1;
	}
	if (value > max)
		return -1;
	*ret = value;
	return 0;
}

int
parse_int(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	const uint64_t lowest = (uint64_t)INT64_MAX + 1;
	uint64_t size;
	int64_t value;

	if (parse_uint(text + (*text == '-'), *text == '-' ? lowest : INT64_MAX, &size) < 0)
		return -1;
	value = (int64_t)size;
	if (*text == '-')
		value = size == lowest ? INT64_MIN : -(int64_t)size;
	if (value < min || value > max)
		return -1;
	*ret = value;
	return 0;
}

/* "+3" after RTMIN, "-3" after RTMAX: 3, or 0 when there is nothing; -1 otherwise. */
static int
realtime_distance(const char *text, char sign)
{
	uint64_t distance = 0;

	if (*text == '\0')
		return 0;
	if (*text != sign || parse_uint(text + 1, (uint64_t)(SIGRTMAX - SIGRTMIN), &distance) < 0)
		return -1;
	return (int)distance;
}

static int
realtime_signal(const char *text)
{
	bool from_max = strncasecmp(text, "RTMAX", 5) == 0;
	int distance;

	if (!from_max && strncasecmp(text, "RTMIN", 5) != 0)
		return -1;
	distance = realtime_distance(text + 5, from_max ? '-' : '+');
	if (distance < 0)
		return -1;
	return from_max ? SIGRTMAX - distance : SIGRTMIN + distance;
}

int
signal_from_name(const char *text)
{
	const struct name *row = signal_names;
	uint64_t number;

	if (parse_uint(text, (uint64_t)SIGRTMAX, &number) == 0)
		return (int)number;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	while (row->name != NULL && strcasecmp(row->name, text) != 0)
		row++;
	return row->name != NULL ? (int)row->value : realtime_signal(text);
}
