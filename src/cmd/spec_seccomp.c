/* SPDX-License-Identifier: MIT */
/*
 * The system calls that programs need, by purpose. What is left out changes the
 * machine (mounts, modules, clocks, swap), gives a process the whole kernel to attack
 * (new namespaces, bpf, io_uring, userfaultfd, keyrings, performance counters), or is
 * not used any more. Names of other architectures and of newer kernels do no harm.
 * libc goes back to clone when clone3 answers ENOSYS; the flags of clone can be
 * looked at, those of clone3 are in memory.
 */
#include "hako/spec.h"
#include "hako/mem.h"

#include <errno.h>
#include <linux/sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/socket.h>

struct group {
	unsigned calls; /* enum spec_calls */
	const char *names;
};

/* clang-format off */
static const struct group groups[] = {
	/* descriptors: open, read, write, move about in */
	{SPEC_ORDINARY,
	 "close close_range copy_file_range creat dup dup2 dup3 fadvise64 fadvise64_64 arm_fadvise64_64 "
	 "fallocate fcntl fcntl64 fdatasync flock fsync ftruncate ftruncate64 ioctl _llseek lseek "
	 "memfd_create memfd_secret open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 "
	 "read readahead readv sendfile sendfile64 splice sync sync_file_range sync_file_range2 syncfs tee "
	 "truncate truncate64 umask vmsplice write writev"},
	/* names in the filesystem, and what stands behind them */
	{SPEC_ORDINARY,
	 "access chdir chmod chown chown32 faccessat faccessat2 fchdir fchmod fchmodat fchmodat2 fchown "
	 "fchown32 fchownat fgetxattr flistxattr fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs "
	 "fstatfs64 futimesat getcwd getdents getdents64 getxattr inotify_add_watch inotify_init "
	 "inotify_init1 inotify_rm_watch lchown lchown32 lgetxattr link linkat listxattr llistxattr "
	 "lremovexattr lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat "
	 "readlink readlinkat removexattr rename renameat renameat2 rmdir setxattr stat stat64 statfs "
	 "statfs64 statx symlink symlinkat unlink unlinkat utime utimensat utimensat_time64 utimes"},
	/* memory */
	{SPEC_ORDINARY,
	 "brk cachestat get_mempolicy madvise map_shadow_stack membarrier mincore mlock mlock2 mlockall "
	 "mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free "
	 "pkey_mprotect process_madvise"},
	/* processes and threads: made, ended, waited for, scheduled */
	{SPEC_ORDINARY,
	 "arch_prctl execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait "
	 "futex_waitv futex_wake get_robust_list get_thread_area getcpu getpgid getpgrp getpid getppid "
	 "getpriority getrlimit getrusage getsid gettid ioprio_get ioprio_set kill nice pidfd_open "
	 "pidfd_send_signal prctl prlimit64 restart_syscall rseq sched_get_priority_max "
	 "sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
	 "sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr "
	 "sched_setparam sched_setscheduler sched_yield set_robust_list set_thread_area set_tid_address "
	 "set_tls setpgid setpriority setrlimit setsid sysinfo tgkill times tkill ugetrlimit uname vfork "
	 "wait4 waitid waitpid"},
	/* who one is, and giving rights up */
	{SPEC_ORDINARY,
	 "capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 "
	 "getresgid getresgid32 getresuid getresuid32 getuid getuid32 landlock_add_rule "
	 "landlock_create_ruleset landlock_restrict_self seccomp setfsgid setfsgid32 setfsuid setfsuid32 "
	 "setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid "
	 "setresuid32 setreuid setreuid32 setuid setuid32"},
	/* signals */
	{SPEC_ORDINARY,
	 "alarm pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn "
	 "rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaction sigaltstack "
	 "signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend"},
	/* clocks and timers: read and waited for, not set */
	{SPEC_ORDINARY,
	 "clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep "
	 "clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete "
	 "timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create "
	 "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64"},
	/* waiting for many things at once */
	{SPEC_ORDINARY,
	 "epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 "
	 "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit _newselect "
	 "poll ppoll ppoll_time64 pselect6 pselect6_time64 select"},
	/* sockets; socket itself: below */
	{SPEC_ORDINARY,
	 "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg "
	 "recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair"},
	/* between processes, and chance */
	{SPEC_ORDINARY,
	 "getrandom ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 "
	 "mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 semctl semget "
	 "semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget"},
	/* looking into other processes of the same user */
	{SPEC_DEBUGGING, "kcmp pidfd_getfd process_vm_readv process_vm_writev ptrace"},
	{0, NULL},
};
/* clang-format on */

