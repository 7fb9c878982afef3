/* SPDX-License-Identifier: MIT */
#ifndef HAKO_LAYER_H
#define HAKO_LAYER_H

#include "hako/observed.h"
#include "hako/plan.h"
#include "hako/verdict.h"

/*
 * What a layer offers to the step table (src/run/steps.c):
 *   X_plan   decides, from the config alone: no side effects, any user;
 *   X_<verb> acts, in the process that its phase names;
 *   X_probe  looks whether the host has what X_<verb> will need: as any user,
 *            without side effects, without waiting; its errors go to json_error();
 *   X_verify compares what the plan says with a process as the kernel shows it, by
 *            other means than X_<verb> has used; changes nothing;
 *   X_show   one line a value for `hako plan`.
 * Each is documented where it stands; the table is the overview.
 */
struct planner {
	struct arena *arena;
	const struct config *config;
	struct plan *plan;
};

#define LAYER_PLAN(name) int name(struct planner *p, struct error *e)
#define LAYER_RUN(name) int name(const struct plan *plan, struct handles *h, struct error *e)
#define LAYER_PROBE(name) int name(const struct plan *plan, struct error *e)
#define LAYER_VERIFY(name)                                                                         \
	void name(const struct plan *plan, struct observed *o, struct verdicts *v)

/* seccomp: compiled with libseccomp or taken from the cache, loaded by seccomp(2) */
LAYER_PLAN(seccomp_plan);   /* validates, makes the shared mapping (anonymous memory only) */
LAYER_RUN(seccomp_compile); /* ATTACH, parent: fill the mapping */

/* device_filter: BPF_PROG_TYPE_CGROUP_DEVICE */
LAYER_PLAN(device_filter_plan);
LAYER_RUN(device_filter_attach); /* ATTACH, parent: load and attach to h->cgroup */

/* credentials: ids, groups, capability sets, no_new_privs */
LAYER_PLAN(credentials_plan);
LAYER_RUN(credentials_apply); /* CONFINE, init */

/* namespaces */
LAYER_PLAN(namespaces_plan);
LAYER_RUN(namespaces_open);     /* PREPARE, parent: those to join, their types checked */
LAYER_RUN(namespaces_join);     /* BUILD, init */
LAYER_RUN(namespaces_set_time); /* BUILD, init */

/* idmap: uid_map, gid_map */
LAYER_PLAN(idmap_plan);
LAYER_RUN(idmap_write); /* MAP, parent */

/* cgroup, resources */
LAYER_PLAN(cgroup_plan);
LAYER_RUN(cgroup_create);           /* PREPARE, parent */
LAYER_PLAN(cgroup_plan_properties); /* when all limits are known */
LAYER_RUN(cgroup_start_scope);      /* MAP, parent: the systemd driver */
LAYER_RUN(cgroup_enter_scope);      /* MAP, parent: exec by who may not be born there */
LAYER_RUN(cgroup_make_namespace);   /* BUILD, init: inside the scope */
LAYER_RUN(cgroup_hand_over);        /* ATTACH, parent: to the user of the process */
LAYER_PLAN(resources_plan);
LAYER_RUN(resources_write);      /* ATTACH, parent */
LAYER_RUN(resources_write_late); /* LIMIT, parent */

/* netdevices: links of the runtime's network namespace */
LAYER_PLAN(netdevices_plan);
LAYER_RUN(netdevices_move); /* MAP, parent */

/* mounts: mounts[] */
LAYER_PLAN(mounts_plan);
LAYER_RUN(mounts_open);          /* PREPARE, parent: sources that init could not reach */
LAYER_RUN(mounts_map);           /* MAP, parent: to the container's user namespace */
LAYER_RUN(mounts_attach);        /* BUILD, init */
LAYER_RUN(mounts_make_readonly); /* BUILD, init: what had to stay writable until now */

/* notify: a socket for sd_notify(3) */
LAYER_PLAN(notify_plan);
LAYER_RUN(notify_open); /* PREPARE, parent */
LAYER_RUN(notify_bind); /* BUILD, init */

/* rootfs */
LAYER_PLAN(rootfs_plan);
LAYER_RUN(rootfs_open);          /* PREPARE, parent */
LAYER_RUN(rootfs_attach);        /* BUILD, init */
LAYER_RUN(rootfs_make_readonly); /* BUILD, init */
LAYER_RUN(rootfs_enter);         /* BUILD, init: pivot_root */

/* devices, masks, sysctl, hostname, loopback: BUILD, init */
LAYER_PLAN(devices_plan);
LAYER_RUN(devices_prepare); /* PREPARE, parent */
LAYER_RUN(devices_create);
LAYER_PLAN(masks_plan);
LAYER_RUN(masks_make_readonly);
LAYER_RUN(masks_cover);
LAYER_PLAN(sysctl_plan);
LAYER_RUN(sysctl_write);
LAYER_PLAN(hostname_plan);
LAYER_RUN(hostname_set);
LAYER_PLAN(loopback_plan);
LAYER_RUN(loopback_bring_up);

