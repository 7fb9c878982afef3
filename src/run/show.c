/* SPDX-License-Identifier: MIT */
/*
 * `hako plan`: what create would do with a bundle, value by value. Everything
 * comes from struct plan; what is not in the plan is not decided, and cannot be
 * shown.
 */
#include "hako/show.h"
#include "hako/credentials.h"
#include "hako/mount_options.h"
#include "hako/names.h"
#include "hako/syscall.h"

#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* A value with a newline in it must not pass for a line of the plan. */
static void
put(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			fprintf(out, "\\x%02x", (unsigned)*text);
		else
			fputc(*text, out);
}

static void
line(FILE *out, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void
line(FILE *out, const char *what, const char *format, ...)
{
	autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	fprintf(out, "  %-12s ", what);
	put(out, text != NULL ? text : "(out of memory)");
	fputc('\n', out);
}

static void
show_namespaces(FILE *out, const struct plan *plan)
{
	fprintf(out, "namespaces\n");
	for (const struct name *n = namespace_names; n->name != NULL; n++)
		if (plan_creates(plan, n->value))
			line(out, n->name, "new");
	for (size_t i = 0; i < plan->join_count; i++)
		line(out, name_of(namespace_names, (uint64_t)plan->joins[i].type), "join %s",
		     plan->joins[i].path);
	for (const struct name *n = namespace_names; n->name != NULL; n++)
		if (!plan_isolates(plan, n->value))
			line(out, n->name, "the host's");
}

/* "0 1000 1\n2 5 1\n" on one line. */
static void
show_lines(FILE *out, const char *what, const char *text)
{
	for (const char *p = text; p != NULL && *p != '\0'; p += strcspn(p, "\n") + 1)
		line(out, what, "%.*s", (int)strcspn(p, "\n"), p);
}

static void
show_maps(FILE *out, const struct plan *plan)
{
	if (plan->idmap.uid_map != NULL)
		fprintf(out, "id maps (inside outside size)\n");
	show_lines(out, plan->idmap.uid_helper ? "newuidmap" : "uid_map", plan->idmap.uid_map);
	show_lines(out, plan->idmap.gid_helper ? "newgidmap" : "gid_map", plan->idmap.gid_map);
	if (plan->idmap.setgroups_denied)
		line(out, "setgroups", "deny");
	if (plan->time_offsets.text != NULL)
		fprintf(out, "time offsets\n");
	show_lines(out, "clock", plan->time_offsets.text);
}

static void
show_cgroup(FILE *out, const struct plan *plan)
{
	fprintf(out, "cgroup\n");
	if (!plan->cgroup.wanted) {
		line(out, "path", "none");
		return;
	}
	line(out, "path", "%s", plan->cgroup.path);
	for (size_t i = 0; i < plan->cgroup.properties.count; i++)
		line(out, "property", "%s = %s", plan->cgroup.properties.items[i].key,
		     plan->cgroup.properties.items[i].value);
	for (size_t i = 0; i < plan->cgroup.value_count; i++) {
		const struct cgroup_value *v = &plan->cgroup.values[i];

		line(out,
		     v->alternative ? "or"
		     : v->tentative ? "try"
		                    : "write",
		     "%s = %s", v->file, v->value);
	}
	for (size_t i = 0; i < plan->device_rule_count; i++) {
		const struct device_rule *r = &plan->device_rules[i];
		char major[24] = "*", minor[24] = "*";

		if (r->major >= 0)
			snprintf(major, sizeof(major), "%" PRId64, r->major);
		if (r->minor >= 0)
			snprintf(minor, sizeof(minor), "%" PRId64, r->minor);
		line(out, r->allow ? "allow" : "deny", "%c %s:%s %s%s%s", r->type, major, minor,
		     r->access & 2 ? "r" : "", r->access & 4 ? "w" : "", r->access & 1 ? "m" : "");
	}
}

static void
show_resctrl(FILE *out, const struct intel_rdt_plan *rdt)
{
	if (rdt->at == NULL)
		return;
	fprintf(out, "resctrl\n");
	line(out, "group", "%s", rdt->group);
	show_lines(out, "write", rdt->schemata);
	if (rdt->monitor != NULL)
		line(out, "monitor", "%s", rdt->monitor);
}

static void
show_attributes(FILE *out, uint64_t set, uint64_t clear, bool recursive)
{
	for (const struct mount_option *o = mount_options; o->name != NULL; o++) {
		bool tree = o->recursive && !o->bind;

		if (tree != recursive || (o->attr_set | o->attr_clear) == 0)
			continue;
		if (o->attr_clear == MOUNT_ATTR__ATIME) {
			/* the words for the atime mode overlap: show the plain ones */
			if ((clear & MOUNT_ATTR__ATIME) != 0 && strstr(o->name, "no") == NULL &&
			    strstr(o->name, "time") != NULL &&
			    (set & MOUNT_ATTR__ATIME) == o->attr_set &&
			    strcmp(o->name, "atime") != 0 && strcmp(o->name, "ratime") != 0)
				fprintf(out, " %s", o->name);
			else if (strcmp(o->name, recursive ? "rnoatime" : "noatime") == 0 &&
			         (set & MOUNT_ATTR__ATIME) == MOUNT_ATTR_NOATIME)
				fprintf(out, " %s", o->name);
			continue;
		}
		if ((o->attr_set != 0 && (set & o->attr_set) == o->attr_set) ||
		    (o->attr_clear != 0 && (clear & o->attr_clear) == o->attr_clear &&
		     (set & o->attr_clear) == 0))
			fprintf(out, " %s", o->name);
	}
}

static void
show_propagation(FILE *out, const struct mount_plan *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(m->propagation) && m->propagation[i] != 0; i++)
		for (const struct mount_option *o = mount_options; o->name != NULL; o++)
			if (o->propagation == m->propagation[i])
				fprintf(out, " %s", o->name);
}

