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

/* A line for each line of text, such as "0 1000 1\n2 5 1\n". */
void
show_lines(struct sheet *s, const char *what, const char *text);

/* Rows of the table in show.c that stand in show_limits.c, show_mounts.c and show_process.c. */
void
show_cgroup(struct sheet *s, const struct plan *plan);
void
show_scope(struct sheet *s, const struct plan *plan);
void
show_limits(struct sheet *s, const struct plan *plan);
void
show_late_limits(struct sheet *s, const struct plan *plan);
void
show_handover(struct sheet *s, const struct plan *plan);
void
show_device_rules(struct sheet *s, const struct plan *plan);
void
show_resctrl_group(struct sheet *s, const struct plan *plan);
void
show_resctrl_lines(struct sheet *s, const struct plan *plan);
void
show_resctrl_joining(struct sheet *s, const struct plan *plan);
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
