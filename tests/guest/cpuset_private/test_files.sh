#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# cpuset.mems.sysram in the v2 hierarchy: what of a group's effective nodes is system RAM, beside a private node.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/sysram.sh"

setup_program() {
	need_private
	need_sysram
	private_node
	ram_node
	with_private "$ram_nodes"
	all=$list
	list "$near" "$private"
	mixed=$list
	wait_for 5 shows "$cgroups" "$all" "$ram_nodes"
}

# The kernel says once since the boot that a group has movable nodes only, so this is the first case.
case_only_private_is_accepted_with_a_warning() {
	need_program dmesg
	cgroup_new cpuset-a
	expect_ok write_file "$private" "$group/cpuset.mems"
	expect_mems "$group" "$private" ""
	dmesg >"$KTAP_TMP/all"
	grep -q "Linux version" "$KTAP_TMP/all" || skip "the kernel's log no longer has its beginning"
	grep -q "movable nodes only" "$KTAP_TMP/all" || fail "the kernel has not warned of movable nodes only"
}

case_root() {
	expect_mems "$cgroups" "$all" "$ram_nodes"
	expect_node "$private" private
	[ ! -e "$cgroups/cpuset.mems" ] || fail "the root group has cpuset.mems"
}

case_file_modes() {
	cgroup_new cpuset-a cpuset
	one=$group
	cgroup_new cpuset-a/b cpuset
	two=$group
	cgroup_new cpuset-a/b/c
	for each in "$cgroups" "$one" "$two" "$group"; do
		mode=$(stat -c %a "$each/cpuset.mems.sysram")
		expect_eq "$mode" 444 "mode of $each/cpuset.mems.sysram"
	done
}

case_writing() {
	cgroup_new cpuset-a cpuset
	one=$group
	write_file "$mixed" "$one/cpuset.mems"
	cgroup_new cpuset-a/b
	for each in "$cgroups" "$one" "$group"; do
		for text in "$near" "$private" "$mixed" nonsense 99999 ''; do
			expect_errno EINVAL write_file "$text" "$each/cpuset.mems.sysram"
		done
	done
	expect_mems "$cgroups" "$all" "$ram_nodes"
	expect_mems "$one" "$mixed" "$near"
	expect_mems "$group" "$mixed" "$near"
}

case_new_group_takes_the_parents() {
	cgroup_new cpuset-a
	expect_value "$group/cpuset.mems" ""
	expect_mems "$group" "$all" "$ram_nodes"
}

case_set_and_clear() {
	cgroup_new cpuset-a
	for _ in 1 2; do
		write_file "$near" "$group/cpuset.mems"
		expect_mems "$group" "$near" "$near"
		write_file "$near,$private" "$group/cpuset.mems"
		expect_value "$group/cpuset.mems" "$mixed"
		expect_mems "$group" "$mixed" "$near"
		write_file "$private" "$group/cpuset.mems"
		expect_value "$group/cpuset.mems" "$private"
		expect_mems "$group" "$private" ""
		write_file '' "$group/cpuset.mems"
		expect_value "$group/cpuset.mems" ""
		expect_mems "$group" "$all" "$ram_nodes"
	done
}

case_beside_a_ram_node() {
	need_ram_node
	cgroup_new cpuset-a
	write_file "$far" "$group/cpuset.mems"
	expect_mems "$group" "$far" "$far"
	list "$private" "$far"
	write_file "$private,$far" "$group/cpuset.mems"
	expect_mems "$group" "$list" "$far"
	list "$near" "$private" "$far"
	write_file "$near,$private,$far" "$group/cpuset.mems"
	expect_value "$group/cpuset.mems.effective" "$list"
	list "$near" "$far"
	expect_value "$group/cpuset.mems.sysram" "$list"
}

case_set_refusals() {
	cgroup_new cpuset-a
	write_file "$private" "$group/cpuset.mems"
	for text in nonsense 1- -1 0,x 3-1; do
		expect_errno EINVAL write_file "$text" "$group/cpuset.mems"
	done
	expect_mems "$group" "$private" ""
}

