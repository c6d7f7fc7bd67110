#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Memory policies and page migration by system calls: none of them leads to a private node.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/sysram.sh"

setup_program() {
	need_private
	need_sysram
	need_program pagemove
	private_node
	ram_node
	wait_for 5 reads "$cgroups/cpuset.mems.sysram" "$ram_nodes"
}

# Relative nodes are counted among those that are allowed, so they never name the node.
policies='bind preferred preferred-many interleave weighted-interleave bind+static interleave+static'

# refused ERRNO CMD…: a helper says that the kernel refused
refused() {
	wanted=$1
	shift
	expect_fail "$@"
	expect_eq "$output" "$wanted" "'$*'"
}

# each_group: call FUNCTION with nothing, and with -g and groups that have the node, have it alone, and do not have it
each_group() {
	"$1"
	for mems in "$near,$private" "$private" "$near"; do
		cgroup_new cpuset-a
		write_file "$mems" "$group/cpuset.mems"
		"$1" -g "$group"
		cgroup_remove "$group"
	done
}

case_mbind_to_it() {
	for policy in $policies; do
		refused EINVAL membind range "$policy" "$private" 16K
	done
}

case_mbind_to_it_with_pages() {
	for flags in strict move move-all strict,move; do
		refused EINVAL membind -f $flags late bind "$private" 16K
	done
}

case_set_mempolicy_to_it() {
	for policy in $policies; do
		refused EINVAL membind task "$policy" "$private" 16K
	done
	expect_ok membind get
	expect_eq "$output" default "the policy of a task"
}

alone() {
	refused EINVAL membind "$@" range bind "$private" 16K
	refused EINVAL membind "$@" range interleave "$private" 16K
	refused EINVAL membind "$@" task bind "$private" 16K
	refused EINVAL membind "$@" task preferred-many "$private" 16K
}

case_policies_in_groups() {
	each_group alone
}

# The mask without the node is what counts, for mbind() as for set_mempolicy().
case_mixed_masks() {
	for policy in bind preferred-many interleave weighted-interleave bind+static interleave+static; do
		expect_ok membind range "$policy" "$near,$private" 64K
		expect_eq "$output" "$near=16" "pages after mbind($policy)"
		expect_ok membind task "$policy" "$near,$private" 64K
		expect_eq "$output" "$near=16" "pages after set_mempolicy($policy)"
	done
	expect_ok membind -f move late bind "$near,$private" 64K
	expect_eq "$output" "$near=16" "pages after mbind() of pages that were there"
}

case_mixed_mask_that_is_in_force() {
	for policy in bind interleave preferred-many; do
		expect_ok membind set "$policy" "$near,$private"
		expect_eq "$output" "$policy $near" "get_mempolicy()"
	done
}

case_mixed_masks_in_groups() {
	for mems in "$near,$private" "$near"; do
		cgroup_new cpuset-a
		write_file "$mems" "$group/cpuset.mems"
		for policy in bind interleave; do
			expect_ok membind -g "$group" range $policy "$near,$private" 64K
			expect_eq "$output" "$near=16" "pages after mbind($policy), group of $mems"
			expect_ok membind -g "$group" task $policy "$near,$private" 64K
			expect_eq "$output" "$near=16" "pages after set_mempolicy($policy), group of $mems"
		done
		cgroup_remove "$group"
	done
}

# In a group with nothing but the node, tasks have the parent's system RAM to choose from.
case_ram_from_a_private_group() {
	cgroup_new cpuset-a
	write_file "$private" "$group/cpuset.mems"
	expect_ok membind -g "$group" range bind "$near" 64K
	expect_eq "$output" "$near=16" "pages after mbind()"
	expect_ok membind -g "$group" task bind "$near" 64K
	expect_eq "$output" "$near=16" "pages after set_mempolicy()"
	expect_ok membind -g "$group" range bind "$near,$private" 64K
	expect_eq "$output" "$near=16" "pages after mbind() with a mixed mask"
}

case_interleave_over_three() {
	need_ram_node
	expect_ok membind range interleave "$near,$private,$far" 256K
	on_node "$output" "$near"
	expect_eq "$count" 32 "pages on node $near"
	on_node "$output" "$far"
	expect_eq "$count" 32 "pages on node $far"
	on_node "$output" "$private"
	expect_eq "$count" 0 "pages on the private node"
}

