/* SPDX-License-Identifier: MIT */
#ifndef HAKO_SHOW_H
#define HAKO_SHOW_H

#include "hako/plan.h"

/*
 * The plan as text: a line a value, grouped by what acts on it, in the order of
 * acting. Deterministic: golden files hold it. Freed by the caller.
 */
char *
plan_show(const struct plan *plan);

/* The features document (runtime-spec, features.md) as JSON. Freed by the caller. */
char *
features_show(void);

#endif
