/* SPDX-License-Identifier: MIT */
/* Forks for ever; a limit only slows it down. */
#include <unistd.h>

int
main(void)
{
	for (;;)
		if (fork() < 0)
			usleep(1000);
}
