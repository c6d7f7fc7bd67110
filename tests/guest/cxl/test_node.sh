#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The node of a RAM region, online: what it is to the kernel, and pages on it.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/pattern.sh"

setup_program() {
	need_cxl
	need_file "$nodes" "this kernel has no NUMA (CONFIG_NUMA)"
	cxl_ram_node || skip "this machine has no CXL RAM that can be a node, or the kernel has no DEV_DAX_KMEM"
	total=$((cxl_unit * cxl_count))
	find_slow
}

# find_slow: $slow is not empty where a write to the node takes several times as long as one to node 0, as where QEMU
# emulates each access: interleaved regions, and all of them before QEMU 11
find_slow() {
	slow=
	command -v pattern >/dev/null || return 0
	fill_time 0
	usual=$hundredths
	fill_time "$node"
	if [ "$hundredths" -gt $((usual * 4 + 10)) ]; then
		slow="$hundredths hundredths of a second for 2 MiB, $usual on node 0"
		note "memory of node $node is slow: $slow"
	fi
}

fill_time() {
	ktap_read_uptime
	hundredths=$ktap_uptime
	pattern -s 2M -n "$1" fill fill >/dev/null
	ktap_read_uptime
	hundredths=$((ktap_uptime - hundredths))
}

case_online_movable_is_movable() {
	for block in $blocks; do
		expect_file "$block/valid_zones" Movable
	done
	zones=$(sed -n "/^Node $node, zone/{s/.*zone *//;h};/present/{x;G;s/\n *present */ /p}" /proc/zoneinfo)
	expect_match "$zones" "*Movable $((total / 4096))*" "zones of node $node"
}

case_node_files() {
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
	memory_tier "$node"
	expect_match "$tier" "memory_tier*" "tier of node $node"
	defer cxl_online "$region"
	cxl_offline "$region"
	memory_tier "$node"
	expect_eq "$tier" "" "tier of node $node without memory"
}

case_block_state_refusals() {
	# shellcheck disable=SC2086 # a list
	set -- $blocks
	expect_errno EINVAL write_file nonsense "$1/state"
	expect_errno EINVAL write_file online_movable "$1/state"
	expect_file "$1/state" online
	defer write_file online_movable "$1/state"
	write_file offline "$1/state"
	expect_errno EINVAL write_file offline "$1/state"
}

# Every page of the node that can be had, each with its own content, twice.
case_pattern_reads_back() {
	need_program pattern
	size=24M
	[ -z "$slow" ] || size=2M
	for kind in random compressible; do
		expect_ok pattern -s $size -n "$node" -k $kind fill verify nodes fill verify
		expect_match "$output" "*bad=0*nodes $node=*verify good=* bad=0*"
		expect_match "$output" "*nodes $node=$((${size%M} * 256))?fill*" "where the pages are"
	done
	wait_for 5 node_is_empty
}

# node_is_empty: no more of processes is on the node than what each processor may count on its own (125 pages)
node_is_empty() {
	node_meminfo "$node" AnonPages
	[ "$kib" -le 2048 ]
}

case_whole_node_is_usable() {
	need_program pattern
	[ -z "$slow" ] || skip "the memory of this region is too slow here: $slow"
	node_meminfo "$node" MemFree
	size=$((kib - 8192))
	expect_ok pattern -s ${size}K -n "$node" -k same fill verify nodes
	expect_match "$output" "*nodes $node=$((size / 4))" "where the pages are"
}

case_pages_move_there_and_back() {
	need_program pagemove
	expect_ok pagemove move "$node" 2M 0
	expect_eq "$output" "$node=512" "where the pages are"
	expect_ok pagemove move 0 2M "$node"
	expect_eq "$output" "0=512" "where the pages are"
}

case_process_migrates_there_and_back() {
	need_program pattern
	pattern_start -s 2M -n 0 -p preferred
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
	mkdir "$KTAP_TMP/tmpfs"
	mount -t tmpfs -o size=8M,mpol=bind:"$node" tmpfs "$KTAP_TMP/tmpfs"
	defer umount "$KTAP_TMP/tmpfs"
	expect_ok pattern -s 2M -f "$KTAP_TMP/tmpfs/pages" fill verify nodes
	expect_match "$output" "*nodes $node=512" "where the pages are"
	node_meminfo "$node" Shmem
	expect_ge "$kib" 1536 "KiB of shared memory on node $node" # of 2048; each processor counts some on its own
}

# Offlining moves what is there elsewhere; nothing is lost, bound or not.
case_offline_with_pages() {
	need_program pattern
	pattern_start -s 2M -n "$node"
	ask fill
	ask nodes
	expect_eq "$answer" "nodes $node=512"
	defer cxl_online "$region"
	cxl_offline "$region"
	ask nodes
	expect_match "$answer" "nodes 0=*"
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
	! node_is has_memory "$node" || fail "node $node is still in has_memory"
}

ktap_main "$@"
