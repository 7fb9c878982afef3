/* SPDX-License-Identifier: MIT */
/* `list` and `ps`: what exists, what runs. */
#include "hako/command.h"
#include "hako/container.h"
#include "hako/passwd.h"
#include "hako/words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int
parse_format(const struct options *o, bool *ret_json, struct error *e)
{
	static const char *const formats[] = {"table", "json", NULL};
	int format = command_choose("--format", o->format, formats, e);

	*ret_json = format == 1;
	return format < 0 ? -1 : 0;
}

/* List ------------------------------------------------------------------------- */

struct listing {
	bool json;
	bool quiet;
	struct json_writer *w;
};

static const char *
owner_name(uint32_t uid)
{
	static char text[64];
	autoclose int passwd = -1;

	if (uid == 0)
		return "root";
	snprintf(text, sizeof(text), "#%u", uid);
	passwd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (passwd >= 0)
		(void)passwd_lookup(passwd, uid, PASSWD_NAME, text, sizeof(text));
	return text;
}

static void
list_json(struct listing *l, const struct container *c)
{
	const struct state *s = c->state;
	struct json_writer *w = l->w;

	json_begin_object(w, NULL);
	json_put_string(w, "ociVersion", s->oci_version);
	json_put_string(w, "id", s->id);
	json_put_int(w, "pid", c->status == STATUS_STOPPED ? 0 : *s->pid);
	json_put_string(w, "status", status_name(c->status));
	json_put_string(w, "bundle", s->bundle);
	json_put_string(w, "rootfs", s->rootfs);
	json_put_string(w, "created", s->created);
	if (s->annotations.count > 0)
		json_put_json(w, "annotations", s->annotations.at);
	json_put_string(w, "owner", owner_name(s->owner));
	json_end_object(w);
}

