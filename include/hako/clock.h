/* SPDX-License-Identifier: MIT */
#ifndef HAKO_CLOCK_H
#define HAKO_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Micro- and milliseconds of the monotonic clock. */
int64_t
clock_now_us(void);
int64_t
clock_now_ms(void);

/* Now as RFC 3339 in UTC with nanoseconds: "2026-11-23T10:20:15.244575606Z". */
void
clock_text(char *buf, size_t size);

#endif
