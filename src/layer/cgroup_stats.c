/* SPDX-License-Identifier: MIT */
/*
 * What a container uses, from the files of its cgroup, in the JSON that engines read
 * from `events --stats`. Times are nanoseconds there and microseconds in the files;
 * a controller that is not there leaves its part empty, but processes are counted
 * without one, as runc does.
 */
#include "hako/cgroup.h"
#include "hako/cgroup_keyed.h"
#include "hako/file.h"
#include "hako/json.h"
#include "hako/mem.h"
#include "hako/number_set.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
put_number(struct json_writer *w, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	json_put_number(w, key, text);
}

/* The number of that key; 0 when there is none. */
static uint64_t
key_of(const char *text, const char *key)
{
	const char *value = keyed_find(text, key);

	return value != NULL ? strtoull(value, NULL, 10) : 0;
}

/* A file with one number; "max" is UINT64_MAX, a missing file `otherwise`. */
static uint64_t
number_in(int cgroup, const char *file, uint64_t otherwise)
{
	char text[64];

	if (file_read_at(cgroup, file, text, sizeof(text)) <= 0)
		return otherwise;
	return strcmp(text, "max") == 0 ? UINT64_MAX : strtoull(text, NULL, 10);
}

/* some avg10=0.00 avg60=0.00 avg300=0.00 total=0 */
static void
put_pressure(struct json_writer *w, int cgroup, const char *file)
{
	char text[512];

	if (file_read_at(cgroup, file, text, sizeof(text)) <= 0)
		return;
	json_begin_object(w, "psi");
	keyed_put_nested(w, text);
	json_end_object(w);
}

static void
put_cpu(struct json_writer *w, int cgroup)
{
	enum { NS = 1000 };
	char text[4096] = "";

	(void)file_read_at(cgroup, "cpu.stat", text, sizeof(text));
	json_begin_object(w, "cpu");
	json_begin_object(w, "usage");
	put_number(w, "total", key_of(text, "usage_usec") * NS);
	put_number(w, "kernel", key_of(text, "system_usec") * NS);
	put_number(w, "user", key_of(text, "user_usec") * NS);
	json_end_object(w);
	json_begin_object(w, "throttling");
	put_number(w, "periods", key_of(text, "nr_periods"));
	put_number(w, "throttledPeriods", key_of(text, "nr_throttled"));
	put_number(w, "throttledTime", key_of(text, "throttled_usec") * NS);
	json_end_object(w);
	put_pressure(w, cgroup, "cpu.pressure");
	json_end_object(w);
}

/* "0-2,7" as an array */
static void
put_set(struct json_writer *w, const char *key, int cgroup, const char *file)
{
	struct number_set set = {0};
	char text[4096] = "";

	(void)file_read_at(cgroup, file, text, sizeof(text));
	(void)number_set_parse(text, CPU_NUMBERS, &set);
	json_begin_array(w, key);
	for (unsigned i = 0; i < CPU_NUMBERS; i++)
		if (number_set_has(&set, i))
			put_number(w, NULL, i);
	json_end_array(w);
}

/* What cgroup v1 had besides is off in v2. */
static void
put_cpuset(struct json_writer *w, int cgroup)
{
	static const char *const off[] = {
		"cpu_exclusive",      "mem_hardwall",
		"mem_exclusive",      "memory_migrate",
		"memory_spread_page", "memory_spread_slab",
		"sched_load_balance", "sched_relax_domain_level",
	};

	json_begin_object(w, "cpuset");
	put_set(w, "cpus", cgroup, "cpuset.cpus.effective");
	put_set(w, "mems", cgroup, "cpuset.mems.effective");
	for (size_t i = 0; i < ARRAY_SIZE(off); i++)
		put_number(w, off[i], 0);
	json_end_object(w);
}

struct memory_entry {
	uint64_t limit, usage, max, failures;
};

static void
put_memory_entry(struct json_writer *w, const char *key, const struct memory_entry *entry)
{
	json_begin_object(w, key);
	put_number(w, "limit", entry->limit);
	put_number(w, "usage", entry->usage);
	put_number(w, "max", entry->max);
	put_number(w, "failcnt", entry->failures);
	json_end_object(w);
}

static uint64_t
sum(uint64_t a, uint64_t b)
{
	return a == UINT64_MAX || b == UINT64_MAX ? UINT64_MAX : a + b;
}

