/* SPDX-License-Identifier: MIT */
#ifndef HAKO_INTEL_RDT_H
#define HAKO_INTEL_RDT_H

#include "hako/state.h"

/*
 * Remove the group, or the monitoring group, that was made for the container
 * (undo of intel_rdt_make): what state.resctrl_path names.
 */
int
intel_rdt_undo(const struct state *state, struct handles *h, struct error *e);

#endif