static void
list_one(struct listing *l, int root, const char *id)
{
	struct arena arena = {0};
	struct container c;
	struct error e;

	if (container_open(&arena, root, id, false, &c, &e) < 0) {
		/* gone meanwhile is no news */
		if (strcmp(e.id, "container-missing") != 0 && strcmp(e.id, "id-invalid") != 0) {
			char line[sizeof(e.at) + sizeof(e.msg)];

			error_context(&e, "list %s", id);
			fprintf(stderr, "hako: error: %s\n", error_format(&e, line, sizeof(line)));
		}
		arena_free(&arena);
		return;
	}
	if (l->quiet)
		printf("%s\n", id);
	else if (l->json)
		list_json(l, &c);
	else
		printf("%-20s %-10d %-10s %-30s %-30s %s\n", id,
		       c.status == STATUS_STOPPED ? 0 : (int)*c.state->pid, status_name(c.status),
		       c.state->bundle, c.state->created, owner_name(c.state->owner));
	container_close(&c);
	arena_free(&arena);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
command_ids(int root, size_t *ret_count)
{
	int copy = fcntl(root, F_DUPFD_CLOEXEC, 0);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	char **ids = NULL;
	size_t count = 0;
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char **more;

		if (entry->d_name[0] == '.' ||
		    (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
			continue;
		more = reallocarray(ids, count + 1, sizeof(*ids));
		if (more == NULL)
			break;
		ids = more;
		ids[count++] = strdup(entry->d_name);
	}
	if (dir != NULL)
		closedir(dir);
	if (count > 1)
		qsort(ids, count, sizeof(*ids), compare);
	*ret_count = count;
	return ids;
}

int
command_list(const struct options *o, struct error *e)
{
	struct listing l = {.quiet = o->quiet};
	size_t count = 0;
	char **ids = NULL;
	int root;

	if (parse_format(o, &l.json, e) < 0)
		return -1;
	root = command_root(o, false, e);
	if (root < 0 && (o->root != NULL || e->code != ENOENT))
		return -1; /* the default root need not be there */
	if (root >= 0)
		ids = command_ids(root, &count);
	if (l.json && !l.quiet) {
		l.w = json_writer_new(JSON_COMPACT);
		json_begin_array(l.w, NULL);
	} else if (!l.quiet) {
		printf("%-20s %-10s %-10s %-30s %-30s %s\n", "ID", "PID", "STATUS", "BUNDLE",
		       "CREATED", "OWNER");
	}
	for (size_t i = 0; i < count; i++) {
		list_one(&l, root, ids[i]);
		free(ids[i]);
	}
	free(ids);
	if (l.w != NULL) {
		json_end_array(l.w);
		printf("%s\n", count > 0 ? json_writer_text(l.w, NULL) : "null");
		json_writer_free(l.w);
	}
	return fflush(stdout) == 0 ? 0 : error_set(e, errno, "output-failed", "standard output");
}

/* Processes -------------------------------------------------------------------- */

struct pids {
	int *items;
	size_t count;
};

static int
add_pid(pid_t pid, void *data)
{
	struct pids *pids = data;
	int *more = reallocarray(pids->items, pids->count + 1, sizeof(*more));

	if (more == NULL)
		return -1;
	pids->items = more;
	pids->items[pids->count++] = pid;
	return 0;
}

static bool
is_listed(const struct pids *pids, int pid)
{
	for (size_t i = 0; i < pids->count; i++)
		if (pids->items[i] == pid)
			return true;
	return false;
}

/* Print the lines of ps(1) that are about these pids; the first line says which column it is. */
static int
filter(FILE *ps, const struct pids *pids)
{
	char line[8192];
	int column = -1;

	while (fgets(line, sizeof(line), ps) != NULL) {
		char copy[sizeof(line)], *rest = copy;
		int i = 0;

		strcpy(copy, line);
		for (char *word; (word = words_take(&rest, " \n")) != NULL; i++) {
			if (column < 0 && strcmp(word, "PID") == 0) {
				column = i;
				fputs(line, stdout);
				break;
			}
			if (column == i && is_listed(pids, atoi(word)))
				fputs(line, stdout);
		}
		if (column < 0)
			return -1;
	}
	return column < 0 ? -1 : 0;
}

static int
print_table(const struct options *o, const struct pids *pids, struct error *e)
{
	char *standard[] = {(char *)"ps", (char *)"-ef", NULL};
	int ends[2], status = 0, rc;
	pid_t child;
	FILE *ps;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(e, errno, "ps-failed", "pipe");
	child = fork();
	if (child == 0) {
		dup2(ends[1], 1);
		/* the words after the id are for ps; in its place stands the name */
		o->args[0] = standard[0];
		execvp("ps", o->arg_count > 1 ? o->args : standard);
		_exit(127);
	}
	close(ends[1]);
	ps = fdopen(ends[0], "r");
	if (child < 0 || ps == NULL)
		return error_set(e, errno, "ps-failed", "run ps");
	rc = filter(ps, pids);
	fclose(ps);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return error_set(e, 0, "ps-failed", "ps(1) is not installed: use --format json");
	return rc < 0 ? error_set(e, 0, "ps-failed", "ps(1) shows no PID column") : 0;
}

static void
print_json(const struct pids *pids)
{
	printf("[");
	for (size_t i = 0; i < pids->count; i++)
		printf("%s%d", i > 0 ? "," : "", pids->items[i]);
	printf("]\n");
}

int
command_ps(const struct options *o, struct error *e)
{
	static struct arena arena;
	struct pids pids = {0};
	struct container c;
	bool json;
	int root;

	if (parse_format(o, &json, e) < 0)
		return -1;
	root = command_root_of_container(o, e);
	if (root < 0 || container_open(&arena, root, o->args[0], false, &c, e) < 0 ||
	    container_visit(&c, add_pid, &pids, e) < 0)
		return -1;
	if (json)
		print_json(&pids);
	else if (print_table(o, &pids, e) < 0)
		return -1;
	return fflush(stdout) == 0 ? 0 : error_set(e, errno, "output-failed", "standard output");
}
