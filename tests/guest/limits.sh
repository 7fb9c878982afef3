# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2086,SC2154
# linux.resources, read back from the files of the container's cgroup: limits of containers
# that were created and not started. The conversions are those of runc and crun.
. /guest/lib.sh

# limits RESOURCES FILE=VALUE...
limits() {
	bundle "$1"
	shift
	create
	for pair; do
		holds "${pair%%=*}" "${pair#*=}"
	done
	delete
}

# --- controllers ------------------------------------------------------------

# From a root that hands nothing down, as the kernel has it at first.
deep_path() {
	sed 's/[a-z]*/-&/g' $cgroups/cgroup.subtree_control >/tmp/off
	cat /tmp/off >$cgroups/cgroup.subtree_control
	[ -z "$(cat $cgroups/cgroup.subtree_control)" ]
	cgroup=/deep/er/and/deeper
	limits '"memory": {"limit": 67108864}, "pids": {"limit": 9}, "cpu": {"shares": 512, "cpus": "0"}' \
		memory.max=67108864 pids.max=9 cpu.weight=59 cpuset.cpus=0
	for level in / /deep /deep/er /deep/er/and; do
		for controller in cpu cpuset memory pids; do
			grep -qw $controller $cgroups$level/cgroup.subtree_control
		done
	done
	rmdir $cgroups/deep/er/and $cgroups/deep/er $cgroups/deep
}
check controllers_reach_deep_path deep_path

relative_path() {
	cgroup=below/own
	bundle '"pids": {"limit": 9}'
	create
	cat /proc/self/cgroup
	found=$(find $cgroups -path '*/below/own')
	[ "$(cat "$found/pids.max")" = 9 ]
	delete
	rmdir "${found%/own}"
}
check relative_path

no_limits() {
	bundle ''
	create
	holds cgroup.controllers "$(cat $cgroups/cgroup.subtree_control)"
	holds memory.max max
	holds pids.max max
	delete
}
check no_limits

# --- memory -----------------------------------------------------------------

check memory_limit limits '"memory": {"limit": 67108864}' memory.max=67108864 memory.swap.max=max
check memory_limit_none limits '"memory": {"limit": -1}' memory.max=max memory.swap.max=max
check memory_limit_zero_is_unset limits '"memory": {"limit": 0}' memory.max=max
check memory_reservation limits '"memory": {"reservation": 33554432}' memory.low=33554432 memory.max=max
check memory_reservation_none limits '"memory": {"reservation": -1}' memory.low=max
check memory_swap limits '"memory": {"limit": 67108864, "swap": 100663296}' \
	memory.max=67108864 memory.swap.max=33554432
check memory_swap_equal_limit limits '"memory": {"limit": 67108864, "swap": 67108864}' memory.swap.max=0
check memory_swap_none limits '"memory": {"limit": 67108864, "swap": -1}' \
	memory.max=67108864 memory.swap.max=max
check memory_all limits '"memory": {"limit": 67108864, "reservation": 33554432, "swap": 134217728}' \
	memory.max=67108864 memory.low=33554432 memory.swap.max=67108864

check memory_unified_takes_limit_off limits \
	'"memory": {"limit": 67108864, "swap": 67108864}, "unified": {"memory.max": "max"}' \
	memory.max=max memory.swap.max=0

# One that is used again keeps nothing of what was set before.
memory_used_again() {
	mkdir $cgroups/c
	echo 33554432 | tee $cgroups/c/memory.max $cgroups/c/memory.swap.max
	limits '"memory": {"limit": -1, "swap": -1}' memory.max=max memory.swap.max=max
}
check memory_used_again

# --- pids -------------------------------------------------------------------

check pids_limit limits '"pids": {"limit": 20}' pids.max=20
check pids_limit_zero_is_one limits '"pids": {"limit": 0}' pids.max=1
check pids_limit_none limits '"pids": {"limit": -1}' pids.max=max

# --- cpu --------------------------------------------------------------------

