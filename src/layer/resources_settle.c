/* SPDX-License-Identifier: MIT */
/*
 * Room below a low memory.max. The kernel charges 64 pages at once on each processor,
 * for what may come. Who sets a limit that has no room for them has them given back,
 * if at all, on other processors only a while later: too late for init, which the
 * kernel kills before. memory.high has them given back as well, and kills nobody.
 */
#include "hako/file.h"
#include "hako/resources.h"

#include <stdlib.h>
#include <unistd.h>

enum { CHARGED_AT_ONCE = 64 * 4096, SETTLE_BELOW = 4 << 20, SETTLE_MS = 100 };

static uint64_t
memory_used(const struct handles *h)
{
	char text[32];

	return file_read_at(h->cgroup, "memory.current", text, sizeof(text)) > 0
	               ? strtoull(text, NULL, 10)
	               : 0;
}

void
resources_settle(const struct handles *h, const char *limit)
{
	uint64_t bytes = strtoull(limit, NULL, 10), used = 0;
	char high[32];

	if (bytes == 0 || bytes >= SETTLE_BELOW)
		return;
	used = memory_used(h);
	if (used + CHARGED_AT_ONCE <= bytes ||
	    file_read_at(h->cgroup, "memory.high", high, sizeof(high)) <= 0 ||
	    file_write_at(h->cgroup, "memory.high", "0") < 0)
		return;
	for (int ms = 0; ms < SETTLE_MS && (used > bytes || used >= CHARGED_AT_ONCE); ms++) {
		usleep(1000);
		used = memory_used(h);
	}
	(void)file_write_at(h->cgroup, "memory.high", high);
}
