#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# cpuset.mems and cpuset.mems.effective in the v2 hierarchy, and what tasks see of them.
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
	both=$near
	[ -z "$far" ] || both=$(joined "$near" "$far")
}

# joined A B: the two in the kernel's list format
joined() {
	if [ "$2" -eq $(($1 + 1)) ]; then
		echo "$1-$2"
	else
		echo "$1,$2"
	fi
}

# status_mems PID: $mems is its Mems_allowed_list
status_mems() {
	mems=
	while read -r key value; do
		[ "$key" != Mems_allowed_list: ] || mems=$value
	done <"/proc/$1/status"
}

case_root_has_all_memory() {
	read_value memory "$nodes/has_memory"
	expect_file "$cgroups/cpuset.mems.effective" "$memory"
	[ ! -e "$cgroups/cpuset.mems" ] || fail "the root group has cpuset.mems"
}

case_new_group_takes_the_parents() {
	cgroup_new cpuset-a
	expect_file "$group/cpuset.mems" ""
	read_value expected "$cgroups/cpuset.mems.effective"
	expect_file "$group/cpuset.mems.effective" "$expected"
}

case_set_and_clear() {
	cgroup_new cpuset-a
	read_value all "$group/cpuset.mems.effective"
	write_file "$near" "$group/cpuset.mems"
	expect_file "$group/cpuset.mems" "$near"
	expect_file "$group/cpuset.mems.effective" "$near"
	write_file '' "$group/cpuset.mems"
	expect_file "$group/cpuset.mems" ""
	expect_file "$group/cpuset.mems.effective" "$all"
}

case_set_refusals() {
	cgroup_new cpuset-a
	write_file "$near" "$group/cpuset.mems"
	for list in nonsense 1- -1 0,x 3-1; do
		expect_errno EINVAL write_file "$list" "$group/cpuset.mems"
	done
	expect_errno ERANGE write_file 99999 "$group/cpuset.mems"
	expect_file "$group/cpuset.mems" "$near"
}

