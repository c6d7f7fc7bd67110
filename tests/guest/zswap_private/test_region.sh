#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Regions and nodes that zswap stores to: they go and come again, there are several, they are RAM instead.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/zswap.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/zswap_private.sh"

setup_program() {
	direct_on
}

# store PAGES: those of the pattern process, directly on $node, and back; pages of zeros need no room
store() {
	mark
	filled "$1"
	expect_direct
	expect_ge "$stored" $((swapped / 2)) "pages stored"
	verified "$1"
}

# clear BLOCK: offline, if need be after nothing is stored any more
clear() {
	try_state offline "$1"
	note "offline of ${1##*/}: $outcome"
	[ "$outcome" != "done" ] || return 0
	drain
	write_file offline "$1/state"
}

# A region goes with what was stored on it elsewhere, and zswap goes on without; then it comes again.
case_region_goes_and_comes() {
	direct_node
	begin
	pattern_start -s 2M -k mixed -g "$group"
	filled 512
	expect_direct
	clear "$block"
	gone
	! node_is_private "$node" || fail "node $node is private, and its region is gone"
	verified 512
	mark
	filled 512
	expect_software
	direct_node
	verified 512 "of pages stored without the node"
	store 512
	gone_now
	filled 512
	expect_software
	verified 512
}

# gone_now: the region goes when nothing is stored
gone_now() {
	drain
	gone
	mark
}

case_unbind_and_bind() {
	direct_node
	begin
	pattern_start -s 2M -g "$group"
	filled 512
	clear "$block"
	cxl_unbind "$region"
	! node_is_private "$node" || fail "node $node is private, and its region is not bound"
	verified 512
	mark
	filled 512
	expect_software
	cxl_bind "$region"
	cxl_dax "$region"
	cxl_blocks "$region"
	write_file online_movable "$block/state"
	verified 512
	store 512
}

# Memory that is not private is not stored to directly, and the same memory is when it is.
case_ram_instead() {
	begun=
	online ram
	zswap_group
	mark
	pattern_start -s 2M -g "$group"
	filled 512
	expect_software
	expect_ge "$stored" "$swapped" "pages stored"
	gone
	verified 512
	begun=$node
	direct_node
	mark
	defer settled
	store 512
}

# Two regions of one node: each one's memory is used, and when one goes the other's is still private.
# The region made last goes first: decoders are reset in reverse order (CXL 3.1 8.2.4.20). QEMU finds an address through
# the decoders before its own, so that where it emulates each access the memory behind later ones is gone with an earlier.
case_two_regions_of_one_node() {
	need_second
	direct_node
	begin
	one=$region one_node=$node
	# shellcheck disable=SC2086 # a list
	attach private "$cxl_unit" $second
	private_commit private
	private_bind
	defer drain
	expect_eq "$node" "$one_node" "node of the second region"
	two=$region
	pattern_start -s 2M -k mixed -g "$group"
	store 512
	write_file online_movable "${blocks%% *}/state"
	store 512
	filled 512
	clear "${blocks%% *}"
	expect_sum
	cxl_delete "$root" "$two"
	expect_node "$node" private "one of its two regions is gone"
	verified 512
	store 512
	filled 512
	drain
	cxl_delete "$root" "$one"
	expect_node "$node" none "both of its regions are gone"
	verified 512
	mark
	filled 512
	expect_software
	verified 512
}

case_two_nodes() {
	need_places 2
	direct_node 1
	one=$node one_block=$block
	direct_node 2
	two=$node two_block=$block
	expect_ne "$two" "$one" "second node"
	begin "$one" "$two"
	pattern_start -s 2M -k mixed -g "$group"
	filled 512
	expect_sum
	expect_eq "$on_nodes" "$stored" "pages on both nodes, of those stored"
	note "$stored pages stored, $direct of them on the second node"
	clear "$one_block"
	expect_sum
	verified 512
	mark
	node=$two
	store 512
	write_file online_movable "$one_block/state"
	filled 512
	clear "$two_block"
	verified 512
	mark
	node=$one
	store 512
}

# When one node is full, the next one is used before the pool is.
case_two_nodes_one_full() {
	need_places 2
	direct_node 1
	one=$node
	direct_node 2
	two=$node
	begin "$one" "$two"
	usage "$one"
	total=$((free / 256 + 8)) # MiB
	meminfo MemFree
	[ "$kib" -ge $((total * 1536)) ] || skip "this machine has too little memory to fill a node of $free pages"
	need_time "$total" 100
	pattern_start -s ${total}M -g "$group"
	ask fill
	mark
	ask pageout
	expect_sum
	expect_ge "$stored" $((total * 256 * 19 / 20)) "pages of $((total * 256)) that are stored"
	expect_eq "$on_nodes" "$stored" "pages on both nodes, of those stored"
	verified $((total * 256))
}

ktap_main "$@"
