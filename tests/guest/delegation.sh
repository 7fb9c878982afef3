# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2086,SC2154
# Limits of an ordinary user's containers, and of containers in containers, with all controllers.
. /guest/lib.sh

map='[{"containerID": 0, "hostID": 1000, "size": 1}]'

rootless() {
	namespaces=', {"type": "user"}' linux="
				\"uidMappings\": $map,
				\"gidMappings\": $map,"
}

# give GROUP: to the user, with controllers, as a service manager does it.
give() {
	echo '+memory +pids +cpu' >$cgroups/cgroup.subtree_control
	mkdir -p $cgroups/$1
	for file in . cgroup.procs cgroup.subtree_control cgroup.threads; do
		chown user $cgroups/$1/$file
	done
}

# from GROUP COMMAND...: hako's, by the user, from that cgroup.
from() {
	group=$1
	shift
	(
		echo 0 >$cgroups/$group/cgroup.procs
		exec su -s /bin/sh user -c "exec hako --root /run/user $*"
	)
}

limits='"memory": {"limit": 67108864}, "pids": {"limit": 20}, "cpu": {"shares": 512}'

# As in a session of a user: the cgroup above is the user's, and has no processes.
beside_own() {
	give mine
	give mine/session
	rootless
	bundle "$limits"
	sed -i '/cgroupsPath/d' /b/config.json
	from mine/session create --bundle /b c
	cgroup=/mine/c
	holds memory.max 67108864
	holds pids.max 20
	holds cpu.weight 59
	from mine/session start c
	from mine/session exec c cat /proc/self/cgroup >/tmp/out
	[ "$(cat /tmp/out)" = 0::/ ]
	from mine/session pause c
	grep -q 'frozen 1' $cgroups/mine/c/cgroup.events
	from mine/session resume c
	from mine/session kill --all c KILL
	eventually from mine/session delete c
	[ ! -e $cgroups/mine/c ]
	rmdir $cgroups/mine/session $cgroups/mine
}
check rootless_limits_beside_own_cgroup beside_own

over_own_limit() {
	give mine
	give mine/session
	rootless
	bundle '"memory": {"limit": 33554432, "swap": 33554432}' 'exec tail /dev/zero'
	sed -i '/cgroupsPath/d' /b/config.json
	status=0
	from mine/session run --bundle /b c || status=$?
	[ $status = 137 ]
	rmdir $cgroups/mine/session $cgroups/mine
}
check rootless_over_memory_max over_own_limit

not_delegated() {
	rootless
	bundle '"memory": {"limit": 67108864}'
	fails 1 su -s /bin/sh user -c 'exec hako --root /run/user run --bundle /b c'
	grep -q '/linux/resources/memory/limit: .* /sys/fs/cgroup belongs to root (uid 0)' /tmp/err
}
check rootless_limits_name_the_owner not_delegated

# The user may make cgroups there, but root has not handed this controller down.
partly_delegated() {
	give mine
	give mine/session
	rootless
	bundle '"memory": {"limit": 67108864}'
	sed -i '/cgroupsPath/d' /b/config.json
	chown root $cgroups/mine/cgroup.subtree_control
	fails 1 from mine/session run --bundle /b c
	grep -q 'memory controller is not handed down .* /sys/fs/cgroup/mine/cgroup.subtree_control belongs to root' /tmp/err
	rmdir $cgroups/mine/session $cgroups/mine
}
check rootless_controllers_name_the_owner partly_delegated

# A container in a container, both with limits of their own.
nested() {
	cp /bin/hako /b/rootfs/bin/hako
	mkdir -p /b/rootfs/sys/fs/cgroup /b/rootfs/run /b/rootfs/inner/rootfs/proc
	cp -a /b/rootfs/bin /b/rootfs/inner/rootfs/
	for folder in /lib /lib64 /usr; do # of a hako that is not static
		[ ! -e $folder ] || cp -a $folder /b/rootfs/
	done
	mkdir -p /b/rootfs/inner/rootfs/dev /b/rootfs/inner/rootfs/cgroup
	bundle '"memory": {"limit": 33554432}' 'cat /cgroup/memory.max; exit 5'
	sed -i 's/"cgroupsPath": "[^"]*",//; s/CAP_MKNOD/CAP_SYS_ADMIN/' /b/config.json
	cp /b/config.json /b/rootfs/inner/config.json
	cp /b/rootfs/script /b/rootfs/inner/rootfs/script
	bundle '"memory": {"limit": 134217728}' 'exec hako run --bundle /inner in'
	all='"CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_SETUID", "CAP_SETGID",
		"CAP_SETPCAP", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_NET_ADMIN", "CAP_BPF", "CAP_FOWNER"'
	sed -i "s/\"CAP_MKNOD\"/$(echo $all)/; s,\"destination\": \"/cgroup\",\"destination\": \"/sys/fs/cgroup\"," \
		/b/config.json
	status=0
	hako run --bundle /b c >/tmp/out || status=$?
	[ $status = 5 ]
	[ "$(cat /tmp/out)" = 33554432 ]
	rm -rf /b/rootfs/inner /b/rootfs/sys /b/rootfs/bin/hako /b/rootfs/lib* /b/rootfs/usr
}
check nested_limits nested
