/* SPDX-License-Identifier: MIT */
/*
 * `exec`: one more process in a container. It gets what the container's config
 * gives its processes (capabilities, limits, seccomp, ...), from the copy of
 * config.json that was saved when the container was made, with what --process or
 * the flags change. The new process is born in the container's cgroup and pid
 * namespace and joins the other namespaces itself, by one setns on a pidfd of
 * init.
 */
#include "hako/cgroup.h"
#include "hako/container.h"
#include "hako/credentials.h"
#include "hako/file.h"
#include "hako/init.h"
#include "hako/layer.h"
#include "hako/listener.h"
#include "hako/path.h"
#include "hako/spawn.h"
#include "hako/step.h"
#include "hako/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The process ----------------------------------------------------------------- */

static void
append(struct arena *arena, struct strings *list, const char *const *items, size_t count)
{
	const char **all = arena_array(arena, list->count + count, sizeof(*all));

	if (list->count > 0)
		memcpy(all, list->items, list->count * sizeof(*all));
	if (count > 0)
		memcpy(all + list->count, items, count * sizeof(*all));
	list->items = all;
	list->count += count;
}

/* UID or UID:GID, digits only: no name is looked up in a file of the container. */
static int
apply_user(struct arena *arena, struct config_process *process, const char *text, struct error *e)
{
	struct config_user *user = arena_alloc(arena, sizeof(*user));
	const char *colon = strchr(text, ':');
	uint64_t uid, gid = 0;
	char number[16];

	snprintf(number, sizeof(number), "%.*s", (int)strcspn(text, ":"), text);
	if (strcspn(text, ":") >= sizeof(number) || parse_uint(number, UINT32_MAX - 1, &uid) < 0 ||
	    (colon != NULL && parse_uint(colon + 1, UINT32_MAX - 1, &gid) < 0))
		return error_set(e, 0, "usage", "--user \"%s\" is not UID or UID:GID", text);
	if (process->user != NULL)
		*user = *process->user;
	user->uid = (uint32_t)uid;
	if (colon != NULL)
		user->gid = (uint32_t)gid;
	process->user = user;
	return 0;
}

static int
apply_groups(struct arena *arena, struct config_process *process,
             const struct exec_request *request, struct error *e)
{
	struct config_user *user = arena_alloc(arena, sizeof(*user));
	struct uints *groups = &user->additional_gids;
	uint64_t *all;

	if (request->group_count == 0)
		return 0;
	if (process->user != NULL)
		*user = *process->user;
	all = arena_array(arena, groups->count + request->group_count, sizeof(*all));
	if (groups->count > 0)
		memcpy(all, groups->items, groups->count * sizeof(*all));
	groups->items = all;
	for (size_t i = 0; i < request->group_count; i++)
		if (parse_uint(request->groups[i], UINT32_MAX - 1, &all[groups->count++]) < 0)
			return error_set(e, 0, "usage", "--additional-gids \"%s\" is not a number",
			                 request->groups[i]);
	process->user = user;
	return 0;
}

/*
 * --cap adds; never to the inheritable set (CVE-2022-29162), and to the ambient one
 * only what the config lets its programs inherit: else other users would not have it.
 */
static int
apply_caps(struct arena *arena, struct config_process *process, const struct exec_request *request,
           struct error *e)
{
	struct config_capabilities *caps = arena_alloc(arena, sizeof(*caps));

	if (request->cap_count == 0)
		return 0;
	for (size_t i = 0; i < request->cap_count; i++)
		if (capability_number(request->caps[i]) < 0)
			return error_set(e, 0, "usage", "--cap \"%s\" is no capability",
			                 request->caps[i]);
	if (process->capabilities != NULL)
		*caps = *process->capabilities;
	append(arena, &caps->bounding, request->caps, request->cap_count);
	append(arena, &caps->effective, request->caps, request->cap_count);
	append(arena, &caps->permitted, request->caps, request->cap_count);
	for (size_t i = 0; i < request->cap_count; i++)
		if (strings_include(&caps->inheritable, request->caps[i]))
			append(arena, &caps->ambient, &request->caps[i], 1);
	process->capabilities = caps;
	return 0;
}

static int
process_of_flags(struct arena *arena, const struct config *config,
                 const struct exec_request *request, struct config_process *process,
                 struct error *e)
{
	size_t count = 0;

