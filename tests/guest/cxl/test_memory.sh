#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The memory of a RAM region becomes a NUMA node, grows, shrinks and goes, as often as one likes.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"

setup_program() {
	need_cxl
	cxl_choose_least ram || skip "this machine has no CXL window with free RAM below it"
	members=$chosen
	total=$((cxl_unit * cxl_count))
	need_file "$nodes" "this kernel has no NUMA (CONFIG_NUMA)"
	need_file /sys/devices/system/memory "this kernel has no memory hotplug (CONFIG_MEMORY_HOTPLUG)"
	need_file /sys/bus/dax/drivers/kmem "this kernel cannot use dax memory as system RAM (CONFIG_DEV_DAX_KMEM)"
}

# added_region: $region on $members, bound: $dax, $node and $blocks, all of them offline
added_region() {
	# shellcheck disable=SC2086 # a list
	cxl_build ram 0 "$cxl_unit" $members
	cxl_bind "$region"
	cxl_dax "$region"
	cxl_blocks "$region"
}

online_region() {
	added_region
	cxl_online "$region"
}

# gone_region: the opposite, in the middle of a case
gone_region() {
	cxl_delete "$root" "$region"
	for decoder in $decoders; do
		write_file 0 "$cxl/$decoder/dpa_size"
	done
}

case_blocks_are_added_offline() {
	write_file offline /sys/devices/system/memory/auto_online_blocks
	added_region
	count=0
	for block in $blocks; do
		expect_file "$block/state" offline
		count=$((count + 1))
	done
	read_value size /sys/devices/system/memory/block_size_bytes
	expect_eq $((count * 0x$size)) "$total" "bytes of its memory blocks"
	! node_is has_memory "$node" || fail "node $node has memory before any block is online"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" 0 "KiB of node $node"
}

# Windows that no SRAT entry covers have the nodes after those of the CPUs, in their order.
case_node_number() {
	added_region
	node_is possible "$node" || fail "node $node is not possible"
	! node_is has_cpu "$node" || fail "node $node has CPUs"
	read_value cpu_nodes "$nodes/has_cpu"
	expect_eq "$node" $((${cpu_nodes##*[-,]} + 1 + root_number)) "node of decoder0.$root_number's region"
}

case_online_grows_the_node() {
	added_region
	meminfo MemTotal
	before=$kib
	cxl_online "$region"
	for state in online has_memory; do
		node_is $state "$node" || fail "node $node is not in $state"
	done
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((total / 1024)) "KiB of node $node"
	meminfo MemTotal
	expect_eq "$kib" $((before + total / 1024)) "KiB of memory in all"
	cxl_offline "$region"
	! node_is has_memory "$node" || fail "node $node is still in has_memory"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" 0 "KiB of node $node after it"
	meminfo MemTotal
	expect_eq "$kib" "$before" "KiB of memory in all after it"
}

# One half online is a node of half the size.
case_part_of_the_blocks() {
	added_region
	# shellcheck disable=SC2086 # a list
	set -- $blocks
	[ $# -ge 2 ] || skip "the region is one memory block"
	write_file online_movable "$1/state"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((total / 1024 / $#)) "KiB of node $node"
	write_file online_movable "$2/state"
	write_file offline "$1/state"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((total / 1024 / $#)) "KiB of node $node"
	write_file offline "$2/state"
	! node_is has_memory "$node" || fail "node $node is still in has_memory"
}

case_auto_online() {
	read_value policy /sys/devices/system/memory/auto_online_blocks
	defer write_file "$policy" /sys/devices/system/memory/auto_online_blocks
	write_file online_movable /sys/devices/system/memory/auto_online_blocks
	added_region
	for block in $blocks; do
		expect_file "$block/state" online
	done
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((total / 1024)) "KiB of node $node"
}

case_bind_to_the_absent_node() {
	need_program membind
	added_region
	expect_fail membind range bind "$node" 4K
	expect_eq "$output" EINVAL
	expect_fail pagemove move "$node" 4K
	expect_eq "$output" ENODEV
	cxl_online "$region"
	expect_ok membind range bind "$node" 4K
	expect_eq "$output" "$node=1"
	cxl_offline "$region"
	expect_fail membind range bind "$node" 4K
	expect_eq "$output" EINVAL
}

case_online_again_and_again() {
	need_program pattern
	added_region
	for _ in 1 2 3; do
		cxl_online "$region"
		expect_ok pattern -s 1M -n "$node" fill verify
		cxl_offline "$region"
	done
}

case_create_online_destroy_again_and_again() {
	need_program pattern
	meminfo MemTotal
	before=$kib
	for _ in 1 2 3; do
		online_region
		expect_ok pattern -s 1M -n "$node" fill verify
		gone_region
		! node_is online "$node" || fail "node $node is still online"
		meminfo MemTotal
		expect_eq "$kib" "$before" "KiB of memory in all"
	done
}

case_device_mode_and_back() {
	need_program pattern
	online_region
	cxl_device_mode
	cxl_blocks "$region"
	expect_eq "$blocks" "" "memory blocks in device mode"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" 0 "KiB of node $node in device mode"
	expect_ok pattern -w 1 -s 2M -f "/dev/$dax" -k random fill verify
	expect_ok pattern -w 1 -s 2M -f "/dev/$dax" -k random assume verify
	expect_fail pattern -w 2 -s 2M -f "/dev/$dax" -k random assume verify
	cxl_memory_mode
	cxl_online "$region"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((total / 1024)) "KiB of node $node"
	expect_ok pattern -s 1M -n "$node" fill verify
}

case_two_regions_on_one_node() {
	for member in $members; do
		cxl_get "$member" ram
		[ "$cxl_value" -ge $((cxl_unit * 2)) ] || skip "$member has no more than 256 MiB"
	done
	online_region
	first=$region first_node=$node
	online_region
	expect_eq "$node" "$first_node" "node of the second region"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((total / 512)) "KiB of node $node"
	cxl_offline "$first"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((total / 1024)) "KiB of node $node"
	node_is has_memory "$node" || fail "node $node lost its memory with one of two regions"
}

ktap_main "$@"
