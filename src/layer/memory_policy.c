/* SPDX-License-Identifier: MIT */
/*
 * linux.memoryPolicy (config-linux.md, set_mempolicy(2)): from which memory
 * nodes the process gets its pages. The kernel reads the nodes against the
 * cpuset of the moment and moves them along when that changes, so this comes
 * after the limits are written: when init is told to start.
 */
#include "hako/file.h"
#include "hako/layer.h"
#include "hako/syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <string.h>

LAYER_PLAN(memory_policy_plan)
{
	const struct config_memory_policy *c = p->config->linux_->memory_policy;
	struct number_set *nodes;

	(void)e;
	if (c == NULL)
		return 0;
	p->plan->memory_policy = (struct memory_policy_plan){
		.at = c->at,
		.mode = c->mode - 1,
		.flags = (int)c->flags.value,
		.nodes = c->nodes,
	};
	if (c->nodes == NULL)
		return 0;
	nodes = arena_alloc(p->arena, sizeof(*nodes));
	/* the list was checked when it was read */
	if (number_set_parse(c->nodes, NODE_NUMBERS, nodes) > 0)
		p->plan->memory_policy.node_set = nodes;
	return 0;
}

LAYER_PROBE(memory_policy_probe)
{
	const struct memory_policy_plan *policy = &plan->memory_policy;
	const struct number_set *nodes = policy->node_set;
	struct number_set online;
	char text[1024];

	if (nodes == NULL ||
	    file_read_at(AT_FDCWD, "/sys/devices/system/node/online", text, sizeof(text)) < 0 ||
	    number_set_parse(text, NODE_NUMBERS, &online) <= 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(online.words); i++)
		if ((nodes->words[i] & online.words[i]) != 0)
			return 0;
	return json_error(json_member(policy->at, "nodes"), e, 0, "memory-policy-failed",
	                  "this machine has none of the nodes %s, only %s", policy->nodes, text);
}

LAYER_RUN(memory_policy_set)
{
	const struct memory_policy_plan *policy = &plan->memory_policy;
	const struct number_set *nodes = policy->node_set;
	int code;

	(void)h;
	if (policy->at == NULL ||
	    sys_set_mempolicy(policy->mode | policy->flags, nodes != NULL ? nodes->words : NULL,
	                      nodes != NULL ? NODE_NUMBERS + 1 : 0) == 0)
		return 0;
	code = errno;
	return json_error(policy->at, e, code, "memory-policy-failed",
	                  "set the memory policy%s%s%s", nodes != NULL ? " for nodes " : "",
	                  nodes != NULL ? policy->nodes : "",
	                  code == EINVAL ? " (does the kernel know the mode, and is one of the "
	                                   "nodes there, and allowed by cpuset.mems?)"
	                                 : "");
}

/* As /proc/PID/numa_maps has it: "bind:0-1", "interleave=relative:0", "default". */
static const char *
find_policy(struct arena *arena, const char *line)
{
	const char *begin = line != NULL ? strchr(line, ' ') : NULL;

	return begin != NULL ? arena_strndup(arena, begin + 1, strcspn(begin + 1, " \n")) : NULL;
}

static const char *
expected_policy(struct arena *arena, const struct memory_policy_plan *policy)
{
	static const char *const names[] = {"default",
	                                    "prefer",
	                                    "bind",
	                                    "interleave",
	                                    "local",
	                                    "prefer (many)",
	                                    "weighted interleave"};
	const char *flags = (policy->flags & MPOL_F_STATIC_NODES) != 0     ? "=static"
	                    : (policy->flags & MPOL_F_RELATIVE_NODES) != 0 ? "=relative"
	                                                                   : "";

	if (policy->mode < 0 || (size_t)policy->mode >= ARRAY_SIZE(names))
		return "?";
	return policy->nodes != NULL
	               ? arena_printf(arena, "%s%s:%s", names[policy->mode], flags, policy->nodes)
	               : names[policy->mode];
}

/* The nodes that the cpuset leaves are all that counts: the mode is what is compared. */
LAYER_VERIFY(memory_policy_verify)
{
	const struct memory_policy_plan *policy = &plan->memory_policy;
	const struct claim claim = {CHECK_MEMORY_POLICY, policy->at};
	const char *expected, *found;

	if (policy->at == NULL)
		return;
	if (!o->executed) {
		verdict_pending(v, claim);
		return;
	}
	expected = expected_policy(v->arena, policy);
	found = find_policy(v->arena, observed_read(o, "numa_maps", NULL));
	if (found == NULL)
		verdict_unknown(v, claim, "/proc/PID/numa_maps: %s", error_text(errno));
	else
		verdict_add(v, claim, strncmp(expected, found, strcspn(expected, ":= ")) == 0,
		            expected, found);
}
