/* SPDX-License-Identifier: MIT */
/*
 * Making a container, seen from the parent. The state file is written before the
 * first trace that the host can see, and again with the pid, so that
 * `delete --force` can clean up after a kill at any moment. Any failure takes
 * back what was done, in reverse order.
 */
#include "hako/container.h"
#include "hako/cgroup.h"
#include "hako/file.h"
#include "hako/hooks.h"
#include "hako/init.h"
#include "hako/intel_rdt.h"
#include "hako/listener.h"
#include "hako/path.h"
#include "hako/rootfs.h"
#include "hako/spawn.h"
#include "hako/step.h"
#include "hako/sync.h"
#include "hako/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/auxv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void
handles_init(struct handles *h)
{
	*h = (struct handles){
		.root_dir = -1,
		.state_dir = -1,
		.start_sock = -1,
		.sync = {.fd = -1, .interrupt = -1, .peer = -1},
		.cgroup_root = -1,
		.cgroup = -1,
		.cgroup_aside = -1,
		.rootfs = -1,
		.mount_ns = -1,
		.dev = -1,
		.device_nodes = -1,
		.console = -1,
		.console_peer = -1,
		.pidfd_sock = -1,
		.notify = -1,
		.hook_output = {-1, -1},
		.terminal = -1,
		.proc = -1,
		.resctrl = -1,
		.net_ns = -1,
		.init_pidfd = -1,
		.target_pidfd = -1,
	};
	for (size_t i = 0; i < NAMESPACE_TYPES; i++)
		h->namespaces[i] = -1;
}

/* Plan ---------------------------------------------------------------------- */

int
bundle_load(struct arena *arena, const char *bundle, const char *config,
            const struct config **ret_config, struct json_doc **ret_doc, struct error *e)
{
	autoclose int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return error_set(e, errno, "bundle-missing", "bundle %s", bundle);
	if (json_load(arena, config != NULL ? AT_FDCWD : dir,
	              config != NULL ? config : "config.json", "config.json", ret_doc, e) < 0)
		return -1;
	return config_decode(arena, *ret_doc, ret_config, e);
}

int
plan_make(struct arena *arena, const struct config *config, const struct plan_options *options,
          const struct plan **ret, struct error *e)
{
	struct plan *plan = arena_alloc(arena, sizeof(*plan));
	struct planner planner = {.arena = arena, .config = config, .plan = plan};

	plan->config = config;
	plan->options = *options;
	if (steps_plan(&planner, WHEN_BOTH, e) < 0)
		return -1;
	*ret = plan;
	return 0;
}

void
plan_options_host(struct plan_options *options)
{
	/* what execve was told costs no call; hako never changes its own ids */
	options->host_uid = (uid_t)getauxval(AT_EUID);
	options->host_gid = (gid_t)getauxval(AT_EGID);
	options->is_root = options->host_uid == 0;
	options->privileged = options->is_root && caller_is_in_initial_userns();
	options->cgroup_parent = options->privileged ? "" : cgroup_parent_of_caller();
	options->seccomp_receiver = getenv("RUN_OCI_SECCOMP_RECEIVER");
}

/* State folder ----------------------------------------------------------------- */

static int
claim_id(const struct plan *plan, struct handles *h, struct error *e)
{
	const char *id = plan->options.id;

	if (mkdirat(h->root_dir, id, 0700) < 0)
		return errno == EEXIST
		               ? error_set(e, 0, "container-exists",
		                           "container with given ID already exists")
		               : error_set(e, errno, "state-failed", "make the state folder");
	h->state_dir = openat(h->root_dir, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (h->state_dir < 0 || flock(h->state_dir, LOCK_EX) < 0) {
		(void)error_set(e, errno, "state-failed", "open the state folder");
		unlinkat(h->root_dir, id, AT_REMOVEDIR);
		return -1;
	}
	return 0;
}

/*
 * The first state is never written to again. It stays, where mounts of the host must be
 * taken off even when the later one is damaged: see delete_damaged().
 */
static int
keep_first_state(const struct handles *h, struct error *e)
{
	if (h->mount_below != 0 &&
	    linkat(h->state_dir, "state.json", h->state_dir, STATE_FIRST, 0) < 0)
		return error_set(e, errno, "state-failed", "keep the first state.json");
	return 0;
}

static void
remove_state(const struct plan *plan, struct handles *h)
{
	unlinkat(h->state_dir, "state.json", 0);
	unlinkat(h->state_dir, "config.json", 0);
	if (h->mount_below != 0)
		unlinkat(h->state_dir, STATE_FIRST, 0);
	if (h->start_sock >= 0)
		unlinkat(h->state_dir, "start.sock", 0);
	unlinkat(h->root_dir, plan->options.id, AT_REMOVEDIR);
}

/* Bound through /proc/self/fd: a path of its own could be too long for sun_path. */
static int
open_start_socket(struct handles *h, struct error *e)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	h->start_sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/start.sock",
	         h->state_dir);
	if (h->start_sock < 0 ||
	    bind(h->start_sock, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(h->start_sock, 1) < 0)
		return error_set(e, errno, "state-failed", "make the socket for start");
	return 0;
}

