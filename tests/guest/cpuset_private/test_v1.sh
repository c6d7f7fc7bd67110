#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# cpuset.mems_sysram in the v1 hierarchy, which is mounted for the program.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/sysram.sh"

setup_program() {
	need_private
	need_program pattern
	read_value ram_nodes "$nodes/has_memory"
	near=${ram_nodes%%[-,]*}
	v1=$KTAP_TMP/v1
	mkdir "$v1"
	mount_v1
	[ -e "$v1/cpuset.mems" ] || fail "the hierarchy has no cpuset.mems"
	need_file "$v1/cpuset.mems_sysram" "this kernel has no cpuset.mems_sysram in the v1 hierarchy"
	private_node
	ram_node
	wait_for 5 reads "$v1/cpuset.mems_sysram" "$ram_nodes"
}

# A kernel that cannot says so at once; one that can may have to wait for groups of the v2 hierarchy to go.
mount_v1() {
	v1_tries=0
	until output=$(mount -t cgroup -o cpuset cpuset "$v1" 2>&1); do
		case $output in
		*[Bb]usy*) ;;
		*) skip "this kernel has no v1 hierarchy for cpusets (CONFIG_CPUSETS_V1): $output" ;;
		esac
		v1_tries=$((v1_tries + 1))
		[ $v1_tries -lt 100 ] || skip "the v2 hierarchy keeps the cpuset controller: $output"
		sleep 0.05
	done
	defer unmount_v1
}

# The controller has to be back in the v2 hierarchy for whoever comes next.
unmount_v1() {
	umount "$v1"
	v1_tries=0
	until grep -q cpuset "$cgroups/cgroup.controllers"; do
		v1_tries=$((v1_tries + 1))
		[ $v1_tries -lt 100 ] || fail "the cpuset controller is not back in the v2 hierarchy"
		sleep 0.05
	done
}

# v1_new NAME: $group is a new group that can have tasks, its nodes those of the root, as far as they are taken
v1_new() {
	group=$v1/$1
	mkdir "$group"
	defer v1_remove "$group"
	read_value v1_value "$v1/cpuset.cpus"
	write_file "$v1_value" "$group/cpuset.cpus"
	write_file "$near" "$group/cpuset.mems"
}

v1_remove() {
	[ -e "$1" ] || return 0
	while read -r v1_pid; do
		kill -KILL "$v1_pid" 2>/dev/null || :
	done <"$1/tasks"
	v1_tries=0
	until rmdir "$1" 2>/dev/null; do
		v1_tries=$((v1_tries + 1))
		[ $v1_tries -lt 250 ] || fail "$1 cannot be removed"
		sleep 0.02
	done
}

case_file_modes() {
	v1_new a
	mkdir "$group/b"
	defer v1_remove "$group/b"
	for each in "$v1" "$group" "$group/b"; do
		mode=$(stat -c %a "$each/cpuset.mems_sysram")
		expect_eq "$mode" 444 "mode of $each/cpuset.mems_sysram"
	done
	for each in "$v1" "$group"; do
		[ ! -e "$each/cpuset.mems.sysram" ] || fail "$each has the file of the v2 hierarchy"
	done
}

case_root() {
	expect_value "$v1/cpuset.mems_sysram" "$ram_nodes"
}

case_writing() {
	v1_new a
	for each in "$v1" "$group"; do
		for text in "$near" "$private" nonsense ''; do
			expect_errno EINVAL write_file "$text" "$each/cpuset.mems_sysram"
		done
	done
	expect_value "$v1/cpuset.mems_sysram" "$ram_nodes"
	expect_value "$group/cpuset.mems_sysram" "$near"
}

# Whether this hierarchy takes the node for a group is not said; where it does, it is none of the system RAM.
case_group_with_both() {
	v1_new a
	expect_value "$group/cpuset.mems_sysram" "$near"
	outcome write_file "$near,$private" "$group/cpuset.mems"
	note "cpuset.mems=$near,$private: $outcome"
	expect_value "$group/cpuset.mems_sysram" "$near"
	sleep 60 &
	pid=$!
	write_file $pid "$group/tasks"
	sees $pid "$near" || fail "Mems_allowed_list is '$mems'"
}

case_group_with_it_alone() {
	v1_new a
	outcome write_file "$private" "$group/cpuset.mems"
	note "cpuset.mems=$private: $outcome"
	if [ "$outcome" != "done" ]; then
		expect_value "$group/cpuset.mems" "$near"
		expect_value "$group/cpuset.mems_sysram" "$near"
		return 0
	fi
	expect_value "$group/cpuset.mems_sysram" ""
	sleep 60 &
	pid=$!
	outcome write_file $pid "$group/tasks"
	note "a task: $outcome"
	status_mems $pid
	expect_eq "$mems" "$ram_nodes" "Mems_allowed_list"
}

case_group_of_a_ram_node() {
	need_ram_node
	v1_new a
	write_file "$far" "$group/cpuset.mems"
	expect_value "$group/cpuset.mems_sysram" "$far"
	list "$near" "$far"
	write_file "$list" "$group/cpuset.mems"
	expect_value "$group/cpuset.mems_sysram" "$list"
}

case_children() {
	v1_new a
	parent=$group
	v1_new a/b
	expect_value "$group/cpuset.mems_sysram" "$near"
	if write_file "$near,$private" "$parent/cpuset.mems" && write_file "$near,$private" "$group/cpuset.mems"; then
		expect_value "$parent/cpuset.mems_sysram" "$near"
		expect_value "$group/cpuset.mems_sysram" "$near"
	fi
}

case_pages() {
	v1_new a
	write_file 1 "$group/cpuset.memory_migrate"
	pattern_start -s 256K
	write_file "$pattern_pid" "$group/tasks"
	ask fill
	for mems in "$near,$private" "$private" "$near"; do
		outcome write_file "$mems" "$group/cpuset.mems"
		note "cpuset.mems=$mems: $outcome"
		ask nodes
		on_node "${answer#nodes }" "$private"
		expect_eq "$count" 0 "pages on the private node, group of $mems"
		ask drop
		ask fill
		ask nodes
		on_node "${answer#nodes }" "$private"
		expect_eq "$count" 0 "new pages on the private node, group of $mems"
		status_mems "$pattern_pid"
		! in_list "$private" "$mems" || fail "Mems_allowed_list is $mems"
	done
	ask verify
	expect_eq "$answer" "verify good=64 bad=0"
}

case_hotplug() {
	v1_new a
	expect_value "$group/cpuset.mems_sysram" "$near"
	cxl_offline "$private_region"
	defer online_first "$private_region"
	sleep 0.2
	expect_value "$v1/cpuset.mems_sysram" "$ram_nodes"
	expect_value "$group/cpuset.mems_sysram" "$near"
	online_first "$private_region"
	sleep 0.2
	expect_value "$v1/cpuset.mems_sysram" "$ram_nodes"
	expect_value "$group/cpuset.mems_sysram" "$near"
}

ktap_main "$@"
