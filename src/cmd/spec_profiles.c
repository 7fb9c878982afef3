/* SPDX-License-Identifier: MIT */
/*
 * The profiles of `spec`: each is the same config with a few properties set. A row
 * here is what --set /POINTER=VALUE would be on the command line.
 */
#include "hako/spec.h"

#include <stddef.h>

/* clang-format off */
static const struct spec_setting nothing[] = {{NULL, NULL}};

/* For tests: nobody looks on, nothing is remembered, a runaway is stopped. */
static const struct spec_setting ci[] = {
	{"/process/terminal", "false"},
	{"/process/env", "[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\","
	                 "\"HOME=/tmp\", \"LANG=C.UTF-8\", \"TZ=UTC\", \"CI=true\"]"},
	{"/hostname", "ci"},
	{"/mounts/-", "{\"destination\": \"/tmp\", \"type\": \"tmpfs\", \"source\": \"tmpfs\","
	              "\"options\": [\"nosuid\", \"nodev\", \"mode=1777\", \"size=512m\"]}"},
	{"/linux/resources/memory/limit", "1073741824"},
	{"/linux/resources/pids/limit", "1024"},
	{"/linux/resources/cpu", "{\"quota\": 200000, \"period\": 100000}"},
	{NULL, NULL},
};

/* For what may be attacked. The ids are those that useradd(8) gives to the first user. */
static const struct spec_setting hardened[] = {
	{"/process/user", "{\"uid\": 1000, \"gid\": 1000}"},
	{"/process/capabilities", "{\"bounding\": [], \"effective\": [], \"permitted\": [],"
	                          "\"inheritable\": [], \"ambient\": []}"},
	{"/process/rlimits/-", "{\"type\": \"RLIMIT_CORE\", \"hard\": 0, \"soft\": 0}"},
	{"/mounts/-", "{\"destination\": \"/tmp\", \"type\": \"tmpfs\", \"source\": \"tmpfs\","
	              "\"options\": [\"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=64m\"]}"},
	{"/linux/namespaces/-/type", "user"},
	{"/linux/uidMappings/-", "{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}"},
	{"/linux/gidMappings/-", "{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}"},
	{"/linux/resources/memory/limit", "536870912"},
	{"/linux/resources/pids/limit", "256"},
	{"/linux/resources/cpu", "{\"quota\": 100000, \"period\": 100000}"},
	{NULL, NULL},
};

const struct spec_profile spec_profiles[] = {
	{"default", false, SPEC_ORDINARY | SPEC_DEBUGGING, nothing},
	{"rootless", true, SPEC_ORDINARY | SPEC_DEBUGGING, nothing},
	{"hardened", false, SPEC_ORDINARY, hardened},
	{"ci", false, SPEC_ORDINARY | SPEC_DEBUGGING, ci},
	{NULL, false, 0, NULL},
};
/* clang-format on */
