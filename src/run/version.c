/* SPDX-License-Identifier: MIT */
/* `hako --version`: engines read the first line, people the rest. */
#include "hako/version.h"
#include "hako/config.h"
#include "hako/seccomp.h"

#include <stdio.h>

#ifndef HAKO_COMMIT
#define HAKO_COMMIT "unknown"
#endif

void
version_print(void)
{
	unsigned v[3];

	seccomp_library_version(v);
	printf("hako version " HAKO_VERSION "\n"
	       "commit: " HAKO_COMMIT "\n"
	       "spec: " OCI_VERSION_MAX "\n"
	       "libseccomp: %u.%u.%u\n"
	       "+SYSTEMD +SECCOMP +CAP +YAJL\n",
	       v[0], v[1], v[2]);
}
