/* SPDX-License-Identifier: MIT */
/*
 * process.apparmorProfile and process.selinuxLabel (config.md "Linux Process"):
 * init tells the security module what the next program becomes, by writing to
 * attr of its own folder in /proc (proc_pid_attr(5)). A label that went to any
 * other file would be lost, so that folder is found in a procfs which nothing in
 * the container can cover (CVE-2025-52881), and a kernel without the module
 * refuses what is written.
 *
 * Create does it before the pivot. The process that exec adds mounts that procfs
 * inside the container; but in a user namespace the kernel allows it only where
 * another one is in sight, so there it takes the parent's along. Nobody inside may
 * look into its descriptors: that takes CAP_SYS_PTRACE outside (PR_SET_DUMPABLE in
 * prctl(2); a process belongs to the user namespace in which it was executed).
 */
#include "hako/file.h"
#include "hako/layer.h"
#include "hako/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* What a kernel without the module does not have. */
static bool
has_apparmor(void)
{
	char text[4096];

	return file_read_at(AT_FDCWD, "/proc/self/attr/apparmor/current", text, sizeof(text)) >= 0;
}

/* Registered only when it is enabled. */
static bool
has_selinux(void)
{
	char text[16384];

	return file_read_at(AT_FDCWD, "/proc/filesystems", text, sizeof(text)) >= 0 &&
	       strstr(text, "\tselinuxfs\n") != NULL;
}

/* Whether a profile is loaded, and a label one of the policy, only root may ask. */
LAYER_PROBE(label_probe)
{
	const struct label_plan *label = &plan->process.label;
	const struct config_linux *lin = plan->config->linux_;

	if (label->apparmor != NULL && !has_apparmor())
		json_error(
			json_member(plan->process.at, "apparmorProfile"), e, 0, "apparmor-missing",
			"AppArmor is not enabled: profile %s cannot be applied", label->apparmor);
	if ((label->selinux == NULL && lin->mount_label == NULL) || has_selinux())
		return 0;
	if (label->selinux != NULL)
		json_error(json_member(plan->process.at, "selinuxLabel"), e, 0, "selinux-missing",
		           "SELinux is not enabled: label %s cannot be applied", label->selinux);
	if (lin->mount_label != NULL)
		json_error(json_member(lin->at, "mountLabel"), e, 0, "selinux-missing",
		           "SELinux is not enabled: label %s cannot be applied", lin->mount_label);
	return 0;
}

LAYER_PLAN(label_plan)
{
	const struct config_process *c = p->config->process;

	(void)e;
	if (c != NULL)
		p->plan->process.label = (struct label_plan){
			.apparmor = c->apparmor_profile,
			.selinux = c->selinux_label,
		};
	return 0;
}

static bool
is_wanted(const struct label_plan *label)
{
	return label->apparmor != NULL || label->selinux != NULL;
}

/* An ordinary user may mount none, but can trust the one that is there. */
LAYER_RUN(label_open)
{
	if (!is_wanted(&plan->process.label) || (plan->exec_namespaces & CLONE_NEWUSER) == 0)
		return 0;
	h->proc = proc_mount();
	if (h->proc < 0 && errno == EPERM)
		h->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return h->proc < 0 ? error_set(e, errno, "label-failed", "open a private procfs") : 0;
}

/* AppArmor ------------------------------------------------------------------------ */

/* "unconfined", "PROFILE (MODE)"; a profile's mode can be "unconfined" as well. */
static bool
is_confined(int proc)
{
	char text[4096];
	ssize_t n = proc_read_own(proc, "attr/apparmor/current", text, sizeof(text));

	if (n < 0)
		return false; /* the write will tell why */
	text[strcspn(text, "\n")] = '\0';
	return strcmp(text, "unconfined") != 0 && strstr(text, " (unconfined)") == NULL;
}

/*
 * With no_new_privs who is confined may not change to another profile, only add
 * one to that which holds already.
 */
static bool
must_stack(const struct plan *plan, int proc)
{
	return (plan->process.no_new_privileges || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) &&
	       is_confined(proc);
}

static int
fail_apparmor(const struct plan *plan, int proc, struct error *e)
{
	const struct json *at = json_member(plan->process.at, "apparmorProfile");
	const char *profile = plan->process.label.apparmor;
	char current[4096];
	int code = errno;

	if (proc_read_own(proc, "attr/apparmor/current", current, sizeof(current)) < 0)
		return json_error(at, e, 0, "apparmor-missing",
		                  "AppArmor is not enabled: profile %s cannot be applied", profile);
	if (code == ENOENT)
		return json_error(at, e, 0, "apparmor-failed", "no AppArmor profile %s is loaded",
		                  profile);
	return json_error(at, e, code, "apparmor-failed", "change to the AppArmor profile %s",
	                  profile);
}

