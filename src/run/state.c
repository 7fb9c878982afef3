/* SPDX-License-Identifier: MIT */
/*
 * The state file and what is shown of it. The file is decoded by a field table,
 * as config.json is, with every check: it may be half written, damaged, or
 * planted. What start and delete need of the config (hooks) is in it, so that a
 * later edit of config.json changes nothing.
 */
#include "hako/state.h"
#include "hako/clock.h"
#include "hako/config.h"
#include "hako/file.h"
#include "hako/path.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct field state_rows[] = {
	FIELD(STRING, "ociVersion", state, oci_version, .flags = FIELD_REQUIRED),
	FIELD(STRING, "id", state, id, .flags = FIELD_REQUIRED | FIELD_NOT_EMPTY),
	FIELD(INT, "pid", state, pid, .flags = FIELD_REQUIRED, .max = 0x7fffffff),
	FIELD(UINT, "startTime", state, start_time, .flags = FIELD_REQUIRED, .max = UINT64_MAX),
	FIELD(STRING, "bundle", state, bundle, .flags = FIELD_REQUIRED | FIELD_ABSOLUTE),
	FIELD(STRING, "rootfs", state, rootfs, .flags = FIELD_REQUIRED | FIELD_ABSOLUTE),
	FIELD(STRING, "created", state, created, .flags = FIELD_REQUIRED),
	FIELD(U32, "owner", state, owner, .flags = FIELD_REQUIRED, .max = UINT32_MAX),
	FIELD(STRING, "cgroupPath", state, cgroup_path, .flags = FIELD_ABSOLUTE),
	FIELD(STRING, "systemdUnit", state, systemd_unit, .flags = FIELD_NOT_EMPTY),
	FIELD(STRING, "resctrlPath", state, resctrl_path),
	FIELD(UINT, "mountBelow", state, mount_below, .max = UINT64_MAX),
	FIELD(BOOL, "ownPidNamespace", state, own_pid_namespace),
	FIELD(BOOL, "notifySocket", state, notify_socket),
	FIELD(BOOL, "startSocket", state, start_socket),
	FIELD(BOOL, "withoutProcess", state, without_process),
	FIELD(BOOL, "callerKeyring", state, caller_keyring),
	FIELD(U32, "preserveFds", state, preserve_fds, .max = UINT32_MAX),
	FIELD(STRING, "seccompListener", state, seccomp_listener),
	FIELD(BOOL, "seccompEarly", state, seccomp_early),
	FIELD(STRING, "seccompMetadata", state, seccomp_metadata),
	FIELD(MAP, "annotations", state, annotations),
	FIELD(OBJECT, "hooks", state, hooks, .table = &hooks_fields),
	FIELD(MAP, "places", state, places),
};

static const struct field_table state_fields = FIELD_TABLE(state, state_rows);

const char *
status_name(enum status status)
{
	static const char *const names[] = {
		[STATUS_CREATING] = "creating", [STATUS_CREATED] = "created",
		[STATUS_RUNNING] = "running",   [STATUS_PAUSED] = "paused",
		[STATUS_STOPPED] = "stopped",
	};

	return names[status];
}

/* Save ---------------------------------------------------------------------- */

static void
put_map(struct json_writer *w, const char *key, const struct string_map *map)
{
	if (map->count == 0)
		return;
	json_begin_object(w, key);
	for (size_t i = 0; i < map->count; i++)
		json_put_string(w, map->items[i].key, map->items[i].value);
	json_end_object(w);
}

/* "/hooks/poststop/0": "config.json:57:9", for config_place(). */
static void
put_place(struct json_writer *w, const struct json *node)
{
	char where[sizeof(((struct error *)NULL)->at)], *pointer;

	json_where(node, where, sizeof(where));
	pointer = strchr(where, ' ');
	if (pointer == NULL)
		return;
	*pointer = '\0';
	json_put_string(w, pointer + 1, where);
}

static void
put_places(struct json_writer *w, const struct config *config)
{
	const struct objects *lists[] = {&config->hooks->poststart, &config->hooks->poststop};

	json_begin_object(w, "places");
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		for (size_t k = 0; k < lists[i]->count; k++)
			put_place(w, ((const struct config_hook *)lists[i]->items)[k].at);
	for (size_t i = 0; i < ANNOTATIONS; i++)
		put_place(w, json_member(config->annotations.at, annotation_names[i]));
	json_end_object(w);
}

