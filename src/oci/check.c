/* SPDX-License-Identifier: MIT */
/*
 * The rules between properties that a field table cannot say, for the whole
 * document: config.md is checked here, /process in check_process.c, /linux in
 * check_linux.c, check_resources.c and check_sysctl.c. A rule is a function in
 * a table; it looks at nothing but the document and its error stands at the
 * node to be changed.
 */
#include "hako/config.h"
#include "hako/problem.h"

#include <linux/sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
config_error(const struct json *object, const char *member, struct error *e, const char *id,
             const char *format, ...)
{
	const struct json *node = json_member(object, member);
	char msg[sizeof(e->msg)];
	va_list args;

	va_start(args, format);
	vsnprintf(msg, sizeof(msg), format, args);
	va_end(args);
	return json_error(node != NULL ? node : object, e, 0, id, "%s", msg);
}

void
config_place(const struct string_map *places, struct error *e)
{
	const char *pointer = strchr(e->at, ' ');
	const char *place = pointer != NULL ? string_map_find(places, pointer + 1) : NULL;
	char at[sizeof(e->at)];

	if (place == NULL)
		return;
	snprintf(at, sizeof(at), "%s%s", place, pointer);
	memcpy(e->at, at, sizeof(at));
}

int
config_need_namespace(const struct config *config, int type, const struct json *object,
                      const char *member, struct error *e)
{
	const char *name = name_of(namespace_names, (uint64_t)type);
	const struct json *linux_at = json_member(config->at, "linux");

	if (config_namespace(config, type) != NULL)
		return 0;
	/* it may be among those that have an error of their own */
	if (json_is_faulty(config->linux_ != NULL ? json_member(linux_at, "namespaces") : linux_at))
		return 0;
	return config_error(object, member, e, "config-namespace",
	                    "needs a namespace of type %s: add {\"type\": \"%s\"} to "
	                    "linux.namespaces",
	                    name, name);
}

/* The dot-separated identifiers of a pre-release or build part; returns its end or NULL. */
static const char *
skip_identifiers(const char *s)
{
	size_t length;

	for (;; s++) {
		length = strspn(s,
		                "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-");
		s += length;
		if (length == 0 || *s != '.')
			return length == 0 ? NULL : s;
	}
}

/* Digits without a needless 0 in front; returns their end or NULL. */
static const char *
skip_number(const char *s)
{
	size_t length = strspn(s, "0123456789");

	return length == 0 || (length > 1 && s[0] == '0') ? NULL : s + length;
}

/* Semantic versioning 2.0.0, major version 1. */
static bool
version_supported(const char *s)
{
	int part;

	if (strncmp(s, "1.", 2) != 0)
		return false;
	for (part = 0; part < 3; part++) {
		if (part > 0 && *s++ != '.')
			return false;
		s = skip_number(s);
		if (s == NULL)
			return false;
	}
	if (*s == '-')
		s = skip_identifiers(s + 1);
	if (s != NULL && *s == '+')
		s = skip_identifiers(s + 1);
	return s != NULL && *s == '\0';
}

/* Compatible is what no later version has brought (config.md "Specification version"). */
static void
warn_of_version(const struct config *config)
{
	static const char known[] = OCI_VERSION_MAX;
	size_t length = (size_t)(skip_number(config->oci_version + 2) - config->oci_version);
	size_t longest = (size_t)(skip_number(known + 2) - known);

	if (length > longest ||
	    (length == longest && strncmp(config->oci_version, known, length) > 0))
		json_warning(json_member(config->at, "ociVersion"), "config-version",
		             "newer than " OCI_VERSION_MAX ": what it has added is unknown here");
}

static int
check_version(const struct config *config, struct error *e)
{
	if (config->oci_version == NULL)
		return 0;
	if (version_supported(config->oci_version)) {
		warn_of_version(config);
		return 0;
	}
	return config_error(config->at, "ociVersion", e, "config-value",
	                    "expected version 1.x.y of the specification, found \"%.40s\"",
	                    config->oci_version);
}

/* The kernel's limit (__NEW_UTS_LEN). */
enum { MAX_NAME = 64 };

static int
check_name(const struct config *config, const char *member, const char *name, struct error *e)
{
	if (name == NULL || strlen(name) <= MAX_NAME)
		return 0;
	return config_error(config->at, member, e, "config-range", "longer than %d bytes",
	                    MAX_NAME);
}

static int
check_hostname(const struct config *config, struct error *e)
{
	return check_name(config, "hostname", config->hostname, e);
}

static int
check_domainname(const struct config *config, struct error *e)
{
	return check_name(config, "domainname", config->domainname, e);
}

static int
check_annotations(const struct config *config, struct error *e)
{
	size_t i;

	for (i = 0; i < config->annotations.count; i++) {
		/* names are given once: there are no others */
		if (config->annotations.items[i].key[0] == '\0')
			return json_error(config->annotations.items[i].at, e, 0, "config-value",
			                  "the name of an annotation must not be empty");
	}
	return 0;
}

/* In the host's mount namespace: over a rootfs that is a folder, by who may mount there. */
static bool
may_mount_on_host(const struct config *config)
{
	return config_namespace(config, CLONE_NEWUSER) == NULL && config->root->path != NULL &&
	       strcmp(config->root->path, "/") != 0;
}

/* What is set in a namespace must have one, or the host's would be changed. */
static int
check_namespaces_needed(const struct config *config, struct error *e)
{
	static const struct config_linux none;
	const struct config_linux *l = config->linux_ != NULL ? config->linux_ : &none;
	const bool apart = !may_mount_on_host(config);
	const struct need {
		bool wanted;
		int type;
		const struct json *object;
		const char *member;
	} needs[] = {
		{config->hostname != NULL, CLONE_NEWUTS, config->at, "hostname"},
		{config->domainname != NULL, CLONE_NEWUTS, config->at, "domainname"},
		{apart && config->mounts.count > 0, CLONE_NEWNS, config->at, "mounts"},
		{apart && config->root->readonly, CLONE_NEWNS, config->root->at, "readonly"},
		{apart && l->masked_paths.count > 0, CLONE_NEWNS, l->at, "maskedPaths"},
		{apart && l->readonly_paths.count > 0, CLONE_NEWNS, l->at, "readonlyPaths"},
		{l->rootfs_propagation != 0, CLONE_NEWNS, l->at, "rootfsPropagation"},
		{l->uid_mappings.count > 0, CLONE_NEWUSER, l->at, "uidMappings"},
		{l->gid_mappings.count > 0, CLONE_NEWUSER, l->at, "gidMappings"},
		{l->time_offsets != NULL, CLONE_NEWTIME, l->at, "timeOffsets"},
		{l->net_devices.count > 0, CLONE_NEWNET, l->at, "netDevices"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needs); i++) {
		if (needs[i].wanted &&
		    json_stops(config->at,
		               config_need_namespace(config, needs[i].type, needs[i].object,
		                                     needs[i].member, e)))
			return -1;
	}
	return 0;
}

static int
check_process(const struct config *config, struct error *e)
{
	return config->process != NULL ? process_check(config->process, e) : 0;
}

static int (*const rules[])(const struct config *config, struct error *e) = {
	check_version,     mounts_check,  check_hostname,          check_domainname,
	check_annotations, check_process, check_namespaces_needed,
};

int
config_check(struct arena *arena, const struct config *config, struct error *e)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		if (json_stops(config->at, rules[i](config, e)))
			return -1;
	}
	if (config->linux_ == NULL || linux_check(arena, config, e) == 0)
		return 0;
	return json_goes_on(config->at) ? 0 : -1;
}
