/* SPDX-License-Identifier: MIT */
#ifndef HAKO_EXPLAIN_H
#define HAKO_EXPLAIN_H

#include "hako/plan.h"
#include "hako/problem.h"

/*
 * What a container may do to the host. Ratings are severities of problems: danger
 * (PROBLEM_ERROR), risk (PROBLEM_WARNING), note, ok. A finding is a problem whose
 * message says what there is, `why` what follows from it, and `hint` what to change.
 */

/* Look with all rules; pure. problems has an arena; sorted afterwards. */
void
explain_plan(const struct plan *plan, const struct json_doc *doc, struct problems *problems);

/* Inside: the rules and what they look with. ---------------------------------------- */

struct finder;

struct rule {
	const char *id;
	enum problem_severity rating;
	enum problem_severity confined; /* where the container's root has no rights on the host */
	const char *title;
	const char *why;
	const char *fix;
	const char *good; /* said when nothing is found; NULL: nothing */
	void (*find)(struct finder *f);
	const char *property; /* where it is said, or would be */
	const char *text;     /* what to look for, as find takes it */
	uint64_t number;
	bool by_root; /* only root itself has that right, whatever its capabilities */
};

/* Ends with a NULL id. Of rules that look at the same thing the first speaks. */
extern const struct rule explain_rules[];

struct finder {
	const struct plan *plan;
	const struct config *config;
	const struct rule *rule;
	struct problems *problems;
	size_t count;          /* of this rule's findings */
	bool confined;         /* a user namespace without root of the host */
	bool host_root;        /* it is, or can become, root of the host */
	uint64_t capabilities; /* it has, or can get */
	bool *claimed_mounts;  /* a rule has spoken of them */
	bool *claimed_devices;
};

/* A finding at that value; NULL: at the rule's property. detail may be NULL. */
void
explain_found(struct finder *f, const struct json *at, const char *detail);

/* Is that namespace (CLONE_NEW...) the host's, if by the path of one of the host's processes? */
bool
explain_shares(const struct config *config, int type);

/* Is that path the other one, above or below it? */
enum path_match { PATH_AT = 1, PATH_ABOVE = 2, PATH_BELOW = 4 };
bool
explain_is_there(const char *path, const char *other, unsigned how);

/* The same with any word of a rule's list. */
bool
explain_matches(const char *path, const char *list, unsigned how);

/* explain_kernel.c */
void
find_shared_namespace(struct finder *f);
void
find_joined_namespace(struct finder *f);
void
find_host_root(struct finder *f);
void
find_host_user(struct finder *f);
void
find_mapped_root(struct finder *f);
void
find_new_privileges(struct finder *f);
void
find_capability(struct finder *f);
void
find_any_capability(struct finder *f);
void
find_privileged(struct finder *f);
void
find_capability_in_host_namespace(struct finder *f);
void
find_unlimited_memory(struct finder *f);
void
find_unlimited_pids(struct finder *f);
void
find_unlimited_cpu(struct finder *f);
void
find_oom_protection(struct finder *f);
void
find_realtime(struct finder *f);
void
find_no_filter(struct finder *f);
void
find_allowing_filter(struct finder *f);
void
find_speculation(struct finder *f);
void
find_open_syscalls(struct finder *f);
void
find_unconfined(struct finder *f);

/* explain_files.c */
enum { SOURCE_WRITABLE = 8, SOURCE_READONLY = 16 }; /* with enum path_match in rule.number */
void
find_source(struct finder *f);
void
find_other_source(struct finder *f);
void
find_filesystem(struct finder *f);
void
find_disk(struct finder *f);
void
find_writable_mount(struct finder *f);
void
find_writable_cgroups(struct finder *f);
void
find_shared_mount(struct finder *f);
void
find_shared_root(struct finder *f);
void
find_host_as_root(struct finder *f);
void
find_writable_root(struct finder *f);
void
find_no_pivot(struct finder *f);
void
find_unmasked(struct finder *f);
void
find_writable_path(struct finder *f);
void
find_device(struct finder *f);
void
find_open_devices(struct finder *f);
void
find_net_device(struct finder *f);
void
find_hook_in_rootfs(struct finder *f);
void
find_keyring(struct finder *f);

#endif
