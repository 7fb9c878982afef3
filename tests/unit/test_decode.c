/* SPDX-License-Identifier: MIT */
/*
 * From a tree to structs: every type of field, every property of the schema,
 * what a complete config decodes to, and for each bad config of
 * golden/errors the line that names its fault.
 */
#include "hako/config.h"
#include "hako/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

static struct arena arena;

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static const char *
data_path(const char *name)
{
	const char *tests = getenv("HAKO_TESTS");

	return arena_printf(&arena, "%s/%s", tests != NULL ? tests : "tests", name);
}

static const char *
error_line(const struct error *e)
{
	char line[sizeof(e->at) + sizeof(e->msg) + 4];

	return arena_strdup(&arena, error_format(e, line, sizeof(line)));
}

static const struct json *
parse(const char *text)
{
	struct json_doc *doc;
	struct error e;

	if (json_parse(&arena, "config.json", text, strlen(text), &doc, &e) < 0)
		fail_msg("%s: %s", text, error_line(&e));
	return doc->root;
}

/* --- fields ---------------------------------------------------------------- */

struct inner {
	const struct json *at;
	const char *key;
	bool on;
};

struct outer {
	const struct json *at;
	const char *string;
	const char *path;
	const char *word;
	bool boolean;
	const uint64_t *uint;
	const uint64_t *small;
	const int64_t *whole;
	const int64_t *signed_;
	uint32_t u32;
	struct strings strings;
	struct strings words;
	struct strings paths;
	struct uints uints;
	struct string_map map;
	int enum_;
	struct flags flags;
	const struct inner *object;
	struct objects objects;
	struct objects object_map;
};

static const struct name colours[] = {{"red", 1}, {"green", 2}, {"blue", 4}, {NULL, 0}};

static const struct field inner_rows[] = {
	FIELD(BOOL, "on", inner, on, .flags = FIELD_REQUIRED),
};
static const struct field_table inner_fields = FIELD_TABLE(inner, inner_rows);

static const struct field outer_rows[] = {
	FIELD(STRING, "string", outer, string),
	FIELD(STRING, "path", outer, path, .flags = FIELD_ABSOLUTE),
	FIELD(STRING, "word", outer, word, .names = colours),
	FIELD(BOOL, "boolean", outer, boolean),
	FIELD(UINT, "uint", outer, uint),
	FIELD(UINT, "small", outer, small, .min = 2, .max = 9),
	FIELD(INT, "whole", outer, whole),
	FIELD(INT, "signed", outer, signed_, .min = -5, .max = 5),
	FIELD(U32, "u32", outer, u32),
	FIELD(STRINGS, "strings", outer, strings),
	FIELD(STRINGS, "words", outer, words, .names = colours, .flags = FIELD_NOT_EMPTY),
	FIELD(STRINGS, "paths", outer, paths, .flags = FIELD_ABSOLUTE),
	FIELD(UINTS, "uints", outer, uints, .max = 100),
	FIELD(MAP, "map", outer, map),
	FIELD(ENUM, "enum", outer, enum_, .names = colours),
	FIELD(FLAGS, "flags", outer, flags, .names = colours),
	FIELD(OBJECT, "object", outer, object, .table = &inner_fields),
	FIELD(OBJECTS, "objects", outer, objects, .table = &inner_fields),
	FIELD(OBJECT_MAP, "objectMap", outer, object_map, .table = &inner_fields),
};
static const struct field_table outer_fields = FIELD_TABLE(outer, outer_rows);

static struct outer
decode(const char *text)
{
	struct outer outer = {0};
	struct error e;

	if (decode_object(&arena, &outer_fields, parse(text), &outer, &e) < 0)
		fail_msg("%s: %s", text, error_line(&e));
	return outer;
}

static void
test_absent(void **state)
{
	struct outer empty = decode("{}");
	struct outer null =
		decode("{\"string\": null, \"u32\": null, \"strings\": null, \"enum\": null,"
	               " \"object\": null, \"what\": [1, {}]}");

	(void)state;
	assert_non_null(empty.at);
	empty.at = null.at = NULL;
	assert_memory_equal(&null, &empty, sizeof(null));
	assert_null(empty.string);
	assert_null(empty.uint);
	assert_int_equal(empty.enum_, 0);
	assert_null(empty.flags.at);
	assert_null(empty.strings.at);
	/* what Go writes for absent */
	assert_null(decode("{\"string\": \"\", \"path\": \"\", \"word\": \"\"}").string);
	assert_int_equal(decode("{\"enum\": \"\"}").enum_, 0);
	assert_true(*decode("{\"uint\": 0}").uint == 0);
	assert_true(*decode("{\"uint\": -0}").uint == 0);
}

