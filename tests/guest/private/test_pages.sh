#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Private memory that goes away while its owner, zswap, has pages on it. Whether it may go is not said anywhere; that
# every page reads back as it was written, and that it can go once the pages have left, is.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/zswap.sh"
. "${0%/*}/../lib/private.sh"

setup_program() {
	need_private
	zswap_on
}

pages=512 # 2 MiB, of which at least half must arrive

# stored: a process with all its pages swapped out, and they are on the node
stored() {
	online private
	node_meminfo "$node" MemFree
	free=$kib
	pattern_start -s 2M
	ask fill
	out
	node_meminfo "$node" MemFree
	expect_ge $((free - kib)) $((pages * 4 / 2)) "KiB that the pages take of node $node"
}

intact() {
	ask verify
	expect_eq "$answer" "verify good=$pages bad=0"
}

# try_offline: all blocks, none longer than two seconds; $left are those that stay online
try_offline() {
	left=
	for block in $blocks; do
		read_value state "$block/state"
		[ "$state" = online ] || continue
		# shellcheck disable=SC2016 # for the inner shell
		timeout 2 sh -c 'echo offline >"$1"' offline "$block/state" || note "${block##*/} stays: status $?"
		read_value state "$block/state"
		[ "$state" = offline ] || left="$left $block"
	done
}

case_offline_with_pages() {
	stored
	try_offline
	expect_node "$node" private "after offlining"
	intact
	pattern_stop
	swapoff "$zswap_disk"
	defer swapon "$zswap_disk"
	cxl_offline "$region"
	expect_node "$node" private "offline"
	expect_kib "$node" 0
}

# If the memory can go, the rest can, and the pages are still there; else it must not lose them.
case_unbind_after_offline_with_pages() {
	stored
	try_offline
	if [ -z "$left" ]; then
		cxl_unbind "$region"
		expect_node "$node" none "unbound"
		gone
	fi
	intact
	ask fill
	out
	intact
	pattern_stop
}

case_offline_after_the_pages_left() {
	stored
	intact
	pattern_stop
	swapoff "$zswap_disk"
	defer swapon "$zswap_disk"
	cxl_offline "$region"
	cxl_unbind "$region"
	expect_node "$node" none
}

# The pages are freed unread.
case_offline_after_the_owner_ended() {
	stored
	pattern_stop
	swapoff "$zswap_disk"
	defer swapon "$zswap_disk"
	cxl_offline "$region"
	gone
	expect_node "$node" none
}

# Without pages, however many zswap has elsewhere: those that were stored before the region came.
case_offline_without_pages() {
	pattern_start -s 2M
	ask fill
	out
	online private
	cxl_offline "$region"
	cxl_unbind "$region"
	expect_node "$node" none
	intact
	pattern_stop
}

case_memory_comes_and_goes_beside_pages() {
	pattern_start -s 2M
	ask fill
	for _ in 1 2; do
		online private
		out
		intact
		try_offline
		intact
		# what is left of pages on the node goes with the swap
		swapoff "$zswap_disk"
		gone
		expect_node "$node" none
		swapon "$zswap_disk"
	done
	pattern_stop
}

ktap_main "$@"
