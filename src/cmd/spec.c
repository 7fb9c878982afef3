/* SPDX-License-Identifier: MIT */
/*
 * `spec`: a config.json to begin with. The default is what other runtimes write
 * too, with a filter for system calls: a shell with few capabilities in namespaces of
 * its own. For an ordinary user the caller's id becomes root of a user namespace, and
 * what that user may not do is left out. Profiles and --set change the document, which
 * is then read as `create` would read it.
 */
#include "hako/command.h"
#include "hako/config.h"
#include "hako/file.h"
#include "hako/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const environment[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"TERM=xterm",
	NULL,
};
static const char *const command[] = {"sh", NULL};
static const char *const capabilities[] = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE",
                                           NULL};
static const char *const masked_paths[] = {
	"/proc/acpi",
	"/proc/asound",
	"/proc/interrupts",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/sys/firmware",
	"/sys/devices/virtual/powercap",
	NULL,
};
static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL};
static const char *const namespaces[] = {"pid", "network", "ipc", "uts", "mount", "cgroup", NULL};

struct mount_row {
	const char *destination, *type, *source;
	const char *options[10];
};

static const struct mount_row mounts[] = {
	{"/proc", "proc", "proc", {NULL}},
	{"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k", NULL}},
	{"/dev/pts",
         "devpts",
         "devpts",
         {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", NULL}},
	{"/dev/shm",
         "tmpfs",
         "shm",
         {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k", NULL}},
	{"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev", NULL}},
	{"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro", NULL}},
	{"/sys/fs/cgroup",
         "cgroup",
         "cgroup",
         {"nosuid", "noexec", "nodev", "relatime", "ro", NULL}},
	{NULL, NULL, NULL, {NULL}},
};

static void
put_strings(struct json_writer *w, const char *key, const char *const *items)
{
	json_begin_array(w, key);
	for (; *items != NULL; items++)
		json_put_string(w, NULL, *items);
	json_end_array(w);
}

static void
put_process(struct json_writer *w)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};

	json_begin_object(w, "process");
	json_put_bool(w, "terminal", true);
	json_begin_object(w, "user");
	json_put_int(w, "uid", 0);
	json_put_int(w, "gid", 0);
	json_end_object(w);
	put_strings(w, "args", command);
	put_strings(w, "env", environment);
	json_put_string(w, "cwd", "/");
	json_begin_object(w, "capabilities");
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		put_strings(w, sets[i], capabilities);
	json_end_object(w);
	json_begin_array(w, "rlimits");
	json_begin_object(w, NULL);
	json_put_string(w, "type", "RLIMIT_NOFILE");
	json_put_int(w, "hard", 1024);
	json_put_int(w, "soft", 1024);
	json_end_object(w);
	json_end_array(w);
	json_put_bool(w, "noNewPrivileges", true);
	json_end_object(w);
}

/* devpts without gid=5, which is not mapped; the rest a user namespace allows. */
static void
put_mount(struct json_writer *w, const struct mount_row *m, bool rootless)
{
	json_begin_object(w, NULL);
	json_put_string(w, "destination", m->destination);
	json_put_string(w, "type", m->type);
	json_put_string(w, "source", m->source);
	if (m->options[0] != NULL) {
		json_begin_array(w, "options");
		for (size_t i = 0; m->options[i] != NULL; i++)
			if (!rootless || strcmp(m->options[i], "gid=5") != 0)
				json_put_string(w, NULL, m->options[i]);
		json_end_array(w);
	}
	json_end_object(w);
}

static void
put_mapping(struct json_writer *w, const char *key, unsigned id)
{
	json_begin_array(w, key);
	json_begin_object(w, NULL);
	json_put_int(w, "containerID", 0);
	json_put_int(w, "hostID", id);
	json_put_int(w, "size", 1);
	json_end_object(w);
	json_end_array(w);
}

static void
put_namespace(struct json_writer *w, const char *type)
{
	json_begin_object(w, NULL);
	json_put_string(w, "type", type);
	json_end_object(w);
}

static void
put_linux(struct json_writer *w, const struct spec_profile *profile)
{
	bool rootless = profile->rootless;

	json_begin_object(w, "linux");
	if (rootless) {
		put_mapping(w, "uidMappings", geteuid());
		put_mapping(w, "gidMappings", getegid());
	} else {
		json_begin_object(w, "resources");
		json_begin_array(w, "devices");
		json_begin_object(w, NULL);
		json_put_bool(w, "allow", false);
		json_put_string(w, "access", "rwm");
		json_end_object(w);
		json_end_array(w);
		json_end_object(w);
	}
	json_begin_array(w, "namespaces");
	for (const char *const *n = namespaces; *n != NULL; n++)
		put_namespace(w, *n);
	if (rootless)
		put_namespace(w, "user");
	json_end_array(w);
	put_strings(w, "maskedPaths", masked_paths);
	put_strings(w, "readonlyPaths", readonly_paths);
	spec_put_seccomp(w, profile->calls);
	json_end_object(w);
}

