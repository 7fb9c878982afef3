# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2086,SC2154
# The commands on this kernel, by root and by an ordinary user.
. /guest/lib.sh

commands() {
	bundle '"pids": {"limit": 20}' 'trap "echo ended >/tmp/ended; exit 3" TERM
		echo ready >/tmp/ready
		while :; do usleep 10000; done'
	create
	is created
	hako start c
	is running
	eventually test -e /b/rootfs/tmp/ready
	status=0
	hako exec c sh -c 'cat /proc/self/cgroup; exit 5' >/tmp/out || status=$?
	[ $status = 5 ]
	[ "$(cat /tmp/out)" = 0::/ ]
	hako list | grep -q running
	fails 1 hako delete c
	hako kill c TERM
	eventually is stopped
	[ -s /b/rootfs/tmp/ended ]
	hako delete c
	fails 1 hako state c
	hako delete --force c
}
check create_start_exec_kill_delete commands

run_status() {
	run '' 'echo hello; exit 7'
	[ "$status" = 7 ]
	[ "$(cat /tmp/out)" = hello ]
}
check run_gives_the_status run_status

# What `spec` writes has nearly every layer in it.
spec() {
	rm /b/config.json
	hako spec --bundle /b
	sed -i 's/"terminal": true/"terminal": false/' /b/config.json
	echo 'echo hello; exit 7' >/tmp/in
	status=0
	hako run --bundle /b c </tmp/in >/tmp/out || status=$?
	[ $status = 7 ]
	[ "$(cat /tmp/out)" = hello ]
}
check spec_runs spec

# Each in a cgroup of its own; what is left behind is looked for after each check.
in_parallel() {
	bundle '"memory": {"limit": 67108864}, "pids": {"limit": 20}'
	sed -i '/cgroupsPath/d' /b/config.json
	for number in $(seq 50); do
		(
			hako create --bundle /b "p$number" </dev/null
			hako start "p$number"
			[ "$(cat "$cgroups/p$number/pids.max")" = 20 ]
			hako delete --force "p$number"
		) &
		eval "job$number=$!"
	done
	for number in $(seq 50); do
		eval "wait \$job$number"
	done
	[ -z "$(ls /run/hako)" ]
}
check fifty_containers_in_parallel in_parallel

# A cgroup that hands controllers down holds no process: exec goes where init is.
own_sub_cgroups() {
	bundle '"pids": {"limit": 20}'
	start
	mkdir $cgroups/c/a $cgroups/c/b
	cat $cgroups/c/cgroup.procs >$cgroups/c/a/cgroup.procs
	echo '+memory +pids' >$cgroups/c/cgroup.subtree_control
	[ "$(hako exec c cat /proc/self/cgroup)" = 0::/a ]
	[ "$(hako exec --cgroup b c cat /proc/self/cgroup)" = 0::/b ]
	fails 255 hako exec --cgroup ../.. c true
	grep -q 'leads out of' /tmp/err
	delete
}
check exec_with_sub_cgroups own_sub_cgroups

# --- an ordinary user -------------------------------------------------------

# The next bundles are for the user, who is root in their containers.
rootless() {
	map='[{"containerID": 0, "hostID": 1000, "size": 1}]'
	namespaces=', {"type": "user"}' linux="
				\"uidMappings\": $map,
				\"gidMappings\": $map,"
}

user_hako() {
	su -s /bin/sh user -c "exec hako --root /run/user $*"
}

rootless_without_limits() {
	rootless
	bundle '' 'id -u; echo done'
	sed -i '/cgroupsPath/d' /b/config.json
	user_hako run --bundle /b c >/tmp/out
	[ "$(tr '\n' ' ' </tmp/out)" = '0 done ' ]
}
check rootless_without_limits

rootless_spec() {
	rm /b/config.json
	hako spec --rootless --file /tmp/spec
	sed 's/"hostID": 0/"hostID": 1000/; s/"terminal": true/"terminal": false/' /tmp/spec >/b/config.json
	echo 'id -u; exit 7' >/tmp/in
	status=0
	user_hako run --bundle /b c </tmp/in >/tmp/out || status=$?
	[ $status = 7 ]
	[ "$(cat /tmp/out)" = 0 ]
}
check rootless_spec_runs rootless_spec

rootless_limits_refused() {
	rootless
	bundle '"pids": {"limit": 20}'
	fails 1 user_hako run --bundle /b c
	grep -q 'config\.json:[0-9]*:[0-9]* /linux/resources/pids/limit: .*delegate' /tmp/err
}
check rootless_limits_refused

# What systemd does with Delegate=yes: the user's own subtree, with the user's processes in it.
rootless_delegated() {
	echo +memory +pids >$cgroups/cgroup.subtree_control
	mkdir -p $cgroups/mine/shell
	chown user $cgroups/mine $cgroups/mine/cgroup.procs $cgroups/mine/cgroup.subtree_control \
		$cgroups/mine/shell $cgroups/mine/shell/cgroup.procs
	cgroup=/mine/c
	rootless
	bundle '"memory": {"limit": 67108864}, "pids": {"limit": 20}'
	(
		echo 0 >$cgroups/mine/shell/cgroup.procs
		user_hako create --bundle /b c
	)
	holds memory.max 67108864
	holds pids.max 20
	user_hako delete --force c
	[ ! -e $cgroups/mine/c ]
	rmdir $cgroups/mine/shell $cgroups/mine
}
check rootless_delegated
