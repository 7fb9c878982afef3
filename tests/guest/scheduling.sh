# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2086,SC2154
# Processors, memory nodes and deadlines against the limits of a cgroup: the guest has two
# processors and two memory nodes, one of each together.
. /guest/lib.sh

# --- processors -------------------------------------------------------------

cpus='grep Cpus_allowed_list /proc/self/status'

# Where the caller is kept to one, the container still gets what its cgroup allows.
reset() {
	bundle '"cpu": {"cpus": "0-1"}' "$cpus; exec sleep 1000"
	taskset 1 hako run --detach --bundle /b c >/tmp/out </dev/null
	eventually grep -q '0-1$' /tmp/out
	taskset 2 hako exec c $cpus >/tmp/out
	grep -q '0-1$' /tmp/out
	delete
}
check affinity_of_the_caller_stays_outside reset

in_cpuset() {
	process='"execCPUAffinity": {"initial": "0", "final": "0-1"},'
	bundle '"cpu": {"cpus": "1"}'
	start
	hako exec c $cpus >/tmp/out
	grep -q '	1$' /tmp/out
	echo '{"args": ["/bin/true"], "cwd": "/", "execCPUAffinity": {"final": "0"}}' >/tmp/process
	fails 255 hako exec --process /tmp/process c
	grep -q '/execCPUAffinity/final: .*none of them is there, or allowed' /tmp/err
	delete
}
check exec_affinity_in_a_cpuset in_cpuset

# --- memory nodes -----------------------------------------------------------

maps='cat /proc/self/numa_maps'

bound() {
	linux='"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "1"},'
	run '' "$maps"
	grep -q ' bind:1 ' /tmp/out
	grep -q ' heap anon=.* N1=' /tmp/out
	not grep -q ' \(heap\|stack\) .* N0=' /tmp/out
	bundle ''
	start
	hako exec c $maps >/tmp/out
	grep -q ' heap anon=.* N1=' /tmp/out
	not grep -q ' \(heap\|stack\) .* N0=' /tmp/out
	delete
}
check memory_policy_bind bound

interleaved() {
	linux='"memoryPolicy": {"mode": "MPOL_INTERLEAVE", "nodes": "0-1",
		"flags": ["MPOL_F_STATIC_NODES"]},'
	run '' "$maps"
	grep -q ' interleave=static:0-1 ' /tmp/out
}
check memory_policy_interleave interleaved

# Read before cpuset.mems is written, node 0 would become node 1 in silence.
outside_cpuset() {
	linux='"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0"},'
	bundle '"cpu": {"mems": "1"}' 'touch /tmp/ran'
	fails 1 hako run --bundle /b c
	grep -q '/linux/memoryPolicy: .*for nodes 0 ' /tmp/err
	[ ! -e /b/rootfs/tmp/ran ]
	linux='"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0-1"},'
	run '"cpu": {"mems": "1"}' "$maps"
	grep -q ' bind:1 ' /tmp/out
}
check memory_policy_in_a_cpuset outside_cpuset

# --- deadlines --------------------------------------------------------------

# Of both processors together 95 percent can be given away, less in newer kernels.
deadlines() {
	process='"scheduler": {"policy": "SCHED_DEADLINE", "runtime": 80000000,
		"deadline": 100000000},'
	cgroup=/first
	bundle ''
	hako create --bundle /b first </dev/null
	cgroup=/second
	bundle ''
	hako create --bundle /b second </dev/null
	cgroup=/third
	bundle ''
	fails 1 hako create --bundle /b third
	grep -q '/process/scheduler: .*set SCHED_DEADLINE (other deadlines leave too little' /tmp/err
	hako delete --force first
	hako delete --force second
}
check deadlines_have_an_end deadlines
