/* SPDX-License-Identifier: MIT */
/*
 * A cgroup that has processes hands no controllers down to those below it (cgroups(7),
 * "no internal processes"). Where hako itself is the only process of the cgroup that was
 * given to it, as the program of a service or of a container is, it steps aside: into
 * a cgroup below, and back when the container is gone. Nobody else is ever moved, and
 * who does not wait for the end of the container could not come back.
 */
#include "hako/cgroup.h"
#include "hako/file.h"
#include "hako/mem.h"
#include "hako/words.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char leaf[] = "hako", leaf_procs[] = "hako/cgroup.procs";

static bool
is_alone_in(int cgroup)
{
	char procs[32], own[16];

	snprintf(own, sizeof(own), "%d", (int)getpid());
	return file_read_at(cgroup, "cgroup.procs", procs, sizeof(procs)) > 0 &&
	       strcmp(procs, own) == 0;
}

int
cgroup_step_aside(int cgroup)
{
	autoclose int copy = -1;

	if (!is_alone_in(cgroup))
		return -1;
	copy = openat(cgroup, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (copy < 0 || mkdirat(cgroup, leaf, 0755) < 0)
		return -1;
	if (file_write_at(cgroup, leaf_procs, "0") == 0)
		return take_fd(&copy);
	unlinkat(cgroup, leaf, AT_REMOVEDIR);
	return -1;
}

/* Only when nobody else has come to live there, who may use the controllers. */
void
cgroup_step_back(int cgroup)
{
	char enabled[512], *rest = enabled, *name, word[64];
	struct stat st;

	if (fstat(cgroup, &st) < 0 || st.st_nlink != 3 ||
	    file_read_at(cgroup, "cgroup.subtree_control", enabled, sizeof(enabled)) < 0)
		return;
	while ((name = words_take(&rest, " ")) != NULL) {
		snprintf(word, sizeof(word), "-%s", name);
		(void)file_write_at(cgroup, "cgroup.subtree_control", word);
	}
	if (file_write_at(cgroup, "cgroup.procs", "0") == 0)
		unlinkat(cgroup, leaf, AT_REMOVEDIR);
}
