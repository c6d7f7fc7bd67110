#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The same memory as private, as RAM, and as private again: nothing of the one is left in the other.
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

# unusable NODE: no policy leads there
unusable() {
	expect_fail membind range bind "$1" 4K
	expect_eq "$output" EINVAL "mbind() to node $1"
}

case_private_again_and_again() {
	bound private
	first=$region first_node=$node
	read_value first_resource "$cxl/$region/resource"
	gone
	for round in 1 2; do
		online private
		expect_eq "$region" "$first" "name ($round)"
		expect_eq "$node" "$first_node" "node ($round)"
		expect_value "$cxl/$region/resource" "$first_resource"
		expect_node "$node" private "$round"
		gone
		expect_node "$node" none "after $round"
	done
}

case_ram_then_private() {
	need_program pattern
	online ram
	expect_node "$node" ram
	usable "$node"
	gone
	expect_node "$node" none
	online private
	expect_node "$node" private
	unusable "$node"
}

case_private_and_ram_by_turns() {
	need_program pattern
	for round in 1 2; do
		online private
		expect_node "$node" private "$round"
		unusable "$node"
		gone
		online ram
		expect_node "$node" ram "$round"
		usable "$node"
		cxl_offline "$region"
		expect_node "$node" none "RAM, offline $round"
		gone
		expect_node "$node" none "$round"
	done
}

# A type that was set is not remembered for the next region of that name.
case_new_region_has_no_type() {
	bound private
	gone
	attached private
	expect_value "$cxl/$region/private_type" ""
	write_file 1 "$cxl/$region/commit"
	expect_errno EINVAL cxl_bind "$region"
	gone
	cxl_new_region ram
	expect_value "$cxl/$region/mode" ram
}

case_unbind_and_bind() {
	bound private
	for round in 1 2; do
		cxl_unbind "$region"
		is_unbound "$region"
		expect_node "$node" none "unbound $round"
		[ ! -e "/sys/bus/dax/devices/$dax" ] || fail "$dax is still there ($round)"
		cxl_blocks "$region"
		expect_eq "$blocks" "" "memory blocks, unbound $round"
		expect_value "$cxl/$region/commit" 1
		expect_value "$cxl/$region/private_type" zswap
		private_bind
		is_bound "$region"
		expect_node "$node" private "bound $round"
	done
}

case_unbind_and_bind_with_memory() {
	bound private
	for round in 1 2; do
		cxl_online "$region"
		expect_node "$node" private "online $round"
		cxl_offline "$region"
		cxl_unbind "$region"
		expect_node "$node" none "unbound $round"
		expect_kib "$node" 0
		private_bind
	done
	cxl_online "$region"
	region_size
	expect_kib "$node" "$bytes"
}

case_commit_again_and_again() {
	bound private
	for round in 1 2; do
		write_file 0 "$cxl/$region/commit"
		is_unbound "$region"
		expect_node "$node" none "uncommitted $round"
		expect_value "$cxl/$region/private_type" zswap
		write_file 1 "$cxl/$region/commit"
		expect_node "$node" none "committed $round"
		private_bind
		expect_node "$node" private "bound $round"
	done
}

# Failed binds in between leave nothing.
case_failed_binds_in_between() {
	bound private
	gone
	for round in 1 2; do
		attached private
		write_file 1 "$cxl/$region/commit"
		expect_errno EINVAL cxl_bind "$region"
		expect_node "$node" none "bind refused $round"
		write_file 0 "$cxl/$region/commit"
		private_commit private
		private_bind
		expect_node "$node" private "bound $round"
		gone
		expect_node "$node" none "gone $round"
	done
	online ram
	expect_node "$node" ram
}

# Another size in the same place, larger and smaller.
case_other_sizes() {
	for device in $chosen; do
		cxl_get "$device" ram
		[ "$cxl_value" -ge $((cxl_unit * 2)) ] || skip "$device has no more than 256 MiB"
	done
	for units in 1 2; do
		# shellcheck disable=SC2086 # a list
		attach private $((cxl_unit * units)) $chosen
		private_commit private
		private_bind
		cxl_online "$region"
		expect_node "$node" private "$units units"
		region_size
		expect_eq "$bytes" $((cxl_unit * units * private_length)) "size"
		expect_kib "$node" "$bytes"
		gone
		expect_node "$node" none "$units units gone"
	done
}

# By the device's capacity, through another window where it can: the node is the window's.
case_other_window() {
	need_places 2
	bound private
	one=$node
	gone
	devices=$chosen
	place 2
	bound private
	expect_ne "$node" "$one" "node of the other window"
	expect_node "$node" private
	expect_node "$one" none
}

ktap_main "$@"
