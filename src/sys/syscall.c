/* SPDX-License-Identifier: MIT */
/* System calls that libc has no wrapper for. */
#include "hako/syscall.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

int
sys_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

pid_t
sys_clone3(struct clone_args *args, size_t size)
{
	return (pid_t)syscall(SYS_clone3, args, size);
}

int
sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int
sys_propagate(int tree, uint64_t propagation)
{
	struct mount_attr attr = {.propagation = propagation & ~(uint64_t)MS_REC};

	return mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr));
}

int
sys_attach(int tree, int target)
{
	return move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int
sys_pidfd_open(pid_t pid, unsigned flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

int
sys_pidfd_send_signal(int pidfd, int signal)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int
sys_reset_signal(int signal)
{
	/* struct sigaction as the kernel has it, with SIG_DFL for a handler */
	static const unsigned long action[8];

	return (int)syscall(SYS_rt_sigaction, signal, action, NULL, sizeof(uint64_t));
}

long
sys_keyctl(int command, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	return syscall(SYS_keyctl, command, a, b, c, d);
}

long
sys_getcwd(char *buf, size_t size)
{
	return syscall(SYS_getcwd, buf, size);
}

int
sys_bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

int
sys_faccessat2(int dir, const char *path, int mode, int flags)
{
	return (int)syscall(SYS_faccessat2, dir, path, mode, flags);
}

int
sys_sched_setattr(pid_t pid, struct sched_attributes *attr)
{
	return (int)syscall(SYS_sched_setattr, pid, attr, 0);
}

int
sys_sched_getattr(pid_t pid, struct sched_attributes *ret)
{
	return (int)syscall(SYS_sched_getattr, pid, ret, (unsigned)sizeof(*ret), 0U);
}

int
sys_ioprio_get(int which, int who)
{
	return (int)syscall(SYS_ioprio_get, which, who);
}

int
sys_ioprio_set(int which, int who, int priority)
{
	return (int)syscall(SYS_ioprio_set, which, who, priority);
}

int
sys_set_mempolicy(int mode, const unsigned long *nodes, unsigned long maxnode)
{
	return (int)syscall(SYS_set_mempolicy, mode, nodes, maxnode);
}
