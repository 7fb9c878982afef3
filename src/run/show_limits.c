/* SPDX-License-Identifier: MIT */
/* What `plan` shows of the cgroup, its limits and devices, and of resctrl. */
#include "hako/show.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>

void
show_cgroup(struct sheet *s, const struct plan *plan)
{
	sheet_value(s, "path", "%s", plan->cgroup.wanted ? plan->cgroup.path : "none");
}

void
show_scope(struct sheet *s, const struct plan *plan)
{
	if (plan->cgroup.unit == NULL)
		return;
	sheet_value(s, "scope", "%s", plan->cgroup.unit);
	sheet_value(s, "slice", "%s", plan->cgroup.slice);
	for (size_t i = 0; i < plan->cgroup.properties.count; i++) {
		const struct string_pair *p = &plan->cgroup.properties.items[i];

		sheet_line(s, "property");
		sheet_put(s, "name", " ", p->key);
		sheet_put(s, "value", " = ", p->value);
	}
}

static void
show_limits_of(struct sheet *s, const struct cgroup_plan *cgroup, bool late)
{
	for (size_t i = 0; i < cgroup->value_count; i++) {
		const struct cgroup_value *v = &cgroup->values[i];

		if (v->late != late)
			continue;
		sheet_line(s, v->alternative ? "or" : v->tentative ? "try" : "write");
		sheet_put(s, "file", " ", v->file);
		sheet_put(s, "value", " = ", v->value);
	}
}

void
show_limits(struct sheet *s, const struct plan *plan)
{
	show_limits_of(s, &plan->cgroup, false);
}

void
show_late_limits(struct sheet *s, const struct plan *plan)
{
	show_limits_of(s, &plan->cgroup, true);
}

void
show_handover(struct sheet *s, const struct plan *plan)
{
	if (plan->cgroup.wanted && plan_creates(plan, CLONE_NEWUSER) &&
	    plan_creates(plan, CLONE_NEWCGROUP))
		sheet_acts(s);
}

void
show_device_rules(struct sheet *s, const struct plan *plan)
{
	for (size_t i = 0; i < plan->device_rule_count; i++) {
		const struct device_rule *r = &plan->device_rules[i];
		char major[24] = "*", minor[24] = "*";

		if (r->major >= 0)
			snprintf(major, sizeof(major), "%" PRId64, r->major);
		if (r->minor >= 0)
			snprintf(minor, sizeof(minor), "%" PRId64, r->minor);
		sheet_line(s, r->allow ? "allow" : "deny");
		sheet_printf(s, "type", " ", "%c", r->type);
		sheet_put(s, "major", " ", major);
		sheet_put(s, "minor", ":", minor);
		sheet_printf(s, "access", " ", "%s%s%s", r->access & 2 ? "r" : "",
		             r->access & 4 ? "w" : "", r->access & 1 ? "m" : "");
	}
}

void
show_resctrl_group(struct sheet *s, const struct plan *plan)
{
	if (plan->intel_rdt.at != NULL)
		sheet_value(s, "group", "%s", plan->intel_rdt.group);
}

void
show_resctrl_lines(struct sheet *s, const struct plan *plan)
{
	if (plan->intel_rdt.at == NULL)
		return;
	sheet_acts(s);
	show_lines(s, "write", plan->intel_rdt.schemata);
	if (plan->intel_rdt.monitor != NULL)
		sheet_value(s, "monitor", "%s", plan->intel_rdt.monitor);
}

void
show_resctrl_joining(struct sheet *s, const struct plan *plan)
{
	if (plan->intel_rdt.at != NULL)
		sheet_acts(s);
}