/* The hooks that run after create, as the config has them. */
static void
put_hooks(struct json_writer *w, const struct config *config)
{
	const struct config_hooks *hooks = config->hooks;

	if (hooks == NULL || (hooks->poststart.count == 0 && hooks->poststop.count == 0))
		return;
	json_begin_object(w, "hooks");
	if (hooks->poststart.count > 0)
		json_put_json(w, "poststart", hooks->poststart.at);
	if (hooks->poststop.count > 0)
		json_put_json(w, "poststop", hooks->poststop.at);
	json_end_object(w);
	put_places(w, config);
}

/* Before there is one its path is known already, unless systemd decides it. */
static void
put_cgroup(struct json_writer *w, const struct plan *plan, const struct handles *h)
{
	const char *path = h->cgroup_path;

	if (path == NULL && h->init_pid == 0 && plan->cgroup.wanted && plan->cgroup.unit == NULL)
		path = plan->cgroup.path;
	if (path != NULL)
		json_put_string(w, "cgroupPath", path);
	if (plan->cgroup.unit != NULL)
		json_put_string(w, "systemdUnit", plan->cgroup.unit);
}

static void
put_listener(struct json_writer *w, const struct listener_plan *listener)
{
	if (listener->path == NULL)
		return;
	json_put_string(w, "seccompListener", listener->path);
	if (listener->early)
		json_put_bool(w, "seccompEarly", true);
	if (listener->metadata != NULL)
		json_put_string(w, "seccompMetadata", listener->metadata);
}

/* A member for each of state_rows[] that says something. */
static void
put_members(struct json_writer *w, const struct plan *plan, const struct handles *h)
{
	char created[48];

	clock_text(created, sizeof(created));
	json_put_string(w, "ociVersion", OCI_VERSION_MAX);
	json_put_string(w, "id", plan->options.id);
	json_put_int(w, "pid", h->init_pid);
	json_put_int(w, "startTime", (int64_t)h->init_start_time);
	json_put_string(w, "bundle", plan->options.bundle);
	json_put_string(w, "rootfs", plan->rootfs);
	json_put_string(w, "created", created);
	json_put_int(w, "owner", plan->options.host_uid);
	put_cgroup(w, plan, h);
	if (h->resctrl_path != NULL)
		json_put_string(w, "resctrlPath", h->resctrl_path);
	if (h->mount_below != 0)
		json_put_int(w, "mountBelow", (int64_t)h->mount_below);
	json_put_bool(w, "ownPidNamespace", plan_creates(plan, CLONE_NEWPID));
	if (plan->notify)
		json_put_bool(w, "notifySocket", true);
	json_put_bool(w, "startSocket", h->start_sock >= 0);
	if (plan->process.args == NULL)
		json_put_bool(w, "withoutProcess", true);
	if (!plan->options.new_keyring)
		json_put_bool(w, "callerKeyring", true);
	if (plan->options.preserve_fds > 0)
		json_put_int(w, "preserveFds", plan->options.preserve_fds);
	put_listener(w, &plan->listener);
	put_map(w, "annotations", &plan->config->annotations);
	put_hooks(w, plan->config);
}

int
state_save(const struct plan *plan, const struct handles *h, struct error *e)
{
	struct json_writer *w = json_writer_new(JSON_COMPACT);
	const char *text;
	size_t length;
	int rc;

	json_begin_object(w, NULL);
	put_members(w, plan, h);
	json_end_object(w);
	text = json_writer_text(w, &length);
	/* the first time nobody can be reading it: the folder is new, and locked */
	rc = h->init_pid == 0 ? file_create_at(h->state_dir, "state.json", 0600, text, length)
	                      : file_replace_at(h->state_dir, "state.json", 0600, text, length);
	json_writer_free(w);
	if (rc < 0)
		return error_set(e, errno, "state-failed", "write state.json");
	return 0;
}

/* Load ---------------------------------------------------------------------- */

/* As it is saved: what leads elsewhere, or to all processes, was not written by hako. */
static bool
is_cgroup_path(const char *path)
{
	char normal[PATH_MAX];

	return path_normalise(path, normal, sizeof(normal)) == 0 && strcmp(normal, path) == 0 &&
	       strcmp(normal, "/") != 0;
}

static bool
is_resctrl_path(const char *path)
{
	char normal[PATH_MAX];

	return path_normalise(path, normal, sizeof(normal)) == 0 && strcmp(normal + 1, path) == 0;
}

