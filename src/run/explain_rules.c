/* SPDX-License-Identifier: MIT */
/*
 * What `hako explain` knows: one row a rule, with two ratings. The first is for a
 * container whose root is root of the host, or whose capabilities are over it; the
 * second for one that a user namespace keeps apart. The texts are for people who
 * run containers, not for those who write kernels.
 */
#include "hako/explain.h"
#include "hako/syscall.h"

#include <sched.h>

#define DANGER PROBLEM_ERROR
#define RISK PROBLEM_WARNING
#define NOTE PROBLEM_NOTE
#define OK PROBLEM_OK

/* clang-format off */
#define NAMESPACE(type, why_) \
	.why = (why_), .fix = "add {\"type\": \"" type "\"} to linux.namespaces, without a path", \
	.find = find_shared_namespace, .property = "/linux/namespaces"
#define CAPABILITY(id_, rating_, confined_, cap, what) \
	{id_, rating_, confined_, "it has " #cap, .why = (what), .find = find_capability, \
	 .number = (cap), .property = "/process/capabilities", \
	 .fix = "remove it from every set of process.capabilities"}
#define SYSCALLS(id_, title_, why_, names) \
	{id_, NOTE, NOTE, title_, .why = (why_), .find = find_open_syscalls, .text = (names), \
	 .property = "/linux/seccomp", .fix = "take these names out of linux.seccomp.syscalls"}
#define SOURCE(how, words) \
	.find = find_source, .number = (how), .text = (words), .property = "/mounts"

/* Words of paths; those below /run have another name below /var/run. */
static const char engine_sockets[] =
	"/run/docker.sock /var/run/docker.sock /run/containerd/containerd.sock "
	"/var/run/containerd/containerd.sock /run/podman/podman.sock /var/run/podman/podman.sock "
	"/run/crio/crio.sock /var/run/crio/crio.sock /run/cri-dockerd.sock /var/run/cri-dockerd.sock "
	"/run/buildkit/buildkitd.sock /var/run/buildkit/buildkitd.sock "
	"/run/k3s/containerd/containerd.sock /run/libvirt/libvirt-sock /var/run/libvirt/libvirt-sock "
	"/run/docker/containerd/containerd.sock /var/run/docker/containerd/containerd.sock "
	"/run/libvirt/virtqemud-sock /var/run/libvirt/virtqemud-sock "
	"/var/lib/lxd/unix.socket /var/snap/lxd/common/lxd/unix.socket "
	"/var/lib/incus/unix.socket /run/dbus/system_bus_socket "
	"/var/run/dbus/system_bus_socket /run/systemd/private /var/run/systemd/private";
static const char engine_folders[] =
	"/var/lib/docker /var/lib/containerd /var/lib/containers /var/lib/kubelet /var/lib/rancher "
	"/var/lib/cni /var/spool/cron /run/hako /run/crun /run/runc";
static const char secrets[] = "/root /home /etc/shadow /etc/gshadow /etc/ssh";
static const char keys[] =
	"/root/.ssh /root/.gnupg /root/.aws /root/.kube /root/.docker /etc/ssl/private "
	"/etc/kubernetes /run/secrets /var/run/secrets";
static const char ordinary_files[] =
	"/etc/localtime /etc/timezone /etc/resolv.conf /etc/hosts /etc/hostname /etc/ssl/certs "
	"/etc/pki/tls/certs /etc/ca-certificates";

