#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Memory policies and page migration of tasks whose cpuset allows them a part of the nodes.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/far.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"

setup_program() {
	need_file "$nodes" "this kernel has no NUMA (CONFIG_NUMA)"
	need_program membind
	need_controller cpuset
	find_far
	need_far
}

# near_group: $group allows $near alone
near_group() {
	cgroup_new cpuset-a
	write_file "$near" "$group/cpuset.mems"
}

case_mbind_outside_the_group() {
	near_group
	for policy in bind interleave preferred-many bind+static; do
		expect_fail membind -g "$group" range $policy "$far" 64K
		expect_eq "$output" EINVAL "mbind($policy) to a node outside"
	done
	expect_ok membind -g "$group" range bind "$near" 64K
	expect_eq "$output" "$near=16"
}

case_set_mempolicy_outside_the_group() {
	near_group
	for policy in bind interleave preferred-many bind+static; do
		expect_fail membind -g "$group" task $policy "$far" 64K
		expect_eq "$output" EINVAL "set_mempolicy($policy) to a node outside"
	done
	expect_ok membind -g "$group" task bind "$near" 64K
	expect_eq "$output" "$near=16"
}

# What is allowed of a mixed mask counts, the rest is left out.
case_mixed_masks() {
	near_group
	for policy in bind interleave preferred-many bind+static; do
		expect_ok membind -g "$group" range $policy "$near,$far" 64K
		expect_eq "$output" "$near=16" "mbind($policy)"
		expect_ok membind -g "$group" task $policy "$near,$far" 64K
		expect_eq "$output" "$near=16" "set_mempolicy($policy)"
	done
	expect_ok membind -g "$group" set bind "$near,$far"
	expect_eq "$output" "bind $near" "the policy that is in force"
}

case_both_nodes() {
	cgroup_new cpuset-a
	write_file "$near,$far" "$group/cpuset.mems"
	expect_ok membind -g "$group" range interleave "$near,$far" 256K
	on_node "$output" "$near"
	expect_eq "$count" 32 "pages on node $near"
	on_node "$output" "$far"
	expect_eq "$count" 32 "pages on node $far"
	expect_ok membind -g "$group" range bind "$far" 64K
	expect_eq "$output" "$far=16"
	expect_ok membind -g "$group" range preferred "$far" 64K
	expect_eq "$output" "$far=16"
}

# Relative nodes are counted among those allowed: the first of one is that one.
case_relative_nodes() {
	near_group
	expect_ok membind -g "$group" range bind+relative 0 64K
	expect_eq "$output" "$near=16" "relative node 0"
	expect_ok membind -g "$group" range bind+relative 1 64K
	expect_eq "$output" "$near=16" "relative node 1, folded"
}

case_home_node() {
	cgroup_new cpuset-a
	write_file "$near,$far" "$group/cpuset.mems"
	output=$(membind -g "$group" home "$far" bind "$near,$far" 64K) || {
		[ "$output" != ENOSYS ] || skip "this kernel has no set_mempolicy_home_node()"
		fail "set_mempolicy_home_node(): $output"
	}
	expect_eq "$output" "$far=16"
}

# Moving one's pages out of one's cpuset: EACCES by move_pages() (do_pages_move() in mm/migrate.c), and no target left
# for migrate_pages() (kernel_migrate_pages() in mm/mempolicy.c).
case_move_outside_the_group() {
	near_group
	expect_fail pagemove -g "$group" move "$far" 64K
	expect_eq "$output" EACCES "move_pages()"
	expect_fail pagemove -g "$group" migrate self "$near" "$far"
	expect_eq "$output" EINVAL "migrate_pages()"
	expect_ok pagemove -g "$group" move "$near" 64K
	expect_eq "$output" "$near=16"
}

case_move_within_the_group() {
	cgroup_new cpuset-a
	write_file "$near,$far" "$group/cpuset.mems"
	expect_ok pagemove -g "$group" move "$far" 256K "$near"
	expect_eq "$output" "$far=64"
	expect_ok pagemove -g "$group" move "$near" 256K "$far"
	expect_eq "$output" "$near=64"
}

# The cpuset narrows under a task that has a policy: its pages follow, and the policy's next pages too.
case_policy_of_a_task_whose_group_narrows() {
	cgroup_new cpuset-a
	write_file "$near,$far" "$group/cpuset.mems"
	pattern_start -s 1M -g "$group" -n "$near,$far" -p interleave
	ask fill
	ask nodes
	expect_match "$answer" "nodes $near=12[78] $far=12[89]" "interleaved pages"
	write_file "$near" "$group/cpuset.mems"
	wait_for 10 all_pages_near
	ask verify
	expect_eq "$answer" "verify good=256 bad=0"
	ask drop
	ask fill
	ask nodes
	expect_eq "$answer" "nodes $near=256" "pages after the group narrowed"
	write_file "$near,$far" "$group/cpuset.mems"
	ask drop
	ask fill
	ask nodes
	expect_match "$answer" "nodes $near=*" "pages after the group widened"
	ask verify
	expect_eq "$answer" "verify good=256 bad=0"
}

all_pages_near() {
	ask nodes
	[ "$answer" = "nodes $near=256" ]
}

case_numa_maps_agree() {
	cgroup_new cpuset-a
	write_file "$far" "$group/cpuset.mems"
	pattern_start -s 4M -g "$group"
	ask fill
	grep -q " anon=1024 .*N$far=1024 " "/proc/$pattern_pid/numa_maps" || {
		note "$(grep anon= "/proc/$pattern_pid/numa_maps")"
		fail "numa_maps has no mapping with 1024 pages on node $far"
	}
	nodepages -l "$pattern_pid" | grep -q ": $far=1024\$" || fail "move_pages() does not show 1024 pages on node $far"
}

ktap_main "$@"
