# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2154
# What the profiles of `spec` write runs as it is, with its limits.
. /guest/lib.sh

# profile NAME SCRIPT [OPTION...]: the bundle for it; its process runs the script.
profile() {
	mkdir -p /b/rootfs/sys
	rm -f /b/config.json
	echo "$2" >/b/rootfs/script
	profile=$1
	shift 2
	hako spec --bundle /b --profile "$profile" --set /process/terminal=false \
		--set '/process/args=["/bin/sh", "/script"]' "$@"
}

# run_profile: like run.
run_profile() {
	profile "$@"
	status=0
	hako run --bundle /b c </dev/null >/tmp/out 2>&1 || status=$?
	cat /tmp/out
}

hardened_limits() {
	profile hardened 'exec sleep 1000'
	hako explain --fail-on note /b >/dev/null
	start
	hako explain --fail-on note c >/dev/null
	holds memory.max 536870912
	holds pids.max 256
	holds cpu.max '100000 100000'
	pid=$(hako state c | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
	[ "$(awk '{ print $1, $2, $3 }' "/proc/$pid/uid_map")" = '0 100000 65536' ]
	grep -q '^CapBnd:.*0000000000000000$' "/proc/$pid/status"
	delete
}
check hardened_limits

hardened_shell() {
	run_profile hardened 'for word in one two; do echo $word; done | tr a-z A-Z >/tmp/file
		cat /tmp/file; echo x 2>/dev/null >/file || echo read-only; id -u; exit 7'
	[ $status = 7 ]
	grep -qx ONE /tmp/out
	grep -qx read-only /tmp/out
	grep -qx 1000 /tmp/out
}
check hardened_shell

hardened_web_server() {
	run_profile hardened 'echo served >/tmp/page
		httpd -p 127.0.0.1:8080 -h /tmp
		until wget -qO- http://127.0.0.1:8080/page; do usleep 50000; done'
	[ $status = 0 ]
	[ "$(tail -n 1 /tmp/out)" = served ]
}
check hardened_web_server

hardened_fork_bomb() {
	run_profile hardened 'n=0
		while [ $n -lt 400 ]; do sleep 1000 & n=$((n + 1)); done
		echo made them all'
	[ $status != 0 ]
	grep -q fork /tmp/out
	not grep -q 'made them all' /tmp/out
}
check hardened_fork_bomb

hardened_memory() {
	run_profile hardened 'head -c 100000000 /dev/zero | tail -c 90000000 | wc -c' \
		--set /linux/resources/memory/limit=30000000
	not grep -q 90000000 /tmp/out
}
check hardened_memory

ci() {
	run_profile ci 'echo $CI $TZ $HOME; ls /sys/class/net; echo x >/tmp/file
		cat /proc/self/cgroup; hostname'
	[ $status = 0 ]
	[ "$(tr '\n' ' ' </tmp/out)" = 'true UTC /tmp lo 0::/ ci ' ]
}
check ci_runs ci
