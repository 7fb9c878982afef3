# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2086,SC2154
# What limits do to the processes of a container.
. /guest/lib.sh

# --- memory, pids, cpu ------------------------------------------------------

over_memory_max() {
	run '"memory": {"limit": 33554432, "swap": 33554432}' 'exec tail /dev/zero'
	[ "$status" = 137 ]
}
check over_memory_max_init_is_killed over_memory_max

over_memory_max_child() {
	run '"memory": {"limit": 33554432, "swap": 33554432}' \
		'tail /dev/zero; echo tail $?; grep oom_kill /cgroup/memory.events'
	[ "$status" = 0 ]
	grep -q 'tail 137' /tmp/out
	grep -q 'oom_kill 1' /tmp/out
}
check over_memory_max_child_is_killed over_memory_max_child

# What hako itself needs for a container counts as well.
create_out_of_memory() {
	bundle '"memory": {"limit": 16384, "swap": 16384}'
	fails 1 hako create --bundle /b c
	grep -q '/linux/resources/memory/limit: .* limit of 16384 bytes (memory.max) is too low' /tmp/err
	fails 1 hako run --bundle /b c
	grep -q '/linux/resources/memory/limit: .* limit of 16384 bytes (memory.max) is too low' /tmp/err
}
check create_out_of_memory_is_named create_out_of_memory

# They need much memory themselves.
has_sanitizers() {
	grep -q __asan_init "$(command -v hako)"
}

# works RUNTIME KIB [TIMES]: a container of so little memory, and that not by chance.
works() {
	bundle "\"memory\": {\"limit\": $(($2 * 1024))}"
	sed -i 's|"/bin/sh", "/script"|"/bin/true"|' /b/config.json
	for _ in $(seq "${3:-3}"); do
		$1 run --bundle /b c </dev/null >/tmp/out 2>&1 || return 1
	done
}

smallest() {
	for kib in $(seq 64 4 512); do
		if works $1 $kib; then
			echo $kib
			return
		fi
	done 2>/dev/null
	return 1
}

# How much is charged in advance depends on the processor, how many page tables there are
# on addresses: one of the former, and always the same of the latter. What is left is most
# of all what the program itself needs.
smallest_memory() {
	if has_sanitizers; then return; fi
	online=/sys/devices/system/cpu/cpu1/online
	random=/proc/sys/kernel/randomize_va_space
	echo 0 >$online
	echo 0 >$random
	hako=$(smallest hako) || :
	other=512
	! command -v crun || other=$(smallest crun)
	echo 2 >$random
	echo 1 >$online
	[ "$hako" -le 128 ]
	[ "$hako" -le "$other" ]
}
check smallest_memory

# On several processors too, where the kernel takes its time to give back what it has
# charged in advance.
little_memory() {
	if has_sanitizers; then return; fi
	for kib in 160 256; do
		works hako $kib 10
	done
}
check little_memory

exec_out_of_memory() {
	bundle '"memory": {"limit": 33554432, "swap": 33554432}'
	start
	cat $cgroups/c/memory.current >$cgroups/c/memory.max
	n=0
	while hako exec --detach c sleep 1000 2>/tmp/err; do # what is charged in advance may be enough
		n=$((n + 1))
		[ $n -lt 50 ]
	done
	cat /tmp/err
	grep -q "limit of $(cat $cgroups/c/memory.max) bytes (memory.max) is too low" /tmp/err
	delete
}
check exec_out_of_memory_is_named exec_out_of_memory

over_pids_max() {
	run '"pids": {"limit": 4}' 'for i in 1 2 3 4 5 6; do sleep 1000 & done; echo all'
	[ "$status" != 0 ]
	grep -q "can't fork" /tmp/out
	not grep -q all /tmp/out
}
check over_pids_max_fork_fails over_pids_max

exec_over_pids_max() {
	bundle '"pids": {"limit": 1}'
	start
	fails 255 hako exec c true
	is running
	counts pids.events max 0
	delete
}
check over_pids_max_exec_fails exec_over_pids_max

throttled() {
	bundle '"cpu": {"quota": 10000, "period": 100000}' 'while :; do :; done'
	start
	eventually counts cpu.stat nr_throttled 3
	delete
}
check cpu_max_throttles throttled

