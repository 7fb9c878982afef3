/* SPDX-License-Identifier: MIT */
#ifndef HAKO_MOUNTS_H
#define HAKO_MOUNTS_H

#include "hako/layer.h"

/* Between the files of the mounts layer. -1 with *e. */

/* An error of a system call about a mount: "CALL DESTINATION: errno". Always returns -1. */
int
mount_fail(const struct mount_plan *m, struct error *e, const char *call);

/* The option of that name in the document; else all options, or the mount. */
const struct json *
mount_option_at(const struct mount_plan *m, const char *name);

/*
 * The target as an O_PATH descriptor, made when missing. directory says what is
 * made; *ret_made whether it was.
 */
int
mount_open_target(const struct handles *h, const struct mount_plan *m, bool directory,
                  bool *ret_made, struct error *e);

/*
 * Finish a detached mount (attributes unless it has them, propagation), put it on
 * its target and let go of both descriptors.
 */
int
mount_attach(struct handles *h, size_t i, const struct mount_plan *m, int tree, int target,
             bool with_attributes, struct error *e);

/* mounts_bind.c: MOUNT_BIND, and a tree that somebody else has opened. */
int
bind_attach(const struct plan *plan, struct handles *h, size_t i, struct error *e);
int
bind_attach_tree(struct handles *h, size_t i, const struct mount_plan *m, int tree,
                 struct error *e);

/* The sources that the parent had opened are with init: the limit of descriptors as it was. */
void
mounts_lower_descriptors(struct handles *h);

/* mounts_extra.c: is the mount that this line shows to be so, having been set these attributes? */
bool
mount_expects_readonly(const struct observed *o, const struct mount_plan *m,
                       const struct mount_line *line, uint64_t set);

/* mounts_label.c: is linux.mountLabel, if there is one, a label that this kernel takes? */
int
mounts_check_label(const struct plan *plan, struct error *e);

/* Give it to a filesystem that is being made, as an option. */
int
mount_label_option(const struct plan *plan, const struct mount_plan *m, int context,
                   struct error *e);

/* Give it to the root of a mounted one, which takes no such option. */
int
mount_label_root(const struct plan *plan, const struct mount_plan *m, int tree, struct error *e);

/* mounts_hidden.c: for check alone, of mounts in vain. */
void
mounts_warn_of_hidden(struct arena *arena, const struct plan *plan);

/* mounts_idmap.c: which ids a bind mount shows -------------------------------------- */

/* An option that asks for it: "idmap", "ridmap", "idmap=uids=...;gids=...". */
struct idmap_option {
	const struct json *at; /* NULL: there is none */
	const char *maps;      /* what follows the first "=", NULL: nothing */
	bool recursive;
};

/* Decide m->idmap: from the mappings of the mount, its option, or the user namespace. */
int
mount_idmap_plan(struct planner *p, const struct config_mount *c, const struct idmap_option *option,
                 struct mount_plan *m, struct error *e);

/*
 * PREPARE, parent: the user namespace that holds the maps of mount i, in
 * h->mount_users[i]; -1 there: it is the container's, which is still to be made.
 */
int
mount_idmap_open(const struct plan *plan, struct handles *h, size_t i, struct error *e);

/* May this user make one at all? */
int
mount_idmap_probe(const struct plan *plan, const struct mount_plan *m, struct error *e);

/* Map the ids of a detached tree. */
int
mount_idmap_apply(const struct mount_plan *m, int tree, int user_ns, struct error *e);

#endif