enum { NO_VALUE = -1 };

/* A call that passes, or fails, by one argument. */
struct condition {
	const char *name;
	const char *action;
	int64_t errno_ret; /* NO_VALUE: the default */
	const char *op;    /* of argument 0; NULL: whatever it is */
	int64_t value;
	int64_t value_two;
};

#define NAMESPACE_FLAGS                                                                            \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)

static const char allow[] = "SCMP_ACT_ALLOW";
static const char deny[] = "SCMP_ACT_ERRNO";

static const struct condition conditions[] = {
	{"clone", allow, NO_VALUE, "SCMP_CMP_MASKED_EQ", NAMESPACE_FLAGS, 0},
	{"clone3", deny, ENOSYS, NULL, 0, NO_VALUE},
	/* AF_VSOCK leads past the network namespace to the hypervisor */
	{"socket", allow, NO_VALUE, "SCMP_CMP_NE", AF_VSOCK, NO_VALUE},
	{"personality", allow, NO_VALUE, "SCMP_CMP_EQ", PER_LINUX, NO_VALUE},
	{"personality", allow, NO_VALUE, "SCMP_CMP_EQ", PER_LINUX32, NO_VALUE},
	{"personality", allow, NO_VALUE, "SCMP_CMP_EQ", UINT32_MAX, NO_VALUE}, /* asks only */
};

static void
put_group(struct json_writer *w, const char *names)
{
	json_begin_object(w, NULL);
	json_begin_array(w, "names");
	for (; *names != '\0'; names += strspn(names, " ")) {
		char name[64];
		size_t length = strcspn(names, " ");

		snprintf(name, sizeof(name), "%.*s", (int)length, names);
		json_put_string(w, NULL, name);
		names += length;
	}
	json_end_array(w);
	json_put_string(w, "action", allow);
	json_end_object(w);
}

static void
put_condition(struct json_writer *w, const struct condition *c)
{
	json_begin_object(w, NULL);
	json_begin_array(w, "names");
	json_put_string(w, NULL, c->name);
	json_end_array(w);
	json_put_string(w, "action", c->action);
	if (c->errno_ret != NO_VALUE)
		json_put_int(w, "errnoRet", c->errno_ret);
	if (c->op != NULL) {
		json_begin_array(w, "args");
		json_begin_object(w, NULL);
		json_put_int(w, "index", 0);
		json_put_int(w, "value", c->value);
		if (c->value_two != NO_VALUE)
			json_put_int(w, "valueTwo", c->value_two);
		json_put_string(w, "op", c->op);
		json_end_object(w);
		json_end_array(w);
	}
	json_end_object(w);
}

void
spec_put_seccomp(struct json_writer *w, unsigned calls)
{
	json_begin_object(w, "seccomp");
	json_put_string(w, "defaultAction", deny);
	json_put_int(w, "defaultErrnoRet", EPERM);
	json_begin_array(w, "syscalls");
	for (const struct group *g = groups; g->names != NULL; g++)
		if ((g->calls & calls) != 0)
			put_group(w, g->names);
	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++)
		put_condition(w, &conditions[i]);
	json_end_array(w);
	json_end_object(w);
}
