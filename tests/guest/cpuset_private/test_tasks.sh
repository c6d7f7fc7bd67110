#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Tasks in groups that may have a private node: what they see, where their pages are, and what moving them does.
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
	private_node
	ram_node
	wait_for 5 reads "$cgroups/cpuset.mems.sysram" "$ram_nodes"
}

# expect_sees PID LIST [WHEN]: both lines of its status; LIST may have a second range at most
expect_sees() {
	status_mems "$1"
	expect_eq "$mems" "$2" "Mems_allowed_list${3:+ ($3)}"
	expected=0 number=0
	while [ "$number" -lt 32 ]; do
		if in_list "$number" "$2"; then
			expected=$((expected | 1 << number))
		fi
		number=$((number + 1))
	done
	expect_eq "$mask" "$expected" "Mems_allowed${3:+ ($3)}"
}

# off_the_node: the pages of the pattern process are as written, and none is on the private node
off_the_node() {
	ask nodes
	on_node "${answer#nodes }" "$private"
	expect_eq "$count" 0 "pages on the private node${1:+ ($1)}"
	ask verify
	expect_eq "$answer" "verify good=64 bad=0"
}

all_on() {
	ask nodes
	[ "$answer" = "nodes $1=64" ]
}

case_every_task() {
	grep -hs '^Mems_allowed_list:' /proc/[0-9]*/status | sort -u >"$KTAP_TMP/seen"
	while read -r _ mems; do
		! in_list "$private" "$mems" || fail "a task has Mems_allowed_list $mems"
	done <"$KTAP_TMP/seen"
	expect_sees $$ "$ram_nodes"
}

case_task_sees_its_group() {
	cgroup_new cpuset-a
	sleep 60 &
	pid=$!
	write_file $pid "$group/cgroup.procs"
	expect_sees $pid "$ram_nodes" "group not set"
	write_file "$near" "$group/cpuset.mems"
	expect_sees $pid "$near" "near"
	write_file "$near,$private" "$group/cpuset.mems"
	expect_sees $pid "$near" "near and private"
	write_file "$private" "$group/cpuset.mems"
	expect_sees $pid "$ram_nodes" "private"
	write_file $pid "$cgroups/cgroup.procs"
	expect_sees $pid "$ram_nodes" "root group"
}

case_task_sees_its_group_beside_a_ram_node() {
	need_ram_node
	cgroup_new cpuset-a
	sleep 60 &
	pid=$!
	write_file $pid "$group/cgroup.procs"
	write_file "$private,$far" "$group/cpuset.mems"
	expect_sees $pid "$far" "private and far"
	list "$near" "$far"
	write_file "$near,$private,$far" "$group/cpuset.mems"
	expect_sees $pid "$list" "all"
}

case_task_that_enters() {
	for mems in "$near:$near" "$near,$private:$near" "$private:$ram_nodes"; do
		cgroup_new cpuset-a
		write_file "${mems%:*}" "$group/cpuset.mems"
		sleep 60 &
		pid=$!
		write_file $pid "$group/cgroup.procs"
		expect_sees $pid "${mems#*:}" "group of ${mems%:*}"
		write_file $pid "$cgroups/cgroup.procs"
		expect_sees $pid "$ram_nodes" "root group again"
		kill $pid
		cgroup_remove "$group"
	done
}

# The parent's system RAM, not that of the whole machine.
case_private_group_below_a_narrow_parent() {
	need_ram_node
	cgroup_new cpuset-a cpuset
	parent=$group
	cgroup_new cpuset-a/b
	for mems in "$near" "$far"; do
		list "$mems" "$private"
		write_file "$list" "$parent/cpuset.mems"
		write_file "$private" "$group/cpuset.mems"
		expect_mems "$group" "$private" ""
		sleep 60 &
		pid=$!
		write_file $pid "$group/cgroup.procs"
		expect_sees $pid "$mems" "parent with node $mems"
		write_file $pid "$cgroups/cgroup.procs"
		kill $pid
	done
}

