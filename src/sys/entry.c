/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of a static hako, before libc has been started. A
 * command that enters a container must run from a read-only mount (selfexe.c).
 * Executing itself again from main() costs what starting libc costs, and that is
 * most of the start of a small program: on a virtual machine each of its dozens
 * of CPUID instructions is an exit to the hypervisor. Here it costs four system
 * calls.
 *
 * Nothing may be used that libc or the relocations of the program provide. When
 * anything fails, main() meets the same question and answers it in full.
 */
#include "hako/selfexe.h"

#include <asm/unistd.h>
#include <fcntl.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl hako_entry\n"
        ".type hako_entry, @function\n"
        "hako_entry:\n"
        "	endbr64\n"
        "	mov %rsp, %rdi\n"
        "	push %rdx\n"
        "	sub $8, %rsp\n"
        "	call before_libc\n"
        "	add $8, %rsp\n"
        "	pop %rdx\n"
        "	jmp _start\n");

static inline long
call(long number, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long result;

	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
	                 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
__asm__(".text\n"
        ".globl hako_entry\n"
        ".type hako_entry, %function\n"
        "hako_entry:\n"
        "	bti c\n"
        "	mov x19, x0\n"
        "	mov x0, sp\n"
        "	bl before_libc\n"
        "	mov x0, x19\n"
        "	b _start\n");

static inline long
call(long number, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;

	__asm__ volatile("svc 0"
	                 : "+r"(x0)
	                 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
	                 : "memory");
	return x0;
}
#else
#define NO_ENTRY /* main() does it all */
#endif

#ifndef NO_ENTRY

static void
protect(char **argv, char **env)
{
	static const char self[] = "/proc/self/exe", empty[] = "";
	/* the compiler might call memset() to clear them */
	__attribute__((uninitialized)) struct mount_attr attr;
	__attribute__((uninitialized)) struct statfs fs;
	long fd;

	fs.f_flags = 0;
	if (!selfexe_is_needed(argv) || call(__NR_statfs, (long)self, (long)&fs, 0, 0, 0) < 0 ||
	    (fs.f_flags & ST_RDONLY) != 0)
		return;
	fd = call(__NR_open_tree, AT_FDCWD, (long)self, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0, 0);
	if (fd < 0)
		return;
	attr.attr_set = MOUNT_ATTR_RDONLY;
	attr.attr_clr = 0;
	attr.propagation = 0;
	attr.userns_fd = 0;
	if (call(__NR_mount_setattr, fd, (long)empty, AT_EMPTY_PATH, (long)&attr, sizeof(attr)) ==
	    0)
		(void)call(__NR_execveat, fd, (long)empty, (long)argv, (long)env, AT_EMPTY_PATH);
	(void)call(__NR_close, fd, 0, 0, 0, 0);
}

/* The program's header, and behind it its segments. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

enum { STACK_SIZE = 4 * 4096 };

static void
populate(long stack)
{
	const char *base = (const char *)&__ehdr_start;
	const ElfW(Phdr) *segment = (const ElfW(Phdr) *)(base + __ehdr_start.e_phoff);
	long page = 0, start;

	for (int i = 0; i < __ehdr_start.e_phnum; i++, segment++) {
		if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) == 0)
			continue;
		page = (long)segment->p_align;
		start = (long)segment->p_vaddr & -page;
		(void)call(__NR_madvise, (long)base + start,
		           (long)(segment->p_vaddr + segment->p_filesz) - start,
		           MADV_POPULATE_WRITE, 0, 0);
	}
	start = (stack - STACK_SIZE) & -page;
	(void)call(__NR_madvise, start, (stack & -page) - start, MADV_POPULATE_WRITE, 0, 0);
}

/* sp: argc, argv[argc], NULL, environ, NULL, as the kernel has put them. */
__attribute__((used, no_stack_protector)) void
before_libc(long *sp);

void
before_libc(long *sp)
{
	char **argv = (char **)(sp + 1), **env = argv + *sp + 1;

	protect(argv, env);
	populate((long)sp);
}
#endif