# A home node is a wish: whatever the call says, the pages are elsewhere.
case_home_node() {
	outcome membind home "$private" bind "$near" 64K
	note "$outcome"
	output=$(membind home "$private" bind "$near" 64K) || return 0
	on_node "$output" "$private"
	expect_eq "$count" 0 "pages on the private node"
}

case_relative_masks() {
	for mask in 0 1 2 0-2; do
		output=$(membind range bind+relative $mask 64K) || continue
		on_node "$output" "$private"
		expect_eq "$count" 0 "pages on the private node by relative mask $mask"
	done
}

moved() {
	refused ENODEV pagemove "$@" move "$private" 64K
	refused ENODEV pagemove "$@" -a move "$private" 64K
}

case_move_pages() {
	moved
	refused ENODEV pagemove move "$private" 64K "$near"
}

case_move_pages_with_the_node_in_the_group() {
	cgroup_new cpuset-a
	write_file "$near,$private" "$group/cpuset.mems"
	moved -g "$group"
	write_file "$private" "$group/cpuset.mems"
	moved -g "$group"
}

case_migrate_pages() {
	refused EINVAL pagemove migrate self "$near" "$private"
	refused EINVAL pagemove -a migrate self "$near" "$private"
}

case_migrate_pages_of_another() {
	pattern_start -s 256K
	ask fill
	refused EINVAL pagemove migrate "$pattern_pid" "$near" "$private"
	refused EINVAL pagemove migrate "$pattern_pid" "$ram_nodes" "$private"
	ask nodes
	on_node "${answer#nodes }" "$private"
	expect_eq "$count" 0 "pages on the private node"
	output=$(pagemove migrate "$pattern_pid" "$near" "$near,$private") || note "mixed mask: $output"
	ask nodes
	on_node "${answer#nodes }" "$private"
	expect_eq "$count" 0 "pages on the private node after a mixed mask"
	ask verify
	expect_eq "$answer" "verify good=64 bad=0"
}

case_migrate_pages_in_groups() {
	cgroup_new cpuset-a
	for mems in "$near,$private" "$private"; do
		write_file "$mems" "$group/cpuset.mems"
		refused EINVAL pagemove -g "$group" migrate self "$near" "$private"
	done
}

case_moves_between_ram_nodes_go_on() {
	need_ram_node
	expect_ok pagemove move "$far" 64K "$near"
	expect_eq "$output" "$far=16"
	expect_ok pagemove move "$near" 64K "$far"
	expect_eq "$output" "$near=16"
	pattern_start -s 256K -n "$near" -p preferred
	ask fill
	expect_ok pagemove migrate "$pattern_pid" "$near" "$far"
	ask nodes
	expect_eq "$answer" "nodes $far=64"
}

case_allowed_nodes() {
	expect_ok membind allowed
	expect_eq "$output" "$ram_nodes" "get_mempolicy(MPOL_F_MEMS_ALLOWED)"
	cgroup_new cpuset-a
	for mems in "$near,$private:$near" "$near:$near" "$private:$ram_nodes"; do
		write_file "${mems%:*}" "$group/cpuset.mems"
		expect_ok membind -g "$group" allowed
		expect_eq "$output" "${mems#*:}" "get_mempolicy(MPOL_F_MEMS_ALLOWED), group of ${mems%:*}"
	done
}

# Before its memory is online and after it, the answers are the same.
case_offline_node() {
	cxl_offline "$private_region"
	defer online_first "$private_region"
	expect_node "$private" private
	refused EINVAL membind range bind "$private" 16K
	refused EINVAL membind task bind "$private" 16K
	refused ENODEV pagemove move "$private" 64K
	refused EINVAL pagemove migrate self "$near" "$private"
	expect_ok membind range bind "$near,$private" 64K
	expect_eq "$output" "$near=16"
	expect_ok membind allowed
	expect_eq "$output" "$ram_nodes" "get_mempolicy(MPOL_F_MEMS_ALLOWED)"
}

# The policy's pages when the private node in its mask comes and goes.
case_policy_while_the_node_comes_and_goes() {
	defer online_first "$private_region"
	pattern_start -s 256K -n "$near,$private" -p bind
	for _ in 1 2; do
		ask drop
		ask fill
		ask nodes
		expect_eq "$answer" "nodes $near=64"
		cxl_offline "$private_region"
		ask drop
		ask fill
		ask nodes
		expect_eq "$answer" "nodes $near=64"
		online_first "$private_region"
	done
	ask verify
	expect_eq "$answer" "verify good=64 bad=0"
}

ktap_main "$@"