slow_disk() {
	device=$(awk '$5 == "/disk" { print $3 }' /proc/self/mountinfo)
	mounts=', {"destination": "/disk", "type": "bind", "source": "/disk", "options": ["rbind"]}'
	write='dd if=/dev/zero of=/disk/x bs=256k count=12 conv=fsync 2>/dev/null; rm /disk/x'
	for _ in 1 2 3 4 5; do # the guest itself may have to wait
		begin=$(seconds)
		run '' "$write"
		took=$(($(seconds) - begin))
		[ $took -ge 2 ] || break
	done
	[ $took -lt 2 ]
	begin=$(seconds)
	run "\"blockIO\": {\"throttleWriteBpsDevice\": [
		{\"major\": ${device%:*}, \"minor\": ${device#*:}, \"rate\": 1048576}]}" \
		"$write; cat /cgroup/io.max"
	[ $(($(seconds) - begin)) -ge 2 ]
	grep -q "^$device rbps=max wbps=1048576 " /tmp/out
}
check io_max_slows_a_write slow_disk

pinned() {
	run '"cpu": {"cpus": "1"}' 'grep Cpus_allowed_list /proc/self/status'
	[ "$(cut -f 2 /tmp/out)" = 1 ]
}
check cpuset_pins pinned

# The container's own mount of its cgroup shows its limits, and only them.
own_view() {
	run '"memory": {"limit": 67108864}' 'cat /proc/self/cgroup /cgroup/memory.max'
	[ "$(cat /tmp/out)" = "0::/
67108864" ]
}
check container_sees_its_limits own_view

# --- devices ----------------------------------------------------------------

devices_denied() {
	run '"devices": [{"allow": false, "access": "rwm"}]' '
		mknod /dev/kmsg c 1 11 && echo made
		head -c 1 /dev/kmsg
		mknod /dev/disk b 7 0
		head -c 1 /dev/disk
		head -c 4 /dev/zero | wc -c
		echo x >/dev/null && echo written'
	grep -q made /tmp/out
	grep -q 'kmsg: Operation not permitted' /tmp/out
	grep -q 'disk: Operation not permitted' /tmp/out
	grep -qx 4 /tmp/out
	grep -q written /tmp/out
}
check devices_denied

# No driver has the numbers 240 to 254: "no such device" is what comes after "allowed".
devices_allowed() {
	run '"devices": [
		{"allow": false, "access": "rwm"},
		{"allow": true, "type": "c", "major": 240, "minor": 1, "access": "rm"},
		{"allow": true, "type": "b", "major": 240, "access": "rwm"}]' '
		mknod /dev/readable c 240 1
		mknod /dev/other c 240 2
		mknod /dev/disk b 240 9
		mknod /dev/otherdisk b 241 9
		for name in readable other disk otherdisk; do
			(: </dev/$name)
			(: >/dev/$name)
		done'
	grep -q 'open /dev/readable: No such' /tmp/out
	grep -q 'create /dev/readable: Operation not permitted' /tmp/out
	grep -q 'open /dev/other: Operation not permitted' /tmp/out
	grep -q 'create /dev/other: Operation not permitted' /tmp/out
	grep -q 'open /dev/disk: No such' /tmp/out
	grep -q 'create /dev/disk: No such' /tmp/out
	grep -q 'open /dev/otherdisk: Operation not permitted' /tmp/out
}
check devices_allowed

devices_later_rules_win() {
	run '"devices": [
		{"allow": true, "access": "rwm"},
		{"allow": false, "type": "c", "major": 240, "minor": 1, "access": "rw"}]' '
		mknod /dev/denied c 240 1
		mknod /dev/other c 240 2
		: </dev/null
		(: </dev/denied)
		(: </dev/other)'
	grep -q 'open /dev/denied: Operation not permitted' /tmp/out
	grep -q 'open /dev/other: No such' /tmp/out
}
check devices_later_rules_win

devices_exec() {
	bundle '"devices": [{"allow": false, "access": "rwm"}]' 'mknod /dev/denied c 240 1; sleep 1000'
	start
	eventually hako exec c test -e /dev/denied
	fails 1 hako exec c head -c 1 /dev/denied
	grep -q 'denied: Operation not permitted' /tmp/err
	delete
}
check devices_filter_holds_for_exec devices_exec

# --- freezing and killing ---------------------------------------------------

pause() {
	bundle '' 'while :; do echo x >>/tmp/count; usleep 1000; done'
	start
	eventually test -s /b/rootfs/tmp/count
	hako pause c
	is paused
	counts cgroup.events frozen 0
	before=$(wc -c </b/rootfs/tmp/count)
	usleep 200000
	[ "$(wc -c </b/rootfs/tmp/count)" = "$before" ]
	hako resume c
	is running
	eventually counts_more "$before"
	delete
}
counts_more() {
	[ "$(wc -c </b/rootfs/tmp/count)" -gt "$1" ]
}
check pause_freezes pause

delete_paused() {
	bundle '"pids": {"limit": 20}' 'sleep 1000 & sleep 1000'
	start
	hako pause c
	delete
	[ ! -e $cgroups/c ]
}
check delete_force_of_paused delete_paused

fork_bomb() {
	bundle '"pids": {"limit": 60}' 'bomb() { bomb & bomb & while :; do :; done; }; bomb'
	start
	eventually counts pids.events max 0
	delete
	[ ! -e $cgroups/c ]
}
check delete_force_of_fork_bomb fork_bomb

sub_cgroups() {
	bundle '"pids": {"limit": 20}'
	start
	mkdir -p $cgroups/c/a/b $cgroups/c/d
	sleep 1000 &
	echo $! >$cgroups/c/a/b/cgroup.procs
	delete
	wait $! || [ $? = 137 ]
	[ ! -e $cgroups/c ]
}
check delete_force_with_sub_cgroups sub_cgroups