	if (config->process != NULL)
		*process = *config->process;
	process->at = NULL; /* config.json is not to blame for what the flags say */
	while (request->args[count] != NULL)
		count++;
	process->args.count = 0;
	append(arena, &process->args, request->args, count);
	append(arena, &process->env, request->env, request->env_count);
	for (size_t i = 0; i < request->env_count; i++)
		if (strchr(request->env[i], '=') == NULL || request->env[i][0] == '=')
			return error_set(e, 0, "usage", "--env \"%s\" is not NAME=VALUE",
			                 request->env[i]);
	if (request->cwd != NULL)
		process->cwd = request->cwd;
	if (process->cwd == NULL)
		process->cwd = "/";
	if (process->cwd[0] != '/')
		return error_set(e, 0, "usage", "--cwd \"%s\" is not absolute", process->cwd);
	process->no_new_privileges |= request->no_new_privs;
	process->terminal = request->terminal;
	process->console_size = NULL; /* of another terminal */
	if (apply_caps(arena, process, request, e) < 0)
		return -1;
	if (request->user != NULL && apply_user(arena, process, request->user, e) < 0)
		return -1;
	return apply_groups(arena, process, request, e);
}

/* What a process file does not say is as for init, but for identity. */
static void
inherit(struct arena *arena, const struct config_process *from, struct config_process *process)
{
	struct config_user *user;

	if (from == NULL)
		return;
	if (process->capabilities == NULL)
		process->capabilities = from->capabilities;
	if (process->rlimits.at == NULL)
		process->rlimits = from->rlimits;
	if (json_member(process->at, "noNewPrivileges") == NULL)
		process->no_new_privileges = from->no_new_privileges;
	if (process->oom_score_adj == NULL)
		process->oom_score_adj = from->oom_score_adj;
	if (process->apparmor_profile == NULL)
		process->apparmor_profile = from->apparmor_profile;
	if (process->selinux_label == NULL)
		process->selinux_label = from->selinux_label;
	if (process->scheduler == NULL)
		process->scheduler = from->scheduler;
	if (process->io_priority == NULL)
		process->io_priority = from->io_priority;
	if (process->exec_cpu_affinity == NULL)
		process->exec_cpu_affinity = from->exec_cpu_affinity;
	if (from->user == NULL || (process->user != NULL && process->user->umask != NULL))
		return;
	user = arena_alloc(arena, sizeof(*user));
	if (process->user != NULL)
		*user = *process->user;
	user->umask = from->user->umask;
	process->user = user;
}

static int
apply_labels(struct config_process *process, const struct exec_request *request, struct error *e)
{
	const char *label = request->process_label;

	if (request->apparmor != NULL && request->apparmor[0] != '\0')
		process->apparmor_profile = request->apparmor;
	if (label == NULL || label[0] == '\0')
		return 0;
	if (strpbrk(label, " \t\n") != NULL)
		return error_set(e, 0, "usage", "--process-label \"%s\" has spaces", label);
	process->selinux_label = label;
	return 0;
}

static int
decide_process(struct arena *arena, const struct config *config, const struct exec_request *request,
               const struct config_process **ret, struct error *e)
{
	struct config_process *process = arena_alloc(arena, sizeof(*process));
	const struct config_process *decoded;
	struct json_doc *doc;

	*ret = process;
	if (request->process_file == NULL)
		return process_of_flags(arena, config, request, process, e) < 0
		               ? -1
		               : apply_labels(process, request, e);
	if (json_load(arena, AT_FDCWD, request->process_file, request->process_file, &doc, e) < 0 ||
	    process_decode(arena, doc->root, &decoded, e) < 0)
		return -1;
	*process = *decoded;
	process->terminal |= request->terminal;
	inherit(arena, config->process, process);
	return apply_labels(process, request, e);
}

/* The plan ------------------------------------------------------------------------ */