# A node that cannot be is refused; one that could be, but has no memory, may be asked for and is not effective.
case_nodes_without_memory() {
	read_value possible "$nodes/possible"
	read_value memory "$nodes/has_memory"
	last=${possible##*[-,]}
	cgroup_new cpuset-a
	expect_errno EINVAL write_file $((last + 1)) "$group/cpuset.mems"
	expect_file "$group/cpuset.mems" ""
	if in_list "$last" "$memory"; then
		skip "every possible node has memory here"
	fi
	write_file "$near,$last" "$group/cpuset.mems"
	expect_file "$group/cpuset.mems.effective" "$near"
	write_file "$last" "$group/cpuset.mems"
	expect_file "$group/cpuset.mems.effective" "$memory"
}

# Files of which there is nothing to write cannot be opened for it.
case_effective_is_read_only() {
	cgroup_new cpuset-a
	for file in "$cgroups/cpuset.mems.effective" "$group/cpuset.mems.effective" "$group/cpuset.cpus.effective"; do
		mode=$(stat -c %a "$file")
		expect_eq "$mode" 444 "mode of $file"
		expect_fail write_file "$near" "$file"
	done
}

case_child_within_parent() {
	need_far
	cgroup_new cpuset-a cpuset
	parent=$group
	cgroup_new cpuset-a/b
	write_file "$near" "$parent/cpuset.mems"
	write_file "$both" "$group/cpuset.mems"
	expect_file "$group/cpuset.mems" "$both"
	expect_file "$group/cpuset.mems.effective" "$near"
	write_file "$both" "$parent/cpuset.mems"
	expect_file "$group/cpuset.mems.effective" "$both"
	write_file "$far" "$parent/cpuset.mems"
	expect_file "$group/cpuset.mems.effective" "$far"
	write_file "$near" "$group/cpuset.mems" # nothing of it in the parent's: the child takes the parent's
	expect_file "$group/cpuset.mems.effective" "$far"
}

case_deep_children() {
	need_far
	cgroup_new cpuset-a cpuset
	top=$group
	path=cpuset-a
	for name in b c d e; do
		path=$path/$name
		cgroup_new "$path" cpuset
	done
	for list in "$near" "$far" "$both"; do
		write_file "$list" "$top/cpuset.mems"
		expect_file "$group/cpuset.mems.effective" "$list"
	done
	write_file "$near" "$cgroups/cpuset-a/b/c/cpuset.mems"
	expect_file "$cgroups/cpuset-a/b/cpuset.mems.effective" "$both"
	expect_file "$group/cpuset.mems.effective" "$near"
}

case_siblings_are_apart() {
	need_far
	cgroup_new cpuset-a
	one=$group
	cgroup_new cpuset-b
	write_file "$near" "$one/cpuset.mems"
	write_file "$far" "$group/cpuset.mems"
	expect_file "$one/cpuset.mems.effective" "$near"
	expect_file "$group/cpuset.mems.effective" "$far"
	write_file "$both" "$one/cpuset.mems"
	expect_file "$group/cpuset.mems.effective" "$far"
}

case_task_sees_its_group() {
	need_program membind
	need_far
	cgroup_new cpuset-a
	sleep 60 &
	pid=$!
	write_file "$pid" "$group/cgroup.procs"
	for list in "$near" "$both" "$far"; do
		write_file "$list" "$group/cpuset.mems"
		status_mems $pid
		expect_eq "$mems" "$list" "Mems_allowed_list"
	done
	write_file "$pid" "$cgroups/cgroup.procs"
	status_mems $pid
	read_value all "$cgroups/cpuset.mems.effective"
	expect_eq "$mems" "$all" "Mems_allowed_list in the root group"
	kill $pid
	write_file "$near" "$group/cpuset.mems"
	expect_ok membind -g "$group" allowed
	expect_eq "$output" "$near" "get_mempolicy(MPOL_F_MEMS_ALLOWED)"
	write_file "$both" "$group/cpuset.mems"
	expect_ok membind -g "$group" allowed
	expect_eq "$output" "$both" "get_mempolicy(MPOL_F_MEMS_ALLOWED)"
}

# Every thread and child of a task is where it is.
case_children_inherit() {
	need_program pattern
	need_far
	cgroup_new cpuset-a
	write_file "$far" "$group/cpuset.mems"
	pattern_start -s 1M -g "$group"
	ask fork fill
	ask fill
	ask fork nodes
	expect_eq "$answer" "nodes $far=256"
}

case_pages_land_where_allowed() {
	need_program pattern
	need_far
	cgroup_new cpuset-a
	for list in "$near" "$far"; do
		write_file "$list" "$group/cpuset.mems"
		pattern -g "$group" -s 2M fill nodes verify >"$KTAP_TMP/landed" # not through a pipe, whose pages cannot move
		expect_match "$(cat "$KTAP_TMP/landed")" "*nodes $list=512?verify good=512 bad=0"
	done
}

case_shared_pages_land_where_allowed() {
	need_program pattern
	need_far
	cgroup_new cpuset-a
	write_file "$far" "$group/cpuset.mems"
	pattern -g "$group" -s 1M -f "$KTAP_TMP/shared" fill nodes verify >"$KTAP_TMP/landed"
	expect_match "$(cat "$KTAP_TMP/landed")" "*nodes $far=256?verify good=256 bad=0"
}

case_new_mems_move_the_pages() {
	need_program pattern
	need_far
	cgroup_new cpuset-a
	write_file "$near" "$group/cpuset.mems"
	pattern_start -s 1M -g "$group"
	ask fill
	ask nodes
	expect_eq "$answer" "nodes $near=256"
	for list in "$far" "$near" "$far"; do
		write_file "$list" "$group/cpuset.mems"
		wait_for 10 all_pages_on "$list"
	done
	ask verify
	expect_eq "$answer" "verify good=256 bad=0"
}

# all_pages_on NODE: migration may go on after the write returned
all_pages_on() {
	ask nodes
	[ "$answer" = "nodes $1=256" ]
}

case_task_that_moves_takes_its_pages() {
	need_program pattern
	need_far
	cgroup_new cpuset-a
	one=$group
	cgroup_new cpuset-b
	write_file "$near" "$one/cpuset.mems"
	write_file "$far" "$group/cpuset.mems"
	pattern_start -s 1M -g "$one"
	ask fill
	write_file "$pattern_pid" "$group/cgroup.procs"
	wait_for 10 all_pages_on "$far"
	write_file "$pattern_pid" "$one/cgroup.procs"
	wait_for 10 all_pages_on "$near"
	ask verify
	expect_eq "$answer" "verify good=256 bad=0"
}

case_wider_mems_leave_the_pages() {
	need_program pattern
	need_far
	cgroup_new cpuset-a
	write_file "$far" "$group/cpuset.mems"
	pattern_start -s 1M -g "$group"
	ask fill
	write_file "$both" "$group/cpuset.mems"
	ask nodes
	expect_eq "$answer" "nodes $far=256"
}

ktap_main "$@"
