/* SPDX-License-Identifier: MIT */
/*
 * linux.intelRdt (config-linux.md "IntelRdt"; resctrl in the kernel's
 * documentation): a share of cache and memory bandwidth. A class of service is
 * a directory of resctrl with its schemata, and whatever process is written to
 * its tasks belongs to it, with all that the process starts from then on. A
 * monitoring group below it counts what the container uses.
 *
 * Whether the group exists is looked at before the state is saved a second
 * time, and it is made after that: a kill in between leaves nothing that the
 * state does not name, nor takes away what was there before.
 */
#include "hako/intel_rdt.h"
#include "hako/file.h"
#include "hako/layer.h"
#include "hako/mem.h"
#include "hako/mountinfo.h"
#include "hako/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { RESCTRL_MAGIC = 0x7655821 }; /* RDTGROUP_SUPER_MAGIC of linux/magic.h */

/* Plan ------------------------------------------------------------------------ */

/* One after the other, each with its newline; NULL: none. */
static const char *
join(struct arena *arena, const char *text, const char *schema)
{
	if (schema == NULL)
		return text;
	return arena_printf(arena, "%s%s\n", text != NULL ? text : "", schema);
}

LAYER_PLAN(intel_rdt_plan)
{
	const struct config_intel_rdt *c = p->config->linux_->intel_rdt;
	struct intel_rdt_plan *rdt = &p->plan->intel_rdt;
	const char *id = p->plan->options.id;

	(void)e;
	if (c == NULL)
		return 0;
	rdt->at = c->at;
	rdt->named = c->clos_id != NULL;
	rdt->group = rdt->named ? c->clos_id : id;
	rdt->required = join(p->arena, join(p->arena, NULL, c->l3_cache_schema), c->mem_bw_schema);
	rdt->schemata = rdt->required;
	for (size_t i = 0; i < c->schemata.count; i++)
		rdt->schemata = join(p->arena, rdt->schemata, c->schemata.items[i]);
	if (c->enable_monitoring)
		rdt->monitor = strcmp(rdt->group, "/") == 0
		                       ? arena_printf(p->arena, "mon_groups/%s", id)
		                       : arena_printf(p->arena, "%s/mon_groups/%s", rdt->group, id);
	return 0;
}

/* The root of resctrl ------------------------------------------------------------ */

static int
open_resctrl(const char *path)
{
	autoclose int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == RESCTRL_MAGIC ? take_fd(&fd) : -1;
}

/* Where somebody mounted it. */
static int
search_mounts(void)
{
	struct arena arena = {0};
	const struct mountinfo *mounts = mountinfo_read(&arena, AT_FDCWD, "/proc/self/mountinfo");
	int fd = -1;

	for (size_t i = 0; mounts != NULL && fd < 0 && i < mounts->count; i++)
		if (strcmp(mounts->lines[i].type, "resctrl") == 0)
			fd = open_resctrl(mounts->lines[i].point);
	arena_free(&arena);
	return fd;
}

static int
open_root(struct handles *h)
{
	if (h->resctrl < 0)
		h->resctrl = open_resctrl("/sys/fs/resctrl");
	if (h->resctrl < 0)
		h->resctrl = search_mounts();
	return h->resctrl;
}

static int
fail_missing(const struct intel_rdt_plan *rdt, struct error *e)
{
	return json_error(rdt->at, e, 0, "rdt-missing",
	                  "resctrl is not mounted (mount -t resctrl resctrl /sys/fs/resctrl, "
	                  "where the processor has it)");
}

LAYER_PROBE(intel_rdt_probe)
{
	struct handles h = {.resctrl = -1};

	if (plan->intel_rdt.at == NULL)
		return 0;
	if (open_root(&h) < 0)
		return fail_missing(&plan->intel_rdt, e);
	close(h.resctrl);
	return 0;
}

/* The kernel has more to say than errno, in info/last_cmd_status. */
static int
fail(const struct intel_rdt_plan *rdt, const struct handles *h, struct error *e, const char *what,
     const char *path)
{
	char status[256] = "";
	int code = errno;

	if (file_read_at(h->resctrl, "info/last_cmd_status", status, sizeof(status)) < 0 ||
	    strcmp(status, "ok") == 0)
		status[0] = '\0';
	return json_error(rdt->at, e, code, "rdt-failed", "%s %s%s%s", what, path,
	                  status[0] != '\0' ? ": " : "", status);
}

/* Look ------------------------------------------------------------------------------- */

/* "0=00ff": what of cache 0; zeros in front mean nothing. */
struct share {
	const char *cache;
	size_t cache_length;
	const char *value;
	size_t digits;
};

