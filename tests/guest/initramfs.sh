# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2086,SC2154
# --no-pivot where it is needed: / is an initramfs, and stays that.
. /guest/lib.sh

# CAP_SYS_ADMIN and what else it takes to leave a root.
trusted() {
	sed -i 's/"CAP_MKNOD"/"CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SETFCAP"/' /b/config.json
}

# tries SCRIPT: a container, whose own procfs is not whole, runs it and says "out" if it
# succeeds. It must not.
tries() {
	linux_before=$linux linux="$linux"'"maskedPaths": ["/proc/kcore"],'
	bundle '' "($1) && echo out"
	linux=$linux_before
	trusted
	hako run --no-pivot --bundle /b c >/tmp/out 2>&1 </dev/null || :
	cat /tmp/out
	[ -s /tmp/out ]
	not grep -qE '^out|^hako:' /tmp/out
}

user_namespace() {
	map='[{"containerID": 0, "hostID": 100000, "size": 65536}]'
	namespaces=', {"type": "user"}' linux="
				\"uidMappings\": $map,
				\"gidMappings\": $map,"
}

refused() {
	bundle ''
	fails 1 hako run --bundle /b c
	grep -q 'config\.json:.* /root/path: .*--no-pivot' /tmp/err
}
check pivot_is_refused refused

life() {
	bundle '' 'ls / >/tmp/seen; exec sleep 1000'
	hako create --no-pivot --bundle /b c </dev/null
	hako start c
	eventually test -s /b/rootfs/tmp/seen
	ls /b/rootfs >/tmp/expected
	cmp /tmp/expected /b/rootfs/tmp/seen
	hako exec c ls / >/tmp/seen
	cmp /tmp/expected /tmp/seen
	pid=$(hako state c | sed -n 's/.*"pid": \([0-9]*\).*/\1/p')
	# where setns(2) leads to, and every mount that is to be seen from there
	nsenter -t "$pid" -m ls / >/tmp/seen
	cmp /tmp/expected /tmp/seen
	hako exec c cat /proc/self/mountinfo | cut -d ' ' -f 5 | sort >/tmp/expected
	nsenter -t "$pid" -m -p cat /proc/self/mountinfo | cut -d ' ' -f 5 | sort >/tmp/seen
	cmp /tmp/expected /tmp/seen
	delete
}
check no_pivot_from_create_to_delete life

in_user_namespace() {
	user_namespace
	chown -R 100000:100000 /b/rootfs
	life
	tries 'umount -l /'
	tries 'unshare -Urmpf mount -t proc proc /proc'
	chown -R 0:0 /b/rootfs
	chmod 1777 /b/rootfs/tmp
}
check no_pivot_in_a_user_namespace in_user_namespace

ways_out() {
	tries 'umount -l /'
	tries 'unshare -m umount -l /'
	tries 'unshare -m unshare -m umount -l /'
	tries 'unshare -Urmpf mount -t proc proc /proc'
	tries 'unshare -Urmn mount -t sysfs sysfs /dev'
	tries 'mkdir /tmp/x && chroot /tmp/x /../../../../bin/true'
}
check no_pivot_no_way_out ways_out

# What root may do in a container is not less for it.
mounts() {
	bundle '' 'mount -t tmpfs t /tmp && umount /tmp && echo mounted'
	trusted
	hako run --no-pivot --bundle /b c </dev/null >/tmp/out
	[ "$(cat /tmp/out)" = mounted ]
}
check no_pivot_may_mount mounts

ordinary_user() {
	map='[{"containerID": 0, "hostID": 1000, "size": 1}]'
	namespaces=', {"type": "user"}' linux="
				\"uidMappings\": $map,
				\"gidMappings\": $map,"
	bundle '' 'id -u; ls /'
	sed -i '/cgroupsPath/d' /b/config.json
	su -s /bin/sh user -c 'exec hako --root /run/user run --no-pivot --bundle /b c' >/tmp/out
	{ echo 0; ls /b/rootfs; } >/tmp/expected
	cmp /tmp/expected /tmp/out
}
check no_pivot_rootless ordinary_user
