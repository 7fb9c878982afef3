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

/*
 * The container has not come to be: remove its group also when it has a name,
 * and would have stayed. Unless others have joined it meanwhile.
 */
void
intel_rdt_take_back(const struct plan *plan, const struct handles *h);

/* Write rdt->schemata to the group there is; what it had goes to *ret_before. */
int
intel_rdt_update(const struct intel_rdt_plan *rdt, struct handles *h, struct arena *arena,
                 const char **ret_before, struct error *e);

#endif