static int
write_profile(const struct plan *plan, int proc, struct error *e)
{
	autofree char *text = NULL;

	if (plan->process.label.apparmor == NULL)
		return 0;
	if (asprintf(&text, "%s %s", must_stack(plan, proc) ? "stack" : "exec",
	             plan->process.label.apparmor) < 0)
		return error_set(e, ENOMEM, "out-of-memory", "AppArmor profile");
	if (proc_write_own(proc, "attr/apparmor/exec", text) == 0)
		return 0;
	return fail_apparmor(plan, proc, e);
}

/* SELinux --------------------------------------------------------------------------- */

static int
write_attribute(const struct plan *plan, int proc, const char *path, struct error *e)
{
	const char *label = plan->process.label.selinux;
	int code;

	if (proc_write_own(proc, path, label) == 0)
		return 0;
	code = errno;
	return json_error(json_member(plan->process.at, "selinuxLabel"), e, code, "selinux-failed",
	                  "write %s to %s%s", label, path,
	                  code == EINVAL ? " (is SELinux enabled, and the label one of its policy?)"
	                                 : "");
}

/* The session keyring, which is made later, gets the label too. */
static int
write_label(const struct plan *plan, int proc, struct error *e)
{
	if (plan->process.label.selinux == NULL)
		return 0;
	if (write_attribute(plan, proc, "attr/exec", e) < 0)
		return -1;
	return plan->options.new_keyring ? write_attribute(plan, proc, "attr/keycreate", e) : 0;
}

/* Both -------------------------------------------------------------------------------- */

LAYER_RUN(label_write)
{
	if (!is_wanted(&plan->process.label))
		return 0;
	if (h->proc < 0)
		h->proc = proc_mount();
	if (h->proc < 0)
		return error_set(e, errno, "label-failed", "mount a private procfs");
	if (write_profile(plan, h->proc, e) < 0 || write_label(plan, h->proc, e) < 0)
		return -1;
	close(h->proc);
	h->proc = -1;
	return 0;
}

/* Verify ------------------------------------------------------------------------------ */

/* Before execve: what was written for it. */
static const char *
read_attribute(const struct observed *o, const char *current, const char *next)
{
	return observed_read(o, o->executed ? current : next, NULL);
}

/* "PROFILE (MODE)", "exec PROFILE"; stacked on another one it stands behind "//&". */
static bool
names_profile(const char *text, const char *profile)
{
	size_t length = strlen(profile);

	for (const char *p = text; (p = strstr(p, profile)) != NULL; p++)
		if ((p == text || p[-1] == ' ' || p[-1] == '&') &&
		    (p[length] == '\0' || strncmp(p + length, " (", 2) == 0 ||
		     strncmp(p + length, "//&", 3) == 0))
			return true;
	return false;
}

static void
verify_apparmor(const struct plan *plan, const struct observed *o, struct verdicts *v)
{
	const struct claim claim = {CHECK_APPARMOR,
	                            json_member(plan->process.at, "apparmorProfile")};
	const char *profile = plan->process.label.apparmor;
	const char *text = read_attribute(o, "attr/apparmor/current", "attr/apparmor/exec");

	if (text == NULL && errno == EINVAL && !o->executed) /* only itself may know that */
		verdict_pending(v, claim);
	else if (text == NULL && errno != ENOENT)
		verdict_unknown(v, claim, "/proc/PID/attr/apparmor: %s", error_text(errno));
	else if (text == NULL)
		verdict_add(v, claim, false, profile, "none: AppArmor is not enabled");
	else
		verdict_add(v, claim, names_profile(text, profile), profile, text);
}

/* Without a security module that has attributes they cannot be read: EINVAL. */
static void
verify_selinux(const struct plan *plan, const struct observed *o, struct verdicts *v)
{
	const struct claim claim = {CHECK_SELINUX, json_member(plan->process.at, "selinuxLabel")};
	const char *text = read_attribute(o, "attr/current", "attr/exec");

	if (text == NULL && (errno == EINVAL || errno == ENOENT))
		text = "none: SELinux is not enabled";
	verdict_compare(v, claim, plan->process.label.selinux, text);
}

LAYER_VERIFY(label_verify)
{
	const struct label_plan *label = &plan->process.label;

	if (label->apparmor != NULL)
		verify_apparmor(plan, o, v);
	if (label->selinux != NULL)
		verify_selinux(plan, o, v);
}
