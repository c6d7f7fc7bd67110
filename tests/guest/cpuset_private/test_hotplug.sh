#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# cpusets follow a private node that comes and goes while groups and tasks exist.
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
	bound private
	private=$node private_region=$region private_blocks=$blocks
	with_private "$ram_nodes"
	all=$list
	list "$near" "$private"
	mixed=$list
}

come() {
	online_first "$private_region"
}

go() {
	cxl_offline "$private_region"
}

# there: the node is there, until the end of the case at most
there() {
	defer go
	come
	wait_for 5 shows "$cgroups" "$all" "$ram_nodes"
}

# Bound is not enough: there has to be memory. The first block brings the node, and the last takes it away.
case_root_follows_the_blocks() {
	expect_node "$private" private
	expect_mems "$cgroups" "$ram_nodes" "$ram_nodes"
	defer go
	for block in $private_blocks; do
		write_file online_movable "$block/state"
		wait_for 5 shows "$cgroups" "$all" "$ram_nodes"
	done
	# shellcheck disable=SC2086 # a list
	private_list $private_blocks
	for block in $private_blocks; do
		expect_mems "$cgroups" "$all" "$ram_nodes"
		write_file offline "$block/state"
		private_length=$((private_length - 1))
		if [ $private_length -gt 0 ]; then
			sleep 0.2
			expect_mems "$cgroups" "$all" "$ram_nodes"
		fi
	done
	wait_for 5 shows "$cgroups" "$ram_nodes" "$ram_nodes"
}

case_unset_groups_and_tasks() {
	cgroup_new cpuset-a cpuset
	parent=$group
	cgroup_new cpuset-a/b
	sleep 60 &
	pid=$!
	write_file $pid "$group/cgroup.procs"
	for _ in 1 2; do
		there
		wait_for 5 shows "$parent" "$all" "$ram_nodes"
		wait_for 5 shows "$group" "$all" "$ram_nodes"
		sees $pid "$ram_nodes" || fail "Mems_allowed_list is '$mems' with the node"
		go
		wait_for 5 shows "$parent" "$ram_nodes" "$ram_nodes"
		wait_for 5 shows "$group" "$ram_nodes" "$ram_nodes"
		sees $pid "$ram_nodes" || fail "Mems_allowed_list is '$mems' without the node"
	done
	expect_value "$group/cpuset.mems" ""
}

case_group_set_to_both() {
	cgroup_new cpuset-a
	write_file "$near,$private" "$group/cpuset.mems"
	expect_value "$group/cpuset.mems" "$mixed"
	expect_mems "$group" "$near" "$near"
	sleep 60 &
	pid=$!
	write_file $pid "$group/cgroup.procs"
	for _ in 1 2; do
		there
		wait_for 5 shows "$group" "$mixed" "$near"
		sees $pid "$near" || fail "Mems_allowed_list is '$mems' with the node"
		go
		wait_for 5 shows "$group" "$near" "$near"
		sees $pid "$near" || fail "Mems_allowed_list is '$mems' without the node"
		expect_value "$group/cpuset.mems" "$mixed"
	done
}

case_group_without_the_node_stays() {
	cgroup_new cpuset-a
	write_file "$near" "$group/cpuset.mems"
	there
	expect_mems "$group" "$near" "$near"
	go
	wait_for 5 shows "$cgroups" "$ram_nodes" "$ram_nodes"
	expect_mems "$group" "$near" "$near"
}

# A group may be set to the node before it comes; when it comes, there is no system RAM in the group, and its tasks go
# on with the parent's.
case_group_set_to_it_alone() {
	cgroup_new cpuset-a
	write_file "$private" "$group/cpuset.mems"
	expect_mems "$group" "$ram_nodes" "$ram_nodes"
	pattern_start -s 256K -g "$group"
	ask fill
	for _ in 1 2; do
		there
		wait_for 5 shows "$group" "$private" ""
		wait_for 5 sees "$pattern_pid" "$ram_nodes"
		ask verify
		expect_eq "$answer" "verify good=64 bad=0"
		ask fill
		ask nodes
		on_node "${answer#nodes }" "$private"
		expect_eq "$count" 0 "pages on the private node"
		go
		wait_for 5 shows "$group" "$ram_nodes" "$ram_nodes"
		wait_for 5 sees "$pattern_pid" "$ram_nodes"
		ask verify
		expect_eq "$answer" "verify good=64 bad=0"
	done
	expect_value "$group/cpuset.mems" "$private"
}