static void
test_scalars(void **state)
{
	struct outer o = decode("{\"string\": \"s\", \"path\": \"/p\", \"word\": \"red\","
	                        " \"boolean\": true, \"uint\": 18446744073709551615, \"small\": 9,"
	                        " \"whole\": -9223372036854775808, \"signed\": -0,"
	                        " \"u32\": 4294967295, \"enum\": \"blue\"}");

	(void)state;
	assert_string_equal(o.string, "s");
	assert_string_equal(o.path, "/p");
	assert_string_equal(o.word, "red");
	assert_true(o.boolean);
	assert_true(*o.uint == UINT64_MAX);
	assert_true(*o.small == 9);
	assert_true(*o.whole == INT64_MIN);
	assert_true(*o.signed_ == 0);
	assert_true(o.u32 == UINT32_MAX);
	assert_int_equal(o.enum_, 4);
	assert_true(*decode("{\"uint\": -0}").uint == 0);
}

static void
test_arrays_and_maps(void **state)
{
	struct outer o = decode(
		"{\"strings\": [\"\", \"b\"], \"words\": [\"green\"], \"uints\": [100, 0],"
		" \"map\": {\"k\": \"v\", \"\": \"\"}, \"flags\": [\"red\", \"blue\", \"red\"],"
		" \"object\": {\"on\": true}, \"objects\": [{\"on\": false}, {\"on\": true}],"
		" \"objectMap\": {\"eth0\": {\"on\": true}}}");
	const struct inner *objects = o.objects.items, *mapped = o.object_map.items;
	char where[64];

	(void)state;
	assert_int_equal(o.strings.count, 2);
	assert_string_equal(o.strings.items[0], "");
	assert_string_equal(o.strings.items[1], "b");
	assert_string_equal(o.words.items[0], "green");
	assert_int_equal(o.uints.count, 2);
	assert_true(o.uints.items[0] == 100 && o.uints.items[1] == 0);
	assert_int_equal(o.map.count, 2);
	assert_string_equal(o.map.items[0].key, "k");
	assert_string_equal(o.map.items[0].value, "v");
	assert_string_equal(o.map.items[1].value, "");
	json_where(o.map.items[1].at, where, sizeof(where));
	assert_string_equal(where, "config.json:1:85 /map/");
	assert_true(o.flags.value == 5);
	assert_non_null(o.flags.at);
	assert_true(o.object->on);
	assert_int_equal(o.objects.count, 2);
	assert_true(!objects[0].on && objects[1].on);
	json_where(objects[1].at, where, sizeof(where));
	assert_string_equal(where, "config.json:1:174 /objects/1");
	assert_int_equal(o.object_map.count, 1);
	assert_string_equal(mapped->key, "eth0");
	assert_true(mapped->on);
	assert_non_null(decode("{\"flags\": []}").flags.at);
	assert_non_null(decode("{\"strings\": []}").strings.at);
}