const struct rule explain_rules[] = {
	/* all at once */
	{"privileged", DANGER, NOTE, "this container is privileged",
	 .why = "Nothing is kept from it: every capability, every system call. That isolates names, not rights.",
	 .fix = "start from `hako spec` and add what is needed one by one",
	 .find = find_privileged, .property = "/process/capabilities"},

	/* users */
	{"root-is-host-root", RISK, OK, "root of this container is root of the host",
	 .why = "Whoever gets past any one of the other barriers owns the machine.",
	 .fix = "add a user namespace with uidMappings and gidMappings (`hako spec --profile hardened` shows how), or give process.user another uid",
	 .good = "its root is not root of the host",
	 .find = find_host_root, .property = "/process/user"},
	{"idmap-host-root", RISK, RISK, "an id of the user namespace is root of the host",
	 .why = "The user namespace protects only from ids that it maps to ordinary ones.",
	 .fix = "map to a range of subordinate ids, such as 100000",
	 .find = find_mapped_root, .property = "/linux/uidMappings"},
	{"user-is-host-user", NOTE, OK, "its user has the same number on the host",
	 .why = "Files and processes of that user on the host are its own, wherever it meets them.",
	 .fix = "add a user namespace with uidMappings and gidMappings",
	 .find = find_host_user, .property = "/process/user"},
	{"new-privileges", RISK, NOTE, "programs may gain privileges",
	 .why = "A setuid program in the image makes anybody in the container root, with the whole bounding set.",
	 .fix = "set process.noNewPrivileges to true",
	 .good = "no program in it can gain privileges",
	 .find = find_new_privileges, .property = "/process/noNewPrivileges", .by_root = true},

	/* namespaces */
	{"namespace-mount", DANGER, RISK, "mounts are those of the host", .number = CLONE_NEWNS,
	 NAMESPACE("mount", "It sees and changes the mounts of the whole machine.")},
	{"namespace-pid", RISK, NOTE, "processes of the host are visible", .number = CLONE_NEWPID,
	 NAMESPACE("pid", "It sees every process of the host with its arguments, and may signal those of its user."),
	 .good = "it sees no process of the host"},
	{"namespace-network", RISK, RISK, "the network is that of the host", .number = CLONE_NEWNET,
	 NAMESPACE("network", "It reaches what listens on the loopback address only, and sockets without a path, as services of the host have them."),
	 .good = "its network is its own"},
	{"namespace-ipc", RISK, NOTE, "shared memory is that of the host", .number = CLONE_NEWIPC,
	 NAMESPACE("ipc", "It reads and writes shared memory and message queues of programs of the host."),
	 .good = "shared memory is its own"},
	{"namespace-uts", NOTE, NOTE, "the host name is that of the host", .number = CLONE_NEWUTS,
	 NAMESPACE("uts", "With CAP_SYS_ADMIN it renames the machine.")},
	{"namespace-cgroup", NOTE, NOTE, "cgroups of the host are visible", .number = CLONE_NEWCGROUP,
	 NAMESPACE("cgroup", "It sees where it stands among the other containers and services.")},
	{"namespace-joined", NOTE, NOTE, "a namespace is shared with somebody else",
	 .why = "What is attacked here can reach those who share it.",
	 .fix = "remove the path, unless that is the point of it",
	 .find = find_joined_namespace, .property = "/linux/namespaces"},

	/* capabilities */
	{"ptrace-host", DANGER, OK, "it may debug processes of the host",
	 .why = "CAP_SYS_PTRACE without a pid namespace: its code can be put into any process of the machine.",
	 .fix = "remove the capability, or add {\"type\": \"pid\"} to linux.namespaces",
	 .find = find_capability_in_host_namespace, .number = CAP_SYS_PTRACE, .property = "/process/capabilities"},
	{"kill-host", RISK, OK, "it may end every process of the host",
	 .why = "CAP_KILL without a pid namespace.",
	 .fix = "remove the capability, or add {\"type\": \"pid\"} to linux.namespaces",
	 .find = find_capability_in_host_namespace, .number = CAP_KILL, .property = "/process/capabilities"},
	{"network-admin-host", DANGER, OK, "it may change the network of the host",
	 .why = "CAP_NET_ADMIN without a network namespace: routes, firewall, traffic of others.",
	 .fix = "remove the capability, or add {\"type\": \"network\"} to linux.namespaces",
	 .find = find_capability_in_host_namespace, .number = CAP_NET_ADMIN, .property = "/process/capabilities"},
	CAPABILITY("cap-sys-admin", DANGER, NOTE, CAP_SYS_ADMIN, "The right to mount and to a hundred other things; with it there are many ways to become root of the host."),
	CAPABILITY("cap-sys-module", DANGER, OK, CAP_SYS_MODULE, "It loads code into the kernel: the host is its own."),
	CAPABILITY("cap-sys-rawio", DANGER, OK, CAP_SYS_RAWIO, "It reaches memory and hardware of the host directly."),
	CAPABILITY("cap-dac-read-search", DANGER, OK, CAP_DAC_READ_SEARCH, "It opens files by handle: also those of the host that no name in the container leads to."),
	CAPABILITY("cap-bpf", DANGER, OK, CAP_BPF, "It loads programs into the kernel that see what others do."),
	CAPABILITY("cap-mac-admin", DANGER, OK, CAP_MAC_ADMIN, "It changes the rules of the security modules for the whole machine."),
	CAPABILITY("cap-mac-override", DANGER, OK, CAP_MAC_OVERRIDE, "The security modules do not apply to it."),
	CAPABILITY("cap-sys-ptrace", RISK, OK, CAP_SYS_PTRACE, "It reads and changes every process it sees."),
	CAPABILITY("cap-sys-boot", RISK, OK, CAP_SYS_BOOT, "It restarts the machine, or loads another kernel."),
	CAPABILITY("cap-sys-time", RISK, OK, CAP_SYS_TIME, "It sets the clock of the host: certificates and logs depend on it."),
	CAPABILITY("cap-sys-resource", RISK, OK, CAP_SYS_RESOURCE, "It goes beyond limits and quotas."),
	CAPABILITY("cap-sys-nice", RISK, OK, CAP_SYS_NICE, "It takes the processors from everybody else."),
	CAPABILITY("cap-perfmon", RISK, OK, CAP_PERFMON, "It watches what the kernel and other programs do."),
	CAPABILITY("cap-checkpoint-restore", RISK, OK, CAP_CHECKPOINT_RESTORE, "It looks into processes as a debugger does."),
	CAPABILITY("cap-audit-control", RISK, OK, CAP_AUDIT_CONTROL, "It turns the audit log off."),
	CAPABILITY("cap-linux-immutable", NOTE, OK, CAP_LINUX_IMMUTABLE, "It makes files that not even root can remove."),
	CAPABILITY("cap-mknod", RISK, OK, CAP_MKNOD, "It makes device files; only the device filter then keeps it from disks and memory."),
	CAPABILITY("cap-net-admin", NOTE, NOTE, CAP_NET_ADMIN, "It changes its network, and reaches much code of the kernel that had many faults."),
	CAPABILITY("cap-net-raw", NOTE, OK, CAP_NET_RAW, "It sends packets under foreign addresses to its neighbours."),
	CAPABILITY("cap-syslog", NOTE, OK, CAP_SYSLOG, "It reads and clears the messages of the kernel."),
	CAPABILITY("cap-audit-read", NOTE, OK, CAP_AUDIT_READ, "It reads the audit log of the host."),
	CAPABILITY("cap-block-suspend", NOTE, OK, CAP_BLOCK_SUSPEND, "It keeps the machine awake."),
	CAPABILITY("cap-wake-alarm", NOTE, OK, CAP_WAKE_ALARM, "It wakes the machine."),
	CAPABILITY("cap-sys-tty-config", NOTE, OK, CAP_SYS_TTY_CONFIG, "It disturbs the terminals of others."),
	CAPABILITY("cap-sys-pacct", NOTE, OK, CAP_SYS_PACCT, "It turns process accounting on and off."),
	CAPABILITY("cap-dac-override", NOTE, OK, CAP_DAC_OVERRIDE, "Permissions of files do not count, also in folders that the host shares with it."),
	CAPABILITY("cap-setfcap", NOTE, OK, CAP_SETFCAP, "It gives capabilities to files, also in folders that the host shares with it."),
	{"capabilities", OK, OK, "", .good = "it has no capabilities",
	 .find = find_any_capability, .property = "/process/capabilities"},

	/* system calls */
	{"seccomp-none", RISK, RISK, "system calls are not filtered",
	 .why = "All of the kernel can be attacked, also the parts that programs never use and where most faults are found.",
	 .fix = "add linux.seccomp with a list of what is allowed: `hako spec` writes one",
	 .good = "system calls are filtered",
	 .find = find_no_filter, .property = "/linux/seccomp"},
	{"seccomp-default", RISK, RISK, "system calls are allowed unless they are named",
	 .why = "A list of what is forbidden is never complete, least of all with the next kernel.",
	 .fix = "make linux.seccomp.defaultAction SCMP_ACT_ERRNO and list what is allowed",
	 .find = find_allowing_filter, .property = "/linux/seccomp/defaultAction"},
	{"seccomp-user-namespaces", RISK, RISK, "it may make user namespaces",
	 .why = "In a namespace of its own it has every capability, and reaches code of the kernel that is meant for root.",
	 .fix = "allow clone only without the flags of namespaces, not unshare, and answer clone3 with ENOSYS (38)",
	 .find = find_open_syscalls, .text = "unshare clone clone3", .property = "/linux/seccomp"},
	SYSCALLS("seccomp-modules", "system calls that change the kernel itself are allowed", "They need capabilities, which are then the only barrier.", "init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff"),
	SYSCALLS("seccomp-mount", "system calls that mount are allowed", "They need capabilities, which are then the only barrier.", "mount umount2 pivot_root move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr setns"),
	SYSCALLS("seccomp-bpf", "programs may be loaded into the kernel", "The checker of BPF programs has been deceived often.", "bpf"),
	SYSCALLS("seccomp-io-uring", "io_uring is allowed", "It does what system calls do without passing this filter, and had many faults.", "io_uring_setup io_uring_enter io_uring_register"),
	SYSCALLS("seccomp-keyring", "keys of the kernel are reachable", "Keyrings are not kept apart by namespaces.", "add_key keyctl request_key"),
	SYSCALLS("seccomp-perf", "performance counters are reachable", "They tell of other programs, and had many faults.", "perf_event_open"),
	SYSCALLS("seccomp-userfaultfd", "userfaultfd is allowed", "Attacks on the kernel use it to stop it in the right moment.", "userfaultfd"),
	SYSCALLS("seccomp-handles", "files may be opened by handle", "With CAP_DAC_READ_SEARCH that leads out of the container.", "open_by_handle_at"),
	SYSCALLS("seccomp-clock", "the clock may be set", "With CAP_SYS_TIME that is the clock of the host.", "clock_settime settimeofday stime clock_adjtime"),
	{"seccomp-speculation", NOTE, NOTE, "the processor's guesses are not held back",
	 .why = "SECCOMP_FILTER_FLAG_SPEC_ALLOW turns protection from Spectre off.",
	 .fix = "take it out of linux.seccomp.flags",
	 .find = find_speculation, .property = "/linux/seccomp/flags"},
	{"lsm-unconfined", NOTE, NOTE, "the security module is told to leave it alone",
	 .why = "A barrier that the host has does not count here.",
	 .fix = "name the profile or the type that is meant for containers",
	 .find = find_unconfined, .property = "/process"},

	/* root filesystem */
	{"root-of-the-host", DANGER, RISK, "the root filesystem is that of the host",
	 .why = "All files of the host are its own.", .fix = "give it a root filesystem of its own in root.path",
	 .find = find_host_as_root, .property = "/root/path"},
	{"root-writable", NOTE, NOTE, "its root filesystem can be written",
	 .why = "Who attacks it can leave programs behind that run the next time too.",
	 .fix = "set root.readonly to true and mount a tmpfs where it has to write",
	 .good = "its root filesystem is read-only",
	 .find = find_writable_root, .property = "/root"},
	{"root-shared", RISK, NOTE, "what it mounts appears on the host",
	 .why = "A mount made in it covers files of the host.",
	 .fix = "make linux.rootfsPropagation rslave or rprivate",
	 .find = find_shared_root, .property = "/linux/rootfsPropagation"},
	{"no-pivot", RISK, NOTE, "its root is moved, not pivoted (--no-pivot)",
	 .why = "The mounts of the host stay below its root; a way out of a chroot is a way to them.",
	 .fix = "leave --no-pivot out where the root is not an initramfs",
	 .find = find_no_pivot, .property = "/root"},
	{"keyring-shared", NOTE, NOTE, "it has the session keyring of who starts it (--no-new-keyring)",
	 .why = "Keys of that user can be read.", .fix = "leave --no-new-keyring out",
	 .find = find_keyring, .property = "/process"},

	/* mounts: the first that fits speaks */
	{"mount-host-root", DANGER, RISK, "the whole host is mounted",
	 .why = "All its files can be read, or changed: passwords, keys, programs.",
	 .fix = "remove this mount, or mount the one folder that is needed", SOURCE(PATH_AT, "/")},
	{"mount-ordinary-device", OK, OK, "a device of the host without risk",
	 SOURCE(PATH_AT, "/dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty")},
	{"mount-ordinary", OK, OK, "a file of the host without secrets",
	 SOURCE(PATH_AT | SOURCE_READONLY, ordinary_files)},
	{"mount-engine-socket", DANGER, DANGER, "it can talk to who controls the host",
	 .why = "Who may ask a container engine or the service manager for something gets a process with all rights on the host. Read-only does not help.",
	 .fix = "remove this mount", .good = "no socket of a container engine or service manager is mounted",
	 SOURCE(PATH_AT | PATH_ABOVE, engine_sockets)},
	{"mount-user-socket", RISK, RISK, "it can talk to services of a user",
	 .why = "Among them may be an engine or the service manager of that user.",
	 .fix = "remove this mount", SOURCE(PATH_AT | PATH_ABOVE | PATH_BELOW, "/run/user /var/run/user")},
	{"mount-engine-data", DANGER, RISK, "files of container engines are mounted",
	 .why = "Other containers and what they know, or commands that root runs, are in there.",
	 .fix = "remove this mount", SOURCE(PATH_AT | PATH_ABOVE, engine_folders)},
	{"mount-proc", DANGER, NOTE, "/proc of the host is mounted",
	 .why = "Settings of the kernel and every process of the host can be reached through it.",
	 .fix = "mount a filesystem of type proc instead", SOURCE(PATH_AT | PATH_BELOW, "/proc")},
	{"mount-cgroup", RISK, NOTE, "cgroups of the host can be written",
	 .why = "It can change limits, its own and those of others.",
	 .fix = "add the option ro, or mount type cgroup with a cgroup namespace",
	 SOURCE(PATH_AT | PATH_BELOW | SOURCE_WRITABLE, "/sys/fs/cgroup")},
	{"mount-sys", DANGER, NOTE, "/sys of the host can be written",
	 .why = "Drivers and settings of the kernel can be changed through it.",
	 .fix = "add the option rro", SOURCE(PATH_AT | PATH_BELOW | SOURCE_WRITABLE, "/sys")},
	{"mount-sys-readonly", NOTE, OK, "/sys of the host is mounted",
	 .why = "It tells much about the machine.", .fix = "mount a filesystem of type sysfs with a network namespace",
	 SOURCE(PATH_AT | PATH_BELOW, "/sys")},
	{"mount-dev", DANGER, RISK, "all devices of the host are mounted",
	 .why = "Disks and memory of the host have names in it; only the device filter keeps them closed.",
	 .fix = "mount a tmpfs, and list what is needed in linux.devices", SOURCE(PATH_AT, "/dev")},
	{"mount-device", RISK, NOTE, "a device of the host is mounted",
	 .why = "What the device can do, it can do.", .fix = "remove this mount, or list the device in linux.devices",
	 SOURCE(PATH_BELOW, "/dev")},
	{"mount-etc", DANGER, RISK, "settings of the host can be written",
	 .why = "Users, passwords and services of the host are made of these files.",
	 .fix = "add the option ro, or mount a copy", SOURCE(PATH_AT | PATH_BELOW | SOURCE_WRITABLE, "/etc")},
	{"mount-keys", RISK, RISK, "keys of the host are mounted",
	 .why = "Who has them gets into other machines and services.",
	 .fix = "remove this mount, and give it a key of its own", SOURCE(PATH_AT | PATH_BELOW, keys)},
	{"mount-secrets", RISK, RISK, "files with secrets of the host are mounted",
	 .why = "Passwords, keys or private files can be in there.",
	 .fix = "mount the one file that is needed, read-only", SOURCE(PATH_AT, secrets)},
	{"mount-etc-readonly", RISK, NOTE, "settings of the host can be read",
	 .why = "Passwords and keys are among them.", .fix = "mount the one file that is needed",
	 SOURCE(PATH_AT, "/etc")},
	{"mount-programs", DANGER, RISK, "programs of the host can be changed",
	 .why = "The host will run what is put there.", .fix = "add the option ro",
	 SOURCE(PATH_AT | PATH_BELOW | SOURCE_WRITABLE, "/usr /bin /sbin /lib /lib32 /lib64 /boot /opt")},
	{"mount-tmp", NOTE, NOTE, "temporary files of the host are mounted",
	 .why = "Sockets and files of others are in there.", .fix = "mount a tmpfs",
	 SOURCE(PATH_AT, "/tmp /var/tmp /dev/shm")},
	{"mount-writable", NOTE, NOTE, "files of the host can be written",
	 .why = "What the host does with them afterwards is in the attacker's hand.",
	 .fix = "add the option ro, unless it is meant to write there",
	 .find = find_other_source, .number = SOURCE_WRITABLE, .property = "/mounts"},
	{"mount-readable", OK, OK, "files of the host can be read", .find = find_other_source, .property = "/mounts"},
	{"mount-shared", RISK, NOTE, "what it mounts there appears on the host",
	 .why = "With CAP_SYS_ADMIN it covers files of the host.",
	 .fix = "replace shared by slave or private in the options", .find = find_shared_mount, .property = "/mounts"},
	{"mount-disk", RISK, RISK, "a disk of the host is mounted",
	 .why = "A filesystem is read by the kernel, which trusts it; what is on it is the host's.",
	 .fix = "mount it on the host, and bind the folder that is needed", .find = find_disk, .property = "/mounts"},
	{"mount-overlay", NOTE, NOTE, "a filesystem made of folders of the host is mounted",
	 .why = "What is in those folders is in it, and what is written goes to one of them.",
	 .fix = "make sure that lowerdir, upperdir and workdir name folders that are for it alone",
	 .find = find_filesystem, .text = "overlay", .property = "/mounts"},
	{"mount-devtmpfs", DANGER, RISK, "all devices of the host are mounted",
	 .why = "It is the host's /dev under another name.", .fix = "mount a tmpfs on /dev",
	 .find = find_filesystem, .text = "devtmpfs", .property = "/mounts"},
	{"mount-kernel", RISK, NOTE, "a filesystem of the kernel's innards is mounted",
	 .why = "It is meant for root of the host, to debug and configure the kernel.",
	 .fix = "remove this mount", .find = find_filesystem, .property = "/mounts",
	 .text = "debugfs tracefs securityfs configfs bpf efivarfs binfmt_misc pstore nfsd selinuxfs"},
	{"sysfs-writable", RISK, NOTE, "/sys can be written", .by_root = true,
	 .why = "Drivers and settings of the kernel can be changed through it.",
	 .fix = "add the option ro", .find = find_writable_mount, .text = "sysfs", .property = "/mounts"},
	{"cgroup-writable", RISK, OK, "its cgroups can be written", .by_root = true,
	 .why = "Root of the host lifts its own limits there.",
	 .fix = "add the option ro, or a user namespace", .find = find_writable_cgroups, .number = 1, .property = "/mounts"},
	{"cgroup-writable-host", DANGER, NOTE, "cgroups of the whole host can be written", .by_root = true,
	 .why = "It changes limits of others, freezes and kills them.",
	 .fix = "add the option ro, and {\"type\": \"cgroup\"} to linux.namespaces",
	 .find = find_writable_cgroups, .number = 0, .property = "/mounts"},

	/* paths of the kernel */
	{"proc-settings", DANGER, OK, "settings of the kernel can be written", .by_root = true,
	 .why = "One of them names a program that the host runs as root.",
	 .fix = "add the paths to linux.readonlyPaths", .good = "settings of the kernel cannot be written",
	 .find = find_writable_path, .text = "/proc/sys", .property = "/linux/readonlyPaths"},
	{"proc-sysrq", RISK, OK, "keys of the console can be sent", .by_root = true,
	 .why = "One of them restarts the machine at once.",
	 .fix = "add the paths to linux.readonlyPaths",
	 .find = find_writable_path, .text = "/proc/sysrq-trigger", .property = "/linux/readonlyPaths"},
	{"proc-hardware", NOTE, OK, "hardware is reachable through /proc", .by_root = true,
	 .why = "Writing there reaches devices and interrupts of the host.",
	 .fix = "add the paths to linux.readonlyPaths",
	 .find = find_writable_path, .text = "/proc/bus /proc/fs /proc/irq", .property = "/linux/readonlyPaths"},
	{"proc-kcore", RISK, OK, "the memory of the host has a name", .by_root = true,
	 .why = "With CAP_SYS_RAWIO all of it can be read.", .fix = "add the paths to linux.maskedPaths",
	 .find = find_unmasked, .text = "/proc/kcore", .property = "/linux/maskedPaths"},
	{"proc-unmasked", NOTE, NOTE, "paths that tell about the host are not masked",
	 .why = "Keys, timers and devices of others can be seen.", .fix = "add the paths to linux.maskedPaths",
	 .find = find_unmasked, .property = "/linux/maskedPaths",
	 .text = "/proc/acpi /proc/asound /proc/interrupts /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats /proc/sched_debug /proc/scsi"},
	{"sys-unmasked", NOTE, NOTE, "paths that tell about the hardware are not masked",
	 .why = "Firmware, and the power that others use, from which secrets were guessed, can be read.",
	 .fix = "add the paths to linux.maskedPaths", .find = find_unmasked, .property = "/linux/maskedPaths",
	 .text = "/sys/firmware /sys/devices/virtual/powercap"},

	/* devices */
	{"devices-open", DANGER, RISK, "devices of the host may be used",
	 .why = "With a node of it, disks and memory can be read and written past all permissions.",
	 .fix = "let it have a cgroup, begin linux.resources.devices with {\"allow\": false, \"access\": \"rwm\"} and allow what is needed",
	 .good = "the device filter keeps disks and memory of the host closed",
	 .find = find_open_devices, .property = "/linux/resources/devices"},
	{"device-memory", DANGER, RISK, "a device reaches the memory of the host",
	 .why = "All that the machine does can be read there, or changed.", .fix = "remove it from linux.devices",
	 .find = find_device, .text = "c 1:1,c 1:2,c 1:4,c 10:196", .property = "/linux/devices"},
	{"device-disk", DANGER, RISK, "a device is a disk of the host",
	 .why = "What is on it can be read and written past all permissions.", .fix = "remove it from linux.devices",
	 .find = find_device, .text = "b *:*", .property = "/linux/devices"},
	{"device-ordinary", OK, OK, "a device without risk", .find = find_device, .property = "/linux/devices",
	 .text = "c 1:3,c 1:5,c 1:7,c 1:8,c 1:9,c 5:0,c 5:2"},
	{"device-input", RISK, NOTE, "a device reaches keyboard, screen or console",
	 .why = "What is typed and shown can be read, or made up.", .fix = "remove it from linux.devices",
	 .find = find_device, .text = "c 4:*,c 5:1,c 7:*,c 13:*,c 29:*,c 10:223", .property = "/linux/devices"},
	{"device-other", NOTE, NOTE, "a device of the host is in it",
	 .why = "Its driver can be attacked, and what the device can do, it can do.", .fix = "remove it from linux.devices unless it is needed",
	 .find = find_device, .text = "c *:*", .property = "/linux/devices"},
	{"net-device", NOTE, NOTE, "a network device of the host is moved into it",
	 .why = "It reaches the network that the device is connected to.", .fix = "remove it from linux.netDevices unless it is needed",
	 .find = find_net_device, .property = "/linux/netDevices"},

	/* limits */
	{"limit-memory", RISK, RISK, "its memory is not limited",
	 .why = "It can take all of the host's, until the kernel ends programs of others.",
	 .fix = "set linux.resources.memory.limit, in bytes", .good = "its memory is limited",
	 .find = find_unlimited_memory, .property = "/linux/resources/memory"},
	{"limit-pids", RISK, RISK, "the number of its processes is not limited",
	 .why = "It can make so many that nobody else can make one.",
	 .fix = "set linux.resources.pids.limit", .good = "the number of its processes is limited",
	 .find = find_unlimited_pids, .property = "/linux/resources/pids"},
	{"limit-cpu", NOTE, NOTE, "its processor time is not limited",
	 .why = "It can keep all processors busy, and the others waiting.",
	 .fix = "set linux.resources.cpu.quota and period, or cpus", .good = "its processor time is limited",
	 .find = find_unlimited_cpu, .property = "/linux/resources/cpu"},
	{"realtime", RISK, RISK, "it goes before everybody else",
	 .why = "While it wants to run, others wait, also those who could stop it.",
	 .fix = "use another scheduler or class", .find = find_realtime, .property = "/process"},
	{"oom-protected", NOTE, NOTE, "others are ended before it when memory is short",
	 .why = "A negative score protects it at the cost of programs of the host.",
	 .fix = "make process.oomScoreAdj 0 or more", .find = find_oom_protection, .property = "/process/oomScoreAdj"},

	/* hooks */
	{"hook-in-rootfs", DANGER, DANGER, "the host runs a program of the container",
	 .why = "Who can change that file gets it executed outside, with the rights of who makes the container.",
	 .fix = "move the hook out of the root filesystem", .find = find_hook_in_rootfs, .property = "/hooks"},
	{0},
};
/* clang-format on */
