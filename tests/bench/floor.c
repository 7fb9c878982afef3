/* SPDX-License-Identifier: MIT */
/*
 * floor ROOTFS NAME [FILTER]
 *
 * The least a runtime can do: the bench bundle, hard-coded. The same
 * namespaces, cgroup, mounts, devices, masks, capabilities and clean-up as
 * `hako run` of that bundle, one after the other, with no JSON, no checks, no
 * state and no error handling beyond stopping. FILTER holds an array of struct
 * sock_filter. What a runtime takes beyond this is its own.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CGROUP "/sys/fs/cgroup/"

enum { NODEV = MS_NOSUID | MS_NOEXEC | MS_NODEV };
enum { MAX_FILTER = 4096 };
enum { KEEP = 1 << CAP_AUDIT_WRITE | 1 << CAP_KILL | 1 << CAP_NET_BIND_SERVICE };

static const struct {
	const char *type, *target, *data;
	unsigned long flags;
} mounts[] = {
	{"proc", "proc", NULL, 0},
	{"tmpfs", "dev", "mode=755,size=65536k", MS_NOSUID | MS_STRICTATIME},
	{"devpts", "dev/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC},
	{"tmpfs", "dev/shm", "mode=1777,size=65536k", NODEV},
	{"mqueue", "dev/mqueue", NULL, NODEV},
	{"sysfs", "sys", NULL, NODEV | MS_RDONLY},
	{"cgroup2", "sys/fs/cgroup", NULL, NODEV | MS_RELATIME | MS_RDONLY},
};

static const struct {
	const char *path;
	unsigned major, minor;
} devices[] = {
	{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
	{"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
};

static const char *const symlinks[][2] = {
	{"/proc/self/fd", "dev/fd"},       {"/proc/self/fd/0", "dev/stdin"},
	{"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"},
	{"/proc/kcore", "dev/core"},       {"pts/ptmx", "dev/ptmx"},
};

static const char *const masked[] = {
	"proc/acpi",          "proc/asound",     "proc/kcore",       "proc/keys",
	"proc/latency_stats", "proc/timer_list", "proc/timer_stats", "proc/sched_debug",
	"sys/firmware",       "proc/scsi",
};

static const char *const readonly[] = {
	"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger",
};

static struct sock_filter filter[MAX_FILTER];
static unsigned short filter_length;

static void
check(long rc, const char *what)
{
	if (rc < 0)
		err(1, "%s", what);
}

static void
mount_all(const char *rootfs)
{
	check(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "propagation");
	check(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), "bind rootfs");
	check(chdir(rootfs), rootfs);
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		if (strncmp(mounts[i].target, "dev/", 4) == 0)
			check(mkdir(mounts[i].target, 0755), mounts[i].target);
		check(mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags,
		            mounts[i].data),
		      mounts[i].target);
	}
}

static void
make_dev(void)
{
	umask(0);
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		check(mknod(devices[i].path, S_IFCHR | 0666,
		            makedev(devices[i].major, devices[i].minor)),
		      devices[i].path);
	for (size_t i = 0; i < ARRAY_SIZE(symlinks); i++)
		check(symlink(symlinks[i][0], symlinks[i][1]), symlinks[i][1]);
	umask(0022);
}

static void
hide(void)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(readonly); i++) {
		if (mount(readonly[i], readonly[i], NULL, MS_BIND | MS_REC, NULL) < 0)
			continue;
		check(mount(NULL, readonly[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL),
		      readonly[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(masked); i++) {
		if (stat(masked[i], &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			check(mount("tmpfs", masked[i], "tmpfs", MS_RDONLY,
			            "nr_blocks=1,nr_inodes=1"),
			      masked[i]);
		else
			check(mount("/dev/null", masked[i], NULL, MS_BIND, NULL), masked[i]);
	}
}

static void
pivot(void)
{
	check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	check(umount2(".", MNT_DETACH), "umount");
	check(chdir("/"), "/");
	check(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), "read-only root");
}

static void
confine(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct sets[2] = {{KEEP, KEEP, 0}, {0, 0, 0}};
	struct rlimit files = {1024, 1024};
	struct sock_fprog program = {filter_length, filter};

	check(sethostname("hako", 4), "sethostname");
	check(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	check(syscall(SYS_keyctl, 1 /* join a new session keyring */, NULL), "keyctl");
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (cap >= 31 || !(KEEP & 1 << cap))
			check(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0), "PR_CAPBSET_DROP");
	check(syscall(SYS_capset, &header, sets), "capset");
	check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	check(syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC), "close_range");
	if (filter_length > 0)
		check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

static void
load_filter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	check(fd, path);
	n = read(fd, filter, sizeof(filter));
	check(n, path);
	filter_length = (unsigned short)((size_t)n / sizeof(filter[0]));
	close(fd);
}

int
main(int argc, char **argv)
{
	static char *const args[] = {"/bin/true", NULL}, *const env[] = {"PATH=/bin", NULL};
	struct clone_args clone = {
		.flags = CLONE_INTO_CGROUP | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS |
	                 CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP,
		.exit_signal = SIGCHLD,
	};
	char cgroup[256];
	int status, fd;
	long pid;

	if (argc < 3)
		errx(2, "usage: floor ROOTFS NAME [FILTER]");
	if (argc > 3)
		load_filter(argv[3]);
	snprintf(cgroup, sizeof(cgroup), CGROUP "%s", argv[2]);
	check(mkdir(cgroup, 0755), cgroup);
	fd = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
	check(fd, cgroup);
	clone.cgroup = (unsigned)fd;
	pid = syscall(SYS_clone3, &clone, sizeof(clone));
	check(pid, "clone3");
	if (pid == 0) {
		check(setsid(), "setsid");
		mount_all(argv[1]);
		make_dev();
		hide();
		pivot();
		confine();
		execve(args[0], args, env);
		err(1, "%s", args[0]);
	}
	check(waitpid((pid_t)pid, &status, 0), "waitpid");
	check(rmdir(cgroup), cgroup);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