int
state_load(struct arena *arena, int dir, const char *name, const struct state **ret,
           struct error *e)
{
	struct json_doc *doc;
	struct state *state = arena_alloc(arena, sizeof(*state));

	if (json_load(arena, dir, name, name, &doc, e) < 0)
		return -1;
	if (decode_object(arena, &state_fields, doc->root, state, e) < 0)
		return -1;
	if (*state->pid == 1)
		return json_error(json_member(doc->root, "pid"), e, 0, "state-invalid",
		                  "pid 1 is not a container");
	if (state->cgroup_path != NULL && !is_cgroup_path(state->cgroup_path))
		return json_error(json_member(doc->root, "cgroupPath"), e, 0, "state-invalid",
		                  "%s is not a cgroup of a container", state->cgroup_path);
	if (state->resctrl_path != NULL && !is_resctrl_path(state->resctrl_path))
		return json_error(json_member(doc->root, "resctrlPath"), e, 0, "state-invalid",
		                  "%s is not a resctrl group of a container", state->resctrl_path);
	*ret = state;
	return 0;
}

/* Show ---------------------------------------------------------------------- */

struct shown {
	const char *id;
	const char *bundle;
	const char *rootfs;
	const char *created; /* NULL: not shown to hooks */
	const char *scope;   /* of systemd, or NULL */
	const struct string_map *annotations;
};

static void
put_state(struct json_writer *w, const char *key, const struct shown *s, enum status status,
          pid_t pid)
{
	json_begin_object(w, key);
	json_put_string(w, "ociVersion", OCI_VERSION_MAX);
	json_put_string(w, "id", s->id);
	json_put_int(w, "pid", status == STATUS_STOPPED ? 0 : pid);
	json_put_string(w, "status", status_name(status));
	json_put_string(w, "bundle", s->bundle);
	json_put_string(w, "rootfs", s->rootfs);
	if (s->created != NULL)
		json_put_string(w, "created", s->created);
	put_map(w, "annotations", s->annotations);
	json_put_string(w, "owner", "");
	if (s->scope != NULL)
		json_put_string(w, "systemd-scope", s->scope);
	json_end_object(w);
}

static char *
take_text(struct json_writer *w)
{
	char *text = strdup(json_writer_text(w, NULL));

	json_writer_free(w);
	return text;
}

static char *
show(const struct shown *s, enum status status, pid_t pid)
{
	struct json_writer *w = json_writer_new(JSON_INDENT);

	put_state(w, NULL, s, status, pid);
	return take_text(w);
}

/* pid is the process's, container_pid that of the container's init. */
static char *
show_process(const struct shown *s, enum status status, pid_t pid, pid_t container_pid,
             const char *metadata)
{
	struct json_writer *w = json_writer_new(JSON_COMPACT);

	json_begin_object(w, NULL);
	json_put_string(w, "ociVersion", OCI_VERSION_MAX);
	json_begin_array(w, "fds");
	json_put_string(w, NULL, "seccompFd");
	json_end_array(w);
	json_put_int(w, "pid", pid);
	if (metadata != NULL)
		json_put_string(w, "metadata", metadata);
	put_state(w, "state", s, status, container_pid);
	json_end_object(w);
	return take_text(w);
}

static struct shown
shown_of(const struct state *state)
{
	return (struct shown){.id = state->id,
	                      .bundle = state->bundle,
	                      .rootfs = state->rootfs,
	                      .created = state->created,
	                      .scope = state->systemd_unit,
	                      .annotations = &state->annotations};
}

static struct shown
shown_of_plan(const struct plan *plan)
{
	return (struct shown){.id = plan->options.id,
	                      .bundle = plan->options.bundle,
	                      .rootfs = plan->rootfs,
	                      .annotations = &plan->config->annotations};
}

char *
state_json(const struct state *state, enum status status, pid_t pid)
{
	const struct shown shown = shown_of(state);

	return show(&shown, status, pid);
}

char *
state_json_of_plan(const struct plan *plan, enum status status, pid_t pid)
{
	const struct shown shown = shown_of_plan(plan);

	return show(&shown, status, pid);
}

char *
state_json_of_process(const struct state *state, enum status status, pid_t pid,
                      const char *metadata)
{
	const struct shown shown = shown_of(state);

	return show_process(&shown, status, pid, (pid_t)*state->pid, metadata);
}

char *
state_json_of_init(const struct plan *plan, enum status status, pid_t pid)
{
	const struct shown shown = shown_of_plan(plan);

	return show_process(&shown, status, pid, pid, plan->listener.metadata);
}
