# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2086,SC2154
# run --report and --timeout, where the controllers exist.
. /guest/lib.sh

# report RESOURCES SCRIPT [OPTION...]: how it ended in $status, the report in /tmp/report.
report() {
	bundle "$1" "$2"
	shift 2
	status=0
	hako run --report /tmp/report "$@" --bundle /b c </dev/null >/tmp/out 2>&1 || status=$?
	cat /tmp/out /tmp/report
}

# says NAME VALUE: a line of the report.
says() {
	grep -q "^ *\"$1\": $2,\{0,1\}$" /tmp/report
}

# number NAME: the value of a member.
number() {
	sed -n "s/^ *\"$1\": \([0-9]*\),\{0,1\}$/\1/p" /tmp/report | head -n 1
}

peaks() {
	report '"memory": {"limit": 134217728}, "pids": {"limit": 50}' '
		head -c 20000000 /dev/zero >/tmp/file
		for i in 1 2 3 4 5; do until [ -e /tmp/go ]; do usleep 10000; done & done
		touch /tmp/go; wait
		i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done'
	[ $status = 0 ]
	says kind '"exit"'
	[ "$(number memory.peak)" -gt 15000000 ]
	[ "$(number memory.peak)" -le 134217728 ]
	[ "$(number memory.max)" = 134217728 ]
	[ "$(number pids.max)" = 50 ]
	[ "$(number usage_usec)" -gt 1000 ]
	[ "$(number oom_kill)" = 0 ]
	# the kernel has it since Linux 6.1 or later
	[ -z "$(number pids.peak)" ] || [ "$(number pids.peak)" -ge 6 ]
	rm /b/rootfs/tmp/file
}
check report_of_peaks peaks

oom() {
	report '"memory": {"limit": 33554432, "swap": 33554432}' 'exec tail /dev/zero' --summary
	[ $status = 137 ]
	says kind '"oom"'
	says signal '"SIGKILL"'
	[ "$(number oom_kill)" -ge 1 ]
	grep -q '^c: killed for lack of memory$' /tmp/out
}
check report_of_a_lack_of_memory oom

# A child's end is not that of the container, but it is told.
oom_child() {
	report '"memory": {"limit": 33554432, "swap": 33554432}' 'tail /dev/zero; exit 3' --summary
	[ $status = 3 ]
	says kind '"exit"'
	[ "$(number oom_kill)" -ge 1 ]
	grep -q '  killed     1 for lack of memory' /tmp/out
}
check report_of_a_child_that_lacked_memory oom_child

killed_by_another() {
	namespaces=', {"type": "network"}'
	report '"memory": {"limit": 33554432}' 'sleep 1000' --timeout 1s
	[ $status = 124 ]
	says kind '"timeout"'
	[ ! -e $cgroups/c ]
}
check report_of_a_timeout killed_by_another

# Processes come and go at the limit; nobody is left at the deadline.
bomb() {
	for deadline in 3s 30s; do # by then the limit must have been met
		report '"pids": {"limit": 30}' '
			for i in 1 2 3 4; do
				(usleep 500000; while :; do usleep 100000 & done) 2>/dev/null &
				(trap "" TERM; sleep 1000) &
			done
			exec sleep 1000' --timeout $deadline
		[ $status = 124 ]
		says kind '"timeout"'
		[ ! -e $cgroups/c ]
		met=$(sed -n '/"pids.events"/,/}/s/.*"max": \([0-9]*\).*/\1/p' /tmp/report)
		[ "${met:-0}" = 0 ] || break
	done
	[ "${met:-0}" -gt 0 ]
}
check timeout_ends_a_fork_bomb bomb

# Limits are verified when they are written, that of memory last.
verified() {
	report '"memory": {"limit": 67108864}, "pids": {"limit": 50}' 'exit 5' --verify
	[ $status = 5 ]
	grep -q '"id": "cgroup.memory.max"' /tmp/report
	grep -q '"id": "cgroup.pids.max"' /tmp/report
	not grep -q '"outcome": "drift"' /tmp/report
}
check report_of_a_verified_container verified

io() {
	report '' 'cat /bin/busybox >/dev/null'
	[ $status = 0 ]
	grep -q '"io.stat": {' /tmp/report
	grep -q '"cpu.stat": {' /tmp/report
}
check report_of_io io