case_deep_groups() {
	cgroup_new cpuset-a cpuset
	one=$group
	cgroup_new cpuset-a/b cpuset
	two=$group
	cgroup_new cpuset-a/b/c
	write_file "$near,$private" "$one/cpuset.mems"
	write_file "$private" "$two/cpuset.mems"
	expect_mems "$group" "$near" "$near"
	there
	wait_for 5 shows "$one" "$mixed" "$near"
	wait_for 5 shows "$two" "$private" ""
	wait_for 5 shows "$group" "$private" ""
	go
	wait_for 5 shows "$one" "$near" "$near"
	wait_for 5 shows "$two" "$near" "$near"
	wait_for 5 shows "$group" "$near" "$near"
}

case_group_made_while_it_is_there() {
	there
	cgroup_new cpuset-a
	expect_mems "$group" "$all" "$ram_nodes"
	go
	wait_for 5 shows "$group" "$ram_nodes" "$ram_nodes"
}

case_partition() {
	read_value cpus /sys/devices/system/cpu/online
	last=${cpus##*[-,]}
	[ "$last" -ge 1 ] || skip "this machine has one processor"
	cgroup_new cpuset-a
	need_file "$group/cpuset.cpus.partition" "this kernel has no partitions"
	write_file "$last" "$group/cpuset.cpus"
	write_file root "$group/cpuset.cpus.partition"
	write_file "$near,$private" "$group/cpuset.mems"
	there
	wait_for 5 shows "$group" "$mixed" "$near"
	expect_value "$group/cpuset.cpus.partition" root
	go
	wait_for 5 shows "$group" "$near" "$near"
	expect_value "$group/cpuset.cpus.partition" root
}

# A RAM node comes and goes while the private one is there: the one is in both files, the other never in sysram. A task
# in a group of the private node alone has what the parent has.
case_ram_node_comes_and_goes_beside_it() {
	need_places 2
	there
	cgroup_new cpuset-b
	write_file "$private" "$group/cpuset.mems"
	sleep 60 &
	alone=$!
	write_file $alone "$group/cgroup.procs"
	cgroup_new cpuset-a
	sleep 60 &
	pid=$!
	write_file $pid "$group/cgroup.procs"
	place 2
	bound ram
	far=$node
	read_value before "$cgroups/cpuset.mems.effective"
	online_first "$region"
	read_value with "$nodes/has_memory"
	in_list "$far" "$with" || fail "node $far is not in has_memory"
	list "$far"
	with_private "$with"
	wait_for 5 shows "$cgroups" "$list" "$with"
	wait_for 5 shows "$group" "$list" "$with"
	wait_for 5 sees $pid "$with"
	wait_for 5 sees $alone "$with"
	cxl_offline "$region"
	wait_for 5 shows "$cgroups" "$before" "$ram_nodes"
	wait_for 5 shows "$group" "$before" "$ram_nodes"
	wait_for 5 sees $pid "$ram_nodes"
	wait_for 5 sees $alone "$ram_nodes"
}

# The same node, in the same group, as private memory and as RAM.
case_node_changes_its_kind() {
	need_places 2
	place 2
	cgroup_new cpuset-a
	pattern_start -s 256K -g "$group"
	ask fill
	for kind in private ram private; do
		online $kind
		write_file "$node" "$group/cpuset.mems"
		if [ $kind = ram ]; then
			wait_for 5 shows "$group" "$node" "$node"
			wait_for 5 sees "$pattern_pid" "$node"
			ask drop
			ask fill
			ask nodes
			expect_eq "$answer" "nodes $node=64" "pages while the node is RAM"
		else
			wait_for 5 shows "$group" "$node" ""
			wait_for 5 sees "$pattern_pid" "$ram_nodes"
			ask drop
			ask fill
			ask nodes
			on_node "${answer#nodes }" "$node"
			expect_eq "$count" 0 "pages on the node while it is private"
		fi
		gone
		wait_for 5 shows "$group" "$ram_nodes" "$ram_nodes"
		wait_for 5 sees "$pattern_pid" "$ram_nodes"
		ask verify
		expect_eq "$answer" "verify good=64 bad=0"
	done
}

case_region_goes_while_groups_want_it() {
	need_places 2
	place 2
	online private
	cgroup_new cpuset-a
	write_file "$node" "$group/cpuset.mems"
	wait_for 5 shows "$group" "$node" ""
	gone
	wait_for 5 shows "$group" "$ram_nodes" "$ram_nodes"
	expect_value "$group/cpuset.mems" "$node"
	online private
	wait_for 5 shows "$group" "$node" ""
}

case_under_load() {
	cgroup_new cpuset-a
	write_file "$near,$private" "$group/cpuset.mems"
	pattern_start -s 256K -g "$group"
	ask fill
	defer go
	for _ in 1 2; do
		tell churn 20
		come
		answer
		expect_match "$answer" "churn *bad=0"
		tell churn 20
		go
		answer
		expect_match "$answer" "churn *bad=0"
	done
	ask verify
	expect_eq "$answer" "verify good=64 bad=0"
}

ktap_main "$@"
