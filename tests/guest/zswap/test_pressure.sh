#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Every page reads back as written while memory is short and zswap changes under it.
# ZSWAP_STEPS (default 40) steps a task decide how long, HARNESS_SEED (default 1) in which order.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/far.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/zswap.sh"

setup_program() {
	steps=${ZSWAP_STEPS:-40} seed=${HARNESS_SEED:-1}
	zswap_on
	find_far
}

case_tasks_larger_than_their_memory() {
	zswap_group
	write_file 6M "$group/memory.max"
	! zswap_keeps_all || write_file 10M "$group/memory.max" # what does not compress, and then some
	expect_ok pattern -g "$group" -j 3 -s 4M -k mixed -S "$seed" -w 10 fill verify churn "$steps" verify
	expect_match "$output" "*verify good=1024 bad=0*verify good=1024 bad=0*verify good=1024 bad=0*"
	oom=$(grep '^oom_kill ' "$group/memory.events")
	expect_eq "$oom" "oom_kill 0"
}

case_small_pool() {
	zswap_group
	write_file 6M "$group/memory.max"
	write_file 512K "$group/memory.zswap.max"
	expect_ok pattern -g "$group" -j 3 -s 4M -k mixed -S "$seed" -w 20 fill verify churn "$steps" verify
	expect_match "$output" "*verify good=1024 bad=0*verify good=1024 bad=0*verify good=1024 bad=0*"
}

case_zswap_changes_meanwhile() {
	zswap_group
	write_file 8M "$group/memory.max"
	read_value compressor "$zswap/compressor"
	defer write_file "$compressor" "$zswap/compressor"
	read_value before "$zswap/enabled"
	defer write_file "$before" "$zswap/enabled"
	read_value before "$zswap/max_pool_percent"
	defer write_file "$before" "$zswap/max_pool_percent"
	pattern -g "$group" -j 3 -s 4M -k mixed -S "$seed" -w 30 fill churn "$steps" verify churn "$steps" verify \
		>"$KTAP_TMP/changes" 2>&1 &
	pid=$!
	while pattern_lives $pid; do
		for change in enabled:N compressor:zstd max_pool_percent:1 enabled:Y compressor:lzo max_pool_percent:50; do
			write_file "${change#*:}" "$zswap/${change%%:*}" 2>/dev/null || :
			sleep 0.02
		done
	done
	status=0
	wait $pid || status=$?
	expect_eq $status 0 "exit status of the tasks ($(tail -n 5 "$KTAP_TMP/changes"))"
	expect_eq "$(grep -c 'verify good=1024 bad=0' "$KTAP_TMP/changes")" 6 "verifications"
}

case_swapoff_meanwhile() {
	zswap_group
	pattern -g "$group" -j 2 -s 4M -k mixed -S "$seed" -w 40 fill pageout churn "$steps" verify pageout verify \
		>"$KTAP_TMP/swapoff" 2>&1 &
	pid=$!
	while pattern_lives $pid; do
		swapoff "$zswap_disk"
		swapon "$zswap_disk"
		sleep 0.1
	done
	status=0
	wait $pid || status=$?
	# MADV_PAGEOUT without swap is no error
	expect_eq $status 0 "exit status of the tasks ($(tail -n 5 "$KTAP_TMP/swapoff"))"
	expect_eq "$(grep -c 'verify good=1024 bad=0' "$KTAP_TMP/swapoff")" 4 "verifications"
}

# Pages of a second node go the same way, and come back to where their policy wants them.
case_pages_of_another_node() {
	need_far
	zswap_mark
	pattern_start -s 1M -n "$far"
	ask fill
	ask nodes
	expect_eq "$answer" "nodes $far=256"
	out
	expect_ge "$swapped" 240 "pages of 256 that are swapped out"
	zswap_since stored_pages
	expect_ge "$counter" 240 "pages stored"
	ask verify
	expect_eq "$answer" "verify good=256 bad=0"
	ask nodes
	expect_eq "$answer" "nodes $far=256"
}

# The node goes offline while its pages are in zswap: they come back elsewhere.
case_node_goes_with_its_pages_stored() {
	need_far_region
	pattern_start -s 1M -n "$far"
	ask fill
	out
	cxl_offline "$far_region"
	defer cxl_online "$far_region"
	ask verify
	expect_eq "$answer" "verify good=256 bad=0"
	ask nodes
	expect_match "$answer" "nodes $near=*"
}

ktap_main "$@"