case_child_within_parent() {
	cgroup_new cpuset-a cpuset
	parent=$group
	cgroup_new cpuset-a/b
	write_file "$near" "$parent/cpuset.mems"
	expect_mems "$group" "$near" "$near"
	write_file "$near,$private" "$group/cpuset.mems"
	expect_mems "$group" "$near" "$near"
	write_file "$near,$private" "$parent/cpuset.mems"
	expect_mems "$group" "$mixed" "$near"
	write_file "$private" "$parent/cpuset.mems"
	expect_mems "$parent" "$private" ""
	expect_mems "$group" "$private" ""
	write_file "$near" "$group/cpuset.mems" # nothing of it in the parent's: the child takes the parent's
	expect_mems "$group" "$private" ""
	write_file '' "$parent/cpuset.mems"
	expect_mems "$group" "$near" "$near"
}

case_deep_children() {
	cgroup_new cpuset-a cpuset
	top=$group
	path=cpuset-a
	for name in b c d e; do
		path=$path/$name
		cgroup_new "$path" cpuset
	done
	for pair in "$near:$near" "$private:" "$mixed:$near"; do
		write_file "${pair%:*}" "$top/cpuset.mems"
		expect_mems "$group" "${pair%:*}" "${pair#*:}"
	done
	write_file "$private" "$cgroups/cpuset-a/b/c/cpuset.mems"
	expect_mems "$cgroups/cpuset-a/b" "$mixed" "$near"
	expect_mems "$cgroups/cpuset-a/b/c" "$private" ""
	expect_mems "$group" "$private" ""
	write_file "$near" "$top/cpuset.mems"
	expect_mems "$cgroups/cpuset-a/b/c" "$near" "$near"
	expect_mems "$group" "$near" "$near"
}

case_siblings_are_apart() {
	cgroup_new cpuset-a
	one=$group
	cgroup_new cpuset-b
	two=$group
	cgroup_new cpuset-c
	write_file "$near" "$one/cpuset.mems"
	write_file "$private" "$two/cpuset.mems"
	expect_mems "$one" "$near" "$near"
	expect_mems "$two" "$private" ""
	expect_mems "$group" "$all" "$ram_nodes"
	write_file "$mixed" "$one/cpuset.mems"
	expect_mems "$one" "$mixed" "$near"
	expect_mems "$two" "$private" ""
}

case_partitions() {
	read_value cpus /sys/devices/system/cpu/online
	last=${cpus##*[-,]}
	[ "$last" -ge 1 ] || skip "this machine has one processor"
	cgroup_new cpuset-a cpuset
	parent=$group
	need_file "$parent/cpuset.cpus.partition" "this kernel has no partitions"
	cgroup_new cpuset-a/b
	write_file "$last" "$parent/cpuset.cpus"
	for kind in root isolated; do
		write_file $kind "$parent/cpuset.cpus.partition"
		expect_value "$parent/cpuset.cpus.partition" $kind
		expect_mems "$parent" "$all" "$ram_nodes"
		for pair in "$mixed:$near" "$private:" "$near:$near"; do
			write_file "${pair%:*}" "$parent/cpuset.mems"
			expect_mems "$parent" "${pair%:*}" "${pair#*:}"
			expect_mems "$group" "${pair%:*}" "${pair#*:}"
		done
		mode=$(stat -c %a "$parent/cpuset.mems.sysram")
		expect_eq "$mode" 444 "mode of cpuset.mems.sysram"
		expect_errno EINVAL write_file "$near" "$parent/cpuset.mems.sysram"
		expect_mems "$cgroups" "$all" "$ram_nodes"
		write_file '' "$parent/cpuset.mems"
		write_file member "$parent/cpuset.cpus.partition"
		expect_mems "$parent" "$all" "$ram_nodes"
	done
}

case_group_goes_and_comes() {
	for mems in "$private" "$mixed" "$near"; do
		cgroup_new cpuset-a
		write_file "$mems" "$group/cpuset.mems"
		cgroup_remove "$group"
		cgroup_new cpuset-a
		expect_value "$group/cpuset.mems" ""
		expect_mems "$group" "$all" "$ram_nodes"
		cgroup_remove "$group"
	done
}

ktap_main "$@"
