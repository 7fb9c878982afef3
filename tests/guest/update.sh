# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2086,SC2154
# `update`: other limits while the container runs; `events`: what it uses.
. /guest/lib.sh

# running RESOURCES [SCRIPT]
running() {
	bundle "$@"
	start
}

# --- limits that config.json had no test for --------------------------------

huge_pages() {
	bundle '"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]'
	create
	holds hugetlb.2MB.max 4194304
	holds hugetlb.2MB.rsvd.max 4194304
	delete
}
check huge_page_limits huge_pages

huge_page_size() {
	bundle '"hugepageLimits": [{"pageSize": "3MB", "limit": 4194304}]'
	fails 1 hako create --bundle /b c
	grep -q 'config\.json:[0-9:]* /linux/resources/hugepageLimits/0: .*hugetlb\.3MB\.max' /tmp/err
}
check huge_page_size_unknown huge_page_size

# Every kernel with the io controller has io.max; it knows no device 77:7.
io_device() {
	bundle '"blockIO": {"throttleReadBpsDevice": [{"major": 77, "minor": 7, "rate": 1000}]}'
	fails 1 hako create --bundle /b c
	grep -q 'throttleReadBpsDevice/0: .*77:7 rbps=1000' /tmp/err
}
check io_device_unknown io_device

v1_only() {
	bundle '"network": {"classID": 5, "priorities": [{"name": "eth0", "priority": 1}]}, "blockIO": {"leafWeight": 10}'
	create
	delete
	fails 1 hako --strict create --bundle /b c
	grep -q 'v2 has no such setting' /tmp/err
}
check v1_settings_are_skipped_unless_strict v1_only

# --- update -----------------------------------------------------------------

options() {
	running '"pids": {"limit": 20}'
	hako update --memory 64m --memory-swap 96m --memory-reservation 32MiB --pids-limit 30 \
		--cpu-share 512 --cpu-quota 20000 --cpu-period 50000 --cpu-burst 1000 \
		--cpuset-cpus 1 --cpuset-mems 0 c
	holds memory.max 67108864
	holds memory.swap.max 33554432
	holds memory.low 33554432
	holds pids.max 30
	holds cpu.weight 59
	holds cpu.max '20000 50000'
	holds cpu.max.burst 1000
	holds cpuset.cpus 1
	hako update --memory=-1 --pids-limit=-1 c
	holds memory.max max
	holds pids.max max
	holds cpu.weight 59
	hako update --cpu-idle 1 c
	holds cpu.idle 1
	delete
}
check update_by_options options

json() {
	running '"memory": {"limit": 67108864}'
	echo '{"memory": {"limit": 50331648}, "unified": {"memory.high": "40000000"}}' >/tmp/limits
	hako update --resources=/tmp/limits c
	holds memory.max 50331648
	echo '{"pids": {"limit": 9}}' | hako update -r - c
	holds pids.max 9
	holds memory.max 50331648
	# as engines send it: everything there is, and nothing in it
	echo '{"memory": {}, "cpu": {}, "pids": null, "blockIO": {}, "hugepageLimits": [],
		"devices": [{"allow": false, "access": "rwm"}], "swappiness": 1}' | hako update -r - c
	holds pids.max 9
	delete
}
check update_by_json json

partial() {
	running '"cpu": {"quota": 20000, "period": 50000}, "memory": {"limit": 67108864}'
	hako update --cpu-period 100000 c
	holds cpu.max '20000 100000'
	hako update --cpu-quota 30000 c
	holds cpu.max '30000 100000'
	hako update --memory-swap 100663296 c
	holds memory.swap.max 33554432
	holds memory.max 67108864
	delete
}
check update_leaves_what_is_not_said partial

# All or nothing: what was written before the kernel refused is as it was.
atomic() {
	running '"memory": {"limit": 67108864}, "cpu": {"shares": 512, "quota": 20000}, "pids": {"limit": 20}'
	echo '{"memory": {"limit": 50331648, "swap": 50331648}, "cpu": {"shares": 1024, "quota": 30000,
		"burst": 5, "cpus": "0"}, "pids": {"limit": 9}, "unified": {"cpuset.mems": "9"}}' >/tmp/limits
	fails 1 hako update --resources /tmp/limits c
	grep -q '/tmp/limits:2:[0-9]* /unified/cpuset\.mems: ' /tmp/err
	holds memory.max 67108864
	holds memory.swap.max max
	holds cpu.weight 59
	holds cpu.max '20000 100000'
	holds cpu.max.burst 0
	holds cpuset.cpus.effective 0-1
	holds pids.max 20
	delete
}
check update_is_all_or_nothing atomic

