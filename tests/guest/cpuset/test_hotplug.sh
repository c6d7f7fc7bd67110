#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# cpusets follow memory nodes that come and go while groups and tasks exist.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/far.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"

setup_program() {
	need_file "$nodes" "this kernel has no NUMA (CONFIG_NUMA)"
	need_controller cpuset
	find_far
	need_far_region
	read_value with "$nodes/has_memory"
	cxl_offline "$far_region"
	read_value without "$nodes/has_memory"
}

come() {
	cxl_online "$far_region"
}

go() {
	cxl_offline "$far_region"
}

# with_far: the node is there, until the end of the case at most
with_far() {
	defer go
	come
}

# reads FILE TEXT: for wait_for; cpusets follow hotplug in a work item of their own
reads() {
	read_value text "$1"
	[ "$text" = "$2" ]
}

status_mems() {
	mems=
	while read -r key value; do
		[ "$key" != Mems_allowed_list: ] || mems=$value
	done <"/proc/$1/status"
	[ "$mems" = "$2" ]
}

case_root_follows() {
	expect_file "$cgroups/cpuset.mems.effective" "$without"
	with_far
	wait_for 5 reads "$cgroups/cpuset.mems.effective" "$with"
	go
	wait_for 5 reads "$cgroups/cpuset.mems.effective" "$without"
}

case_unset_groups_follow() {
	cgroup_new cpuset-a cpuset
	parent=$group
	cgroup_new cpuset-a/b
	sleep 60 &
	pid=$!
	write_file "$pid" "$group/cgroup.procs"
	with_far
	wait_for 5 reads "$parent/cpuset.mems.effective" "$with"
	wait_for 5 reads "$group/cpuset.mems.effective" "$with"
	wait_for 5 status_mems $pid "$with"
	go
	wait_for 5 reads "$parent/cpuset.mems.effective" "$without"
	wait_for 5 reads "$group/cpuset.mems.effective" "$without"
	wait_for 5 status_mems $pid "$without"
	expect_file "$group/cpuset.mems" ""
}

# What was asked for stays, what is effective follows.
case_set_group_follows() {
	cgroup_new cpuset-a
	with_far
	write_file "$near,$far" "$group/cpuset.mems"
	read_value asked "$group/cpuset.mems"
	expect_file "$group/cpuset.mems.effective" "$asked"
	for _ in 1 2; do
		go
		wait_for 5 reads "$group/cpuset.mems.effective" "$near"
		expect_file "$group/cpuset.mems" "$asked"
		come
		wait_for 5 reads "$group/cpuset.mems.effective" "$asked"
	done
}

case_group_without_the_node_stays() {
	cgroup_new cpuset-a
	write_file "$near" "$group/cpuset.mems"
	with_far
	wait_for 5 reads "$cgroups/cpuset.mems.effective" "$with"
	expect_file "$group/cpuset.mems.effective" "$near"
	go
	wait_for 5 reads "$cgroups/cpuset.mems.effective" "$without"
	expect_file "$group/cpuset.mems.effective" "$near"
}

# A group set to a node that is not there yet gets it when it comes.
case_group_set_before_the_node_comes() {
	cgroup_new cpuset-a
	write_file "$far" "$group/cpuset.mems"
	expect_file "$group/cpuset.mems" "$far"
	expect_file "$group/cpuset.mems.effective" "$without"
	with_far
	wait_for 5 reads "$group/cpuset.mems.effective" "$far"
}

# The only node of a group goes: its tasks go on with the parent's, and their pages are what they were.
case_only_node_goes_with_pages_on_it() {
	need_program pattern
	with_far
	cgroup_new cpuset-a
	write_file "$far" "$group/cpuset.mems"
	pattern_start -s 1M -g "$group"
	ask fill
	ask nodes
	expect_eq "$answer" "nodes $far=256"
	go
	wait_for 5 reads "$group/cpuset.mems.effective" "$without"
	expect_file "$group/cpuset.mems" "$far"
	ask nodes
	expect_ne "$answer" "nodes $far=256"
	on_node "${answer#nodes }" "$far"
	expect_eq "$count" 0 "pages on the node that is gone"
	ask verify
	expect_eq "$answer" "verify good=256 bad=0"
	ask fill
	ask verify
	expect_eq "$answer" "verify good=256 bad=0"
	come
	wait_for 5 reads "$group/cpuset.mems.effective" "$far"
	ask drop
	ask fill
	ask nodes
	expect_eq "$answer" "nodes $far=256"
}

case_node_comes_and_goes_under_load() {
	need_program pattern
	cgroup_new cpuset-a
	pattern_start -s 2M -g "$group" -n "$near" -p preferred
	ask fill
	defer go
	for _ in 1 2 3; do
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
	expect_eq "$answer" "verify good=512 bad=0"
}

ktap_main "$@"
