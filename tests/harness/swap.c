/* SPDX-License-Identifier: MIT */
/* swap DIRECTORY A B: exchanges two names of a directory until it is killed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
	int dir = argc == 4 ? open(argv[1], O_PATH | O_DIRECTORY) : -1;

	if (dir < 0)
		return 2;
	for (;;)
		if (renameat2(dir, argv[2], dir, argv[3], RENAME_EXCHANGE) < 0)
			return 1;
}
