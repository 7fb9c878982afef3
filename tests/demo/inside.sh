#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in the container of the demo: what a process sees there.
show() {
	printf '\n[box] %s\n' "$*"
	"$@" 2>&1
}
show hostname
show id
show ps
show grep -E '^(Cap(Eff|Bnd)|NoNewPrivs|Seccomp):' /proc/self/status
show cut -d ' ' -f 5,6 /proc/self/mountinfo
show ip link
show cat /proc/self/cgroup
show touch /new
exit 0
