/* SPDX-License-Identifier: MIT */
#ifndef HAKO_LISTENER_H
#define HAKO_LISTENER_H

#include "hako/plan.h"

/*
 * Start a process whose seccomp filter notifies: instead of a bare START. Connects
 * to the agent, lets init load its filter, gives the agent the listener
 * with that message, and lets init go on to execve. Without an agent nothing is
 * executed.
 */
int
listener_start(const struct sync *sync, const struct listener_plan *listener, const char *message,
               struct error *e);

#endif