static struct json_writer *
write_spec(const struct spec_profile *profile)
{
	struct json_writer *w = json_writer_new(JSON_INDENT);

	json_begin_object(w, NULL);
	json_put_string(w, "ociVersion", OCI_VERSION_MAX);
	json_begin_object(w, "root");
	json_put_string(w, "path", "rootfs");
	json_put_bool(w, "readonly", true);
	json_end_object(w);
	put_process(w);
	json_put_string(w, "hostname", "hako");
	json_begin_array(w, "mounts");
	for (const struct mount_row *m = mounts; m->destination != NULL; m++)
		put_mount(w, m, profile->rootless);
	json_end_array(w);
	put_linux(w, profile);
	json_end_object(w);
	return w;
}

/* --set /POINTER=VALUE */
static int
set_option(struct arena *arena, struct json *root, const char *option, struct error *e)
{
	size_t length = strcspn(option, "=");

	if (option[length] == '\0')
		return error_set(e, 0, "usage", "--set %s: want /POINTER=VALUE", option);
	return config_set(arena, root, arena_strndup(arena, option, length), option + length + 1,
	                  e);
}

static int
change(struct arena *arena, struct json *root, const struct spec_profile *profile,
       const struct option_list *set, struct error *e)
{
	for (const struct spec_setting *s = profile->settings; s->pointer != NULL; s++)
		if (config_set(arena, root, s->pointer, s->value, e) < 0)
			return -1;
	for (size_t i = 0; i < set->count; i++)
		if (set_option(arena, root, set->items[i], e) < 0)
			return -1;
	return 0;
}

/* What was written, in the arena; the writer is gone. */
static const char *
take_text(struct arena *arena, struct json_writer *w)
{
	const char *text = arena_strdup(arena, json_writer_text(w, NULL));

	json_writer_free(w);
	return text;
}

/* The document of that profile, changed, and read again. The text is the arena's. */
static int
make_spec(struct arena *arena, const struct spec_profile *profile, const struct option_list *set,
          const char *name, const char **ret_text, struct error *e)
{
	const char *text = take_text(arena, write_spec(profile));
	const struct config *config;
	struct json_writer *w;
	struct json_doc *doc;

	if (json_parse(arena, name, text, strlen(text), &doc, e) < 0 ||
	    change(arena, doc->root, profile, set, e) < 0)
		return -1;
	w = json_writer_new(JSON_INDENT);
	json_put_json(w, NULL, doc->root);
	text = take_text(arena, w);
	if (json_parse(arena, name, text, strlen(text), &doc, e) < 0 ||
	    config_decode(arena, doc, &config, e) < 0)
		return -1;
	*ret_text = text;
	return 0;
}

static const struct spec_profile *
find_profile(const struct options *o, struct error *e)
{
	const char *name = o->profile != NULL ? o->profile : o->rootless ? "rootless" : "default";

	for (const struct spec_profile *p = spec_profiles; p->name != NULL; p++) {
		if (strcmp(p->name, name) != 0)
			continue;
		if (o->rootless && !p->rootless)
			break;
		return p;
	}
	error_set(e, 0, "usage", "--profile %s%s", name,
	          o->rootless ? " and --rootless exclude each other"
	                      : ": not one of default, rootless, hardened, ci");
	return NULL;
}

int
command_spec(const struct options *o, struct error *e)
{
	static struct arena arena;
	const char *bundle = o->bundle != NULL ? o->bundle : ".";
	const char *name = o->file != NULL ? o->file : "config.json";
	const struct spec_profile *profile = find_profile(o, e);
	autoclose int dir = -1;
	const char *text;

	if (profile == NULL || make_spec(&arena, profile, &o->set, name, &text, e) < 0)
		return -1;
	dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_set(e, errno, "bundle-missing", "bundle %s", bundle);
	if (file_create_at(dir, name, 0666, text, strlen(text)) == 0)
		return 0;
	return errno == EEXIST ? error_set(e, 0, "spec-exists", "%s exists: remove it first", name)
	                       : error_set(e, errno, "spec-failed", "write %s", name);
}
