#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# zswap stores pages, gives them back as they were, and counts them right.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/zswap.sh"

setup_program() {
	zswap_on
}

case_store_and_load() {
	zswap_group
	zswap_mark
	pattern_start -s 4M -g "$group"
	ask fill
	out
	expect_ge "$swapped" 980 "pages of 1024 that are swapped out"
	zswap_since stored_pages
	expect_ge "$counter" "$swapped" "pages stored"
	expect_le "$counter" 1024 "pages stored"
	zswap_since pool_total_size
	expect_ge "$counter" $((swapped * 4096 / 8)) "bytes of the pool"
	expect_le "$counter" $((swapped * 4096 / 2)) "bytes of the pool, of pages that compress 4:1"
	zswap_since written_back_pages
	expect_eq "$counter" 0 "pages written back"
	ask verify
	expect_eq "$answer" "verify good=1024 bad=0"
	zswap_since stored_pages
	expect_eq "$counter" 0 "pages stored after all were read"
}

case_every_kind_reads_back() {
	for kind in random compressible same zero mixed; do
		expect_ok pattern -s 2M -k $kind fill pageout pageout verify fill pageout verify
		expect_match "$output" "*verify good=512 bad=0*verify good=512 bad=0" "$kind"
	done
}

case_zero_pages_take_no_room() {
	zswap_mark
	pattern_start -s 2M -k zero
	ask fill
	out
	expect_ge "$swapped" 490 "pages of 512 that are swapped out"
	zswap_since pool_total_size
	expect_le "$counter" 4096 "bytes of the pool"
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
}

case_same_filled_pages_take_little() {
	zswap_mark
	pattern_start -s 2M -k same
	ask fill
	out
	expect_ge "$swapped" 490 "pages of 512 that are swapped out"
	zswap_since pool_total_size
	expect_le "$counter" $((2097152 / 16)) "bytes of the pool"
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
}

# A page that does not compress is stored as it is, or refused and counted, and then it is on the disk.
case_incompressible_pages() {
	zswap_mark
	pattern_start -s 2M -k random
	ask fill
	out
	expect_ge "$swapped" 490 "pages of 512 that are swapped out"
	total=0
	for name in stored_pages reject_compress_poor reject_compress_fail reject_alloc_fail; do
		zswap_since $name
		total=$((total + counter))
	done
	expect_ge $total "$swapped" "pages stored or refused"
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
}

case_newer_content_wins() {
	zswap_mark
	pattern_start -s 2M -k mixed
	for _ in 1 2 3; do
		ask fill
		out
		ask half
	done
	ask fill
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
	out
	ask churn 60
	expect_match "$answer" "churn *bad=0"
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
}

# A child shares the parent's pages, wherever they are, until one of them writes.
case_fork_with_pages_stored() {
	pattern_start -s 2M -k mixed
	ask fill
	out
	ask fork verify
	expect_eq "$answer" "verify good=512 bad=0" "in the child"
	out
	ask fork fill
	ask verify
	expect_eq "$answer" "verify good=512 bad=0" "in the parent"
}

case_several_tasks() {
	zswap_group
	expect_ok pattern -g "$group" -j 4 -s 2M -k mixed -w 100 fill pageout churn 30 verify pageout pageout verify
	expect_match "$output" "*verify good=512 bad=0*verify good=512 bad=0*verify good=512 bad=0*"
}

case_shared_memory() {
	zswap_mark
	pattern_start -s 2M -f "$KTAP_TMP/shared"
	ask fill
	out
	zswap_since stored_pages
	expect_ge "$counter" 450 "pages of 512 that are stored"
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
	rm "$KTAP_TMP/shared"
}

case_huge_pages() {
	need_file /sys/kernel/mm/transparent_hugepage/enabled "this kernel has no transparent huge pages"
	pattern_start -T -s 4M -k mixed
	ask fill
	out
	ask verify
	expect_eq "$answer" "verify good=1024 bad=0"
	ask fill
	ask half
	ask verify
	expect_eq "$answer" "verify good=1024 bad=0"
}

case_exit_frees() {
	zswap_group
	zswap_mark
	pattern_start -s 4M -g "$group"
	ask fill
	out
	zswap_since stored_pages
	expect_ge "$counter" 980 "pages stored"
	pattern_stop
	zswap_since stored_pages
	expect_le "$counter" "$zswap_slack" "pages stored after the exit"
	read_value current "$group/memory.zswap.current"
	expect_le "$current" $((zswap_slack * 4096)) "memory.zswap.current after the exit"
}

