/* SPDX-License-Identifier: MIT */
#ifndef HAKO_TMPCOPYUP_H
#define HAKO_TMPCOPYUP_H

/*
 * Copy the content of the directory `from` (an O_PATH descriptor) to the
 * directory `to`: files, directories, symbolic links, devices, with owner,
 * mode, times and extended attributes. -1 with errno.
 */
int
tmpcopyup(int from, int to);

#endif