# What the parent loses, tasks below it lose with it, and what it gets they get, though their own groups stay as they are.
case_private_groups_follow_their_parent() {
	need_ram_node
	cgroup_new cpuset-a cpuset
	parent=$group
	cgroup_new cpuset-a/b cpuset
	middle=$group
	cgroup_new cpuset-a/b/c
	list "$near" "$private" "$far"
	all=$list
	write_file "$all" "$parent/cpuset.mems"
	write_file "$private" "$middle/cpuset.mems"
	write_file "$private" "$group/cpuset.mems"
	pattern_start -s 256K -g "$group"
	for mems in "$near" "$far" "$near,$far" "$near"; do
		# shellcheck disable=SC2046 # a list
		list $(echo "$mems" | tr , ' ')
		ram=$list
		write_file "$mems,$private" "$parent/cpuset.mems"
		expect_mems "$group" "$private" ""
		expect_sees "$pattern_pid" "$ram" "parent with $mems and private"
		ask drop
		ask fill
		off_the_node "parent with $mems and private"
	done
	ask nodes
	expect_eq "$answer" "nodes $near=64" "pages, with system RAM on node $near only"
	write_file "$private" "$parent/cpuset.mems"
	expect_sees "$pattern_pid" "$ram_nodes" "parent with private"
	write_file "$far" "$parent/cpuset.mems"
	expect_mems "$group" "$far" "$far"
	expect_sees "$pattern_pid" "$far" "parent with far"
	ask verify
	expect_eq "$answer" "verify good=64 bad=0"
}

# Two groups that look the same, below parents that are not.
case_task_moves_between_private_groups() {
	need_ram_node
	for parent in "a:$near" "b:$far"; do
		cgroup_new "cpuset-${parent%:*}" cpuset
		write_file "${parent#*:},$private" "$group/cpuset.mems"
		cgroup_new "cpuset-${parent%:*}/c"
		write_file "$private" "$group/cpuset.mems"
	done
	pattern_start -s 256K -g "$cgroups/cpuset-a/c"
	ask fill
	expect_sees "$pattern_pid" "$near"
	for step in "b:$far" "a:$near"; do
		write_file "$pattern_pid" "$cgroups/cpuset-${step%:*}/c/cgroup.procs"
		expect_sees "$pattern_pid" "${step#*:}" "in group ${step%:*}"
		ask drop
		ask fill
		ask nodes
		expect_eq "$answer" "nodes ${step#*:}=64" "pages in group ${step%:*}"
	done
}

case_private_groups_below_each_other() {
	cgroup_new cpuset-a cpuset
	one=$group
	cgroup_new cpuset-a/b cpuset
	two=$group
	cgroup_new cpuset-a/b/c
	write_file "$private" "$one/cpuset.mems"
	write_file "$private" "$two/cpuset.mems"
	for each in "$one" "$two" "$group"; do
		expect_mems "$each" "$private" ""
	done
	pattern_start -s 256K -g "$group"
	expect_sees "$pattern_pid" "$ram_nodes"
	ask fill
	off_the_node
}

case_pages_of_a_group_with_both() {
	cgroup_new cpuset-a
	write_file "$near,$private" "$group/cpuset.mems"
	pattern_start -s 256K -g "$group"
	ask fill
	ask nodes
	expect_eq "$answer" "nodes $near=64"
	ask fork fill
	ask fork nodes
	on_node "${answer#nodes }" "$private"
	expect_eq "$count" 0 "pages of a child on the private node"
	off_the_node
}

case_pages_of_a_private_group() {
	cgroup_new cpuset-a
	write_file "$private" "$group/cpuset.mems"
	pattern_start -s 256K -g "$group"
	expect_sees "$pattern_pid" "$ram_nodes"
	ask fill
	off_the_node
	ask drop
	ask fill
	off_the_node
	pattern -g "$group" -s 256K -f "$KTAP_TMP/shared" fill nodes verify >"$KTAP_TMP/landed"
	content=$(cat "$KTAP_TMP/landed")
	expect_match "$content" "*verify good=64 bad=0"
	case $content in
	*"nodes $private="* | *" $private="*) fail "shared pages on the private node: $content" ;;
	esac
}

