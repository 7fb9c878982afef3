/* SPDX-License-Identifier: MIT */
/*
 * What AddressSanitizer does without ASAN_OPTIONS: hako's children re-execute
 * themselves and leave their memory to exit, so leaks are not reported. Part of
 * the program, because containers and engines hand no environment on.
 */
const char *
__asan_default_options(void);

__attribute__((visibility("default"))) const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
