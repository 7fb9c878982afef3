/* SPDX-License-Identifier: MIT */
/*
 * `hako features` (runtime-spec, features.md), written from the tables that the
 * runtime itself works by, so that it cannot promise anything else.
 */
#include "hako/config.h"
#include "hako/credentials.h"
#include "hako/json.h"
#include "hako/mount_options.h"
#include "hako/names.h"
#include "hako/seccomp.h"
#include "hako/show.h"

#include <stdio.h>
#include <string.h>

static void
put_names(struct json_writer *w, const char *key, const struct name *names)
{
	json_begin_array(w, key);
	for (; names->name != NULL; names++)
		json_put_string(w, NULL, names->name);
	json_end_array(w);
}

static void
put_enabled(struct json_writer *w, const char *key, bool enabled)
{
	json_begin_object(w, key);
	json_put_bool(w, "enabled", enabled);
	json_end_object(w);
}

static void
put_capabilities(struct json_writer *w)
{
	const char *name;

	json_begin_array(w, "capabilities");
	for (int i = 0; (name = capability_name(i)) != NULL; i++)
		json_put_string(w, NULL, name);
	json_end_array(w);
}

static void
put_cgroup(struct json_writer *w)
{
	json_begin_object(w, "cgroup");
	json_put_bool(w, "v1", false);
	json_put_bool(w, "v2", true);
	json_put_bool(w, "systemd", true);
	json_put_bool(w, "systemdUser", true);
	json_put_bool(w, "rdma", true);
	json_end_object(w);
}

static void
put_seccomp(struct json_writer *w)
{
	json_begin_object(w, "seccomp");
	json_put_bool(w, "enabled", true);
	put_names(w, "actions", seccomp_action_names);
	put_names(w, "operators", seccomp_operator_names);
	put_names(w, "archs", seccomp_arch_names);
	put_names(w, "knownFlags", seccomp_flag_names);
	put_names(w, "supportedFlags", seccomp_flag_names);
	json_end_object(w);
}

static void
put_intel_rdt(struct json_writer *w)
{
	json_begin_object(w, "intelRdt");
	json_put_bool(w, "enabled", true);
	json_put_bool(w, "schemata", true);
	json_put_bool(w, "monitoring", true);
	json_end_object(w);
}

static void
put_memory_policy(struct json_writer *w)
{
	json_begin_object(w, "memoryPolicy");
	put_names(w, "modes", memory_policy_names);
	put_names(w, "flags", memory_policy_flag_names);
	json_end_object(w);
}

static void
put_linux(struct json_writer *w)
{
	json_begin_object(w, "linux");
	put_names(w, "namespaces", namespace_names);
	put_capabilities(w);
	put_cgroup(w);
	put_seccomp(w);
	put_enabled(w, "apparmor", true);
	put_enabled(w, "selinux", true);
	put_intel_rdt(w);
	put_memory_policy(w);
	json_begin_object(w, "mountExtensions");
	put_enabled(w, "idmap", true);
	json_end_object(w);
	put_enabled(w, "netDevices", true);
	json_end_object(w);
}

char *
features_show(void)
{
	struct json_writer *w = json_writer_new(JSON_INDENT);
	char *text, version[48];
	unsigned v[3];

	seccomp_library_version(v);
	snprintf(version, sizeof(version), "%u.%u.%u", v[0], v[1], v[2]);
	json_begin_object(w, NULL);
	json_put_string(w, "ociVersionMin", OCI_VERSION_MIN);
	json_put_string(w, "ociVersionMax", OCI_VERSION_MAX);
	json_begin_array(w, "hooks");
	for (size_t i = 0; i < hooks_fields.count; i++)
		json_put_string(w, NULL, hooks_fields.rows[i].name);
	json_end_array(w);
	json_begin_array(w, "mountOptions");
	for (const struct mount_option *o = mount_options; o->name != NULL; o++)
		json_put_string(w, NULL, o->name);
	json_end_array(w);
	put_linux(w);
	json_begin_object(w, "annotations");
	json_put_string(w, "io.github.seccomp.libseccomp.version", version);
	json_put_string(w, "org.opencontainers.runc.checkpoint.enabled", "false");
	json_end_object(w);
	json_begin_array(w, "potentiallyUnsafeConfigAnnotations");
	for (size_t i = 0; i < ANNOTATIONS; i++)
		json_put_string(w, NULL, annotation_names[i]);
	json_end_array(w);
	json_end_object(w);
	text = strdup(json_writer_text(w, NULL));
	json_writer_free(w);
	return text;
}
