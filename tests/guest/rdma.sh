# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC1091,SC2016,SC2034,SC2086,SC2154
# linux.resources.rdma, with a device that is software over the loopback interface.
. /guest/lib.sh

for module in udp_tunnel ip6_udp_tunnel ib_core ib_uverbs crc32_generic rdma_rxe; do
	insmod /guest/modules/$module.ko
done
rdma link add soft type rxe netdev lo

both() {
	bundle '"rdma": {"soft": {"hcaHandles": 3, "hcaObjects": 10000}}'
	create
	holds rdma.max 'soft hca_handle=3 hca_object=10000 '
	delete
}
check rdma_limits both

one() {
	bundle '"rdma": {"soft": {"hcaObjects": 7}}'
	create
	holds rdma.max 'soft hca_handle=max hca_object=7 '
	delete
}
check rdma_one_limit one

unknown() {
	bundle '"rdma": {"other": {"hcaHandles": 3}}'
	fails 1 hako create --bundle /b c
	grep -q 'config\.json:[0-9:]* /linux/resources/rdma/other: .*rdma\.max' /tmp/err
}
check rdma_device_unknown unknown