static bool
next_share(const char **line, struct share *ret)
{
	const char *p = *line + strspn(*line, "; ");

	if (*p == '\0' || *p == '\n')
		return false;
	ret->cache = p;
	ret->cache_length = strcspn(p, "=;\n");
	p += ret->cache_length;
	p += *p == '=';
	p += strspn(p, " 0");
	ret->value = p;
	ret->digits = strcspn(p, "; \n");
	*line = p + ret->digits;
	return true;
}

static bool
has_share(const char *line, const struct share *wanted)
{
	struct share s;

	while (next_share(&line, &s))
		if (s.cache_length == wanted->cache_length &&
		    strncmp(s.cache, wanted->cache, s.cache_length) == 0)
			return s.digits == wanted->digits &&
			       strncasecmp(s.value, wanted->value, s.digits) == 0;
	return false;
}

/* The line of a schemata file for the resource that the schema begins with, after its colon. */
static const char *
find_line(const char *schemata, const char *schema)
{
	size_t length = strcspn(schema, ":\n");

	for (const char *line = schemata; *line != '\0'; line += *line == '\n') {
		line += strspn(line, " ");
		if (strncmp(line, schema, length) == 0 && line[length] == ':')
			return line + length + 1;
		line += strcspn(line, "\n");
	}
	return NULL;
}

/* A line of the config, "L3:0=f;1=f": all of it in the schemata of a group? */
static bool
holds(const char *schemata, const char *schema)
{
	const char *line = find_line(schemata, schema);
	struct share wanted;

	schema += strcspn(schema, ":\n");
	if (line == NULL || *schema != ':')
		return false;
	schema++;
	while (next_share(&schema, &wanted))
		if (!has_share(line, &wanted))
			return false;
	return true;
}

static int
check_group(const struct intel_rdt_plan *rdt, const struct handles *h, int group, struct error *e)
{
	char schemata[8192];

	if (rdt->required == NULL)
		return 0;
	if (file_read_at(group, "schemata", schemata, sizeof(schemata)) < 0)
		return fail(rdt, h, e, "read the schemata of", rdt->group);
	for (const char *line = rdt->required; *line != '\0'; line += strcspn(line, "\n") + 1)
		if (!holds(schemata, line))
			return json_error(rdt->at, e, 0, "rdt-differs",
			                  "group %s exists, and has not %.*s", rdt->group,
			                  (int)strcspn(line, "\n"), line);
	return 0;
}

static bool
exists(const struct handles *h, const char *path)
{
	autoclose int fd = path_open_beneath(h->resctrl, path, O_PATH);

	return fd >= 0;
}

/* What exists decides what there will be to remove. */
LAYER_RUN(intel_rdt_find)
{
	const struct intel_rdt_plan *rdt = &plan->intel_rdt;
	autoclose int group = -1;

	if (rdt->at == NULL)
		return 0;
	if (open_root(h) < 0)
		return fail_missing(rdt, e);
	group = path_open_beneath(h->resctrl, rdt->group, O_PATH | O_DIRECTORY);
	if (group < 0 && errno != ENOENT)
		return fail(rdt, h, e, "open the group", rdt->group);
	if (group < 0 && rdt->named && rdt->schemata == NULL)
		return json_error(json_member(rdt->at, "closID"), e, ENOENT, "rdt-no-group",
		                  "there is no group %s, and no schema to make it with",
		                  rdt->group);
	if (group >= 0 && rdt->named && check_group(rdt, h, group, e) < 0)
		return -1;
	if (group >= 0 && rdt->monitor != NULL && exists(h, rdt->monitor)) {
		errno = EEXIST;
		return fail(rdt, h, e, "make the monitoring group", rdt->monitor);
	}
	h->resctrl_new = group < 0;
	h->resctrl_path = group < 0 && !rdt->named ? rdt->group : rdt->monitor;
	return 0;
}

/* Make, join ----------------------------------------------------------------------------- */

/* The directory above path below the root of resctrl; the rest in *ret_name. */
static int
open_above(const struct handles *h, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	autofree char *above = strndup(path, slash != NULL ? (size_t)(slash - path) : 0);

	*ret_name = slash != NULL ? slash + 1 : path;
	return above != NULL ? path_open_beneath(h->resctrl, above, O_PATH | O_DIRECTORY) : -1;
}

static int
make_directory(const struct handles *h, const char *path)
{
	const char *name;
	autoclose int above = open_above(h, path, &name);

	return above < 0 ? -1 : mkdirat(above, name, 0755);
}

static int
remove_directory(const struct handles *h, const char *path)
{
	const char *name;
	autoclose int above = open_above(h, path, &name);

	return above < 0 ? -1 : unlinkat(above, name, AT_REMOVEDIR);
}

static int
write_file(const struct handles *h, const char *group, const char *file, const char *text)
{
	autoclose int dir = path_open_beneath(h->resctrl, group, O_PATH | O_DIRECTORY);

	return dir < 0 ? -1 : file_write_at(dir, file, text);
}

