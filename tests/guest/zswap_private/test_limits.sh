#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Limits of groups, of the pool and of the node hold for pages stored directly; what does not fit goes elsewhere, whole.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/zswap.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/zswap_private.sh"

setup_program() {
	direct_on
	direct_node
}

case_group_without_zswap() {
	begin
	write_file 0 "$group/memory.zswap.max"
	pattern_start -s 2M -k mixed -g "$group"
	filled 512
	expect_direct
	expect_eq "$stored" 0 "pages stored"
	expect_eq "$allocated" 0 "allocations that node $node counts"
	verified 512
}

case_group_limit_holds() {
	begin
	write_file 1M "$group/memory.zswap.max"
	disk_written
	before=$sectors
	pattern_start -s 4M -g "$group"
	filled 1024
	expect_direct
	expect_le "$stored" 257 "pages stored under a limit of 256"
	expect_ge "$stored" 128 "pages stored under a limit of 256"
	disk_written
	expect_ge $((sectors - before)) $(((swapped - stored) * 8)) "sectors written to the swap disk"
	verified 1024
	filled 1024
	expect_direct
	expect_le "$stored" 257 "pages stored under a limit of 256, the second time"
	verified 1024
}

case_parents_limit_holds() {
	begun=$node
	cgroup_new zswap-a memory
	parent=$group
	need_file "$parent/memory.zswap.max" "this kernel does not count zswap by group"
	cgroup_new zswap-a/b
	mark
	defer settled
	write_file 1M "$parent/memory.zswap.max"
	pattern_start -s 4M -g "$group"
	filled 1024
	expect_direct
	expect_charged "$parent" "$stored"
	expect_le "$stored" 257 "pages stored under a parent's limit of 256"
	expect_ge "$stored" 128 "pages stored under a parent's limit of 256"
	verified 1024
}

case_one_groups_limit_is_its_own() {
	begin
	one=$group
	write_file 0 "$one/memory.zswap.max"
	zswap_group zswap-b
	pattern_start -s 2M -g "$group"
	pattern_name=two
	pattern_start -s 2M -g "$one"
	filled 512
	pattern_name=one
	filled 512
	expect_direct
	expect_ge "$stored" "$swapped" "pages stored for a group without a limit"
	expect_charged "$one" 0
	verified 512
	pattern_name=two
	verified 512
}

# Each store beyond the limit makes room for one; the pages that make it are on the disk then, and their own again.
case_limit_writes_back() {
	begin
	pattern_start -s 512K -g "$group"
	filled 128
	expect_direct
	expect_ge "$stored" "$swapped" "pages stored"
	write_file 64K "$group/memory.zswap.max"
	zswap_since written_back_pages
	expect_eq "$counter" 0 "pages written back before anything is stored"
	disk_written
	before=$sectors
	pattern_name=two
	pattern_start -s 2M -k random -g "$group"
	ask fill
	out
	zswap_since written_back_pages
	expect_gt "$counter" 0 "pages written back"
	written=$counter
	expect_direct
	disk_written
	expect_ge $((sectors - before)) $((written * 8)) "sectors written to the swap disk"
	if grep -q '^zswpwb ' "$group/memory.stat"; then
		expect_stat "$group" zswpwb "$written" "of pages written back"
	fi
	verified 512
	pattern_name=one
	verified 128 "of pages written back"
	expect_direct
}

# Without writeback nothing reaches the disk; what zswap does not take stays in memory.
case_no_writeback() {
	begin
	need_file "$group/memory.zswap.writeback" "this kernel cannot turn writeback off"
	write_file 0 "$group/memory.zswap.writeback"
	write_file 256K "$group/memory.zswap.max"
	disk_written
	before=$sectors
	pattern_start -s 2M -g "$group"
	ask fill
	out
	expect_direct
	expect_gt "$stored" 0 "pages stored under a limit of 64"
	expect_le "$stored" 65 "pages stored under a limit of 64"
	zswap_since written_back_pages
	expect_eq "$counter" 0 "pages written back"
	disk_written
	expect_eq $((sectors - before)) 0 "sectors written to the swap disk"
	verified 512
}

# Whether the shrinker writes back what is on a node is its own; that nothing is lost and all adds up is not.
case_shrinker_adds_up() {
	need_file "$zswap/shrinker_enabled" "this kernel's zswap has no shrinker"
	zswap_set shrinker_enabled Y
	begin
	pattern_start -s 4M -k mixed -g "$group"
	ask fill
	out
	for _ in 1 2 3; do
		write_file 4M "$group/memory.reclaim" 2>/dev/null || :
	done
	zswap_since written_back_pages
	note "$counter pages written back"
	expect_direct
	verified 1024
}

# The limit of the pool is about the pool: whether it keeps pages off the node is not promised, that they add up is.
case_pool_of_zero_adds_up() {
	begin
	zswap_set max_pool_percent 0
	pattern_start -s 2M -g "$group"
	filled 512
	expect_direct
	note "$stored pages stored"
	verified 512
}

# What a store takes from the node is not taken from system RAM: a group at its limit gets below it by storing.
case_group_larger_than_its_memory() {
	begin
	write_file 6M "$group/memory.max"
	status=0
	output=$(pattern -g "$group" -j 3 -s 4M -k mixed -w 10 fill verify churn 30 verify 2>&1) || status=$?
	expect_eq "$(grep '^oom_kill ' "$group/memory.events")" "oom_kill 0" "with swap free, memory.events"
	expect_eq "$status" 0 "exit status of the tasks ($output)"
	expect_eq "$(echo "$output" | grep -c 'verify good=1024 bad=0')" 6 "verifications"
	expect_direct
}

# The node drains to zero, the rest goes to the pool, and all of it is where the counters say.
case_full_node_spills() {
	begin
	usage "$node"
	total=$((free / 256 + 16)) # MiB
	meminfo MemFree
	[ "$kib" -ge $((total * 1536)) ] || skip "this machine has too little memory to fill a node of $free pages"
	need_time "$total" 100
	pattern_start -s ${total}M -g "$group"
	ask fill
	mark
	out
	expect_ge "$swapped" $((total * 256 - 512)) "pages of $((total * 256)) that are swapped out"
	expect_sum
	usage "$node"
	expect_le "$free" 512 "free pages of node $node"
	node_meminfo "$node" MemFree
	expect_le "$kib" 2048 "MemFree of node $node"
	expect_ge "$stored" "$swapped" "pages stored"
	expect_ge "$in_pool" 3584 "pages of $((total * 256)) in the pool"
	expect_stat "$group" zswapped $((stored * 4096)) "of pages on the node and in the pool"
	memory_stat "$group" zswap
	expect_ge "$stat" $((on_nodes * 4096 + in_pool * 512)) "zswap of memory.stat, with $on_nodes pages on the node"
	expect_lt "$stat" $((stored * 4096)) "zswap of memory.stat, with $on_nodes pages of $stored on the node"
	zswap_since written_back_pages
	expect_eq "$counter" 0 "pages written back"
	# room on the node is used again
	pattern_name=two
	pattern_start -s 1M -g "$group"
	ask fill
	pattern_name=one
	verified $((total * 256))
	expect_direct
	expect_eq "$stored" 0 "pages stored after all were read"
	pattern_name=two
	out
	expect_direct
	expect_ge "$stored" "$swapped" "pages stored when the node has room again"
	verified 256
}

ktap_main "$@"
