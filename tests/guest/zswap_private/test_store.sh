#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# zswap stores pages on a private node as they are, gives them back as they were, frees and counts them right.
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

case_every_sign_of_a_direct_store() {
	begin
	memory_stat "$group" zswpout
	zswpout=$stat
	vmstat zswpout
	out_events=$event
	vmstat zswpin
	in_events=$event
	disk_written
	before=$sectors
	pattern_start -s 4M -g "$group"
	filled 1024
	expect_direct
	expect_ge "$stored" "$swapped" "pages stored"
	expect_le "$stored" 1024 "pages stored"
	expect_stat "$group" zswpout $((zswpout + stored)) "of pages stored"
	vmstat zswpout
	[ -z "$event" ] || expect_eq $((event - out_events)) "$stored" "zswpout of /proc/vmstat"
	zswap_since written_back_pages
	expect_eq "$counter" 0 "pages written back"
	disk_written
	expect_eq $((sectors - before)) 0 "sectors written to the swap disk"
	all=$stored
	verified 1024
	expect_stat "$group" zswpin "$all" "of pages read"
	vmstat zswpin
	[ -z "$event" ] || expect_eq $((event - in_events)) "$all" "zswpin of /proc/vmstat"
	expect_direct
	expect_eq "$stored" 0 "pages stored after all were read"
}

# Pages of the near node are in use less: what zswap has there is not a second copy.
case_memory_is_freed_by_a_store() {
	begin
	pattern_start -s 16M -g "$group"
	ask fill
	meminfo MemFree
	before=$kib
	node_meminfo "$node" MemFree
	before_near=$((before - kib))
	out
	meminfo MemFree
	after=$kib
	node_meminfo "$node" MemFree
	expect_ge $((after - kib - before_near)) $((swapped * 4 * 3 / 4)) "KiB of system RAM that $swapped stored pages free"
	expect_direct
	verified 4096
}

# zswap refuses what does not compress when it compresses, and has no reason to when it does not.
case_pages_that_do_not_compress() {
	begin
	pattern_start -s 4M -k random -g "$group"
	filled 1024
	expect_direct
	expect_ge "$stored" "$swapped" "pages stored"
	for name in reject_compress_poor reject_compress_fail; do
		[ -e "$zswap_debug/$name" ] || continue
		zswap_since $name
		expect_eq "$counter" 0 "$name"
	done
	verified 1024
	filled 1024
	verified 1024
}

case_every_kind_reads_back() {
	begin
	for kind in compressible same zero mixed; do
		expect_ok pattern -g "$group" -s 2M -k $kind fill pageout pageout verify fill pageout verify
		expect_match "$output" "*verify good=512 bad=0*verify good=512 bad=0" "$kind"
	done
	expect_direct
}

case_pages_of_nothing_take_no_page() {
	begin
	pattern_start -s 2M -k zero -g "$group"
	filled 512
	direct "$node"
	expect_eq "$direct" 0 "pages of node $node in use"
	zswap_since pool_total_size
	expect_eq "$counter" 0 "growth of pool_total_size"
	verified 512
}

# A page that is written and stored again takes the place of the old one, it does not add to it.
case_newer_content_replaces_older() {
	begin
	pattern_start -s 2M -k mixed -g "$group"
	for _ in 1 2 3; do
		filled 512
		expect_direct
		expect_le "$stored" 512 "pages stored"
		ask half
		ask fill
		ask half
	done
	expect_direct
	verified 512
	out
	ask churn 60
	expect_match "$answer" "churn *bad=0"
	expect_direct
	verified 512
}

# What is given back frees its page, without being read.
case_dropped_pages_are_freed() {
	begin
	pattern_start -s 4M -g "$group"
	filled 1024
	expect_direct
	ask drop
	expect_direct
	expect_le "$stored" "$zswap_slack" "pages stored after they were dropped"
	drain
	expect_direct
	expect_eq "$stored" 0 "pages stored after they were dropped, and swapoff"
	verified 1024 "of dropped pages"
}

case_exit_frees() {
	begin
	pattern_start -s 4M -g "$group"
	filled 1024
	expect_direct
	pattern_stop
	expect_direct
	expect_le "$stored" "$zswap_slack" "pages stored after the exit"
}

case_kill_frees() {
	begin
	pattern_start -s 4M -g "$group"
	filled 1024
	expect_direct
	pattern_end "$pattern_pid"
	expect_direct
	expect_le "$stored" "$zswap_slack" "pages stored after the task was killed"
}

