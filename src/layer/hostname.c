/* SPDX-License-Identifier: MIT */
/* hostname and domainname of the container's UTS namespace (config.md). */
#include "hako/layer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

LAYER_PLAN(hostname_plan)
{
	(void)e;
	p->plan->hostname = p->config->hostname;
	p->plan->domainname = p->config->domainname;
	return 0;
}

LAYER_RUN(hostname_set)
{
	const struct json *root = plan->config->at;

	(void)h;
	if (plan->hostname != NULL && sethostname(plan->hostname, strlen(plan->hostname)) < 0)
		return json_error(json_member(root, "hostname"), e, errno, "hostname-failed",
		                  "sethostname \"%s\"", plan->hostname);
	if (plan->domainname != NULL &&
	    setdomainname(plan->domainname, strlen(plan->domainname)) < 0)
		return json_error(json_member(root, "domainname"), e, errno, "hostname-failed",
		                  "setdomainname \"%s\"", plan->domainname);
	return 0;
}

LAYER_VERIFY(hostname_verify)
{
	const struct json *root = plan->config->at;

	if (plan->hostname != NULL)
		verdict_compare(v, (struct claim){CHECK_HOSTNAME, json_member(root, "hostname")},
		                plan->hostname, observed_inside(o, "sys/kernel/hostname"));
	if (plan->domainname != NULL)
		verdict_compare(v,
		                (struct claim){CHECK_DOMAINNAME, json_member(root, "domainname")},
		                plan->domainname, observed_inside(o, "sys/kernel/domainname"));
}
