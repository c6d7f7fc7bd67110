#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Whatever moves or makes room for pages, reclaim, demotion, balancing, compaction, does not put them on a private node.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/isolation.sh"

setup_program() {
	need_program pattern
	need_controller memory
	isolation_private
	read_value ordinary "$nodes/has_memory"
	first=${ordinary%%[-,]*}
}

case_swapping() {
	no_room 2
	watch
	size=$((room + 38))
	pattern_start -s "${size}M"
	ask fill
	ask verify
	expect_isolated
	expect_match "$answer" "verify good=$((size * 256)) bad=0*"
	pattern_stop
}

# A huge page that the ordinary node still has comes from there, whatever its watermarks.
case_huge_pages() {
	no_room 2
	isolated pressure -s $((room + 46))M huge
}

case_out_of_memory() {
	swapoff "$isolation_disk"
	defer swapon "$isolation_disk"
	spare_victims
	no_room 2
	expect_splat 'invoked oom-killer'
	watch
	status=0
	pressure -s $((128 + room))M anon || status=$?
	expect_eq "$status" 137 "status of a program with more memory than there is"
	expect_isolated
}

case_group_limit() {
	cgroup_new isolation-a
	write_file 8M "$group/memory.max"
	watch
	expect_ok pressure -g "$group" -s 16M anon
	expect_ok pressure -g "$group" -s 16M file
	expect_isolated
}

case_group_out_of_memory() {
	cgroup_new isolation-a
	write_file 16M "$group/memory.max"
	write_file 0 "$group/memory.swap.max"
	expect_splat 'invoked oom-killer'
	watch
	status=0
	pressure -g "$group" -s 32M anon || status=$?
	expect_eq "$status" 137 "status of a program with more memory than its group"
	expect_isolated
}

case_memory_reclaim() {
	cgroup_new isolation-a
	need_file "$group/memory.reclaim" "this kernel has no memory.reclaim"
	pattern_start -s 16M -g "$group"
	ask fill
	watch
	outcome write_file 8M "$group/memory.reclaim"
	note "memory.reclaim of 8 MiB: $outcome"
	ask verify
	expect_match "$answer" "verify good=4096 bad=0*"
	expect_isolated
	pattern_stop
}

case_demotion() {
	need_file /sys/kernel/mm/numa/demotion_enabled "this kernel has no demotion"
	set_until_end true /sys/kernel/mm/numa/demotion_enabled
	cgroup_new isolation-a
	pattern_start -s 8M -g "$group"
	ask fill
	watch
	ask pageout
	ask verify
	outcome write_file 4M "$group/memory.reclaim"
	expect_ok pressure -s 16M file
	expect_match "$answer" "verify good=2048 bad=0*"
	expect_isolated
	pattern_stop
}

# 1 balances between nodes, 2 promotes from slower tiers.
case_numa_balancing() {
	need_file /proc/sys/kernel/numa_balancing "this kernel has no NUMA balancing (CONFIG_NUMA_BALANCING)"
	debug=/sys/kernel/debug/sched/numa_balancing
	if [ -e "$debug/scan_delay_ms" ]; then
		set_until_end 10 "$debug/scan_delay_ms"
		set_until_end 50 "$debug/scan_period_min_ms"
	fi
	for mode in 1 2; do
		set_until_end "$mode" /proc/sys/kernel/numa_balancing
		watch
		expect_ok pattern -s 4M -j 2 -r 5 fill verify
		expect_isolated
	done
}

case_compaction() {
	need_file /proc/sys/vm/compact_memory "this kernel has no compaction (CONFIG_COMPACTION)"
	watch
	expect_ok pressure -s 16M forks
	echo 1 >/proc/sys/vm/compact_memory
	for each in "$first" "$node"; do
		if [ -e "$nodes/node$each/compact" ]; then
			write_file 1 "$nodes/node$each/compact"
		fi
	done
	expect_isolated
}

case_collapse() {
	need_file /sys/kernel/mm/transparent_hugepage/enabled "this kernel has no transparent huge pages"
	watch
	expect_ok pattern -T -s 8M fill collapse verify
	expect_isolated
}

case_copy_on_write() {
	watch
	expect_ok pattern -s 8M -j 3 fill fork fill verify
	expect_isolated
}

case_dropped_caches() {
	watch
	expect_ok pressure -s 32M file
	echo 3 >/proc/sys/vm/drop_caches
	expect_isolated
}

# Memory that goes offline has its pages moved to what is left: not to the private node.
case_ram_beside_it_goes_offline() {
	need_places 2
	private=$node
	place 2
	bound ram
	cxl_online "$region" online_movable
	ram=$node
	pattern_start -s 16M -n "$ram"
	ask fill
	node=$private
	watch
	cxl_offline "$region"
	ask verify
	expect_match "$answer" "verify good=4096 bad=0*"
	expect_isolated
	pattern_stop
}

ktap_main "$@"