# A child shares what is stored; what it does with its share is not the parent's.
case_fork_with_pages_stored() {
	begin
	pattern_start -s 2M -k mixed -g "$group"
	filled 512
	expect_direct
	all=$stored
	ask fork drop
	expect_direct
	expect_eq "$stored" "$all" "pages stored after a child that shares them dropped its share"
	ask fork sleep 1
	expect_direct
	expect_eq "$stored" "$all" "pages stored after a child that shares them ended"
	ask fork verify
	expect_eq "$answer" "verify good=512 bad=0" "content in the child"
	out
	expect_direct
	ask fork fill
	expect_direct
	verified 512 "in the parent"
}

case_several_tasks() {
	begin
	expect_ok pattern -g "$group" -j 4 -s 2M -k mixed -w 100 fill pageout churn 30 verify pageout pageout verify
	expect_eq "$(echo "$output" | grep -c 'verify good=512 bad=0')" 8 "verifications"
	expect_direct
}

case_shared_memory() {
	begin
	pattern_start -s 2M -f "$KTAP_TMP/shared" -g "$group"
	filled_shared
	verified 512
	ask fill
	filled_shared
	rm "$KTAP_TMP/shared" # it is mapped, and stays
	expect_direct
	verified 512
	filled_shared
	pattern_stop
	expect_direct
	expect_le "$stored" "$zswap_slack" "pages stored after the file is gone"
}

# pagemap does not tell of pages of a file
filled_shared() {
	ask fill
	out
	expect_direct
	expect_ge "$stored" 450 "pages of 512 that are stored"
}

case_huge_pages() {
	need_file /sys/kernel/mm/transparent_hugepage/enabled "this kernel has no transparent huge pages"
	begin
	pattern_start -T -s 4M -g "$group"
	filled 1024
	expect_direct
	verified 1024
	ask fill
	ask half
	expect_direct
	verified 1024
}

# Memory that somebody else reclaims goes the same way as what a task pages out itself.
case_reclaim_stores_directly() {
	begin
	pattern_start -s 8M -k mixed -g "$group"
	ask fill
	write_file 4M "$group/memory.reclaim" || note "memory.reclaim took less than it was asked for"
	expect_direct
	expect_ge "$stored" 256 "pages stored"
	verified 2048
}

case_swapoff_with_pages_stored() {
	begin
	pattern_start -s 4M -g "$group"
	filled 1024
	expect_direct
	swapoff "$zswap_disk"
	defer swapon "$zswap_disk"
	expect_direct
	expect_eq "$stored" 0 "pages stored without swap"
	ask resident
	expect_eq "$answer" "resident present=1024 swapped=0 untouched=0"
	verified 1024
}

case_disable_with_pages_stored() {
	begin
	pattern_start -s 2M -g "$group"
	filled 512
	expect_direct
	all=$stored
	zswap_set enabled N
	expect_direct
	expect_eq "$stored" "$all" "pages stored when zswap is off"
	verified 512
	expect_direct
	expect_eq "$stored" 0 "pages stored after all were read"
	filled 512
	expect_direct
	expect_eq "$stored" 0 "pages stored while zswap is off"
	write_file Y "$zswap/enabled"
	verified 512
	filled 512
	expect_direct
	expect_ge "$stored" "$swapped" "pages stored when zswap is on again"
	verified 512
}

# The page is nobody's but the node's: another compressor, its pool gone, changes nothing.
case_compressor_changes_with_pages_stored() {
	begin
	read_value first "$zswap/compressor"
	defer write_file "$first" "$zswap/compressor"
	changed=
	pattern_start -s 2M -g "$group"
	filled 512
	for compressor in zstd lz4 lzo deflate; do
		[ "$compressor" != "$first" ] || continue
		write_file "$compressor" "$zswap/compressor" 2>/dev/null || continue
		changed=$compressor
		break
	done
	[ -n "$changed" ] || skip "this kernel has one compressor"
	expect_direct
	expect_ge "$stored" "$swapped" "pages stored"
	verified 512
	filled 512
	write_file "$first" "$zswap/compressor"
	expect_direct
	verified 512
}

# The group goes, its pages stay stored, and are its parent's.
case_group_goes_with_pages_stored() {
	begun=$node
	cgroup_new zswap-a memory
	parent=$group
	need_file "$parent/memory.zswap.max" "this kernel does not count zswap by group"
	cgroup_new zswap-a/b
	mark
	defer settled
	pattern_start -s 2M -g "$group"
	filled 512
	expect_direct "$node" "$group"
	expect_charged "$parent" "$stored"
	write_file "$pattern_pid" "$cgroups/cgroup.procs"
	wait_for 5 rmdir "$group"
	expect_direct "$node" "$parent"
	expect_ge "$stored" "$swapped" "pages stored when their group is gone"
	verified 512
	expect_charged "$parent" 0
}

ktap_main "$@"
