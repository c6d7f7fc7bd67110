#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# An owner of our own (modules/nodeowner.c): it is asked for each page of its node, may refuse, and hears of each that
# comes back. Its memory is that of a RAM region that no driver has.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/module.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/isolation.sh"

setup_program() {
	isolation_needs
	need_private
	module_load nodeowner
	private_policy offline
	committed ram
	read_value start "$cxl/$region/resource"
	read_value size "$cxl/$region/size"
	defer module_passes nodeowner release
	module_run nodeowner claim "$start" "$size"
	node=$(sed -n 's/^# node=//p' "$module_report")
	module_judge
	defer cxl_offline "$region"
	cxl_blocks "$region"
	[ -n "$blocks" ] || fail "the module added no memory"
	isolation_online
	note "node $node is the module's, $isolation_zones"
}

# owned CHECK: right answers, and nothing is left on the node
owned() {
	module_passes nodeowner "$1"
	expect_ok pageoracle "$node"
}

case_the_node_is_private() {
	expect_node "$node" private
}

case_each_page_is_asked_for() {
	owned asked
}

case_bulk() {
	owned bulk
}

case_freed_in_pieces() {
	owned split
}

case_not_asked_by_others() {
	owned not_asked
}

case_refused() {
	owned refused
}

case_sometimes_refused() {
	owned sometimes_refused
}

# Nobody but the owner could take the page away. Whether the block then goes offline is for the kernel to say; that the
# page keeps its content, and the block goes once it is free, is not.
case_a_page_in_use() {
	module_passes nodeowner keep
	block=$(block_of "$(sed -n 's/^# pfn=//p' "$module_report")")
	# shellcheck disable=SC2016 # for the inner shell
	outcome timeout 5 sh -c 'echo offline >"$1"' offline "$block/state"
	note "${block##*/} with a page in use: $outcome"
	expect_value "$block/state" online
	module_passes nodeowner drop
	write_file offline "$block/state"
	write_file online_movable "$block/state"
	expect_ok pageoracle "$node"
}

# block_of PFN: the memory block that it is in
block_of() {
	read_value block_size /sys/devices/system/memory/block_size_bytes
	echo "/sys/devices/system/memory/memory$(($1 * 4096 / 0x$block_size))"
}

case_pressure_elsewhere() {
	isolation_tighten
	watch
	for kind in anon slab file; do
		expect_ok pressure -s 32M "$kind"
	done
	expect_isolated
}

ktap_main "$@"