static void
put_after(FILE *out, const char *before, const char *text)
{
	fputs(before, out);
	put(out, text);
}

/* "0 1000 10\n5 2000 1\n" as " uids=0-1000-10#5-2000-1": how an option would have it. */
static void
show_map(FILE *out, const char *what, const char *map)
{
	fprintf(out, " %s=", what);
	for (; *map != '\0'; map++)
		if (*map == ' ')
			fputc('-', out);
		else if (*map != '\n')
			fputc(*map, out);
		else if (map[1] != '\0')
			fputc('#', out);
}

static void
show_idmap(FILE *out, const struct mount_idmap *map)
{
	fprintf(out, map->recursive ? " ridmap" : " idmap");
	if (map->uid_map == NULL) {
		fprintf(out, " as the container's user namespace");
		return;
	}
	show_map(out, "uids", map->uid_map);
	show_map(out, "gids", map->gid_map);
}

/* A mount that is read-only makes its filesystem so: that was said. */
static void
show_data(FILE *out, const struct mount_plan *m)
{
	bool readonly = (m->attr_set & MOUNT_ATTR_RDONLY) != 0;

	for (size_t i = 0; i < m->flags.count; i++)
		if (!readonly || strcmp(m->flags.items[i], "ro") != 0)
			put_after(out, " ", m->flags.items[i]);
	for (size_t i = 0; i < m->data.count; i++) {
		put_after(out, " ", m->data.items[i].key);
		put_after(out, "=", m->data.items[i].value);
	}
}

static void
show_mount(FILE *out, const struct plan *plan, const struct mount_plan *m)
{
	static const char *const kinds[] = {
		[MOUNT_FILESYSTEM] = "mount", [MOUNT_BIND] = "bind",
		[MOUNT_REMOUNT] = "remount",  [MOUNT_BIND_REMOUNT] = "remount bind",
		[MOUNT_CGROUP] = "mount",
	};

	fprintf(out, "  %-12s ", kinds[m->kind]);
	put(out, m->destination);
	if (m->kind == MOUNT_FILESYSTEM || m->kind == MOUNT_CGROUP)
		put_after(out, " ", m->type);
	if (m->source != NULL && m->kind != MOUNT_REMOUNT)
		put_after(out, " from ", m->source);
	if (m->recursive)
		fprintf(out, " (recursive)");
	show_attributes(out, m->attr_set, m->attr_clear, false);
	show_attributes(out, m->recursive_set, m->recursive_clear, true);
	show_propagation(out, m);
	show_data(out, m);
	if (m->label != MOUNT_LABEL_NONE) {
		put_after(out, " ",
		          m->label == MOUNT_LABEL_OPTION ? plan->mount_label.key : "label");
		put_after(out, "=", plan->mount_label.value);
	}
	if (m->idmap != NULL)
		show_idmap(out, m->idmap);
	fprintf(out, "%s%s%s%s%s\n", m->tmpcopyup ? " tmpcopyup" : "",
	        m->copy_symlink ? " copy-symlink" : "", m->source_nofollow ? " src-nofollow" : "",
	        m->destination_nofollow ? " dest-nofollow" : "",
	        m->readonly_late ? " ro (at the end)" : "");
}