static int
save_config(const struct handles *h, const struct json_doc *doc, struct error *e)
{
	if (file_create_at(h->state_dir, "config.json", 0600, doc->text, doc->length) < 0)
		return error_set(e, errno, "state-failed", "save config.json");
	return 0;
}

/* With init ---------------------------------------------------------------------- */

static int
run_hooks(const struct plan *plan, struct handles *h, struct error *e)
{
	const struct config_hooks *hooks = plan->config->hooks;
	struct hook_call call = {
		.name = "prestart", .dir = plan->options.bundle, .output = h->hook_output};
	autofree char *state = NULL;

	if (!plan_has_early_hooks(plan))
		return 0;
	if (sync_expect(&h->sync, SYNC_MOUNTED, NULL, e) < 0)
		return -1;
	call.state = state = state_json_of_plan(plan, STATUS_CREATING, h->init_pid);
	h->hooked = true;
	if (hooks_run(&hooks->prestart, &call, e) < 0)
		return -1;
	call.name = "createRuntime";
	if (hooks_run(&hooks->create_runtime, &call, e) < 0)
		return -1;
	return sync_send(&h->sync, SYNC_HOOKED, 0, e);
}

/*
 * What the parent does while init builds, and the conversation with it (see init.c). The
 * copy of config.json is for exec and the like: to clean up nobody needs it.
 */
static int
attend_init(const struct plan *plan, const struct json_doc *doc, struct handles *h, struct error *e)
{
	if (steps_run(PHASE_MAP, WHEN_CREATE, plan, h, e) < 0)
		return -1;
	if (plan_waits(plan) && sync_send(&h->sync, SYNC_MAPPED, 0, e) < 0)
		return -1;
	if (state_save(plan, h, e) < 0 || save_config(h, doc, e) < 0 ||
	    steps_run(PHASE_ATTACH, WHEN_CREATE, plan, h, e) < 0)
		return -1;
	return run_hooks(plan, h, e);
}

/* A limit that is too low ends init when it is set, and nothing else would tell. */
static int
limit_init(const struct plan *plan, struct handles *h, struct error *e)
{
	uint64_t kills;

	if (!plan->cgroup.late_limit)
		return 0;
	kills = cgroup_oom_kills(h->cgroup);
	if (steps_run(PHASE_LIMIT, WHEN_CREATE, plan, h, e) < 0)
		return -1;
	if (cgroup_oom_kills(h->cgroup) == kills)
		return 0;
	return error_set(e, 0, "peer-died", "init has been killed");
}

static int
await_ready(const struct plan *plan, struct handles *h, struct error *e)
{
	if (h->ready)
		return 0;
	if (sync_expect(&h->sync, SYNC_READY, NULL, e) < 0 || limit_init(plan, h, e) < 0)
		return -1;
	h->ready = true;
	return 0;
}

/* Init loads its filter, and goes on waiting. */
static int
give_listener(const struct plan *plan, struct handles *h, struct error *e)
{
	autofree char *message = NULL;

	if (!plan->listener.early)
		return 0;
	message = state_json_of_init(plan, STATUS_CREATING, h->init_pid);
	return listener_start(&h->sync, &plan->listener, message, e);
}

static int
create_claimed(const struct plan *plan, const struct json_doc *doc, const char *pid_file,
               bool wait_for_start, struct handles *h, struct error *e)
{
	if (rootfs_mount_below(plan, &h->mount_below, e) < 0 || state_save(plan, h, e) < 0 ||
	    keep_first_state(h, e) < 0)
		return -1;
	if (wait_for_start && open_start_socket(h, e) < 0)
		return -1;
	if (steps_run(PHASE_PREPARE, WHEN_CREATE, plan, h, e) < 0)
		return -1;
	if (spawn_init(plan, h, init_main, e) == 0 && attend_init(plan, doc, h, e) == 0 &&
	    (!wait_for_start || (await_ready(plan, h, e) == 0 && give_listener(plan, h, e) == 0)) &&
	    announce_process(plan, h, pid_file, e) == 0)
		return 0;
	sync_prefer_error(&h->sync, e);
	return cgroup_explain_end(plan, h, e);
}

/* A container that hooks have seen is stopped like any other (runtime.md, steps 12 and 13). */
static void
run_poststop(const struct plan *plan, const struct handles *h)
{
	struct hook_call call = {
		.name = "poststop", .dir = plan->options.bundle, .output = h->hook_output};
	autofree char *state = NULL;

	if (plan->config->hooks == NULL || plan->config->hooks->poststop.count == 0)
		return;
	call.state = state = state_json_of_plan(plan, STATUS_STOPPED, 0);
	hooks_run_poststop(&plan->config->hooks->poststop, &call);
}

/*
 * What hooks have set up, poststop hooks take down, whatever has failed since. Of those
 * that `run` has after START only an error tells.
 */