/* terminal */
LAYER_PLAN(terminal_plan);
LAYER_RUN(terminal_connect); /* PREPARE, parent: to whom the pty goes */
LAYER_RUN(terminal_open);    /* create: BUILD, before the pivot; exec: CONFINE */
LAYER_RUN(terminal_take);    /* CONFINE, init: controlling terminal and standard streams */

/* affinity, scheduler, io_priority: MAP, parent */
LAYER_PLAN(affinity_plan);
LAYER_RUN(affinity_set_initial); /* PREPARE, parent: of hako itself */
LAYER_RUN(affinity_reset);
LAYER_RUN(affinity_set_final);
LAYER_PLAN(scheduler_plan);
LAYER_RUN(scheduler_set);
LAYER_PLAN(io_priority_plan);
LAYER_RUN(io_priority_set);

/* memory_policy */
LAYER_PLAN(memory_policy_plan);
LAYER_RUN(memory_policy_set); /* START, init */

/* intel_rdt */
LAYER_PLAN(intel_rdt_plan);
LAYER_RUN(intel_rdt_find); /* PREPARE, parent */
LAYER_RUN(intel_rdt_make); /* ATTACH, parent */
LAYER_RUN(intel_rdt_join);

/* label: AppArmor, SELinux */
LAYER_PLAN(label_plan);
LAYER_RUN(label_open);  /* PREPARE, parent (exec) */
LAYER_RUN(label_write); /* BUILD or, for exec, CONFINE: init */

/* hooks (run by src/run) */
LAYER_RUN(hooks_open); /* PREPARE, parent: where they write to */

/* rlimits, process */
LAYER_PLAN(rlimits_plan);
LAYER_RUN(rlimits_raise); /* MAP, parent */
LAYER_RUN(rlimits_set);   /* CONFINE, init */
LAYER_PLAN(process_plan);
LAYER_RUN(process_set_oom_score); /* MAP, parent */
LAYER_RUN(process_give_streams);  /* MAP, parent */
LAYER_RUN(process_make_cwd);      /* BUILD, init */
LAYER_RUN(process_join_keyring);  /* CONFINE, init, as all below */
LAYER_RUN(process_set_personality);
LAYER_RUN(process_own_streams);
LAYER_RUN(process_enter_cwd);
LAYER_RUN(process_find_home);
LAYER_RUN(process_tell_pid);
LAYER_RUN(process_check_cwd);
LAYER_RUN(process_find_program);

/* what of the host each of them needs, for `check` */
LAYER_PROBE(namespaces_probe);
LAYER_PROBE(rootfs_probe);
LAYER_PROBE(mounts_probe);
LAYER_PROBE(cgroup_probe); /* and the controllers of resources */
LAYER_PROBE(label_probe);
LAYER_PROBE(scheduler_probe);
LAYER_PROBE(memory_policy_probe);
LAYER_PROBE(intel_rdt_probe);
LAYER_PROBE(process_probe_cwd);
LAYER_PROBE(process_probe_program);
LAYER_PROBE(rlimits_probe);
LAYER_PROBE(idmap_probe);
LAYER_PROBE(devices_probe);
LAYER_PROBE(hooks_probe);
LAYER_PROBE(sysctl_probe);
LAYER_PROBE(credentials_probe);
LAYER_PROBE(netdevices_probe);
LAYER_PROBE(seccomp_probe);

/* what is left of it, for `verify` */
LAYER_VERIFY(namespaces_verify);
LAYER_VERIFY(namespaces_verify_time);
LAYER_VERIFY(rootfs_verify);
LAYER_VERIFY(mounts_verify);
LAYER_VERIFY(mounts_verify_extra);
LAYER_VERIFY(cgroup_verify);
LAYER_VERIFY(process_verify_oom_score);
LAYER_VERIFY(rlimits_verify);
LAYER_VERIFY(affinity_verify);
LAYER_VERIFY(scheduler_verify);
LAYER_VERIFY(io_priority_verify);
LAYER_VERIFY(idmap_verify);
LAYER_VERIFY(netdevices_verify);
LAYER_VERIFY(loopback_verify);
LAYER_VERIFY(resources_verify);
LAYER_VERIFY(device_filter_verify);
LAYER_VERIFY(intel_rdt_verify);
LAYER_VERIFY(hostname_verify);
LAYER_VERIFY(devices_verify);
LAYER_VERIFY(sysctl_verify);
LAYER_VERIFY(label_verify);
LAYER_VERIFY(masks_verify_readonly);
LAYER_VERIFY(masks_verify);
LAYER_VERIFY(process_verify_keyring);
LAYER_VERIFY(process_verify_personality);
LAYER_VERIFY(process_verify_cwd);
LAYER_VERIFY(process_verify_env);
LAYER_VERIFY(process_verify_descriptors);
LAYER_VERIFY(credentials_verify);
LAYER_VERIFY(memory_policy_verify);
LAYER_VERIFY(seccomp_verify);

#endif
