#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# cpuset.cpus and partitions in the v2 hierarchy, as far as two processors show them.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cgroup.sh"

setup_program() {
	need_controller cpuset
	read_value online /sys/devices/system/cpu/online
	last=${online##*[-,]}
	[ "$online" = "0-$last" ] || skip "the processors that are online have gaps"
}

need_two() {
	[ "$last" -ge 1 ] || skip "this machine has one processor"
	rest=0
	if [ "$last" -gt 1 ]; then
		rest=0-$((last - 1))
	fi
}

# allowed PID: $cpus is its Cpus_allowed_list
allowed() {
	cpus=
	while read -r key value; do
		[ "$key" != Cpus_allowed_list: ] || cpus=$value
	done <"/proc/$1/status"
}

case_effective_cpus() {
	cgroup_new cpuset-a
	expect_file "$group/cpuset.cpus" ""
	expect_file "$group/cpuset.cpus.effective" "$online"
	write_file 0 "$group/cpuset.cpus"
	expect_file "$group/cpuset.cpus.effective" 0
	write_file '' "$group/cpuset.cpus"
	expect_file "$group/cpuset.cpus.effective" "$online"
	expect_errno EINVAL write_file nonsense "$group/cpuset.cpus"
}

case_task_follows() {
	need_two
	cgroup_new cpuset-a
	sleep 60 &
	pid=$!
	write_file "$last" "$group/cpuset.cpus"
	write_file "$pid" "$group/cgroup.procs"
	allowed $pid
	expect_eq "$cpus" "$last" "Cpus_allowed_list"
	write_file 0 "$group/cpuset.cpus"
	allowed $pid
	expect_eq "$cpus" 0 "Cpus_allowed_list"
}

case_partition_takes_its_cpus() {
	need_two
	cgroup_new cpuset-a
	need_file "$group/cpuset.cpus.partition" "this kernel has no partitions"
	expect_file "$group/cpuset.cpus.partition" member
	write_file "$last" "$group/cpuset.cpus"
	for kind in root isolated; do
		write_file $kind "$group/cpuset.cpus.partition"
		expect_file "$group/cpuset.cpus.partition" $kind
		expect_file "$group/cpuset.cpus.effective" "$last"
		expect_file "$cgroups/cpuset.cpus.effective" "$rest"
		write_file member "$group/cpuset.cpus.partition"
		expect_file "$group/cpuset.cpus.partition" member
		expect_file "$cgroups/cpuset.cpus.effective" "$online"
	done
}

case_partition_keeps_its_mems() {
	need_two
	cgroup_new cpuset-a
	need_file "$group/cpuset.cpus.partition" "this kernel has no partitions"
	read_value mems "$group/cpuset.mems.effective"
	write_file "$last" "$group/cpuset.cpus"
	write_file root "$group/cpuset.cpus.partition"
	expect_file "$group/cpuset.mems.effective" "$mems"
	write_file 0 "$group/cpuset.mems"
	expect_file "$group/cpuset.mems.effective" 0
	expect_file "$group/cpuset.cpus.partition" root
}

case_partition_goes_with_its_group() {
	need_two
	cgroup_new cpuset-a
	need_file "$group/cpuset.cpus.partition" "this kernel has no partitions"
	write_file "$last" "$group/cpuset.cpus"
	write_file root "$group/cpuset.cpus.partition"
	cgroup_remove "$group"
	expect_file "$cgroups/cpuset.cpus.effective" "$online"
}

case_partition_refusals() {
	cgroup_new cpuset-a
	need_file "$group/cpuset.cpus.partition" "this kernel has no partitions"
	expect_errno EINVAL write_file nonsense "$group/cpuset.cpus.partition"
	expect_file "$group/cpuset.cpus.partition" member
	# every processor cannot be taken from a root that has tasks
	write_file "$online" "$group/cpuset.cpus"
	sleep 60 &
	write_file root "$group/cpuset.cpus.partition" || :
	read_value state "$group/cpuset.cpus.partition"
	expect_match "$state" "root invalid*" "partition of every processor"
	kill $!
}

ktap_main "$@"
