# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2086,SC2154
# SELinux with the policy of selinux.conf: labels of processes, of their keyring and of mounts,
# and what follows from them. In a guest of its own: a kernel has AppArmor or SELinux.
. /guest/lib.sh

mount -t selinuxfs selinux /sys/fs/selinux
dd if=/guest/policy of=/sys/fs/selinux/load bs=1M 2>/dev/null
echo 1 >/sys/fs/selinux/enforce

box=all_u:all_r:box_t
file=all_u:object_r:box_file_t

# domain LABEL [MORE]: of the process of the next bundle, which has a tmpfs for its files.
domain() {
	process="\"selinuxLabel\": \"$1\",${2-}"
	linux="\"mountLabel\": \"$file\","
	mounts=', {"destination": "/files", "type": "tmpfs", "source": "tmpfs"}'
}

current='cat /proc/self/attr/current; echo'
files='touch /files/x && echo made; touch /tmp/x'

# What the scripts above say in a container of box_t.
confined() {
	grep -q "^$box" "$1"
	grep -qx made "$1"
	grep -q '/tmp/x: Permission denied' "$1"
	[ ! -e /b/rootfs/tmp/x ]
}

# label PID: of a process.
label() {
	tr -d '\0' <"/proc/$1/attr/current"
}

is_labelled() {
	[ "$(label "$1")" = "$2" ]
}

pid() {
	hako state c | sed -n 's/^ *"pid": *\([0-9]*\).*/\1/p'
}

# --- create, run ------------------------------------------------------------

applied() {
	domain $box
	run '' "$current; $files"
	confined /tmp/out
}
check selinux_label applied

not_asked_for() {
	run '' "$current; touch /tmp/x"
	grep -q '^all_u:all_r:host_t' /tmp/out
	[ -e /b/rootfs/tmp/x ]
}
check selinux_no_label not_asked_for

no_new_privileges() {
	domain all_u:all_r:host_t '"noNewPrivileges": true,'
	run '' "$current"
	grep -q '^all_u:all_r:host_t' /tmp/out
}
check selinux_no_new_privileges no_new_privileges

with_start() {
	domain $box
	bundle ''
	create
	[ "$(label "$(pid)")" = all_u:all_r:host_t ]
	hako start c
	eventually is_labelled "$(pid)" $box
	delete
}
check selinux_from_start_on with_start

unknown_label() {
	domain all_u:all_r:unknown_t
	bundle '' 'touch /tmp/ran'
	fails 1 hako run --bundle /b c
	grep -q '/process/selinuxLabel: .*unknown_t to attr/exec .*: invalid argument$' /tmp/err
	[ ! -e /b/rootfs/tmp/ran ]
}
check selinux_unknown_label unknown_label

apparmor() {
	process='"apparmorProfile": "unconfined",'
	bundle '' 'touch /tmp/ran'
	fails 1 hako run --bundle /b c
	grep -q 'AppArmor is not enabled' /tmp/err
	[ ! -e /b/rootfs/tmp/ran ]
}
check apparmor_is_not_enabled apparmor

# Unless it has the label of the process, it may not see it.
keyring() {
	domain $box
	run '' 'cat /proc/keys'
	grep -q '_ses\.c: ' /tmp/out
	bundle ''
	start
	hako exec c cat /proc/keys >/tmp/out
	grep -q '_ses\.c: ' /tmp/out
	hako exec --process-label all_u:all_r:host_t c cat /proc/keys >/tmp/out
	delete
}
check selinux_keyring keyring

user_namespace() {
	domain $box
	map='[{"containerID": 0, "hostID": 0, "size": 65536}]'
	namespaces=', {"type": "user"}'
	linux="$linux\"uidMappings\": $map, \"gidMappings\": $map,"
	run '' "$current; $files"
	confined /tmp/out
	bundle ''
	start
	hako exec c sh -c "$current; $files" >/tmp/out 2>&1 || :
	cat /tmp/out
	confined /tmp/out
	delete
}
check selinux_in_a_user_namespace user_namespace

# The root of its mqueue belongs to the host's root, and cannot be labelled from inside.
shifted_user_namespace() {
	domain $box
	map='[{"containerID": 0, "hostID": 100000, "size": 65536}]'
	namespaces=', {"type": "user"}'
	linux="$linux\"uidMappings\": $map, \"gidMappings\": $map,"
	mounts=', {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"}'
	run '' 'echo ran'
	grep -qx ran /tmp/out
}
check selinux_mount_label_without_its_owner shifted_user_namespace

# --- exec -------------------------------------------------------------------

in_exec() {
	domain $box
	bundle ''
	start
	hako exec c sh -c "$current; $files" >/tmp/out 2>&1 || :
	cat /tmp/out
	confined /tmp/out
	hako exec --process-label all_u:all_r:other_t c sh -c "$current" >/tmp/out
	grep -q '^all_u:all_r:other_t' /tmp/out
	echo '{"args": ["/bin/cat", "/proc/self/attr/current"], "cwd": "/"}' >/tmp/process
	hako exec --process /tmp/process c >/tmp/out
	grep -q "^$box" /tmp/out
	fails 255 hako exec --process-label all_u:all_r:unknown_t c true
	delete
}
check selinux_exec in_exec

# --- mounts -----------------------------------------------------------------

mount_options() {
	grep ' /files ' /tmp/out | grep -q "$1=$file"
	grep ' /dev ' /tmp/out | grep -q "$1=$file"
	not grep -q ' /\(proc\|sys\|cgroup\) .*context' /tmp/out
}

mounts() {
	domain $box
	linux=$linux'"maskedPaths": ["/proc/acpi", "/proc/bus"],'
	mounts="$mounts"', {"destination": "/dev/pts", "type": "devpts", "source": "devpts"},
		{"destination": "/sys", "type": "sysfs", "source": "sysfs"},
		{"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"}'
	run '' 'cat /proc/self/mounts; touch /dev/mqueue/q && echo queue'
	mount_options context
	grep ' /dev/pts ' /tmp/out | grep -q "context=$file"
	grep ' /proc/bus ' /tmp/out | grep -q "context=$file"
	grep -qx queue /tmp/out
}
check selinux_mount_label mounts

rootcontext() {
	domain $box
	bundle '' 'cat /proc/self/mounts; touch /files/x && echo made'
	sed -i 's/"linux": {/"annotations": {"run.oci.mount_context_type": "rootcontext"},\n&/' /b/config.json
	hako run --bundle /b c </dev/null >/tmp/out
	mount_options rootcontext
	grep -qx made /tmp/out
}
check selinux_mount_context_type rootcontext

unknown_mount_label() {
	linux='"mountLabel": "all_u:object_r:unknown_t",'
	bundle '' 'touch /tmp/ran'
	fails 1 hako run --bundle /b c
	grep -q '/linux/mountLabel: .*unknown_t.*invalid argument$' /tmp/err
	[ ! -e /b/rootfs/tmp/ran ]
}
check selinux_unknown_mount_label unknown_mount_label
