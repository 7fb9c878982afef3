# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2086,SC2154
# linux.resources.blockIO, on a disk that swallows everything.
. /guest/lib.sh

# load NAME...: where the kernel does not have them built in.
load() {
	for module; do
		[ ! -e /guest/modules/$module.ko ] || insmod /guest/modules/$module.ko
	done
}

load configfs null_blk
disk=$(cat /sys/block/nullb0/dev)

# of_disk MEMBER: an entry of a list of devices.
of_disk() {
	echo "{\"major\": ${disk%:*}, \"minor\": ${disk#*:}, $1}"
}

# limits BLOCK_IO FILE LINE...
limits() {
	bundle "\"blockIO\": {$1}"
	file=$2
	shift 2
	create
	cat $cgroups$cgroup/$file
	for line; do
		grep -qxF "$line" $cgroups$cgroup/$file
	done
	delete
}

throttles() {
	limits "\"throttleReadBpsDevice\": [$(of_disk '"rate": 1048576')],
		\"throttleWriteBpsDevice\": [$(of_disk '"rate": 2097152')],
		\"throttleReadIOPSDevice\": [$(of_disk '"rate": 300')],
		\"throttleWriteIOPSDevice\": [$(of_disk '"rate": 400')]" \
		io.max "$disk rbps=1048576 wbps=2097152 riops=300 wiops=400"
}
check io_throttles throttles

no_limit() {
	limits "\"throttleReadBpsDevice\": [$(of_disk '"rate": 1048576')],
		\"throttleWriteBpsDevice\": [$(of_disk '"rate": 0')]" \
		io.max "$disk rbps=1048576 wbps=max riops=max wiops=max"
}
check io_throttle_zero_is_none no_limit

# What a limit of 1 MiB a second does to 2 MiB.
slow() {
	bundle "\"devices\": [{\"allow\": true, \"type\": \"b\", \"access\": \"r\"}],
		\"blockIO\": {\"throttleReadBpsDevice\": [$(of_disk '"rate": 1048576')]}" \
		'dd if=/null of=/dev/null bs=64k count=32 2>/tmp/dd; exec sleep 1000'
	mknod /b/rootfs/null b ${disk%:*} ${disk#*:}
	begin=$(seconds)
	start
	eventually grep -q '32+0 records out' /b/rootfs/tmp/dd || { cat /b/rootfs/tmp/dd && return 1; }
	[ $(($(seconds) - begin)) -ge 1 ]
	delete
	rm /b/rootfs/null
}
check io_throttle_slows slow

# Of the io controller's own cost model, as long as there is no BFQ.
check io_weight limits '"weight": 500' io.weight 'default 4950'

bfq() {
	load bfq
	echo bfq >/sys/block/nullb0/queue/scheduler
	limits '"weight": 500' io.bfq.weight 'default 500'
}
check io_weight_of_bfq bfq

weight_of_device() {
	limits "\"weight\": 10, \"weightDevice\": [$(of_disk '"weight": 321')]" \
		io.bfq.weight 'default 10' "$disk 321"
}
check io_weight_of_device weight_of_device
