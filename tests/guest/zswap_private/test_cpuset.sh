#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Whose pages zswap may store on a private node: a group whose cpuset leaves the node out has nothing there, whoever
# reclaims.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/zswap.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/zswap_private.sh"

setup_program() {
	need_controller cpuset
	need_file "$cgroups/cpuset.mems.sysram" "this kernel has no cpuset.mems.sysram"
	direct_on
	direct_node
	read_value ram_nodes /sys/devices/system/node/has_memory
	near=${ram_nodes%%[-,]*}
}

# reclaimed COUNT: write them all and have the pages of the group reclaimed by a task of another group: this shell. Reading
# memory.stat makes the kernel add up its counts: it takes a group for empty before (inactive_is_low() in mm/vmscan.c).
reclaimed() {
	ask fill
	for _ in 1 2 3; do
		memory_stat "$reclaim_from" active_anon
		write_file $(($1 * 4))K "$reclaim_from/memory.reclaim" 2>/dev/null || :
	done
	ask resident
	swapped=${answer#*swapped=}
	swapped=${swapped%% *}
	expect_ge "$swapped" $(($1 / 2)) "pages of $1 that are reclaimed"
}

case_group_without_the_node() {
	begin
	reclaim_from=$group
	write_file "$near" "$group/cpuset.mems"
	pattern_start -s 2M -g "$group"
	filled 512
	expect_software
	expect_ge "$stored" "$swapped" "pages stored"
	verified 512 "of pages that the task paged out"
	reclaimed 512
	expect_software
	verified 512 "of pages that another task reclaimed"
}

case_group_with_the_node() {
	begin
	reclaim_from=$group
	pattern_start -s 2M -g "$group"
	for mems in "$near,$node" "$node"; do
		write_file "$mems" "$group/cpuset.mems"
		filled 512
		expect_direct
		expect_ge "$stored" "$swapped" "pages stored, cpuset.mems=$mems"
		verified 512
		reclaimed 512
		expect_direct
		expect_ge "$stored" $((swapped * 19 / 20)) "pages stored by another task, cpuset.mems=$mems"
		verified 512
	done
}

case_group_loses_the_node_and_gets_it_back() {
	begin
	pattern_start -s 1M -g "$group"
	filled 256
	expect_direct
	write_file "$near" "$group/cpuset.mems"
	verified 256 "of pages that were on the node before"
	mark
	filled 256
	expect_software
	verified 256
	write_file "$near,$node" "$group/cpuset.mems"
	mark
	filled 256
	expect_direct
	expect_ge "$stored" "$swapped" "pages stored"
	verified 256
}

# Memory is charged to the parent, and it is the child that leaves the node out.
case_group_that_is_not_charged_itself() {
	begin
	reclaim_from=$group
	write_file +cpuset "$group/cgroup.subtree_control"
	cgroup_new zswap-a/b
	[ ! -e "$group/memory.max" ] || fail "${group##*/} has the memory controller"
	write_file "$near" "$group/cpuset.mems"
	pattern_start -s 2M -g "$group"
	filled 512
	expect_software
	verified 512 "of pages that the task paged out"
	reclaimed 512
	expect_software
	verified 512 "of pages that another task reclaimed"
}

# One group's cpuset is not another's.
case_groups_side_by_side() {
	begin
	write_file "$near" "$group/cpuset.mems"
	pattern_start -s 1M -g "$group"
	zswap_group zswap-b
	pattern_name=two
	pattern_start -s 1M -g "$group"
	filled 256
	expect_direct
	expect_ge "$stored" "$swapped" "pages stored of the group with the node"
	with_node=$stored
	pattern_name=one
	filled 256
	expect_sum
	expect_ge "$stored" $((with_node + swapped)) "pages stored"
	expect_eq "$on_nodes" "$with_node" "pages on node $node"
	verified 256
	pattern_name=two
	verified 256
}

ktap_main "$@"
