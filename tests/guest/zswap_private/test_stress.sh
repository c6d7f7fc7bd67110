#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Everything at once, in an order that follows from a seed: tasks write, read, page out, drop, share and leave their
# pages while limits change, zswap and swap go off and on, and the memory of the private nodes comes and goes. Every page
# is verified on its way back, and now and then the tasks are frozen to see that all adds up.
#
# HARNESS_STRESS, HARNESS_SEED, HARNESS_STRESS_SIZE: lib/stress.sh. Never less than 60 steps of each task.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/zswap.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/zswap_private.sh"
. "${0%/*}/../lib/stress.sh"

setup_program() {
	need_program swapstress
	stress_parameters
	direct_on
}

# The helper that the stress leans on finds a wrong word.
case_a_wrong_word_is_found() {
	expect_fail swapstress -s 1M -j 1 -n 40 -t 0 -S "$seed" -B
	expect_match "$output" "*1 of 512 words differ*bad=1*"
	expect_ok swapstress -s 1M -j 1 -n 40 -t 0 -S "$seed"
}

case_everything_at_once() {
	note "length $length, seed $seed, $size"
	direct_node 1
	one=$node stress_nodes=$node stress_1="$region $blocks" stress_places=1
	if [ "$places" -ge 2 ]; then
		direct_node 2
		stress_nodes="$one $node" stress_2="$region $blocks" stress_places=2
	fi
	# shellcheck disable=SC2086 # a list
	begin $stress_nodes
	defer stress_restore
	for each in enabled compressor max_pool_percent shrinker_enabled; do
		[ ! -e "$zswap/$each" ] || zswap_set $each "$(cat "$zswap/$each")"
	done
	swapstress -t "$seconds" -n 60 -s "$size" -S "$seed" -g "$group" >"$KTAP_TMP/stress" 2>&1 &
	stress_pid=$!
	chance_state=$seed events=0 checks=0
	wait_for 120 stress_has_begun
	adds_up
	expect_gt "$on_nodes" 0 "pages on the private nodes"
	while pattern_lives "$stress_pid"; do
		chance 13
		stress_event "$chance"
		events=$((events + 1))
		[ $((events % 8)) -ne 0 ] || adds_up
		sleep 0.1
	done
	status=0
	wait "$stress_pid" || status=$?
	note "$events events, $checks sums; $(tail -n 1 "$KTAP_TMP/stress")"
	expect_eq $status 0 "exit status of the tasks ($(tail -n 5 "$KTAP_TMP/stress"))"
	expect_match "$(tail -n 1 "$KTAP_TMP/stress")" "stress *bad=0"
	expect_eq "$(grep '^oom_kill ' "$group/memory.events")" "oom_kill 0"
	expect_sum
}

# one MiB is on a node, or the tasks have ended
stress_has_begun() {
	stored
	[ "$stored" -ge 256 ] || ! pattern_lives "$stress_pid"
}

# adds_up: what is stored is where the counters say, to the page, while the tasks stand still
adds_up() {
	write_file 1 "$group/cgroup.freeze"
	wait_for 60 grep -q '^frozen 1' "$group/cgroup.events"
	expect_sum
	write_file 0 "$group/cgroup.freeze"
	checks=$((checks + 1))
}

# stress_place: $stress_region and $stress_blocks of one of the places
stress_place() {
	chance "$stress_places"
	eval "stress_blocks=\$stress_$((chance + 1))"
	stress_region=${stress_blocks%% *}
	stress_blocks=${stress_blocks#* }
}

# stress_event NUMBER
stress_event() {
	case $1 in
	0) swap_off_and_on ;;
	1 | 2) # a block goes and comes
		stress_place
		try_state offline "${stress_blocks%% *}"
		sleep 0.1
		stress_online "${stress_blocks%% *}"
		;;
	3) # the last block of the node: there or not
		stress_place
		chance 2
		if [ "$chance" -eq 0 ]; then
			try_state offline "${stress_blocks##* }"
		else
			stress_online "${stress_blocks##* }"
		fi
		;;
	4) stress_unbind ;;
	5 | 6) stress_choose "$group/memory.zswap.max" 0 256K 4M 16M max max ;;
	7) [ ! -e "$group/memory.zswap.writeback" ] || stress_choose "$group/memory.zswap.writeback" 0 1 1 ;;
	8 | 9) stress_choose "$group/memory.reclaim" 1M 8M 32M ;;
	10) stress_choose "$zswap/enabled" N Y Y Y ;;
	11) stress_choose "$zswap/compressor" lzo zstd lz4 deflate ;;
	12)
		stress_choose "$zswap/max_pool_percent" 0 1 20 50
		[ ! -e "$zswap/shrinker_enabled" ] || stress_choose "$zswap/shrinker_enabled" N Y
		;;
	esac
}

swap_off_and_on() {
	swapoff "$zswap_disk"
	swapon "$zswap_disk"
}

stress_online() {
	read_value stress_state "$1/state"
	[ "$stress_state" = online ] || write_file online_movable "$1/state"
}

# stress_unbind: the whole region, if its memory can be taken away now, goes from its driver and comes back
stress_unbind() {
	stress_place
	for stress_block in $stress_blocks; do
		read_value stress_state "$stress_block/state"
		[ "$stress_state" != offline ] || continue
		try_state offline "$stress_block"
		[ "$outcome" = "done" ] || return 0
	done
	cxl_unbind "$stress_region"
	sleep 0.1
	cxl_bind "$stress_region"
	stress_online "${stress_blocks%% *}"
}

stress_restore() {
	write_file 0 "$group/cgroup.freeze"
	grep -q '^/' /proc/swaps || swapon "$zswap_disk"
}

ktap_main "$@"
