/* SPDX-License-Identifier: MIT */
/* What libseccomp knows: names of system calls, the ABIs of this machine, its own version. */
#include "hako/seccomp.h"

#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

bool
seccomp_knows(const char *name)
{
	return seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR;
}

char *
seccomp_name_of(uint32_t audit_arch, int number)
{
	return seccomp_syscall_resolve_num_arch(audit_arch, number);
}

void
seccomp_library_version(unsigned ret_version[3])
{
	const struct scmp_version *version = seccomp_version();

	ret_version[0] = version->major;
	ret_version[1] = version->minor;
	ret_version[2] = version->micro;
}

bool
seccomp_list_abi(size_t i, struct seccomp_abi *ret)
{
	static const struct seccomp_abi of_x86_64[] = {
		{"x86_64", SCMP_ARCH_X86_64, SCMP_ARCH_X86_64, 0},
		{"x86", SCMP_ARCH_X86, SCMP_ARCH_X86, 0},
		{"x32", SCMP_ARCH_X32, SCMP_ARCH_X86_64, X32_BASE},
	};
	uint32_t native = seccomp_arch_native();

	if (native == SCMP_ARCH_X86_64 && i < ARRAY_SIZE(of_x86_64))
		*ret = of_x86_64[i];
	else if (native != SCMP_ARCH_X86_64 && i == 0)
		*ret = (struct seccomp_abi){"native", native, native, 0};
	else
		return false;
	return true;
}

const char *
seccomp_name_call(const struct seccomp_abi *abi, long number)
{
	static char name[64];
	char *text =
		seccomp_syscall_resolve_num_arch(abi->arch, (int)(abi->base + (uint32_t)number));

	snprintf(name, sizeof(name), "%s", text != NULL ? text : "?");
	free(text);
	return name;
}