static void
test_field_errors(void **state)
{
	static const struct {
		const char *text;
		const char *id;
		const char *line;
	} cases[] = {
		{"[]", "config-type", "config.json:1:1: expected an object, found an array"},
		{"{\"string\": 1}", "config-type",
	         "config.json:1:12 /string: expected a string, found a number"},
		{"{\"string\": {}}", "config-type",
	         "config.json:1:12 /string: expected a string, found an object"},
		{"{\"path\": \"p\"}", "config-value",
	         "config.json:1:10 /path: expected an absolute path, found \"p\""},
		{"{\"word\": \"pink\"}", "config-value",
	         "config.json:1:10 /word: expected red, green or blue, found \"pink\""},
		{"{\"boolean\": \"true\"}", "config-type",
	         "config.json:1:13 /boolean: expected a boolean, found a string"},
		{"{\"uint\": \"1\"}", "config-type",
	         "config.json:1:10 /uint: expected a number, found a string"},
		{"{\"uint\": 1.0}", "config-type",
	         "config.json:1:10 /uint: expected an integer, found 1.0"},
		{"{\"uint\": 1e3}", "config-type",
	         "config.json:1:10 /uint: expected an integer, found 1e3"},
		{"{\"uint\": -1}", "config-range",
	         "config.json:1:10 /uint: expected a number from 0 to 18446744073709551615, found -1"},
		{"{\"uint\": 18446744073709551616}", "config-range",
	         "config.json:1:10 /uint: expected a number from 0 to 18446744073709551615, "
	         "found 18446744073709551616"},
		{"{\"small\": 1}", "config-range",
	         "config.json:1:11 /small: expected a number from 2 to 9, found 1"},
		{"{\"small\": 10}", "config-range",
	         "config.json:1:11 /small: expected a number from 2 to 9, found 10"},
		{"{\"signed\": -6}", "config-range",
	         "config.json:1:12 /signed: expected a number from -5 to 5, found -6"},
		{"{\"signed\": 5.5}", "config-type",
	         "config.json:1:12 /signed: expected an integer, found 5.5"},
		{"{\"whole\": 9223372036854775808}", "config-range",
	         "config.json:1:11 /whole: expected a number from -9223372036854775808 to "
	         "9223372036854775807, found 9223372036854775808"},
		{"{\"u32\": 4294967296}", "config-range",
	         "config.json:1:9 /u32: expected a number from 0 to 4294967295, found 4294967296"},
		{"{\"strings\": \"a\"}", "config-type",
	         "config.json:1:13 /strings: expected an array, found a string"},
		{"{\"strings\": [\"a\", null]}", "config-type",
	         "config.json:1:19 /strings/1: expected a string, found null"},
		{"{\"words\": []}", "config-value",
	         "config.json:1:11 /words: must have at least one entry"},
		{"{\"words\": [\"red\", \"\"]}", "config-value",
	         "config.json:1:19 /words/1: expected red, green or blue, found \"\""},
		{"{\"paths\": [\"/\", \"\"]}", "config-value",
	         "config.json:1:17 /paths/1: expected an absolute path, found \"\""},
		{"{\"uints\": [1, 101]}", "config-range",
	         "config.json:1:15 /uints/1: expected a number from 0 to 100, found 101"},
		{"{\"uints\": {\"a\": 1}}", "config-type",
	         "config.json:1:11 /uints: expected an array, found an object"},
		{"{\"map\": []}", "config-type",
	         "config.json:1:9 /map: expected an object, found an array"},
		{"{\"map\": {\"a\": true}}", "config-type",
	         "config.json:1:15 /map/a: expected a string, found a boolean"},
		{"{\"enum\": 1}", "config-type",
	         "config.json:1:10 /enum: expected a string, found a number"},
		{"{\"enum\": \" \"}", "config-value",
	         "config.json:1:10 /enum: expected red, green or blue, found \" \""},
		{"{\"flags\": \"red\"}", "config-type",
	         "config.json:1:11 /flags: expected an array, found a string"},
		{"{\"flags\": [\"red\", \"RED\"]}", "config-value",
	         "config.json:1:19 /flags/1: expected red, green or blue, found \"RED\""},
		{"{\"object\": []}", "config-type",
	         "config.json:1:12 /object: expected an object, found an array"},
		{"{\"object\": {}}", "config-missing", "config.json:1:12 /object: on is missing"},
		{"{\"object\": {\"on\": null}}", "config-missing",
	         "config.json:1:12 /object: on is missing"},
		{"{\"objects\": [{\"on\": true}, 1]}", "config-type",
	         "config.json:1:28 /objects/1: expected an object, found a number"},
		{"{\"objects\": {\"on\": true}}", "config-type",
	         "config.json:1:13 /objects: expected an array, found an object"},
		{"{\"objectMap\": {\"a\": {\"on\": 1}}}", "config-type",
	         "config.json:1:28 /objectMap/a/on: expected a boolean, found a number"},
		{"{\"objectMap\": []}", "config-type",
	         "config.json:1:15 /objectMap: expected an object, found an array"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct outer outer = {0};
		struct error e;

		if (decode_object(&arena, &outer_fields, parse(cases[i].text), &outer, &e) == 0)
			fail_msg("accepted: %s", cases[i].text);
		assert_string_equal(error_line(&e), cases[i].line);
		assert_string_equal(e.id, cases[i].id);
	}
}

static void
test_unknown_is_logged(void **state)
{
	struct log_settings saved = log_settings;
	char record[256] = "";
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	log_settings.level = LOG_LEVEL_DEBUG;
	log_settings.fd = ends[1];
	decode("{\"boolean\": true,\n \"Boolean\": 1}");
	log_settings = saved;
	assert_true(read(ends[0], record, sizeof(record) - 1) > 0);
	assert_non_null(strstr(record, "config.json:2:13 /Boolean: unknown property, ignored"));
	close(ends[0]);
	close(ends[1]);
}

/* --- whole documents ------------------------------------------------------- */

static int
load(const char *path, const struct config **ret_config, struct error *e)
{
	struct json_doc *doc;

	if (json_load(&arena, AT_FDCWD, path, "config.json", &doc, e) < 0)
		return -1;
	return config_decode(&arena, doc, ret_config, e);
}

static int
is_json(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot != NULL && strcmp(dot, ".json") == 0;
}

static void
assert_golden(const char *dir, const char *name)
{
	char expected[2048] = "";
	const char *path = arena_printf(&arena, "%s/%s", dir, name);
	const char *golden = arena_printf(&arena, "%.*s.txt", (int)(strlen(path) - 5), path);
	autoclose int fd = open(golden, O_RDONLY | O_CLOEXEC);
	const struct config *config = NULL;
	struct error e;

	if (fd < 0 || read(fd, expected, sizeof(expected) - 1) <= 0)
		fail_msg("%s: missing or empty", golden);
	if (load(path, &config, &e) == 0)
		fail_msg("%s: accepted", path);
	assert_null(config);
	assert_true(e.code == 0 && e.id[0] != '\0');
	assert_string_equal(arena_printf(&arena, "%s: %s\n", path, error_line(&e)),
	                    arena_printf(&arena, "%s: %s", path, expected));
}

static void
test_golden_errors(void **state)
{
	const char *dir = data_path("golden/errors");
	struct dirent **names;
	int count = scandir(dir, &names, is_json, alphasort), i;

	(void)state;
	assert_true(count >= 60);
	for (i = 0; i < count; i++) {
		assert_golden(dir, names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

/* The examples that come with the specification: NULL when hako can apply them. */
static void
test_specification_examples(void **state)
{
	static const struct {
		const char *name;
		const char *line;
	} cases[] = {
		{"good/minimal.json", NULL},
		{"good/minimal-for-start.json", NULL},
		{"good/freebsd-example.json",
	         "config.json:17:17 /hostname: needs a namespace of type uts: add {\"type\": \"uts\"} "
	         "to linux.namespaces"},
		{"good/freebsd-minimal.json", NULL},
		{"good/zos-minimal.json", NULL},
		{"good/zos-example.json",
	         "config.json:2:19 /ociVersion: expected version 1.x.y of the specification, "
	         "found \"0.5.0-dev\""},
		{"good/linux-rdma.json", NULL},
		{"good/linux-netdevice.json",
	         "config.json:7:23 /linux/netDevices: needs a namespace of type network: add "
	         "{\"type\": \"network\"} to linux.namespaces"},
		{"good/spec-example.json",
	         "config.json:2:19 /ociVersion: expected version 1.x.y of the specification, "
	         "found \"0.5.0-dev\""},
		{"bad/invalid-json.json",
	         "config.json:1:2: expected a name in double quotes, found ']'"},
		{"bad/linux-hugepage.json",
	         "config.json:11:33 /linux/resources/hugepageLimits/0/pageSize: expected a page "
	         "size such as 2MB or 1GB, found \"64kB\""},
		{"bad/linux-netdevice.json",
	         "config.json:9:25 /linux/netDevices/eth0/name: expected a string, found a number"},
		{"bad/linux-rdma.json",
	         "config.json:10:35 /linux/resources/rdma/mlx5_1/hcaHandles: expected a number, "
	         "found a string"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct config *config;
		const char *path = data_path(arena_printf(&arena, "data/spec/%s", cases[i].name));
		struct error e;
		int result = load(path, &config, &e);

		if (cases[i].line != NULL && result < 0)
			assert_string_equal(error_line(&e), cases[i].line);
		else if ((result < 0) != (cases[i].line != NULL))
			fail_msg("%s: %s", path, result < 0 ? error_line(&e) : "accepted");
	}
}

static const struct config *
decode_config(const char *text)
{
	const struct config *config = NULL;
	struct json_doc *doc;
	struct error e;

	if (json_parse(&arena, "config.json", text, strlen(text), &doc, &e) < 0 ||
	    config_decode(&arena, doc, &config, &e) < 0)
		fail_msg("%s: %s", text, error_line(&e));
	return config;
}

/* What the rules let pass: the other side of golden/errors. */
static void
test_rules_accept(void **state)
{
	static const char *const cases[] = {
		"\"ociVersion\": \"1.0.2-dev\"",
		"\"ociVersion\": \"1.1.0-rc.1\"",
		"\"ociVersion\": \"1.0.0-rc5-dev+build.7\"",
		"\"ociVersion\": \"1.99.0\"",
		"\"process\": {\"cwd\": \"/\", \"args\": [\"sh\", \"\"], \"env\": [\"A=\", \"B==\", \"C= =\"]}",
		"\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"rlimits\": []}",
		"\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"commandLine\": 1, \"user\": "
		"{\"username\": 1}}",
		"\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"apparmorProfile\": \"\", \"terminal\": false, "
		"\"consoleSize\": {\"height\": 1, \"width\": 1}}",
		"\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"consoleSize\": {\"height\": 70000}}",
		"\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"rlimits\": [{\"type\": \"RLIMIT_RTTIME\","
		" \"soft\": 0, \"hard\": 18446744073709551615}]}",
		"\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"capabilities\": {\"bounding\": [\"CAP_NEW\"]}}",
		"\"hostname\": \"h\", \"domainname\": \"d\", \"linux\": {\"namespaces\": [{\"type\": \"uts\","
		" \"path\": \"/proc/1/ns/uts\"}]}",
		"\"hostname\": \"\", \"mounts\": []",
		"\"mounts\": [{\"destination\": \"tmp\"}, {\"destination\": \"/a/b/../c\"}],"
		" \"linux\": {\"namespaces\": [{\"type\": \"mount\", \"path\": \"\"}]}",
		"\"linux\": {\"namespaces\": [{\"type\": \"user\", \"path\": \"/p\"}], \"uidMappings\": "
		"[{\"containerID\": 0, \"hostID\": 0, \"size\": 1}]}",
		"\"linux\": {\"namespaces\": [{\"type\": \"user\", \"path\": \"/p\"}]}, \"process\": {\"cwd\": \"/\","
		" \"args\": [\"sh\"], \"user\": {\"uid\": 99}}",
		"\"linux\": {\"uidMappings\": [], \"gidMappings\": []}",
		"\"linux\": {\"namespaces\": [{\"type\": \"user\"}], \"gidMappings\": [{\"containerID\": 0, "
		"\"hostID\": 0, \"size\": 4294967295}], \"uidMappings\": [{\"containerID\": 0, \"hostID\": 5, "
		"\"size\": 5}, {\"containerID\": 5, \"hostID\": 0, \"size\": 5}, {\"containerID\": 10, "
		"\"hostID\": 10, \"size\": 1}]}, \"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"user\": "
		"{\"uid\": 10, \"gid\": 4294967294, \"additionalGids\": [0, 7]}}",
		"\"linux\": {\"namespaces\": [{\"type\": \"time\"}], \"timeOffsets\": {\"boottime\": {\"secs\": -5,"
		" \"nanosecs\": 999999999}}}",
		"\"linux\": {\"devices\": [{\"path\": \"/dev/a\", \"type\": \"p\"}, {\"path\": \"/dev/b\", \"type\": "
		"\"u\", \"major\": 4095, \"minor\": 1048575, \"fileMode\": 4095}]}",
		"\"linux\": {\"resources\": {\"devices\": [{\"allow\": false}, {\"allow\": true, \"type\": \"a\", "
		"\"major\": -1, \"minor\": -1, \"access\": \"mrw\"}]}}",
		"\"linux\": {\"resources\": {\"memory\": {\"swap\": -1}}}",
		"\"linux\": {\"resources\": {\"memory\": {\"limit\": -1, \"swap\": 0}}}",
		"\"linux\": {\"resources\": {\"memory\": {\"limit\": 5, \"swap\": 5, \"kernel\": -1, \"kernelTCP\": 1,"
		" \"swappiness\": 18446744073709551615, \"useHierarchy\": true, \"disableOOMKiller\": true}}}",
		"\"linux\": {\"resources\": {\"blockIO\": {\"weight\": 0, \"leafWeight\": 0, \"weightDevice\": [],"
		" \"throttleReadBpsDevice\": []}, \"network\": {\"classID\": 0, \"priorities\": []}, "
		"\"rdma\": {}, \"hugepageLimits\": [], \"pids\": {\"limit\": 0}}}",
		"\"linux\": {\"resources\": {\"unified\": {\"memory.max\": \"1\", \"a..b\": \"\"}}}",
		"\"linux\": {\"resources\": {\"cpu\": {\"realtimeRuntime\": -1, \"realtimePeriod\": 1, \"idle\": 1}}}",
		"\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38, "
		"\"listenerPath\": \"/l\", \"listenerMetadata\": \"m\", \"syscalls\": [{\"names\": [\"read\"], "
		"\"action\": \"SCMP_ACT_TRACE\", \"errnoRet\": 65535}]}}",
		"\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"apparmorProfile\": \"a b\", "
		"\"selinuxLabel\": \"a:b:c:s0:c1,c2\", \"scheduler\": {\"policy\": \"SCHED_IDLE\", "
		"\"nice\": 0, \"priority\": 0, \"runtime\": 0, \"flags\": []}, \"ioPriority\": "
		"{\"class\": \"IOPRIO_CLASS_IDLE\"}, \"execCPUAffinity\": {\"initial\": \"\"}}",
		"\"process\": {\"cwd\": \"/\", \"args\": [\"sh\"], \"scheduler\": {\"policy\": "
		"\"SCHED_DEADLINE\", \"runtime\": 1, \"deadline\": 1, \"period\": 0}}",
		"\"linux\": {\"memoryPolicy\": {\"mode\": \"MPOL_PREFERRED\", \"nodes\": \"\", \"flags\": "
		"[\"MPOL_F_STATIC_NODES\"]}}",
		"\"linux\": {\"intelRdt\": {\"closID\": \"/\", \"l3CacheSchema\": \"L3:0=f\\nL2:0=f\", "
		"\"memBwSchema\": \"MB:0=10\", \"schemata\": [], \"enableMonitoring\": true}}",
		"\"linux\": {\"intelRdt\": {\"closID\": \"..a\"}}",
		"\"linux\": {\"intelRdt\": {}, \"netDevices\": {}, \"mountLabel\": \"\", \"rootfsPropagation\": null}",
		"\"linux\": {\"personality\": {\"domain\": \"LINUX32\", \"flags\": []}}",
		"\"linux\": {\"rootfsPropagation\": \"\", \"maskedPaths\": []}",
		"\"linux\": {\"cgroupsPath\": \"\", \"maskedPaths\": [], \"readonlyPaths\": []}",
		"\"windows\": 1, \"solaris\": [], \"vm\": \"x\", \"zos\": {}, \"freebsd\": null, \"new\": true",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		decode_config(arena_printf(
			&arena, "{%s\"root\": {\"path\": \"r\"}, %s}",
			strstr(cases[i], "ociVersion") != NULL ? "" : "\"ociVersion\": \"1.2.0\", ",
			cases[i]));
}

static const char complete[] =
	"{\"ociVersion\": \"1.3.0\", \"root\": {\"path\": \"rootfs\", \"readonly\": true},\n"
	"\"hostname\": \"h\", \"annotations\": {\"k\": \"v\"},\n"
	"\"process\": {\"cwd\": \"/w\", \"args\": [\"a\", \"b\"], \"env\": [\"X=1\"], \"noNewPrivileges\": true,\n"
	"  \"user\": {\"uid\": 1, \"gid\": 2, \"umask\": 18, \"additionalGids\": [3]}, \"oomScoreAdj\": -10,\n"
	"  \"capabilities\": {\"bounding\": [\"CAP_KILL\"], \"ambient\": []},\n"
	"  \"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"soft\": 10, \"hard\": 20}]},\n"
	"\"mounts\": [{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\", \"options\": [\"ro\"]}],\n"
	"\"hooks\": {\"createRuntime\": [{\"path\": \"/h\", \"args\": [\"h\"], \"env\": [\"A=b\"], \"timeout\": 3}]},\n"
	"\"linux\": {\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"mount\"}, {\"type\": \"uts\"}, {\"type\":\n"
	"  \"network\", \"path\": \"/n\"}, {\"type\": \"ipc\"}, {\"type\": \"cgroup\"}],\n"
	"  \"devices\": [{\"path\": \"/dev/f\", \"type\": \"c\", \"major\": 10, \"minor\": 229, \"fileMode\": 438,"
	" \"uid\": 5, \"gid\": 6}],\n"
	"  \"cgroupsPath\": \"/c\", \"rootfsPropagation\": \"rslave\", \"maskedPaths\": [\"/m\"], "
	"\"readonlyPaths\": [\"/r\"],\n"
	"  \"resources\": {\"devices\": [{\"allow\": true, \"type\": \"c\", \"major\": 1, \"access\": \"rw\"}],\n"
	"    \"memory\": {\"limit\": 100, \"reservation\": 50, \"swap\": 200, \"checkBeforeUpdate\": true},\n"
	"    \"cpu\": {\"shares\": 1024, \"quota\": -1, \"period\": 100000, \"burst\": 7, \"cpus\": \"0-1\", "
	"\"mems\": \"0\", \"idle\": 0},\n"
	"    \"pids\": {\"limit\": -1}, \"unified\": {\"memory.high\": \"1\"}},\n"
	"  \"sysctl\": {\"net.ipv4.conf.eth0/1.forwarding\": \"1\", \"net/ipv4/ip_forward\": \"0\", "
	"\"kernel.msgmax\": \"8\", \"kernel.domainname\": \"d\", \"fs.mqueue.msg_max\": \"9\"},\n"
	"  \"seccomp\": {\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 1, \"architectures\": "
	"[\"SCMP_ARCH_X86_64\"], \"flags\": [\"SECCOMP_FILTER_FLAG_LOG\"],\n"
	"    \"syscalls\": [{\"names\": [\"clone\"], \"action\": \"SCMP_ACT_ALLOW\", \"args\": [{\"index\": 0, "
	"\"value\": 2114060288, \"valueTwo\": 0, \"op\": \"SCMP_CMP_MASKED_EQ\"}]}]},\n"
	"  \"personality\": {\"domain\": \"LINUX32\"}}}\n";

static void
assert_process(const struct config_process *process)
{
	const struct config_rlimit *rlimit = process->rlimits.items;

	assert_string_equal(process->cwd, "/w");
	assert_int_equal(process->args.count, 2);
	assert_string_equal(process->env.items[0], "X=1");
	assert_true(process->no_new_privileges && !process->terminal);
	assert_int_equal(process->user->uid, 1);
	assert_int_equal(process->user->gid, 2);
	assert_int_equal(*process->user->umask, 18);
	assert_int_equal(process->user->additional_gids.items[0], 3);
	assert_int_equal(*process->oom_score_adj, -10);
	assert_string_equal(process->capabilities->bounding.items[0], "CAP_KILL");
	assert_non_null(process->capabilities->ambient.at);
	assert_null(process->capabilities->effective.at);
	assert_int_equal(rlimit->type, RLIMIT_NOFILE + 1);
	assert_true(*rlimit->soft == 10 && *rlimit->hard == 20);
}

static void
assert_resources(const struct config_resources *resources)
{
	const struct config_device_rule *rule = resources->devices.items;

	assert_true(rule->allow && *rule->major == 1 && rule->minor == NULL);
	assert_string_equal(rule->type, "c");
	assert_string_equal(rule->access, "rw");
	assert_true(*resources->memory->limit == 100 && *resources->memory->swap == 200);
	assert_true(*resources->memory->reservation == 50 &&
	            resources->memory->check_before_update);
	assert_true(*resources->cpu->shares == 1024 && *resources->cpu->quota == -1);
	assert_true(*resources->cpu->period == 100000 && *resources->cpu->burst == 7);
	assert_true(*resources->cpu->idle == 0);
	assert_string_equal(resources->cpu->cpus, "0-1");
	assert_true(*resources->pids->limit == -1);
	assert_string_equal(resources->unified.items[0].key, "memory.high");
}

static void
assert_seccomp(const struct config_seccomp *seccomp)
{
	const struct config_syscall *syscall = seccomp->syscalls.items;
	const struct config_seccomp_arg *arg = syscall->args.items;

	assert_int_equal(seccomp->default_action, SECCOMP_ACTION_ERRNO);
	assert_true(*seccomp->default_errno_ret == 1);
	assert_string_equal(seccomp->architectures.items[0], "SCMP_ARCH_X86_64");
	assert_true(seccomp->flags.value == SECCOMP_FILTER_FLAG_LOG);
	assert_int_equal(syscall->action, SECCOMP_ACTION_ALLOW);
	assert_string_equal(syscall->names.items[0], "clone");
	assert_int_equal(arg->op, SECCOMP_OPERATOR_MASKED_EQ);
	assert_true(*arg->index == 0 && *arg->value == 2114060288 && *arg->value_two == 0);
}

static void
assert_sysctls(const struct string_map *sysctl)
{
	static const char *const paths[] = {
		"net/ipv4/conf/eth0.1/forwarding",
		"net/ipv4/ip_forward",
		"kernel/msgmax",
		"kernel/domainname",
		"fs/mqueue/msg_max",
	};
	size_t i;

	assert_int_equal(sysctl->count, ARRAY_SIZE(paths));
	for (i = 0; i < ARRAY_SIZE(paths); i++)
		assert_string_equal(sysctl->items[i].key, paths[i]);
	assert_string_equal(sysctl->items[0].at->key, "net.ipv4.conf.eth0/1.forwarding");
}

static void
test_complete(void **state)
{
	const struct config *config = decode_config(complete);
	const struct config_linux *l = config->linux_;
	const struct config_mount *mount = config->mounts.items;
	const struct config_hook *hook = config->hooks->create_runtime.items;
	const struct config_device *device = l->devices.items;

	(void)state;
	assert_string_equal(config->oci_version, "1.3.0");
	assert_true(config->root->readonly);
	assert_string_equal(config->hostname, "h");
	assert_string_equal(config->annotations.items[0].value, "v");
	assert_process(config->process);
	assert_string_equal(mount->destination, "/proc");
	assert_string_equal(mount->options.items[0], "ro");
	assert_true(*hook->timeout_s == 3);
	assert_string_equal(hook->path, "/h");
	assert_true(*device->minor == 229 && *device->file_mode == 0666 && *device->gid == 6);
	assert_int_equal(l->rootfs_propagation, MS_SLAVE | MS_REC);
	assert_string_equal(l->masked_paths.items[0], "/m");
	assert_string_equal(l->readonly_paths.items[0], "/r");
	assert_string_equal(l->cgroups_path, "/c");
	assert_resources(l->resources);
	assert_sysctls(&l->sysctl);
	assert_seccomp(l->seccomp);
	assert_int_equal(l->personality->domain, 8 + 1);
	assert_null(config_namespace(config, CLONE_NEWUSER));
	assert_null(config_namespace(config, CLONE_NEWPID)->path);
	assert_string_equal(config_namespace(config, CLONE_NEWNET)->path, "/n");
	assert_null(config_namespace(
		decode_config("{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"r\"}}"),
		CLONE_NEWPID));
}

static void
test_process(void **state)
{
	const struct config_process *process;
	struct error e;

	(void)state;
	assert_int_equal(
		process_decode(&arena, json_member(parse(complete), "process"), &process, &e), 0);
	assert_process(process);
	process = NULL;
	assert_int_equal(
		process_decode(&arena, parse("{\"cwd\": \"/\", \"args\": [\"\"]}"), &process, &e),
		-1);
	assert_null(process);
	assert_string_equal(error_line(&e),
	                    "config.json:1:23 /args/0: the command must not be empty");
	assert_int_equal(process_decode(&arena, parse("[]"), &process, &e), -1);
}

/* What a list may hold at most, and that the checks of long lists end. */
static void
test_long_lists(void **state)
{
	enum { DEVICES = 100000, GROUPS = 65537 };
	char *text = arena_array(&arena, DEVICES, 48), *out = text;
	const struct config_process *process;
	struct json_doc *doc;
	const struct config *config;
	struct error e;
	int i;

	(void)state;
	out += sprintf(
		out,
		"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"linux\":{\"devices\":[");
	for (i = 0; i < DEVICES - 1; i++)
		out += sprintf(out, "{\"path\":\"/dev/%d\",\"type\":\"p\"},", i);
	strcpy(out, "{\"path\":\"/dev/7\",\"type\":\"p\",\"uid\":1}]}}");
	assert_int_equal(json_parse(&arena, "config.json", text, strlen(text), &doc, &e), 0);
	assert_int_equal(config_decode(&arena, doc, &config, &e), -1);
	assert_string_equal(e.id, "config-duplicate");
	assert_non_null(strstr(e.at, " /linux/devices/99999/path"));

	out = text +
	      sprintf(text, "{\"cwd\":\"/\",\"args\":[\"a\"],\"user\":{\"additionalGids\":[0");
	for (i = 1; i < GROUPS; i++)
		out += sprintf(out, ",%d", i);
	strcpy(out, "]}}");
	assert_int_equal(process_decode(&arena, parse(text), &process, &e), -1);
	assert_string_equal(error_line(&e),
	                    "config.json:1:50 /user/additionalGids: more than 65536 groups");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_absent, teardown),
		cmocka_unit_test_teardown(test_scalars, teardown),
		cmocka_unit_test_teardown(test_arrays_and_maps, teardown),
		cmocka_unit_test_teardown(test_field_errors, teardown),
		cmocka_unit_test_teardown(test_unknown_is_logged, teardown),
		cmocka_unit_test_teardown(test_golden_errors, teardown),
		cmocka_unit_test_teardown(test_specification_examples, teardown),
		cmocka_unit_test_teardown(test_rules_accept, teardown),
		cmocka_unit_test_teardown(test_complete, teardown),
		cmocka_unit_test_teardown(test_process, teardown),
		cmocka_unit_test_teardown(test_long_lists, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
