/* SPDX-License-Identifier: MIT */
#ifndef HAKO_FD_H
#define HAKO_FD_H

/*
 * Descriptors that are not needed any more, to be closed together. Init opens
 * three for each mount, one after the other: closing them in ranges takes a
 * fraction of the calls. What is on the pile when init lets go of everything is
 * closed then.
 */
struct fd_pile {
	int fds[96];
	unsigned count;
};

/* Put fd on the pile (-1: nothing); a full pile is closed. */
void
fd_drop(struct fd_pile *pile, int fd);

#endif
