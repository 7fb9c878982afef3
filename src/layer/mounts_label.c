/* SPDX-License-Identifier: MIT */
/* linux.mountLabel: SELinux's label for what filesystems of the container hold. */
#include "hako/mounts.h"
#include "hako/problem.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

static int
fail_label(const struct plan *plan, const char *on, struct error *e)
{
	const struct json *at = json_member(plan->config->linux_->at, "mountLabel");
	int code = errno;

	return json_error(at, e, code, "label-failed", "%s=%s%s%s%s", plan->mount_label.key,
	                  plan->mount_label.value, on != NULL ? " on " : "", on != NULL ? on : "",
	                  code == EINVAL ? " (is SELinux enabled, and the label one of its policy?)"
	                                 : "");
}

static int
set_label(const struct plan *plan, int context)
{
	return fsconfig(context, FSCONFIG_SET_STRING, plan->mount_label.key,
	                plan->mount_label.value, 0);
}

int
mount_label_option(const struct plan *plan, const struct mount_plan *m, int context,
                   struct error *e)
{
	return set_label(plan, context) < 0 ? fail_label(plan, m->destination, e) : 0;
}

/* Some filesystems take any option in silence: ask one that does not. */
int
mounts_check_label(const struct plan *plan, struct error *e)
{
	autoclose int context = -1;

	if (plan->mount_label.value == NULL)
		return 0;
	context = fsopen("tmpfs", FSOPEN_CLOEXEC);
	return context < 0 || set_label(plan, context) < 0 ? fail_label(plan, NULL, e) : 0;
}

int
mount_label_root(const struct plan *plan, const struct mount_plan *m, int tree, struct error *e)
{
	const char *label = plan->mount_label.value;
	autoclose int root = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root >= 0 && fsetxattr(root, "security.selinux", label, strlen(label), 0) == 0)
		return 0;
	/* it belongs to who has made the IPC namespace, whom the user namespace may not know */
	if (errno == EPERM && plan_isolates(plan, CLONE_NEWUSER))
		return json_fallback(json_member(plan->config->linux_->at, "mountLabel"), e,
		                     "mount-unlabelled",
		                     "%s keeps its label: its owner is not mapped", m->destination);
	return fail_label(plan, m->destination, e);
}