static void
show_rootfs(FILE *out, const struct plan *plan)
{
	fprintf(out, "root\n");
	line(out, "rootfs", "%s%s", plan->rootfs, plan->root_readonly ? " ro" : "");
	line(out, "propagation", "%s", name_of(propagation_names, plan->root_propagation));
	if (plan->root_propagation_after != 0)
		line(out, "and then", "%s",
		     name_of(propagation_names, plan->root_propagation_after));
	fprintf(out, "mounts\n");
	for (size_t i = 0; i < plan->mount_count; i++)
		show_mount(out, plan, &plan->mounts[i]);
	fprintf(out, "devices\n");
	for (size_t i = 0; i < plan->device_count; i++) {
		const struct device_plan *d = &plan->devices[i];

		line(out, "node", "%s %c %u:%u %04o %u:%u", d->path,
		     S_ISBLK(d->mode)    ? 'b'
		     : S_ISFIFO(d->mode) ? 'p'
		                         : 'c',
		     major(d->device), minor(d->device), (unsigned)d->mode & 07777, d->uid, d->gid);
	}
	for (size_t i = 0; i < plan->symlink_count; i++)
		line(out, "link", "/dev/%s -> %s", plan->symlinks[i].path,
		     plan->symlinks[i].target);
}

/* Names of the bits, each after a space. */
static void
show_flags(FILE *out, const struct name *names, uint64_t flags)
{
	for (; names->name != NULL; names++)
		if ((flags & names->value) != 0)
			fprintf(out, " %s", names->name);
}

static void
show_memory_policy(FILE *out, const struct memory_policy_plan *policy)
{
	if (policy->at == NULL)
		return;
	fprintf(out, "  %-12s %s", "memory",
	        name_of(memory_policy_names, (uint64_t)policy->mode + 1));
	if (policy->nodes != NULL)
		put_after(out, " ", policy->nodes);
	show_flags(out, memory_policy_flag_names, (uint64_t)policy->flags);
	fputc('\n', out);
}

static void
show_kernel(FILE *out, const struct plan *plan)
{
	fprintf(out, "kernel\n");
	if (plan->hostname != NULL)
		line(out, "hostname", "%s", plan->hostname);
	if (plan->domainname != NULL)
		line(out, "domainname", "%s", plan->domainname);
	if (plan->loopback_up)
		line(out, "loopback", "up");
	for (size_t i = 0; i < plan->net_device_count; i++)
		line(out, "net device", "%s as %s", plan->net_devices[i].name,
		     plan->net_devices[i].new_name);
	for (size_t i = 0; i < plan->sysctl_count; i++)
		line(out, "sysctl", "%s = %s", plan->sysctls[i].path, plan->sysctls[i].value);
	if (plan->personality != NULL)
		line(out, "personality", "%s",
		     name_of(personality_names, (uint64_t)*plan->personality + 1));
	show_memory_policy(out, &plan->memory_policy);
	fprintf(out, "paths\n");
	for (size_t i = 0; i < plan->readonly_paths.count; i++)
		line(out, "read-only", "%s", plan->readonly_paths.items[i]);
	for (size_t i = 0; i < plan->masked_paths.count; i++)
		line(out, "masked", "%s", plan->masked_paths.items[i]);
}

static void
show_hook_list(FILE *out, const char *name, const struct objects *hooks)
{
	const struct config_hook *rows = hooks->items;

	for (size_t i = 0; i < hooks->count; i++)
		line(out, name, "%s", rows[i].path);
}

static void
show_hooks(FILE *out, const struct config_hooks *hooks)
{
	if (hooks == NULL)
		return;
	fprintf(out, "hooks\n");
	show_hook_list(out, "prestart", &hooks->prestart);
	show_hook_list(out, "createRuntime", &hooks->create_runtime);
	show_hook_list(out, "createContainer", &hooks->create_container);
	show_hook_list(out, "startContainer", &hooks->start_container);
	show_hook_list(out, "poststart", &hooks->poststart);
	show_hook_list(out, "poststop", &hooks->poststop);
}