burst() {
	running '"cpu": {"quota": 50000, "burst": 40000}'
	echo '{"cpu": {"quota": 20000, "burst": 10000}}' | hako update -r - c
	holds cpu.max '20000 100000'
	holds cpu.max.burst 10000
	delete
}
check update_burst_with_quota burst

usage() {
	running '' 'dd if=/dev/zero of=/tmp/x bs=1M count=8 2>/dev/null; echo >/tmp/done; exec sleep 1000'
	eventually test -e /b/rootfs/tmp/done
	fails 1 sh -c 'echo "{\"memory\": {\"limit\": 1048576, \"checkBeforeUpdate\": true}}" |
		hako update -r - c'
	grep -q 'standard input:1:[0-9]* /memory/limit: .*rejecting memory limit' /tmp/err
	holds memory.max max
	is running
	delete
}
check update_checks_usage_before usage

statuses() {
	bundle '"pids": {"limit": 20}' 'read -r x'
	create
	hako update --pids-limit 21 c
	holds pids.max 21
	hako start c
	eventually is stopped
	fails 1 hako update --pids-limit 22 c
	grep -q 'container not running' /tmp/err
	delete
	running '"pids": {"limit": 20}'
	hako pause c
	hako update --pids-limit 23 c
	holds pids.max 23
	is paused
	delete
}
check update_by_status statuses

nonsense() {
	running ''
	fails 64 hako update --memory much c
	fails 64 hako update --pids-limit 5x c
	echo '{"memory": {"limit": "5"}}' >/tmp/limits
	fails 1 hako update -r /tmp/limits c
	grep -q '/tmp/limits:1:[0-9]* /memory/limit' /tmp/err
	echo '{"memory":' >/tmp/limits
	fails 1 hako update -r /tmp/limits c
	fails 1 hako update -r /tmp/nothing c
	fails 1 hako update --memory 5m nobody
	delete
}
check update_refuses_nonsense nonsense

# What an old client may still say.
ignored() {
	running ''
	hako update --kernel-memory 5m --kernel-memory-tcp 5m --cpu-rt-period 1000 --pids-limit 9 c
	holds pids.max 9
	echo '{"memory": {"kernel": 5000000, "swappiness": 5}, "pids": {"limit": 8}}' | hako update -r - c
	holds pids.max 8
	delete
}
check update_ignores_what_only_v1_has ignored

# --- events -----------------------------------------------------------------

stats() {
	running '"memory": {"limit": 67108864}, "pids": {"limit": 20}'
	hako events --stats c >/tmp/stats
	[ "$(wc -l </tmp/stats)" = 1 ]
	grep -q '^{"type":"stats","id":"c","data":{"cpu":{"usage":{"total":[0-9]*000,' /tmp/stats
	grep -q '"memory":{"cache":[0-9]*,"usage":{"limit":67108864,"usage":[1-9]' /tmp/stats
	grep -q '"pids":{"current":1,"limit":20}' /tmp/stats
	grep -q '"cpus":\[0,1\]' /tmp/stats
	grep -q '"hugetlb":{"2MB":{"usage":0,"failcnt":0' /tmp/stats
	grep -q '"raw":{"anon":[1-9]' /tmp/stats
	delete
	fails 1 hako events --stats c
}
check events_stats stats

out_of_memory() {
	running '"memory": {"limit": 33554432, "swap": 33554432}' \
		'while [ ! -e /tmp/go ]; do usleep 10000; done; tail /dev/zero; exec sleep 1000'
	hako events --interval 300ms c >/tmp/events &
	eventually grep -q '"type":"stats"' /tmp/events
	touch /b/rootfs/tmp/go
	eventually grep -q '^{"type":"oom","id":"c"}$' /tmp/events
	hako kill c KILL
	wait $!
	delete
}
check events_out_of_memory out_of_memory
