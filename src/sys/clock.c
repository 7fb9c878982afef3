/* SPDX-License-Identifier: MIT */
/* Time as hako needs it; for a date in UTC libc would read /etc/localtime. */
#include "hako/clock.h"

#include <stdio.h>
#include <time.h>

int64_t
clock_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

int64_t
clock_now_ms(void)
{
	return clock_now_us() / 1000;
}

void
clock_text(char *buf, size_t size)
{
	struct timespec ts;
	long day, second, era, of_era, year, of_year, month;
	char text[128];

	clock_gettime(CLOCK_REALTIME, &ts);
	day = ts.tv_sec / 86400;
	second = ts.tv_sec % 86400;
	/* years that begin in March, in eras of 400 years: leap days come last */
	day += 719468;
	era = day / 146097;
	of_era = day % 146097;
	year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * year + year / 4 - year / 100);
	month = (5 * of_year + 2) / 153;
	snprintf(text, sizeof(text), "%04ld-%02ld-%02ldT%02ld:%02ld:%02ld.%09ldZ",
	         year + era * 400 + (month >= 10), month + (month < 10 ? 3 : -9),
	         of_year - (153 * month + 2) / 5 + 1, second / 3600, second / 60 % 60, second % 60,
	         ts.tv_nsec);
	snprintf(buf, size, "%s", text);
}
