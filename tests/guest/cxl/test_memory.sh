#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A RAM region as a NUMA node: online, used, offline and gone, as often as one likes.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/pattern.sh"

setup_program() {
	need_cxl
	need_devices ram 1
	memdev=$chosen
	need_file "$nodes" "this kernel has no NUMA (CONFIG_NUMA)"
	need_file /sys/devices/system/memory "this kernel has no memory hotplug (CONFIG_MEMORY_HOTPLUG)"
	need_file /sys/bus/dax/drivers/kmem "this kernel cannot use dax memory as system RAM (CONFIG_DEV_DAX_KMEM)"
}

# added_region: $region on $memdev, bound: $dax, $node and $blocks, all of them offline
added_region() {
	cxl_build ram 0 "$cxl_unit" "$memdev"
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
	write_file 0 "$cxl/$decoder/dpa_size"
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
	expect_eq $((count * 0x$size)) "$cxl_unit" "bytes of its memory blocks"
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
	expect_eq "$kib" $((cxl_unit / 1024)) "KiB of node $node"
	meminfo MemTotal
	expect_eq "$kib" $((before + cxl_unit / 1024)) "KiB of memory in all"
	cxl_offline "$region"
	! node_is has_memory "$node" || fail "node $node is still in has_memory"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" 0 "KiB of node $node after it"
	meminfo MemTotal
	expect_eq "$kib" "$before" "KiB of memory in all after it"
}

case_online_movable_is_movable() {
	online_region
	for block in $blocks; do
		expect_file "$block/valid_zones" Movable
	done
	zones=$(sed -n "/^Node $node, zone/{s/.*zone *//;h};/present/{x;G;s/\n *present */ /p}" /proc/zoneinfo)
	expect_match "$zones" "*Movable $((cxl_unit / 4096))*" "zones of node $node"
}

case_node_files() {
	online_region
	expect_file "$nodes/node$node/cpulist" ""
	read_value distance "$nodes/node$node/distance"
	# shellcheck disable=SC2086 # a list
	set -- $distance
	eval "own=\${$(($# > node ? node + 1 : $#))}"
	expect_eq "$own" 10 "distance of node $node to itself"
	for block in $blocks; do
		[ -e "$nodes/node$node/${block##*/}" ] || fail "node $node does not link ${block##*/}"
	done
}

case_memory_tier() {
	need_file /sys/devices/virtual/memory_tiering "this kernel has no memory tiers (CONFIG_MIGRATION)"
	memory_tier 0
	expect_match "$tier" "memory_tier*" "tier of node 0"
	online_region
	memory_tier "$node"
	expect_match "$tier" "memory_tier*" "tier of node $node"
	cxl_offline "$region"
	memory_tier "$node"
	expect_eq "$tier" "" "tier of node $node without memory"
}

# One half online is a node of half the size.
case_part_of_the_blocks() {
	added_region
	# shellcheck disable=SC2086 # a list
	set -- $blocks
	[ $# -ge 2 ] || skip "the region is one memory block"
	write_file online_movable "$1/state"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((cxl_unit / 1024 / $#)) "KiB of node $node"
	write_file online_movable "$2/state"
	write_file offline "$1/state"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((cxl_unit / 1024 / $#)) "KiB of node $node"
	write_file offline "$2/state"
	! node_is has_memory "$node" || fail "node $node is still in has_memory"
}

case_block_state_refusals() {
	online_region
	# shellcheck disable=SC2086 # a list
	set -- $blocks
	expect_errno EINVAL write_file nonsense "$1/state"
	expect_errno EINVAL write_file online_movable "$1/state"
	expect_file "$1/state" online
	write_file offline "$1/state"
	expect_errno EINVAL write_file offline "$1/state"
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
	expect_eq "$kib" $((cxl_unit / 1024)) "KiB of node $node"
}

# Every page of the node that can be had, each with its own content, twice.
case_pattern_reads_back() {
	need_program pattern
	online_region
	size=24M
	[ "$(cat "$cxl/$root/interleave_ways")" -eq 1 ] || size=2M # interleaved memory is slow under emulation
	for kind in random compressible; do
		expect_ok pattern -s $size -n "$node" -k $kind fill verify nodes fill verify
		expect_match "$output" "*bad=0*nodes $node=*verify good=* bad=0*"
		expect_match "$output" "*nodes $node=$((${size%M} * 256))?fill*" "where the pages are"
	done
	wait_for 5 node_is_empty
}

# node_is_empty: nothing of a process is on the node any more
node_is_empty() {
	node_meminfo "$node" AnonPages
	[ "$kib" -eq 0 ]
}

case_whole_node_is_usable() {
	need_program pattern
	[ "$(cat "$cxl/$root/interleave_ways")" -eq 1 ] || skip "an interleaved region is too slow under emulation"
	online_region
	node_meminfo "$node" MemFree
	size=$((kib - 8192))
	expect_ok pattern -s ${size}K -n "$node" -k compressible fill verify nodes
	expect_match "$output" "*nodes $node=$((size / 4))" "where the pages are"
}

case_pages_move_there_and_back() {
	need_program pagemove
	online_region
	expect_ok pagemove move "$node" 2M 0
	expect_eq "$output" "$node=512" "where the pages are"
	expect_ok pagemove move 0 2M "$node"
	expect_eq "$output" "0=512" "where the pages are"
}

case_process_migrates_there_and_back() {
	need_program pattern
	online_region
	pattern_start -s 2M
	ask fill
	expect_ok pagemove migrate "$pattern_pid" 0 "$node"
	expect_eq "$output" 0 "pages that stayed"
	ask nodes
	expect_eq "$answer" "nodes $node=512"
	expect_ok pagemove migrate "$pattern_pid" "$node" 0
	ask nodes
	expect_eq "$answer" "nodes 0=512"
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
}

case_page_cache_on_the_node() {
	need_program pattern
	online_region
	mkdir "$KTAP_TMP/tmpfs"
	mount -t tmpfs -o size=8M,mpol=bind:"$node" tmpfs "$KTAP_TMP/tmpfs"
	defer umount "$KTAP_TMP/tmpfs"
	expect_ok pattern -s 2M -f "$KTAP_TMP/tmpfs/pages" fill verify nodes
	expect_match "$output" "*nodes $node=512" "where the pages are"
	node_meminfo "$node" Shmem
	expect_ge "$kib" 2048 "KiB of shared memory on node $node"
}

# Offlining moves what is there elsewhere; nothing is lost, bound or not.
case_offline_with_pages() {
	need_program pattern
	online_region
	pattern_start -s 2M -n "$node"
	ask fill
	ask nodes
	expect_eq "$answer" "nodes $node=512"
	cxl_offline "$region"
	ask nodes
	expect_match "$answer" "nodes 0=*"
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
	! node_is has_memory "$node" || fail "node $node is still in has_memory"
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
	expect_eq "$kib" $((cxl_unit / 1024)) "KiB of node $node"
	expect_ok pattern -s 1M -n "$node" fill verify
}

case_two_regions_on_one_node() {
	cxl_get "$memdev" ram
	[ "$cxl_value" -ge $((cxl_unit * 2)) ] || skip "$memdev has no more than 256 MiB"
	online_region
	first=$region first_node=$node
	online_region
	expect_eq "$node" "$first_node" "node of the second region"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((cxl_unit / 512)) "KiB of node $node"
	cxl_offline "$first"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((cxl_unit / 1024)) "KiB of node $node"
	node_is has_memory "$node" || fail "node $node lost its memory with one of two regions"
}

ktap_main "$@"