case_task_migrates_between_groups() {
	cgroup_new cpuset-a
	one=$group
	cgroup_new cpuset-b
	two=$group
	cgroup_new cpuset-c
	write_file "$near" "$one/cpuset.mems"
	write_file "$private" "$two/cpuset.mems"
	write_file "$near,$private" "$group/cpuset.mems"
	pattern_start -s 256K -g "$one"
	ask fill
	for each in "$two" "$group" "$one" "$group" "$two" "$one"; do
		write_file "$pattern_pid" "$each/cgroup.procs"
		if [ "$each" = "$two" ]; then
			expect_sees "$pattern_pid" "$ram_nodes" "${each##*/}"
		else
			expect_sees "$pattern_pid" "$near" "${each##*/}"
		fi
		off_the_node "${each##*/}"
		ask fill
	done
	off_the_node
}

case_pages_follow_to_ram_and_never_to_private() {
	need_ram_node
	cgroup_new cpuset-a
	one=$group
	cgroup_new cpuset-b
	write_file "$far" "$one/cpuset.mems"
	write_file "$near,$private" "$group/cpuset.mems"
	pattern_start -s 256K -g "$one"
	ask fill
	ask nodes
	expect_eq "$answer" "nodes $far=64"
	write_file "$pattern_pid" "$group/cgroup.procs"
	wait_for 10 all_on "$near"
	list "$private" "$far"
	write_file "$list" "$group/cpuset.mems"
	wait_for 10 all_on "$far"
	write_file "$private" "$group/cpuset.mems"
	expect_sees "$pattern_pid" "$ram_nodes"
	sleep 0.2
	off_the_node "private alone"
	write_file "$near" "$group/cpuset.mems"
	wait_for 10 all_on "$near"
	ask verify
	expect_eq "$answer" "verify good=64 bad=0"
}

case_mems_change_under_a_task() {
	cgroup_new cpuset-a
	pattern_start -s 256K -g "$group"
	ask fill
	for mems in "$near" "$private" "$near,$private" "$private" "$near" "$near,$private"; do
		write_file "$mems" "$group/cpuset.mems"
		off_the_node "$mems"
		ask fill
		ask drop
		ask fill
		off_the_node "$mems, filled again"
	done
}

# A policy that the task has, when its group is left with the private node alone.
case_policy_in_a_group_that_becomes_private() {
	cgroup_new cpuset-a
	pattern_start -s 256K -g "$group" -n "$near"
	ask fill
	write_file "$private" "$group/cpuset.mems"
	expect_sees "$pattern_pid" "$ram_nodes"
	off_the_node
	ask drop
	ask fill
	off_the_node
	write_file "$near,$private" "$group/cpuset.mems"
	ask drop
	ask fill
	ask nodes
	expect_eq "$answer" "nodes $near=64"
}

case_new_tasks_of_a_private_group() {
	cgroup_new cpuset-a
	write_file "$private" "$group/cpuset.mems"
	in_cgroup "$group" grep -e '^Mems_allowed_list:' /proc/self/status >"$KTAP_TMP/status"
	read -r _ mems <"$KTAP_TMP/status"
	expect_eq "$mems" "$ram_nodes" "Mems_allowed_list of a new task"
	# shellcheck disable=SC2016 # for the inner shell
	in_cgroup "$group" sh -c 'for i in 1 2 3; do grep -h "^Mems_allowed_list:" /proc/self/status & done; wait' |
		sort -u >"$KTAP_TMP/status"
	read -r _ mems <"$KTAP_TMP/status"
	expect_eq "$mems" "$ram_nodes" "Mems_allowed_list of its children"
}

ktap_main "$@"
