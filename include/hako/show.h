/* SPDX-License-Identifier: MIT */
#ifndef HAKO_SHOW_H
#define HAKO_SHOW_H

#include "hako/plan.h"
#include "hako/sheet.h"

/*
 * The plan: the steps of create in the order of acting, each with its values.
 * Deterministic: golden files hold it. Freed by the caller.
 */
char *
plan_show(const struct plan *plan, enum sheet_format format);

/* Rows of the table in show.c that stand in show_mounts.c and show_process.c. */
void
show_rootfs(struct sheet *s, const struct plan *plan);
void
show_mounts(struct sheet *s, const struct plan *plan);
void
show_late_mounts(struct sheet *s, const struct plan *plan);
void
show_devices(struct sheet *s, const struct plan *plan);
void
show_scheduler(struct sheet *s, const struct plan *plan);
void
show_io_priority(struct sheet *s, const struct plan *plan);
void
show_rlimits(struct sheet *s, const struct plan *plan);
void
show_credentials(struct sheet *s, const struct plan *plan);
void
show_label(struct sheet *s, const struct plan *plan);
void
show_terminal(struct sheet *s, const struct plan *plan);
void
show_program(struct sheet *s, const struct plan *plan);
void
show_memory_policy(struct sheet *s, const struct plan *plan);

/* The features document (runtime-spec, features.md) as JSON. Freed by the caller. */
char *
features_show(void);

#endif