static void
put_memory(struct json_writer *w, int cgroup)
{
	char text[8192] = "", events[512] = "";
	struct memory_entry memory = {
		.limit = number_in(cgroup, "memory.max", 0),
		.usage = number_in(cgroup, "memory.current", 0),
		.max = number_in(cgroup, "memory.peak", 0),
	};
	struct memory_entry kernel = {0}, none = {0}, swap;

	(void)file_read_at(cgroup, "memory.stat", text, sizeof(text));
	(void)file_read_at(cgroup, "memory.events", events, sizeof(events));
	memory.failures = key_of(events, "max");
	kernel.usage = key_of(text, "kernel");
	swap = (struct memory_entry){
		.limit = sum(number_in(cgroup, "memory.swap.max", 0), memory.limit),
		.usage = number_in(cgroup, "memory.swap.current", 0) + memory.usage,
	};
	json_begin_object(w, "memory");
	put_number(w, "cache", key_of(text, "file"));
	put_memory_entry(w, "usage", &memory);
	put_memory_entry(w, "swap", &swap);
	put_memory_entry(w, "kernel", &kernel);
	put_memory_entry(w, "kernelTCP", &none);
	json_begin_object(w, "raw");
	keyed_put_flat(w, text);
	json_end_object(w);
	put_pressure(w, cgroup, "memory.pressure");
	json_end_object(w);
}

static int
count(pid_t pid, void *data)
{
	uint64_t *total = data;

	(void)pid;
	++*total;
	return 0;
}

static void
put_pids(struct json_writer *w, int cgroup)
{
	uint64_t current = number_in(cgroup, "pids.current", UINT64_MAX);
	uint64_t limit = number_in(cgroup, "pids.max", 0);

	if (current == UINT64_MAX) {
		current = 0;
		(void)cgroup_visit(cgroup, count, &current);
	}
	json_begin_object(w, "pids");
	put_number(w, "current", current);
	put_number(w, "limit", limit == UINT64_MAX ? 0 : limit);
	json_end_object(w);
}

/* "8:0 rbytes=1 wbytes=2 ..." of each device: two entries, reading and writing. */
static void
put_io_entries(struct json_writer *w, const char *name, const char *text, const char *const keys[2])
{
	static const char *const operations[] = {"Read", "Write"};
	unsigned major, minor;

	json_begin_array(w, name);
	for (const char *line = text; sscanf(line, "%u:%u", &major, &minor) == 2;
	     line += strcspn(line, "\n"), line += *line == '\n') {
		for (size_t i = 0; i < 2; i++) {
			const char *pair = strstr(line, keys[i]);

			json_begin_object(w, NULL);
			put_number(w, "major", major);
			put_number(w, "minor", minor);
			json_put_string(w, "op", operations[i]);
			if (pair != NULL && pair < line + strcspn(line, "\n"))
				put_number(w, "value", strtoull(pair + strlen(keys[i]), NULL, 10));
			json_end_object(w);
		}
	}
	json_end_array(w);
}

static void
put_io(struct json_writer *w, int cgroup)
{
	static const char *const bytes[] = {" rbytes=", " wbytes="}, *const ios[] = {" rios=",
	                                                                             " wios="};
	char text[32768] = "";

	(void)file_read_at(cgroup, "io.stat", text, sizeof(text));
	json_begin_object(w, "blkio");
	put_io_entries(w, "ioServiceBytesRecursive", text, bytes);
	put_io_entries(w, "ioServicedRecursive", text, ios);
	put_pressure(w, cgroup, "io.pressure");
	json_end_object(w);
}

static void
put_page_size(struct json_writer *w, int cgroup, const char *size)
{
	char name[80], events[64] = "";

	json_begin_object(w, size);
	snprintf(name, sizeof(name), "hugetlb.%s.current", size);
	put_number(w, "usage", number_in(cgroup, name, 0));
	snprintf(name, sizeof(name), "hugetlb.%s.events", size);
	(void)file_read_at(cgroup, name, events, sizeof(events));
	put_number(w, "failcnt", key_of(events, "max"));
	json_end_object(w);
}

/* A file "hugetlb.SIZE.current" for each size that the machine has. */
static void
put_hugepages(struct json_writer *w, int cgroup)
{
	int copy = openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;
	char size[32], rest[32];

	json_begin_object(w, "hugetlb");
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (sscanf(entry->d_name, "hugetlb.%31[^.].%31s", size, rest) == 2 &&
		    strcmp(rest, "current") == 0)
			put_page_size(w, cgroup, size);
	json_end_object(w);
	if (dir != NULL)
		closedir(dir);
	else
		close_cleaner(&copy);
}

void
cgroup_put_stats(struct json_writer *w, int cgroup)
{
	put_cpu(w, cgroup);
	put_cpuset(w, cgroup);
	put_memory(w, cgroup);
	put_pids(w, cgroup);
	put_io(w, cgroup);
	put_hugepages(w, cgroup);
	json_begin_object(w, "intel_rdt");
	json_end_object(w);
	json_put_null(w, "network_interfaces");
}
