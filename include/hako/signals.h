/* SPDX-License-Identifier: MIT */
#ifndef HAKO_SIGNALS_H
#define HAKO_SIGNALS_H

/* As after login: no signal is blocked, and none ignored (signal(7), "Execve"). */
void
signals_reset(void);

#endif