LAYER_RUN(intel_rdt_make)
{
	const struct intel_rdt_plan *rdt = &plan->intel_rdt;

	if (rdt->at == NULL)
		return 0;
	if (h->resctrl_new) {
		h->resctrl_made = make_directory(h, rdt->group) == 0;
		/* somebody else may have had the same wish at the same moment */
		if (!h->resctrl_made && !(rdt->named && errno == EEXIST)) {
			h->resctrl_path = NULL;
			return fail(rdt, h, e, "make the group", rdt->group);
		}
	}
	if (rdt->monitor != NULL && make_directory(h, rdt->monitor) < 0) {
		if (h->resctrl_path == rdt->monitor)
			h->resctrl_path = NULL;
		return fail(rdt, h, e, "make the monitoring group", rdt->monitor);
	}
	return 0;
}

/* A process can be in a monitoring group only of the group that it is in. */
LAYER_RUN(intel_rdt_join)
{
	const struct intel_rdt_plan *rdt = &plan->intel_rdt;
	char pid[16];

	if (rdt->at == NULL)
		return 0;
	if (open_root(h) < 0)
		return fail_missing(rdt, e);
	if (h->target_pidfd < 0 && rdt->schemata != NULL &&
	    write_file(h, rdt->group, "schemata", rdt->schemata) < 0)
		return fail(rdt, h, e, "write the schemata of", rdt->group);
	snprintf(pid, sizeof(pid), "%d", (int)h->init_pid);
	if (write_file(h, rdt->group, "tasks", pid) < 0)
		return fail(rdt, h, e, "join the group", rdt->group);
	if (rdt->monitor != NULL && write_file(h, rdt->monitor, "tasks", pid) < 0)
		return fail(rdt, h, e, "join the monitoring group", rdt->monitor);
	return 0;
}

int
intel_rdt_update(const struct intel_rdt_plan *rdt, struct handles *h, struct arena *arena,
                 const char **ret_before, struct error *e)
{
	autoclose int group = -1;
	char before[8192];

	if (open_root(h) < 0)
		return fail_missing(rdt, e);
	group = path_open_beneath(h->resctrl, rdt->group, O_PATH | O_DIRECTORY);
	if (group < 0 || file_read_at(group, "schemata", before, sizeof(before)) < 0)
		return fail(rdt, h, e, "read the schemata of", rdt->group);
	if (file_write_at(group, "schemata", rdt->schemata) < 0)
		return fail(rdt, h, e, "write the schemata of", rdt->group);
	/* file_read_at() cut the newline, which the kernel wants back */
	*ret_before = arena_printf(arena, "%s\n", before);
	return 0;
}

/* Undo ------------------------------------------------------------------------------------- */

int
intel_rdt_undo(const struct state *state, struct handles *h, struct error *e)
{
	const char *path = state->resctrl_path;

	/* unmounted meanwhile: the groups are gone with it */
	if (path == NULL || open_root(h) < 0)
		return 0;
	if (remove_directory(h, path) < 0 && errno != ENOENT)
		return error_set(e, errno, "rdt-failed", "remove the resctrl group %s", path);
	return 0;
}

void
intel_rdt_take_back(const struct plan *plan, const struct handles *h)
{
	const char *group = plan->intel_rdt.group;
	autoclose int dir = -1;
	char tasks[16];

	if (!h->resctrl_made)
		return;
	dir = path_open_beneath(h->resctrl, group, O_PATH | O_DIRECTORY);
	if (dir >= 0 && file_read_at(dir, "tasks", tasks, sizeof(tasks)) == 0)
		(void)remove_directory(h, group);
}

/* "res:GROUP/" and "mon:GROUP/", as the kernel tells it of a process; nothing: no resctrl. */
LAYER_VERIFY(intel_rdt_verify)
{
	const struct claim claim = {CHECK_RESCTRL, plan->intel_rdt.at};
	const char *group = plan->intel_rdt.group, *text, *found;

	if (plan->intel_rdt.at == NULL)
		return;
	text = observed_read(o, "cpu_resctrl_groups", NULL);
	if (text == NULL && errno != ENOENT) {
		verdict_unknown(v, claim, "/proc/PID/cpu_resctrl_groups: %s", error_text(errno));
		return;
	}
	group += group[0] == '/';
	found = text != NULL ? strstr(text, "res:") : NULL;
	if (found == NULL || found[4] == '\n' || found[4] == '\0')
		verdict_add(v, claim, false, group, "none: there is no resctrl");
	else
		verdict_compare(
			v, claim, group,
			arena_printf(v->arena, "%.*s", (int)strcspn(found + 4, "/\n"), found + 4));
}