static void
show_capabilities(FILE *out, const char *name, uint64_t set)
{
	fprintf(out, "  %-12s", name);
	if (set == 0)
		fprintf(out, " none");
	for (int i = 0; i < 64; i++)
		if ((set >> i & 1) != 0)
			fprintf(out, " %s", capability_name(i) != NULL ? capability_name(i) : "?");
	fputc('\n', out);
}

static void
show_terminal(FILE *out, const struct terminal_plan *terminal)
{
	if (!terminal->wanted)
		return;
	if (terminal->rows != 0 && terminal->columns != 0)
		line(out, "terminal", "%u columns, %u rows", terminal->columns, terminal->rows);
	else
		line(out, "terminal", "yes");
}

static void
show_scheduler(FILE *out, const struct scheduler_plan *s)
{
	if (s->at == NULL)
		return;
	fprintf(out, "  %-12s %s", "scheduler", name_of(scheduler_names, (uint64_t)s->policy + 1));
	if (s->nice != 0)
		fprintf(out, " nice %d", s->nice);
	if (s->priority != 0)
		fprintf(out, " priority %u", s->priority);
	if (s->runtime_ns != 0)
		fprintf(out, " runtime %" PRIu64 " deadline %" PRIu64 " period %" PRIu64,
		        s->runtime_ns, s->deadline_ns, s->period_ns);
	show_flags(out, scheduler_flag_names, s->flags);
	fputc('\n', out);
}

/* When and where the kernel lets it run. */
static void
show_turns(FILE *out, const struct process_plan *p)
{
	show_scheduler(out, &p->scheduler);
	if (p->io_priority.at != NULL)
		line(out, "I/O priority", "%s %d",
		     name_of(io_class_names, (uint64_t)p->io_priority.class), p->io_priority.level);
	if (p->affinity.initial != NULL)
		line(out, "exec from", "CPUs %s", p->affinity.initial);
	if (p->affinity.final != NULL)
		line(out, "exec on", "CPUs %s", p->affinity.final);
}

static void
show_labels(FILE *out, const struct label_plan *label)
{
	if (label->apparmor != NULL)
		line(out, "AppArmor", "%s", label->apparmor);
	if (label->selinux != NULL)
		line(out, "SELinux", "%s", label->selinux);
}

static void
show_process(FILE *out, const struct plan *plan)
{
	const struct process_plan *p = &plan->process;

	fprintf(out, "process\n");
	if (p->args == NULL) {
		line(out, "args", "none: it cannot be started");
		return;
	}
	for (char *const *a = p->args; *a != NULL; a++)
		line(out, "arg", "%s", *a);
	for (char *const *v = p->env; *v != NULL; v++)
		line(out, "env", "%s", *v);
	if (p->home_missing)
		line(out, "env", "HOME from the container's /etc/passwd");
	line(out, "cwd", "%s", p->cwd);
	show_terminal(out, &plan->terminal);
	line(out, "user", "%u:%u umask %04o", p->uid, p->gid, (unsigned)p->umask);
	for (size_t i = 0; i < p->group_count; i++)
		line(out, "group", "%u", p->groups[i]);
	for (size_t i = 0; i < p->rlimit_count; i++)
		line(out, "rlimit", "%s %" PRIu64 " %" PRIu64,
		     name_of(rlimit_names, (uint64_t)p->rlimits[i].resource + 1),
		     p->rlimits[i].soft, p->rlimits[i].hard);
	if (p->oom_score_adj != NULL)
		line(out, "oom score", "%" PRId64, *p->oom_score_adj);
	show_turns(out, p);
	show_capabilities(out, "bounding", p->capabilities.bounding);
	show_capabilities(out, "effective", p->capabilities.effective);
	show_capabilities(out, "permitted", p->capabilities.permitted);
	show_capabilities(out, "inheritable", p->capabilities.inheritable);
	show_capabilities(out, "ambient", p->capabilities.ambient);
	line(out, "no_new_privs", "%s", p->no_new_privileges ? "yes" : "no");
	show_labels(out, &p->label);
	line(out, "seccomp", "%s", plan->seccomp != NULL ? "filter" : "none");
	if (plan->listener.path != NULL)
		line(out, "listener", "%s", plan->listener.path);
}

char *
plan_show(const struct plan *plan)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	show_namespaces(out, plan);
	show_maps(out, plan);
	show_cgroup(out, plan);
	show_resctrl(out, &plan->intel_rdt);
	show_rootfs(out, plan);
	show_kernel(out, plan);
	show_hooks(out, plan->config->hooks);
	show_process(out, plan);
	fclose(out);
	return text;
}