/* Are we in that namespace of init already? A user namespace cannot be joined twice. */
static bool
is_shared(pid_t pid, const char *name)
{
	char path[64];
	struct stat ours, theirs;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (stat(path, &ours) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	return stat(path, &theirs) == 0 && file_is_same(&ours, &theirs);
}

static void
plan_namespaces(const struct container *c, struct plan *plan, struct handles *h)
{
	const struct objects *namespaces = &plan->config->linux_->namespaces;
	const struct config_namespace *rows = namespaces->items;

	for (size_t i = 0; i < namespaces->count; i++) {
		int type = rows[i].type;

		if (type == CLONE_NEWUSER && is_shared((pid_t)*c->state->pid, "user"))
			continue;
		if (type == CLONE_NEWPID)
			h->namespaces[plan->join_count] = h->target_pidfd;
		else
			plan->exec_namespaces |= (uint64_t)type;
		plan->joins[plan->join_count++] =
			(struct namespace_join){.at = rows[i].at, .type = type};
	}
}

static int
make_plan(struct arena *arena, const struct container *c, const struct exec_request *request,
          struct handles *h, struct plan *plan, struct error *e)
{
	struct config *config = arena_alloc(arena, sizeof(*config));
	struct planner planner = {.arena = arena, .config = config, .plan = plan};
	const struct config *saved;
	struct json_doc *doc;

	if (json_load(arena, c->dir, "config.json", "config.json", &doc, e) < 0 ||
	    config_decode(arena, doc, &saved, e) < 0)
		return -1;
	*config = *saved;
	if (decide_process(arena, saved, request, &config->process, e) < 0)
		return -1;
	plan->config = config;
	plan->options = (struct plan_options){
		.id = c->id,
		.bundle = c->state->bundle,
		.new_keyring = !c->state->caller_keyring,
		.preserve_fds = request->preserve_fds,
		.listen_fds = request->listen_fds,
		.listen_names = request->listen_names,
		.detached = request->detached,
		.console_socket = request->console_socket,
		.pidfd_socket = request->pidfd_socket,
	};
	plan_options_host(&plan->options);
	plan->cgroup.path = c->state->cgroup_path;
	plan_namespaces(c, plan, h);
	return steps_plan(&planner, WHEN_EXEC, e);
}

/* The cgroup ------------------------------------------------------------------------ */

/* With controllers handed down, only leaves hold processes: then go where init is. */
static int
open_cgroup_of_init(const struct container *c, struct handles *h, char *path, size_t size,
                    struct error *e)
{
	int fd;

	if (cgroup_of((pid_t)*c->state->pid, path, size) < 0)
		return error_set(e, errno, "cgroup-failed", "find the cgroup of init");
	fd = cgroup_open(h->cgroup_root, path);
	return fd < 0 ? error_set(e, errno, "cgroup-failed", "open the cgroup %s", path) : fd;
}

static int
open_sub_cgroup(int own, const char *name, char *path, size_t size, struct error *e)
{
	size_t used = strlen(path);
	int fd = path_open_beneath(own, name, O_PATH | O_DIRECTORY);

	snprintf(path + used, size - used, "/%s", name);
	if (fd < 0 && errno == EXDEV)
		return error_set(e, 0, "cgroup-failed",
		                 "bad sub cgroup path %s: it leads out of the container's cgroup",
		                 name);
	return fd < 0 ? error_set(e, errno, "cgroup-failed", "sub cgroup %s", name) : fd;
}

static int
open_cgroup(const struct container *c, const struct exec_request *request, const struct plan *plan,
            struct handles *h, struct error *e)
{
	char children[512], path[PATH_MAX];
	autoclose int own = container_cgroup(c, e);
	bool handed_down;

	/* where init has moved elsewhere the one it was born in may be gone */
	if (own < 0 && (e->code != ENOENT || request->cgroup != NULL))
		return -1;
	snprintf(path, sizeof(path), "%s", c->state->cgroup_path);
	handed_down = own < 0 ||
	              file_read_at(own, "cgroup.subtree_control", children, sizeof(children)) > 0;
	if (handed_down || !plan->options.privileged) {
		h->cgroup_root = cgroup_open_root(&h->cgroup_mount, e);
		if (h->cgroup_root < 0)
			return -1;
	}
	if (request->cgroup != NULL)
		h->cgroup = open_sub_cgroup(own, request->cgroup, path, sizeof(path), e);
	else if (handed_down)
		h->cgroup = open_cgroup_of_init(c, h, path, sizeof(path), e);
	else
		h->cgroup = take_fd(&own);
	if (h->cgroup < 0)
		return -1;
	h->cgroup_path = strdup(path);
	return 0;
}

/* Where the kernel lets no process of this user's be born, systemd may still move it to. */
static int
check_entry(const struct container *c, struct plan *plan, struct handles *h, struct error *e)
{
	size_t length = strlen(c->state->cgroup_path);

	if (plan->options.privileged ||
	    cgroup_check_entry(h->cgroup_root, h->cgroup_mount, h->cgroup_path, e) == 0)
		return 0;
	if (c->state->systemd_unit == NULL || strcmp(e->id, "cgroup-denied") != 0 ||
	    strncmp(h->cgroup_path, c->state->cgroup_path, length) != 0)
		return -1;
	close_cleaner(&h->cgroup);
	h->cgroup = -1;
	plan->cgroup.unit = c->state->systemd_unit;
	plan->cgroup.below = h->cgroup_path + length;
	return 0;
}

/* Run ---------------------------------------------------------------------------------- */

static int
check_status(const struct container *c, const struct exec_request *request, struct error *e)
{
	if (c->status == STATUS_STOPPED || c->status == STATUS_CREATING)
		return error_set(e, 0, "container-not-running",
		                 "cannot exec in a stopped container");
	if (c->status == STATUS_PAUSED && !request->ignore_paused)
		return error_set(
			e, 0, "container-paused",
			"cannot exec in a paused container (--ignore-paused waits for resume)");
	return 0;
}

/* An ordinary user may enter the pid namespace only from inside the user namespace. */
static int
enter_user_namespace(struct plan *plan, const struct handles *h, enum status status,
                     struct error *e)
{
	if (plan->options.host_uid == 0 || (plan->exec_namespaces & CLONE_NEWUSER) == 0)
		return 0;
	plan->exec_namespaces &= ~(uint64_t)CLONE_NEWUSER;
	if (setns(h->target_pidfd, CLONE_NEWUSER) == 0)
		return 0;
	error_set(e, errno, "namespace-failed", "join the container's user namespace");
	/* until it executes its program init cannot be looked into: see init.c, settle() */
	if (e->code == EPERM && status == STATUS_CREATED)
		error_advise(e, "only root can enter a container that is not started yet");
	return -1;
}

static int
open_root_of_init(const struct container *c, const struct plan *plan, struct handles *h,
                  struct error *e)
{
	const struct config_namespace *mount = config_namespace(plan->config, CLONE_NEWNS);
	char path[48];

	if (mount != NULL && mount->path == NULL)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/root", (int)*c->state->pid);
	h->rootfs = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return h->rootfs < 0 ? error_set(e, errno, "rootfs-failed", "open the container's root")
	                     : 0;
}

static int
start(const struct container *c, const struct plan *plan, struct handles *h, struct error *e)
{
	autofree char *message = NULL;

	/* as in container_run(): the process finds START waiting for it */
	if (plan->listener.path == NULL)
		return sync_send(&h->sync, SYNC_START, 0, e) < 0
		               ? -1
		               : sync_expect(&h->sync, SYNC_READY, NULL, e);
	message = state_json_of_process(c->state, c->status, h->init_pid, plan->listener.metadata);
	if (sync_expect(&h->sync, SYNC_READY, NULL, e) < 0)
		return -1;
	return listener_start(&h->sync, &plan->listener, message, e);
}

static int
attend(const struct container *c, const struct plan *plan, struct handles *h, const char *pid_file,
       struct error *e)
{
	if (steps_run(PHASE_MAP, WHEN_EXEC, plan, h, e) < 0)
		return -1;
	if (plan_waits(plan) && sync_send(&h->sync, SYNC_MAPPED, 0, e) < 0)
		return -1;
	if (steps_run(PHASE_ATTACH, WHEN_EXEC, plan, h, e) < 0 || start(c, plan, h, e) < 0 ||
	    sync_expect_end(&h->sync, e) < 0)
		return -1;
	return announce_process(plan, h, pid_file, e);
}

int
container_exec(struct arena *arena, const struct container *c, const struct exec_request *request,
               struct served *ret, struct error *e)
{
	struct plan *plan = arena_alloc(arena, sizeof(*plan));
	struct handles h;

	handles_init(&h);
	if (check_status(c, request, e) < 0)
		return -1;
	h.root_dir = c->root_dir;
	h.sync.interrupt = request->interrupt;
	h.target_pidfd = container_pidfd(c, e);
	if (h.target_pidfd < 0 || make_plan(arena, c, request, &h, plan, e) < 0 ||
	    open_root_of_init(c, plan, &h, e) < 0)
		return -1;
	if (c->state->cgroup_path != NULL &&
	    (open_cgroup(c, request, plan, &h, e) < 0 || check_entry(c, plan, &h, e) < 0))
		return -1;
	if (steps_run(PHASE_PREPARE, WHEN_EXEC, plan, &h, e) < 0 ||
	    enter_user_namespace(plan, &h, c->status, e) < 0)
		return -1;
	if (spawn_init(plan, &h, init_exec_main, e) < 0 ||
	    attend(c, plan, &h, request->pid_file, e) < 0) {
		sync_prefer_error(&h.sync, e);
		(void)cgroup_explain_end(plan, &h, e);
		spawn_kill(&h);
		return -1;
	}
	*ret = (struct served){
		.pid = h.init_pid,
		.pidfd = h.init_pidfd,
		.cgroup = -1,
		.console = h.console_peer,
		.ready = ready_begin(-1, NULL, 0),
	};
	return 0;
}
