#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Several private regions, private regions beside RAM regions, on nodes of their own and on one, and of other shapes.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/private.sh"

setup_program() {
	need_private
}

# usable NODE: an ordinary node takes pages, and they are as written
usable() {
	expect_ok pattern -s 256K -n "$1" fill verify nodes
	expect_match "$output" "*verify good=64 bad=0*nodes $1=64"
}

# second_attached KIND: a region at $second, in the same window: $region
second_attached() {
	# shellcheck disable=SC2086 # a list
	attach "$1" "$cxl_unit" $second
	[ "$1" != private ] || write_file zswap "$cxl/$region/private_type"
	write_file 1 "$cxl/$region/commit"
}

case_two_private_nodes() {
	need_places 2
	online private
	one=$node one_region=$region
	place 2
	online private
	two=$node two_region=$region
	expect_ne "$two" "$one" "second node"
	expect_node "$one" private "both online"
	expect_node "$two" private "both online"
	expect_value "$cxl/$one_region/private_type" zswap
	expect_blocks "$two" 1
	cxl_offline "$one_region"
	expect_node "$two" private "the first offline"
	cxl_unbind "$one_region"
	expect_node "$one" none "the first unbound"
	expect_node "$two" private "the first unbound"
	expect_blocks "$two" 1
	cxl_bind "$one_region"
	online_first "$one_region"
	expect_node "$one" private "the first bound again"
	cxl_offline "$two_region"
	cxl_unbind "$two_region"
	expect_node "$one" private "the second unbound"
	expect_node "$two" none "the second unbound"
}

# Both orders of going.
case_two_private_nodes_go_in_either_order() {
	need_places 2
	for order in 1 2; do
		place 1
		bound private
		one=$node one_region=$region one_root=$root
		place 2
		bound private
		two=$node two_region=$region two_root=$root
		if [ "$order" -eq 1 ]; then
			cxl_delete "$one_root" "$one_region"
			expect_node "$one" none
			expect_node "$two" private
			cxl_delete "$two_root" "$two_region"
		else
			cxl_delete "$two_root" "$two_region"
			expect_node "$two" none
			expect_node "$one" private
			cxl_delete "$one_root" "$one_region"
		fi
		expect_node "$one" none
		expect_node "$two" none
		give_back "$two_root"
		place 1
		give_back "$root"
	done
}

# give_back ROOT: the capacity of the devices of the place
give_back() {
	for each in $chosen; do
		cxl_get "$each" endpoint
		write_file 0 "$cxl/decoder${cxl_value#endpoint}.0/dpa_size"
	done
}

case_private_then_ram_node() {
	need_program pattern
	need_places 2
	online private
	private=$node private_region_name=$region
	place 2
	online ram
	ram=$node
	expect_ne "$ram" "$private" "node of the RAM region"
	expect_node "$private" private
	expect_node "$ram" ram
	usable "$ram"
	cxl_offline "$private_region_name"
	cxl_unbind "$private_region_name"
	expect_node "$private" none
	expect_node "$ram" ram
	usable "$ram"
}

case_ram_then_private_node() {
	need_program pattern
	need_places 2
	online ram
	ram=$node ram_region=$region
	place 2
	online private
	private=$node
	expect_node "$ram" ram
	expect_node "$private" private
	usable "$ram"
	cxl_offline "$ram_region"
	expect_node "$ram" none "RAM, offline"
	expect_node "$private" private
	online_first "$ram_region"
	expect_node "$ram" ram
	expect_node "$private" private
	gone
	expect_node "$ram" ram
	expect_node "$private" none
	usable "$ram"
}

# The two change places.
case_nodes_swap_roles() {
	need_program pattern
	need_places 2
	for kinds in "private ram" "ram private"; do
		place 1
		online "${kinds% *}"
		one=$node one_region=$region one_root=$root one_decoders=$decoders
		place 2
		online "${kinds#* }"
		expect_node "$one" "${kinds% *}"
		expect_node "$node" "${kinds#* }"
		gone
		root=$one_root region=$one_region decoders=$one_decoders
		gone
		expect_node "$one" none
		expect_node "$node" none
	done
}

# A node that has ordinary memory does not become private; its memory goes on as before.
case_private_on_a_node_with_ram() {
	need_program pattern
	need_second
	online ram
	ram=$node ram_region=$region
	second_attached private
	expect_errno EBUSY cxl_bind "$region"
	is_unbound "$region"
	cxl_blocks "$region"
	expect_eq "$blocks" "" "memory blocks after the bind was refused"
	expect_node "$ram" ram
	usable "$ram"
	expect_errno EBUSY cxl_bind "$region"
	cxl_offline "$ram_region"
	cxl_unbind "$ram_region"
	private_bind
	online_first "$region"
	expect_eq "$node" "$ram" "node of the private region"
	expect_node "$node" private "after the RAM went"
}

