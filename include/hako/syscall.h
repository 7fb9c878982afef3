/* SPDX-License-Identifier: MIT */
#ifndef HAKO_SYSCALL_H
#define HAKO_SYSCALL_H

#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/types.h>

/*
 * Kernel interfaces without a wrapper in libc, named after their manual pages in
 * section 2, or with one call for what several flags say; each returns -1 with errno
 * as libc does.
 */

union bpf_attr;

/* flags: O_..., resolve: RESOLVE_... */
int
sys_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

/* size: of what is known of the struct. */
pid_t
sys_clone3(struct clone_args *args, size_t size);

int
sys_pivot_root(const char *new_root, const char *put_old);

/* mount_setattr(2) of a tree of mounts, also a detached one: MS_SLAVE and the like. */
int
sys_propagate(int tree, uint64_t propagation);

/* move_mount(2) of a detached tree onto the target; both are descriptors. */
int
sys_attach(int tree, int target);

int
sys_pidfd_open(pid_t pid, unsigned flags);

int
sys_pidfd_send_signal(int pidfd, int signal);

/* SIG_DFL; unlike signal(3), also for those that libc keeps to itself (32, 33). */
int
sys_reset_signal(int signal);

long
sys_keyctl(int command, unsigned long a, unsigned long b, unsigned long c, unsigned long d);

/* The kernel's getcwd: "(unreachable)/..." is not hidden. Length with NUL, or -1. */
long
sys_getcwd(char *buf, size_t size);

/* command: BPF_... */
int
sys_bpf(int command, union bpf_attr *attr);

/* Older glibc's faccessat() emulates the flags, from the permission bits alone. */
int
sys_faccessat2(int dir, const char *path, int mode, int flags);

/* struct sched_attr, whose header in Debian 12 does not go with libc's. */
struct sched_attributes {
	uint32_t size; /* of the struct */
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns;
	uint64_t deadline_ns;
	uint64_t period_ns;
	uint32_t util_min;
	uint32_t util_max;
};

/* Of a thread; 0: of the caller. */
int
sys_sched_setattr(pid_t pid, struct sched_attributes *attr);
int
sys_sched_getattr(pid_t pid, struct sched_attributes *ret);

/* which: IOPRIO_WHO_..., priority: IOPRIO_PRIO_VALUE(class, level). */
int
sys_ioprio_set(int which, int who, int priority);

/* What sys_ioprio_set() takes. */
int
sys_ioprio_get(int which, int who);

/* maxnode: the number of bits in nodes, and one. */
int
sys_set_mempolicy(int mode, const unsigned long *nodes, unsigned long maxnode);

/* Missing from the headers of Debian 12, or older ones. */
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CAP_PERFMON /* before Linux 5.8 */
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif
#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#endif
