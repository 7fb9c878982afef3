# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2086,SC2154
# AppArmor: which profile processes of a container have, and what it forbids them.
. /guest/lib.sh

apparmor_parser --replace --skip-cache --quiet <<-'END' || echo 'no profiles could be loaded' >&2
	profile inner flags=(attach_disconnected, mediate_deleted) {
		file, capability, network, mount, umount, signal, ptrace, unix,
		deny /tmp/forbidden w,
	}
	profile other flags=(attach_disconnected, mediate_deleted) {
		file, capability, network, mount, umount, signal, ptrace, unix,
	}
	profile outer flags=(attach_disconnected, mediate_deleted) {
		file, capability, network, mount, umount, remount, pivot_root, signal, ptrace, unix,
		change_profile,
	}
END

# profile NAME [MORE]: of the process of the next bundle.
profile() {
	process="\"apparmorProfile\": \"$1\",${2-}"
}

current='cat /proc/self/attr/apparmor/current'
forbidden="$current; touch /tmp/allowed && echo allowed; touch /tmp/forbidden"

# What the script $forbidden says in a container of profile inner.
confined() {
	[ "$(sed -n 1p "$1")" = 'inner (enforce)' ]
	grep -q allowed "$1"
	grep -q 'forbidden: Permission denied' "$1"
	[ ! -e /b/rootfs/tmp/forbidden ]
}

# label PID: of a process.
label() {
	cat "/proc/$1/attr/apparmor/current"
}

is_labelled() {
	[ "$(label "$1")" = "$2" ]
}

pid() {
	hako state c | sed -n 's/^ *"pid": *\([0-9]*\).*/\1/p'
}

# --- create, run ------------------------------------------------------------

applied() {
	profile inner
	run '' "$forbidden"
	confined /tmp/out
}
check apparmor_profile applied

not_asked_for() {
	run '' "$current; touch /tmp/forbidden"
	[ "$(cat /tmp/out)" = unconfined ]
	[ -e /b/rootfs/tmp/forbidden ]
}
check apparmor_no_profile not_asked_for

unconfined() {
	profile unconfined
	run '' "$current"
	[ "$(cat /tmp/out)" = unconfined ]
}
check apparmor_unconfined unconfined

no_new_privileges() {
	profile inner '"noNewPrivileges": true,'
	run '' "$forbidden; grep NoNewPrivs /proc/self/status"
	confined /tmp/out
	grep -q 'NoNewPrivs:.1' /tmp/out
}
check apparmor_no_new_privileges no_new_privileges

with_start() {
	profile inner
	bundle ''
	create
	[ "$(label "$(pid)")" = unconfined ]
	hako start c
	eventually is_labelled "$(pid)" 'inner (enforce)'
	delete
}
check apparmor_from_start_on with_start

# Hooks that run in the container at last have it too; those before the pivot have not.
hooks() {
	profile inner
	bundle '' true
	hook='[{"path": "/bin/sh", "args": ["sh", "-c", "cat /proc/self/attr/apparmor/current >/tmp/HOOK"]}]'
	echo "\"hooks\": {\"startContainer\": $hook, \"createRuntime\": $hook}," >/tmp/hooks
	sed -i 's/HOOK/start/; s/HOOK/create/' /tmp/hooks
	sed -i '/"root": {/{
		r /tmp/hooks
		N
	}' /b/config.json
	hako run --bundle /b c </dev/null
	[ "$(cat /b/rootfs/tmp/start)" = 'inner (enforce)' ]
	[ "$(cat /tmp/create)" = unconfined ]
}
check apparmor_of_hooks hooks

missing() {
	profile missing
	bundle '' 'touch /tmp/ran'
	fails 1 hako run --bundle /b c
	grep -q '/process/apparmorProfile: .*no AppArmor profile missing is loaded$' /tmp/err
	[ ! -e /b/rootfs/tmp/ran ]
}
check apparmor_missing_profile missing

map_ids() {
	map='[{"containerID": 0, "hostID": 0, "size": 65536}]'
	namespaces=', {"type": "user"}' linux="\"uidMappings\": $map, \"gidMappings\": $map,"
}

user_namespace() {
	profile inner
	map_ids
	linux=$linux'"maskedPaths": ["/proc/kcore", "/proc/acpi"], "readonlyPaths": ["/proc/sys"],'
	run '' "$forbidden"
	confined /tmp/out
	rm /b/rootfs/tmp/allowed
	bundle ''
	start
	hako exec c sh -c "$forbidden" >/tmp/out 2>&1 || :
	cat /tmp/out
	confined /tmp/out
	delete
}
check apparmor_in_a_user_namespace user_namespace

