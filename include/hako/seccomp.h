/* SPDX-License-Identifier: MIT */
#ifndef HAKO_SECCOMP_H
#define HAKO_SECCOMP_H

#include "hako/config.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Between the files of the seccomp layer, and for its tests. */

struct plan;
struct planner;
struct handles;

/*
 * START, init: the last call before execve, one syscall. The name seccomp_load
 * belongs to libseccomp.
 */
int
seccomp_install(const struct plan *plan, struct handles *h, struct error *e);

/* The same in the process of a startContainer hook: it runs what the image provides. */
int
seccomp_install_in_hook(const struct plan *plan, struct error *e);

/* seccomp_notify.c: SCMP_ACT_NOTIFY ------------------------------------------------ */

/* Decide p->plan->listener: who is to be told, when a rule notifies. */
int
seccomp_notify_plan(struct planner *p, const struct config_seccomp *seccomp, struct error *e);

/* Is there a socket where the agent should be? A missing one is an error of create. */
int
seccomp_check_agent(const struct plan *plan, struct error *e);

/* Load a program with a listener, and wait until an agent has that. */
int
seccomp_install_listener(const struct plan *plan, const struct handles *h,
                         const struct sock_fprog *program, struct error *e);

enum { SECCOMP_ARGUMENTS = 6 };

/* SECCOMP_RET_..., with the errno (EPERM when none is given) where the action takes one. */
uint32_t
seccomp_rule_action(const struct config_syscall *rule);
uint32_t
seccomp_default_action(const struct config_seccomp *seccomp);

/* seccomp_compile.c: libseccomp ---------------------------------------------------- */

/*
 * Compile a profile that seccomp_plan() has checked into filter, which has room
 * for BPF_MAXINSNS. Returns the number of instructions, or -1.
 */
int
seccomp_compile_profile(const struct config_seccomp *seccomp, struct sock_filter *filter,
                        struct error *e);

/* seccomp_names.c: what libseccomp knows ------------------------------------------- */

/* Is there a system call of that name, on whatever architecture? */
bool
seccomp_knows(const char *name);

/* The name of a system call of an architecture (AUDIT_ARCH_...), freed by the caller, or NULL. */
char *
seccomp_name_of(uint32_t audit_arch, int number);

/* What the numbers of x32 have and those of x86_64 have not. */
enum { X32_BASE = 0x40000000 };

/* An ABI of this machine. */
struct seccomp_abi {
	const char *name;
	uint32_t arch;       /* SCMP_ARCH_... */
	uint32_t audit_arch; /* as in struct seccomp_table */
	uint32_t base;
};

/* Number i of them; false: there are no more. */
bool
seccomp_list_abi(size_t i, struct seccomp_abi *ret);

/* The name of a system call by its place among those of the ABI, or "?". */
const char *
seccomp_name_call(const struct seccomp_abi *abi, long number);

/* major, minor, micro */
void
seccomp_library_version(unsigned ret_version[3]);

/* seccomp_dispatch.c: syscalls decided by their number alone ---------------------- */

enum { SECCOMP_TABLE_SIZE = 1024 };

/* Instead of an action: the tail looks at the syscall. No SECCOMP_RET_... has this value. */
#define SECCOMP_TAIL 0xffffffffU

/* What becomes of the syscalls of one ABI. */
struct seccomp_table {
	uint32_t audit_arch;                  /* AUDIT_ARCH_..., as struct seccomp_data has it */
	uint32_t base;                        /* number of actions[0]: 0, or x32's bit */
	uint32_t actions[SECCOMP_TABLE_SIZE]; /* SECCOMP_RET_... with its data, or SECCOMP_TAIL */
};

/*
 * Write a program that does what the tables say, and runs the tail for every
 * syscall and architecture that they leave to it. Tables of one architecture
 * stand in the order of their bases. filter has room for BPF_MAXINSNS. Returns
 * the length, or 0 when it would be more than that.
 */
uint32_t
seccomp_dispatch(const struct seccomp_table *tables, size_t count, const struct sock_filter *tail,
                 size_t tail_length, struct sock_filter *filter);

/* seccomp_cache.c: compiled programs in <root>/.cache/seccomp ---------------------- */

/* What a program depends on. */
struct seccomp_key {
	const char *text; /* the profile as written in config.json */
	size_t length;
	unsigned version[3]; /* of libseccomp */
};

/* The instructions of the program that was stored under this key; 0: there is none. */
uint32_t
seccomp_cache_load(int root_dir, const struct seccomp_key *key, struct sock_filter *filter);

/* Remember a program. That it could not be is no more than a debug message. */
void
seccomp_cache_store(int root_dir, const struct seccomp_key *key, const struct sock_filter *filter,
                    uint32_t length);

#endif