shares_to_weight() {
	for pair in 2:1 3:2 10:4 100:17 128:21 256:35 512:59 1000:99 1024:100 2048:174 4096:303 \
		10000:627 65536:3023 200000:7899 262144:10000; do
		limits "\"cpu\": {\"shares\": ${pair%:*}}" cpu.weight=${pair#*:}
	done
}
check cpu_shares_to_weight shares_to_weight
check cpu_shares_zero_is_unset limits '"cpu": {"shares": 0}' cpu.weight=100
check cpu_quota_and_period limits '"cpu": {"quota": 20000, "period": 50000}' 'cpu.max=20000 50000'
check cpu_quota_alone limits '"cpu": {"quota": 50000}' 'cpu.max=50000 100000'
check cpu_period_alone limits '"cpu": {"period": 50000}' 'cpu.max=max 50000'
check cpu_quota_none limits '"cpu": {"quota": -1, "period": 25000}' 'cpu.max=max 25000'
check cpu_burst limits '"cpu": {"quota": 50000, "period": 100000, "burst": 20000}' \
	'cpu.max=50000 100000' cpu.max.burst=20000
check cpu_idle limits '"cpu": {"idle": 1}' cpu.idle=1
check cpu_idle_with_shares limits '"cpu": {"idle": 1, "shares": 512}' cpu.idle=1
check cpu_not_idle_with_shares limits '"cpu": {"idle": 0, "shares": 512}' cpu.idle=0 cpu.weight=59
check cpuset limits '"cpu": {"cpus": "1", "mems": "0"}' cpuset.cpus=1 cpuset.mems=0
check cpuset_range limits '"cpu": {"cpus": "0-1"}' cpuset.cpus=0-1 cpuset.cpus.effective=0-1

# --- unified ----------------------------------------------------------------

check unified limits '"unified": {"memory.high": "33554432", "cgroup.max.depth": "3", "pids.max": "max"}' \
	memory.high=33554432 cgroup.max.depth=3 pids.max=max
check unified_has_the_last_word limits \
	'"memory": {"limit": 67108864}, "pids": {"limit": 20}, "unified": {"memory.max": "50331648", "pids.max": "7"}' \
	memory.max=50331648 pids.max=7
check unified_several_lines limits '"unified": {"hugetlb.2MB.max": "4194304", "cpu.max": "20000\n30000 60000\n"}' \
	hugetlb.2MB.max=4194304 'cpu.max=30000 60000'

# --- what the kernel or hako refuses ----------------------------------------

# refused RESOURCES FILE VALUE: one line of error, which names the file and the place of the
# value in config.json; and nothing is left.
refused() {
	bundle "$1"
	fails 1 hako create --bundle /b c
	grep -qF "$2" /tmp/err
	line=$(sed -n 's/.*config\.json:\([0-9]*\):[0-9]* .*/\1/p' /tmp/err)
	column=$(sed -n 's/.*config\.json:[0-9]*:\([0-9]*\) .*/\1/p' /tmp/err)
	sed -n "${line}p" /b/config.json | cut -c "$column"- | grep -q "^$3"
	[ ! -e $cgroups$cgroup ]
	[ -z "$(ls /run/hako)" ]
}
check refused_cpus refused '"cpu": {"cpus": "77"}' cpuset.cpus '"77"'
check refused_mems refused '"cpu": {"mems": "9"}' cpuset.mems '"9"'
check refused_quota refused '"cpu": {"quota": 10}' /cpu/quota 10
check refused_period refused '"cpu": {"period": 2000000}' /cpu/period 2000000
check refused_burst refused '"cpu": {"quota": 10000, "burst": 20000}' /cpu/burst 20000
check refused_unified refused '"unified": {"memory.high": "much"}' memory.high '"much"'
check refused_second_line refused '"unified": {"pids.max": "10\nmany"}' pids.max '"10.nmany"'
check refused_unknown_file refused '"unified": {"sound.max": "1"}' sound.max '"1"'
check refused_unknown_file_of_a_controller refused '"unified": {"memory.none": "1"}' \
	'memory.none: the memory controller is there, and makes no such file: no such file' '"1"'
check refused_file_elsewhere refused '"unified": {"../pids.max": "1"}' ..~1pids.max '"1"'

# A parent whose processes keep it from handing controllers down: it stays as it is, and only
# a container without limits can be below it.
busy_parent() {
	mkdir $cgroups/busy
	sleep 1000 &
	echo $! >$cgroups/busy/cgroup.procs
	cgroup=/busy/c
	refused '"pids": {"limit": 5}' pids.max 5
	[ "$(cat $cgroups/busy/cgroup.type)" = domain ]
	run '' 'echo hello'
	[ "$(cat /tmp/out)" = hello ]
	kill -9 $!
	wait $! || :
	rmdir $cgroups/busy
}
check refused_below_busy_parent busy_parent

# A cgroup below threaded ones can hold no process of its own.
threaded_parent() {
	mkdir -p $cgroups/threads/t
	echo threaded >$cgroups/threads/t/cgroup.type
	cgroup=/threads/c
	bundle '"memory": {"limit": 67108864}'
	fails 1 hako create --bundle /b c
	grep -q 'config\.json:[0-9:]* /linux/cgroupsPath: .* threaded' /tmp/err
	rmdir $cgroups/threads/t $cgroups/threads
}
check refused_below_threaded_parent threaded_parent