static bool
may_have_hooked(const struct handles *h, const struct error *e)
{
	return h->hooked || strncmp(e->id, "hook-", 5) == 0;
}

/* What the steps' undo needs to know. */
static struct state
state_to_undo(const struct plan *plan, const struct handles *h)
{
	return (struct state){
		.id = plan->options.id,
		.annotations = plan->config->annotations,
		.rootfs = plan->rootfs,
		.mount_below = h->mount_below != 0 ? &h->mount_below : NULL,
		.cgroup_path = h->cgroup_path,
		.systemd_unit = h->systemd_unit,
		.resctrl_path = h->resctrl_path,
	};
}

/*
 * Take back what was made. Errors on the way are not worth more than the first one, *e; what
 * is left then `delete --force` can still find.
 */
static void
roll_back(const struct plan *plan, struct handles *h, bool stopped, struct error *e)
{
	struct state state = state_to_undo(plan, h);
	struct error why;

	spawn_kill(h);
	intel_rdt_take_back(plan, h);
	if (steps_undo(&state, h, &why) == 0)
		remove_state(plan, h);
	else
		error_advise(e, "what was made is left, `hako delete --force %s` removes it: %s",
		             state.id, why.msg);
	if (stopped)
		run_poststop(plan, h);
}

/* The same for a container whose pid is known to others already. */
static void
take_back(const struct plan *plan, struct handles *h, const char *pid_file, bool stopped,
          struct error *e)
{
	if (pid_file != NULL)
		unlink(pid_file);
	roll_back(plan, h, stopped, e);
}

int
container_create(const struct plan *plan, const struct json_doc *doc, const char *pid_file,
                 bool wait_for_start, struct handles *h, struct error *e)
{
	if (claim_id(plan, h, e) < 0)
		return -1;
	if (create_claimed(plan, doc, pid_file, wait_for_start, h, e) == 0)
		return 0;
	roll_back(plan, h, may_have_hooked(h, e), e);
	return -1;
}

int
container_release(const struct plan *plan, struct handles *h, const char *pid_file, struct error *e)
{
	if (sync_send(&h->sync, SYNC_RELEASE, 0, e) == 0)
		return 0;
	take_back(plan, h, pid_file, true, e);
	return -1;
}

void
container_abandon(const struct plan *plan, struct handles *h, const char *pid_file, struct error *e)
{
	take_back(plan, h, pid_file, true, e);
}

int
container_settle(const struct plan *plan, struct handles *h, struct error *e)
{
	if (await_ready(plan, h, e) == 0)
		return 0;
	sync_prefer_error(&h->sync, e);
	return cgroup_explain_end(plan, h, e);
}

/* On success the program is about to be executed. */
static int
start_init(const struct plan *plan, struct handles *h, struct error *e)
{
	autofree char *message = NULL;

	/* init finds START waiting for it: going to sleep and waking it up would take longer */
	if (plan->listener.path == NULL && !plan->cgroup.late_limit)
		return sync_send(&h->sync, SYNC_START, 0, e) < 0 ? -1 : await_ready(plan, h, e);
	if (await_ready(plan, h, e) < 0)
		return -1;
	if (plan->listener.path == NULL)
		return sync_send(&h->sync, SYNC_START, 0, e);
	message = state_json_of_init(plan, STATUS_CREATING, h->init_pid);
	return listener_start(&h->sync, &plan->listener, message, e);
}

int
container_run(const struct plan *plan, struct handles *h, const char *pid_file, struct error *e)
{
	const struct config_hooks *hooks = plan->config->hooks;
	struct hook_call call = {
		.name = "poststart", .dir = plan->options.bundle, .output = h->hook_output};
	autofree char *state = NULL;
	bool ready;

	ready = start_init(plan, h, e) == 0;
	if (!ready || sync_expect_end(&h->sync, e) < 0) {
		sync_prefer_error(&h->sync, e);
		(void)cgroup_explain_end(plan, h, e);
		take_back(plan, h, pid_file, ready || may_have_hooked(h, e), e);
		return -1;
	}
	close_cleaner(&h->net_ns); /* network devices are the container's from now on */
	if (hooks != NULL && hooks->poststart.count > 0)
		call.state = state = state_json_of_plan(plan, STATUS_RUNNING, h->init_pid);
	if (state == NULL || hooks_run(&hooks->poststart, &call, e) == 0) {
		flock(h->state_dir, LOCK_UN);
		return 0;
	}
	take_back(plan, h, pid_file, true, e);
	return -1;
}

int
container_finish(const struct plan *plan, struct handles *h, struct error *e)
{
	struct state state = state_to_undo(plan, h);
	struct stat st;

	/* somebody may be deleting it, or have deleted it already */
	if (flock(h->state_dir, LOCK_EX) < 0 || fstat(h->state_dir, &st) < 0)
		return error_set(e, errno, "state-failed", "lock the state folder");
	if (st.st_nlink == 0)
		return 0;
	if (steps_undo(&state, h, e) < 0)
		return -1;
	remove_state(plan, h);
	run_poststop(plan, h);
	return 0;
}