# The other way round: whatever is refused, no node is both, and the private one stays it.
case_ram_on_a_private_node() {
	need_second
	online private
	private=$node private_region_name=$region
	second_attached ram
	private_policy offline
	outcome cxl_bind "$region"
	note "bind: $outcome"
	expect_node "$private" private "after the bind of a RAM region"
	cxl_blocks "$region"
	for block in $blocks; do
		outcome write_file online_movable "$block/state"
		note "online: $outcome"
		expect_node "$private" private "after ${block##*/} of a RAM region"
	done
	cxl_offline "$region"
	cxl_delete "$root" "$region"
	expect_node "$private" private "after the RAM region went"
	cxl_offline "$private_region_name"
	cxl_unbind "$private_region_name"
	expect_node "$private" none
}

# RAM that is not online is no memory yet: with it bound, either order of onlining leaves the node one or the other.
case_ram_offline_then_private() {
	need_second
	bound ram
	ram_region=$region ram_blocks=$blocks
	second_attached private
	outcome cxl_bind "$region"
	note "bind: $outcome"
	if [ "$outcome" = "done" ]; then
		expect_node "$node" private
	fi
	for block in $ram_blocks; do
		outcome write_file online_movable "$block/state"
		note "online: $outcome"
		! node_is has_memory "$node" || ! node_is_private "$node" || fail "node $node is private and ordinary"
	done
	cxl_offline "$ram_region"
}

case_two_private_regions_on_one_node() {
	need_second
	online private
	one=$region one_node=$node
	second_attached private
	two=$region
	private_bind
	expect_eq "$node" "$one_node" "node of the second region"
	expect_node "$node" private "both bound"
	online_first "$two"
	expect_blocks "$node" 2
	cxl_offline "$one"
	cxl_unbind "$one"
	expect_node "$node" private "the first unbound"
	expect_blocks "$node" 1
	cxl_bind "$one"
	online_first "$one"
	expect_node "$node" private "the first bound again"
	expect_blocks "$node" 2
	cxl_offline "$two"
	cxl_unbind "$two"
	expect_node "$node" private "the second unbound"
	expect_blocks "$node" 1
	cxl_offline "$one"
	cxl_unbind "$one"
	expect_node "$node" none "both unbound"
}

# One of two has no type: its bind fails, and takes nothing from the other.
case_failed_bind_beside_a_private_region() {
	need_second
	online private
	one_node=$node
	# shellcheck disable=SC2086 # a list
	attach private "$cxl_unit" $second
	write_file 1 "$cxl/$region/commit"
	expect_errno EINVAL cxl_bind "$region"
	expect_node "$one_node" private
	cxl_delete "$root" "$region"
	expect_node "$one_node" private "after the region without a type went"
}

case_whole_devices() {
	bytes=
	for device in $chosen; do
		cxl_get "$device" ram
		if [ -z "$bytes" ] || [ "$cxl_value" -lt "$bytes" ]; then
			bytes=$cxl_value
		fi
	done
	# shellcheck disable=SC2086 # a list
	private_list $chosen
	eval "window=\$cxl_root_${root_number}_size"
	[ $((bytes * private_length)) -le "$window" ] || bytes=$((window / private_length))
	bytes=$((bytes / cxl_unit * cxl_unit))
	# shellcheck disable=SC2086 # a list
	attach private "$bytes" $chosen
	private_commit private
	private_bind
	cxl_online "$region"
	expect_node "$node" private
	expect_kib "$node" $((bytes * private_length))
}

# Interleaved over as many devices as one window has.
case_interleaved() {
	for ways in 16 8 4 2; do
		if cxl_choose ram $ways; then
			bound private
			expect_value "$cxl/$region/interleave_ways" $ways
			cxl_online "$region"
			expect_node "$node" private "$ways ways"
			region_size
			expect_kib "$node" "$bytes"
			return 0
		fi
	done
	skip "no CXL window here has two devices with RAM below it"
}

# Every place that the machine has, at once.
case_all_places() {
	found=
	number=0
	while [ "$number" -lt "$places" ]; do
		number=$((number + 1))
		place $number
		online private
		found="$found $node"
	done
	for each in $found; do
		expect_node "$each" private
	done
}

case_persistent_region_beside_it() {
	pmem=
	for each in $cxl_memdevs; do
		cxl_get "$each" pmem
		if [ "$cxl_value" -ge "$cxl_unit" ]; then
			pmem=$each
		fi
	done
	[ -n "$pmem" ] || skip "this machine has no persistent CXL memory"
	[ -e "$cxl/$root/create_pmem_region" ] || skip "the window of $root takes no persistent memory"
	online private
	cxl_build pmem 0 "$cxl_unit" "$pmem"
	expect_value "$cxl/$region/mode" pmem
	expect_node "$node" private
}

ktap_main "$@"