rootless() {
	profile inner
	map='[{"containerID": 0, "hostID": 1000, "size": 1}]'
	namespaces=', {"type": "user"}' linux="
		\"uidMappings\": $map, \"gidMappings\": $map,
		\"maskedPaths\": [\"/proc/kcore\"], \"readonlyPaths\": [\"/proc/sys\"],"
	bundle '' "$forbidden; sleep 1000"
	sed -i '/cgroupsPath/d' /b/config.json
	su -s /bin/sh user -c 'hako --root /run/user run --detach --bundle /b c' >/tmp/out 2>&1
	eventually grep -q forbidden /tmp/out
	confined /tmp/out
	rm /b/rootfs/tmp/allowed
	su -s /bin/sh user -c "hako --root /run/user exec c sh -c '$forbidden'" >/tmp/out 2>&1 || :
	cat /tmp/out
	confined /tmp/out
	su -s /bin/sh user -c 'hako --root /run/user delete --force c'
}
check apparmor_rootless rootless

# hako itself is confined and may gain nothing: the profiles add up.
stacked() {
	profile inner '"noNewPrivileges": true,'
	bundle '' "$forbidden"
	echo 'exec outer' >/proc/self/attr/apparmor/exec
	hako run --bundle /b c </dev/null >/tmp/out 2>&1 || :
	cat /tmp/out
	[ "$(sed -n 1p /tmp/out)" = 'inner//&outer (enforce)' ]
	grep -q allowed /tmp/out
	grep -q 'forbidden: Permission denied' /tmp/out
}
check apparmor_stacks_under_no_new_privileges stacked

changed() {
	profile inner
	bundle '' "$forbidden"
	echo 'exec outer' >/proc/self/attr/apparmor/exec
	hako run --bundle /b c </dev/null >/tmp/out 2>&1 || :
	cat /tmp/out
	confined /tmp/out
}
check apparmor_changes_without_it changed

# --- exec -------------------------------------------------------------------

inherited() {
	profile inner
	bundle ''
	start
	hako exec c sh -c "$forbidden" >/tmp/out 2>&1 || :
	cat /tmp/out
	confined /tmp/out
	rm /b/rootfs/tmp/allowed
	echo '{"args": ["/bin/sh", "-c", "'"$forbidden"'"], "cwd": "/", "env": ["PATH=/bin"]}' >/tmp/process
	hako exec --process /tmp/process c >/tmp/out 2>&1 || :
	cat /tmp/out
	confined /tmp/out
	delete
}
check apparmor_exec_inherits inherited

exec_asks() {
	profile inner
	bundle ''
	start
	[ "$(hako exec --apparmor other c $current)" = 'other (enforce)' ]
	[ "$(hako exec --apparmor unconfined c $current)" = unconfined ]
	echo '{"args": ["/bin/cat", "/proc/self/attr/apparmor/current"], "cwd": "/",
		"apparmorProfile": "other"}' >/tmp/process
	[ "$(hako exec --process /tmp/process c)" = 'other (enforce)' ]
	[ "$(hako exec --process /tmp/process --apparmor inner c)" = 'inner (enforce)' ]
	fails 255 hako exec --apparmor missing c true
	grep -q 'no AppArmor profile missing is loaded' /tmp/err
	delete
}
check apparmor_exec_asks_for_one exec_asks

# What stands in the container's /proc is not even looked at (CVE-2025-52881).
fake_proc() {
	mkdir -p /b/rootfs/proc/self/attr/apparmor
	for file in exec current apparmor/exec apparmor/current; do
		echo fake >/b/rootfs/proc/self/attr/$file
	done
	ln -s self /b/rootfs/proc/thread-self
	bundle ''
	sed -i '/"destination": "\/proc"/d' /b/config.json
	start
	[ "$(cat /b/rootfs/proc/self/attr/exec)" = fake ]
	hako exec --detach --pid-file /tmp/pid --apparmor inner c sleep 1000
	eventually is_labelled "$(cat /tmp/pid)" 'inner (enforce)'
	for file in exec current apparmor/exec apparmor/current; do
		[ "$(cat /b/rootfs/proc/self/attr/$file)" = fake ]
	done
	delete
	rm -r /b/rootfs/proc/self /b/rootfs/proc/thread-self
}
check apparmor_fake_proc fake_proc

# The kernel lets nobody mount a procfs in there.
fake_proc_in_a_user_namespace() {
	map_ids
	fake_proc
}
check apparmor_fake_proc_in_a_user_namespace fake_proc_in_a_user_namespace

# A label of the other module is refused.
selinux() {
	process='"selinuxLabel": "system_u:system_r:container_t:s0",'
	bundle '' 'touch /tmp/ran'
	fails 1 hako run --bundle /b c
	grep -q '/process/selinuxLabel: .*invalid argument$' /tmp/err
	process=''
	linux='"mountLabel": "system_u:object_r:container_file_t:s0",'
	bundle '' 'touch /tmp/ran'
	fails 1 hako run --bundle /b c
	grep -q '/linux/mountLabel: .*invalid argument$' /tmp/err
	[ ! -e /b/rootfs/tmp/ran ]
}
check selinux_is_not_enabled selinux
