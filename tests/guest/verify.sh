# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2086,SC2154
# verify, of what takes controllers: every container of these scripts is verified when it is
# created (lib.sh); here each of its limits changes.
. /guest/lib.sh

# drift ID...: those and no others.
drift() {
	status=0
	hako verify c >/tmp/out || status=$?
	cat /tmp/out
	[ $status = 1 ]
	sed -n 's/^drift *\([^ ]*\): .*/\1/p; s/^unknown/unknown/p' /tmp/out | sort >/tmp/found
	printf '%s\n' "$@" | sort | diff - /tmp/found
}

all='"memory": {"limit": 67108865, "reservation": 33554432, "swap": 134217728},
	"cpu": {"shares": 512, "quota": 50000, "period": 100000, "burst": 1000, "cpus": "0,1", "mems": "0"},
	"pids": {"limit": 20},
	"hugepageLimits": [{"pageSize": "2MB", "limit": 4194305}],
	"unified": {"memory.high": "50331648", "cgroup.max.depth": "3"}'

holds_all() {
	bundle "$all"
	create
	[ "$(hako verify --all --only cgroup c | grep -c '^holds')" -ge 14 ]
	hako start c
	hako verify c
	delete
}
check verify_limits_hold holds_all

# Each limit is written anew, and back.
each_limit() {
	bundle "$all"
	create
	for pair in memory.max=max memory.low=0 memory.swap.max=0 memory.high=max cpu.weight=60 \
		'cpu.max=60000 100000' cpu.max.burst=2000 cpuset.cpus=0 pids.max=21 \
		hugetlb.2MB.max=max cgroup.max.depth=4; do
		file=$cgroups$cgroup/${pair%%=*}
		was=$(cat "$file")
		echo "${pair#*=}" >"$file"
		drift "cgroup.${pair%%=*}"
		echo "$was" >"$file"
		hako verify c
	done
	delete
}
check verify_each_limit each_limit

after_update() {
	bundle '"pids": {"limit": 20}'
	create
	hako update --pids-limit 30 c
	drift cgroup.pids.max
	hako update --pids-limit 20 c
	hako verify c
	delete
}
check verify_after_update after_update

# The program on the cgroup is not the one of other rules.
device_rules() {
	bundle '"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}]'
	create
	hako verify --only devices c
	sed -i 's/"minor": 229/"minor": 230/' /run/hako/c/config.json
	drift devices.filter
	delete
}
check verify_device_rules device_rules

# One processor of two, by a cpuset: every processor that the container has.
affinity() {
	bundle '"cpu": {"cpus": "1"}'
	create
	hako verify --only process.affinity c
	delete
}
check verify_affinity affinity

moved() {
	bundle "$all"
	start
	mkdir $cgroups/other
	pid=$(hako state c | sed -n 's/^ *"pid": *\([0-9]*\).*/\1/p')
	echo $pid >$cgroups/other/cgroup.procs
	drift cgroup.path cgroup.processes
	delete
	eventually rmdir $cgroups/other
}
check verify_moved moved

apparmor() {
	[ -e /proc/self/attr/apparmor/current ]
	process='"apparmorProfile": "inner",'
	bundle ''
	start
	hako verify c
	sed -i 's/"inner"/"other"/' /run/hako/c/config.json
	drift label.apparmor
	delete
}
apparmor_parser --replace --skip-cache --quiet <<-'END' || echo 'no profiles could be loaded' >&2
	profile inner flags=(attach_disconnected, mediate_deleted) {
		file, capability, network, mount, umount, signal, ptrace, unix,
	}
END
check verify_apparmor apparmor
