#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Everything at once, in an order that follows from a seed: tasks write, read, page out, drop, share and leave their
# pages while limits change, and zswap and swap go off and on. Every page is verified on its way back.
#
# HARNESS_STRESS, HARNESS_SEED, HARNESS_STRESS_SIZE: lib/stress.sh. Never less than 40 steps of each task.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/zswap.sh"
. "${0%/*}/../lib/stress.sh"

setup_program() {
	need_program swapstress
	HARNESS_STRESS_SIZE=${HARNESS_STRESS_SIZE:-16M}
	stress_parameters
	zswap_on
}

case_everything_at_once() {
	note "length $length, seed $seed, $size"
	zswap_group
	for each in enabled compressor max_pool_percent shrinker_enabled; do
		[ ! -e "$zswap/$each" ] || zswap_set $each "$(cat "$zswap/$each")"
	done
	defer stress_swap_on
	swapstress -t "$seconds" -n 40 -s "$size" -S "$seed" -g "$group" >"$KTAP_TMP/stress" 2>&1 &
	stress_pid=$!
	chance_state=$seed events=0
	while pattern_lives "$stress_pid"; do
		chance 8
		stress_event "$chance"
		events=$((events + 1))
		sleep 0.2
	done
	status=0
	wait "$stress_pid" || status=$?
	note "$events events; $(tail -n 1 "$KTAP_TMP/stress")"
	expect_eq $status 0 "exit status of the tasks ($(tail -n 5 "$KTAP_TMP/stress"))"
	expect_match "$(tail -n 1 "$KTAP_TMP/stress")" "stress *bad=0"
	expect_eq "$(grep '^oom_kill ' "$group/memory.events")" "oom_kill 0"
}

# stress_event NUMBER
stress_event() {
	case $1 in
	0)
		swapoff "$zswap_disk"
		swapon "$zswap_disk"
		;;
	1 | 2) stress_choose "$group/memory.zswap.max" 0 256K 4M max max ;;
	3) [ ! -e "$group/memory.zswap.writeback" ] || stress_choose "$group/memory.zswap.writeback" 0 1 1 ;;
	4) stress_choose "$group/memory.reclaim" 1M 4M 8M ;;
	5) stress_choose "$zswap/enabled" N Y Y Y ;;
	6) stress_choose "$zswap/compressor" lzo zstd lz4 deflate ;;
	7)
		stress_choose "$zswap/max_pool_percent" 0 1 20 50
		[ ! -e "$zswap/shrinker_enabled" ] || stress_choose "$zswap/shrinker_enabled" N Y
		;;
	esac
}

stress_swap_on() {
	grep -q '^/' /proc/swaps || swapon "$zswap_disk"
}

ktap_main "$@"