# memory.stat of the group, its files and the counters of all are about the same pages.
case_counts_add_up() {
	zswap_group
	zswap_mark
	pattern_start -s 4M -g "$group"
	ask fill
	memory_stat "$group" zswpout
	zswpout=$stat
	out
	zswap_since stored_pages
	stored=$counter
	memory_stat "$group" zswapped
	expect_eq $((stat / 4096)) "$stored" "zswapped of memory.stat in pages"
	memory_stat "$group" zswpout
	expect_ge $((stat - zswpout)) "$stored" "zswpout of memory.stat"
	memory_stat "$group" zswap
	expect_file "$group/memory.zswap.current" "$stat"
	compressed=$stat
	zswap_since pool_total_size
	expect_ge "$counter" "$compressed" "bytes of the pool"
	expect_le "$counter" $((compressed * 2)) "bytes of the pool"
	expect_ge "$compressed" $((stored * 512)) "bytes of compressed pages"
	read_value swap "$group/memory.swap.current"
	expect_ge $((swap / 4096)) "$swapped" "memory.swap.current in pages"
	memory_stat "$group" zswpin
	zswpin=$stat
	ask verify
	memory_stat "$group" zswpin
	expect_eq $((stat - zswpin)) "$stored" "zswpin of memory.stat"
	memory_stat "$group" zswapped
	expect_eq "$stat" 0 "zswapped of memory.stat after all were read"
	expect_file "$group/memory.zswap.current" 0
}

case_events_add_up() {
	grep -q '^zswpout ' /proc/vmstat || skip "this kernel does not count events (CONFIG_VM_EVENT_COUNTERS)"
	zswap_mark
	vmstat zswpout
	zswpout=$event
	vmstat zswpin
	zswpin=$event
	pattern_start -s 2M
	ask fill
	out
	zswap_since stored_pages
	stored=$counter
	vmstat zswpout
	expect_ge $((event - zswpout)) "$stored" "zswpout"
	ask verify
	vmstat zswpin
	expect_ge $((event - zswpin)) "$stored" "zswpin"
}

# vmstat NAME: $event of /proc/vmstat
vmstat() {
	event=
	while read -r name value; do
		[ "$name" != "$1" ] || event=$value
	done </proc/vmstat
}

case_disable_with_pages_stored() {
	zswap_mark
	pattern_start -s 2M
	ask fill
	out
	zswap_since stored_pages
	expect_ge "$counter" 490 "pages stored"
	zswap_set enabled N
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
	zswap_since stored_pages
	expect_eq "$counter" 0 "pages stored after all were read"
	ask fill
	out
	expect_ge "$swapped" 490 "pages of 512 that are swapped out"
	zswap_since stored_pages
	expect_eq "$counter" 0 "pages stored while it is off"
	write_file Y "$zswap/enabled"
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
	ask fill # what was read from the disk is still there, and is not written again unchanged
	out
	zswap_since stored_pages
	expect_ge "$counter" 450 "pages stored when it is on again"
	ask verify
	expect_eq "$answer" "verify good=512 bad=0"
}

# Pages of the old compressor's pool are read with it, whatever the new one is.
case_change_the_compressor() {
	read_value first "$zswap/compressor"
	changes=0
	pattern_start -s 2M
	for compressor in zstd lz4 lzo deflate "$first"; do
		[ "$compressor" != "$(cat "$zswap/compressor")" ] || continue
		ask fill
		ask half
		write_file "$compressor" "$zswap/compressor" 2>/dev/null || continue
		[ "$changes" -gt 0 ] || defer write_file "$first" "$zswap/compressor"
		changes=$((changes + 1))
		out
		ask verify
		expect_eq "$answer" "verify good=512 bad=0" "$compressor"
	done
	[ "$changes" -gt 0 ] || skip "this kernel has one compressor"
}

case_parameter_refusals() {
	for name in compressor zpool; do
		[ -e "$zswap/$name" ] || continue
		read_value before "$zswap/$name"
		expect_fail write_file nonsense "$zswap/$name"
		expect_file "$zswap/$name" "$before"
	done
	expect_errno EINVAL write_file maybe "$zswap/enabled"
	expect_errno EINVAL write_file many "$zswap/max_pool_percent"
}

case_swapoff_with_pages_stored() {
	zswap_mark
	pattern_start -s 4M -k mixed
	ask fill
	out
	zswap_counter stored_pages
	expect_gt "$counter" 0 "pages stored"
	swapoff "$zswap_disk"
	defer swapon "$zswap_disk"
	zswap_counter stored_pages
	expect_eq "$counter" 0 "pages stored without swap"
	ask resident
	expect_eq "$answer" "resident present=1024 swapped=0 untouched=0"
	ask verify
	expect_eq "$answer" "verify good=1024 bad=0"
}

ktap_main "$@"
