/* SPDX-License-Identifier: MIT */
/*
 * The links of a new network namespace, from /proc/PID/net/dev: those that were moved
 * there, and no others. Hooks may have connected the container: then others are
 * expected. What the kernel itself makes in every namespace connects to nothing.
 */
#include "hako/netdevices.h"
#include "hako/layer.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

static const char *const kernel_links[] = {"lo",      "tunl0",    "gre0", "gretap0", "erspan0",
                                           "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"};

/* "eth%d": any number. */
static bool
matches(const char *wanted, const char *name)
{
	const char *number = strstr(wanted, "%d");
	size_t length = number != NULL ? (size_t)(number - wanted) : 0;

	if (number == NULL)
		return strcmp(wanted, name) == 0;
	return strncmp(wanted, name, length) == 0 &&
	       strcmp(name + length + strspn(name + length, "0123456789"), number + 2) == 0;
}

static bool
is_planned(const struct plan *plan, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kernel_links); i++)
		if (strcmp(kernel_links[i], name) == 0)
			return true;
	for (size_t i = 0; i < plan->net_device_count; i++)
		if (matches(plan->net_devices[i].new_name, name))
			return true;
	return false;
}

/* The names in the text, one after the other: "  eth0: 1 2 ..."; NULL after the last. */
static const char *
next_name(struct arena *arena, const char **text)
{
	while (*text != NULL && **text != '\0') {
		const char *begin = *text + strspn(*text, " ");
		size_t length = strcspn(begin, ":\n|");
		bool is_link = begin[length] == ':';

		*text = begin + strcspn(begin, "\n");
		*text += **text == '\n';
		if (is_link)
			return arena_strndup(arena, begin, length);
	}
	return NULL;
}

static void
verify_device(const struct net_device_plan *device, struct verdicts *v, const char *text)
{
	const struct claim claim = {CHECK_NET_DEVICE, device->at, device->new_name};
	const char *name;

	while ((name = next_name(v->arena, &text)) != NULL)
		if (matches(device->new_name, name)) {
			verdict_add(v, claim, true, device->new_name, name);
			return;
		}
	verdict_add(v, claim, false, device->new_name, "no such link");
}

LAYER_VERIFY(netdevices_verify)
{
	const struct claim claim = {CHECK_NET_EXTRA,
	                            json_member(plan->config->linux_->at, "namespaces")};
	const char *text, *all, *name, *found = "";

	if (!plan_isolates(plan, CLONE_NEWNET))
		return;
	text = observed_read(o, "net/dev", NULL);
	if (text == NULL) {
		verdict_unknown(v, claim, "/proc/PID/net/dev: %s", error_text(errno));
		return;
	}
	for (size_t i = 0; i < plan->net_device_count; i++)
		verify_device(&plan->net_devices[i], v, text);
	if (!plan_creates(plan, CLONE_NEWNET) || plan_has_early_hooks(plan))
		return;
	for (all = text; (name = next_name(v->arena, &all)) != NULL;)
		if (!is_planned(plan, name))
			found = arena_printf(v->arena, "%s%s%s", found,
			                     found[0] != '\0' ? ", " : "also ", name);
	verdict_compare(v, claim, "no other links", found[0] != '\0' ? found : "no other links");
}
