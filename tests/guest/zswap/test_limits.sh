#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The limits of zswap, by group and of the whole pool, what goes to the disk instead, and writeback.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/zswap.sh"

setup_program() {
	zswap_on
}

case_group_limit_refusals() {
	zswap_group
	expect_file "$group/memory.zswap.max" max
	expect_errno EINVAL write_file nonsense "$group/memory.zswap.max"
	write_file 1M "$group/memory.zswap.max"
	expect_file "$group/memory.zswap.max" 1048576
	write_file max "$group/memory.zswap.max"
	expect_file "$group/memory.zswap.max" max
	expect_file "$group/memory.zswap.writeback" 1
	for value in 2 -1 nonsense; do
		expect_errno EINVAL write_file $value "$group/memory.zswap.writeback"
	done
}

case_group_without_zswap() {
	zswap_group
	write_file 0 "$group/memory.zswap.max"
	zswap_mark
	pattern_start -s 4M -g "$group"
	ask fill
	out
	expect_ge "$swapped" 1000 "pages of 1024 that are swapped out"
	zswap_since stored_pages
	expect_le "$counter" 0 "pages stored"
	expect_file "$group/memory.zswap.current" 0
	ask verify
	expect_eq "$answer" "verify good=1024 bad=0"
}

case_group_limit_holds() {
	zswap_group
	write_file 512K "$group/memory.zswap.max"
	zswap_mark
	pattern_start -s 4M -g "$group"
	ask fill
	out
	expect_ge "$swapped" 950 "pages of 1024 that are swapped out"
	read_value current "$group/memory.zswap.current"
	expect_gt "$current" 0 "memory.zswap.current"
	expect_le "$current" $((524288 + 4096)) "memory.zswap.current"
	memory_stat "$group" zswapped
	expect_lt $((stat / 4096)) "$swapped" "pages in zswap, of those swapped"
	ask verify
	expect_eq "$answer" "verify good=1024 bad=0"
}

case_parents_limit_holds() {
	cgroup_new zswap-a memory
	parent=$group
	need_file "$parent/memory.zswap.max" "this kernel does not count zswap by group"
	cgroup_new zswap-a/b
	write_file 512K "$parent/memory.zswap.max"
	pattern_start -s 4M -g "$group"
	ask fill
	out
	read_value current "$parent/memory.zswap.current"
	expect_gt "$current" 0 "memory.zswap.current of the parent"
	expect_le "$current" $((524288 + 4096)) "memory.zswap.current of the parent"
	read_value child "$group/memory.zswap.current"
	expect_eq "$child" "$current" "memory.zswap.current of the child"
	ask verify
	expect_eq "$answer" "verify good=1024 bad=0"
}

case_one_groups_limit_is_its_own() {
	zswap_group zswap-a
	one=$group
	write_file 0 "$one/memory.zswap.max"
	zswap_group zswap-b
	pattern_start -s 2M -g "$group"
	ask fill
	out
	memory_stat "$group" zswapped
	expect_ge $((stat / 4096)) 480 "pages in zswap of a group without a limit"
	expect_file "$one/memory.zswap.current" 0
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
}

# A pool of nothing takes nothing.
case_pool_of_zero() {
	zswap_set max_pool_percent 0
	zswap_mark
	pattern_start -s 4M
	ask fill
	out
	zswap_since pool_limit_hit
	expect_gt "$counter" 0 "times that the limit was hit"
	zswap_since stored_pages
	expect_le "$counter" 0 "pages stored"
	ask verify
	expect_eq "$answer" "verify good=1024 bad=0"
}

# The pool stops at its share of memory, and what does not fit is on the disk.
case_pool_limit_holds() {
	while read -r key value _; do
		[ "$key" != MemTotal: ] || total=$value
	done </proc/meminfo
	limit=$((total * 1024 / 100))
	size=$((limit * 3 / 2 / 1048576))
	zswap_set max_pool_percent 1
	zswap_mark
	pattern_start -s ${size}M -c 85
	ask fill
	out
	zswap_counter pool_total_size
	# a page may be under way on each processor, and zsmalloc takes them several at a time
	expect_le "$counter" $((limit + 262144)) "bytes of the pool"
	expect_ge "$counter" $((limit / 2)) "bytes of the pool"
	zswap_since pool_limit_hit
	expect_gt "$counter" 0 "times that the limit was hit"
	ask verify
	expect_eq "$answer" "verify good=$((size * 256)) bad=0"
}

# Each store beyond the limit makes room for one page; a page stored is spared the first time that its turn comes
# (shrink_memcg_cb() in mm/zswap.c), so it takes more stores than there are pages.
case_limit_writes_back() {
	zswap_group
	zswap_mark
	pattern_start -s 512K -g "$group"
	ask fill
	out
	zswap_since stored_pages
	expect_ge "$counter" 120 "pages of 128 that are stored"
	write_file 64K "$group/memory.zswap.max"
	zswap_since written_back_pages
	expect_eq "$counter" 0 "pages written back before anything is stored"
	disk_written
	before=$sectors
	pattern_name=two
	pattern_start -s 2M -g "$group"
	ask fill
	out
	zswap_since written_back_pages
	expect_gt "$counter" 0 "pages written back"
	disk_written
	expect_ge $((sectors - before)) $((counter * 8)) "sectors written to the swap disk"
	if grep -q '^zswpwb ' "$group/memory.stat"; then
		memory_stat "$group" zswpwb
		expect_eq "$stat" "$counter" "zswpwb of memory.stat"
	fi
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
	pattern_name=one
	ask verify
	expect_eq "$answer" "verify good=128 bad=0"
}

# Without writeback nothing reaches the disk; what zswap does not take stays in memory.
case_no_writeback() {
	zswap_group
	need_file "$group/memory.zswap.writeback" "this kernel cannot turn writeback off"
	write_file 0 "$group/memory.zswap.writeback"
	write_file 256K "$group/memory.zswap.max"
	zswap_mark
	disk_written
	before=$sectors
	pattern_start -s 4M -g "$group"
	ask fill
	out
	memory_stat "$group" zswapped
	expect_gt "$stat" 0 "zswapped of memory.stat"
	expect_lt "$stat" $((4194304 / 2)) "zswapped of memory.stat"
	zswap_since written_back_pages
	expect_eq "$counter" 0 "pages written back"
	disk_written
	expect_eq $((sectors - before)) 0 "sectors written to the swap disk"
	read_value current "$group/memory.current"
	expect_ge "$current" $((4194304 - stat)) "memory.current"
	ask verify
	expect_eq "$answer" "verify good=1024 bad=0"
}

case_shrinker_writes_back() {
	need_file "$zswap/shrinker_enabled" "this kernel's zswap has no shrinker"
	zswap_set shrinker_enabled Y
	zswap_group
	pattern_start -s 4M -g "$group"
	ask fill
	out
	# it protects what is in use, so whether it writes back is its own; that nothing is lost is not
	for _ in 1 2 3; do
		write_file 4M "$group/memory.reclaim" 2>/dev/null || :
	done
	ask verify
	expect_eq "$answer" "verify good=1024 bad=0"
}

ktap_main "$@"
