#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The memory of a private node comes and goes while zswap has pages on it, or elsewhere.
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

# Pages in the pool stay there when a node comes; the next ones are stored directly.
case_node_comes_with_pages_stored() {
	offline_again
	begin
	pattern_start -s 2M -k compressible -g "$group"
	filled 512
	expect_software
	expect_ge "$stored" "$swapped" "pages stored"
	soft=$stored
	write_file online_movable "$block/state"
	mark
	pattern_name=two
	pattern_start -s 2M -g "$group"
	filled 512
	expect_direct "$node" ""
	expect_ge "$stored" "$swapped" "pages stored when the node is there"
	expect_stat "$group" zswapped $(((stored + soft) * 4096)) "of pages on the node and in the pool"
	pattern_name=one
	verified 512 "of pages stored before the node came"
	filled 512
	verified 512
	pattern_name=two
	verified 512
}

# The checks of this suite tell software from direct, and a page too many or too few on the node.
case_checks_complain() {
	offline_again
	begin
	pattern_start -s 1M -g "$group"
	filled 256
	expect_complaint "growth of pool_total_size, with*" expect_direct
	is_online
	verified 256
	mark
	filled 256
	expect_direct
	expect_complaint "growth of pool_total_size*expected at least*" expect_in_pool
	expect_complaint "pages of node $node in use, with * pages stored is*expected '0'" expect_software
	eval "exact=\$mark_used_$node"
	eval "mark_used_$node=\$((exact + 1))"
	expect_complaint "pages of node $node in use, of those that zswap stores is*" expect_direct
	verified 256
	expect_complaint "pages of node $node in use without swap is*" settled_now
	eval "mark_used_$node=\$((exact - 1))"
	expect_complaint "pages of node $node in use without swap is*" settled_now
	eval "mark_used_$node=\$exact"
	filled 256
	expect_complaint "zswap*of memory.stat*" expect_charged "$group" $((stored + 1))
	expect_complaint "pages stored without swap is*" settled_now
	verified 256
}

# a node that took pages which zswap does not count there
expect_in_pool() {
	eval "mark_used_$node=\$((mark_used_$node + 256))"
	expect_sum
}

# offline_again: the memory of the node is offline, until the end of the case at most
offline_again() {
	write_file offline "$block/state"
	defer is_online
}

is_online() {
	read_value direct_value "$block/state"
	[ "$direct_value" = online ] || write_file online_movable "$block/state"
}

# The kernel may refuse, or move the pages; either way it keeps them, and counts them where they are.
case_offline_with_pages_stored() {
	begin
	defer is_online
	pattern_start -s 4M -k mixed -g "$group"
	filled 1024
	expect_direct
	all=$stored
	try_state offline "$block"
	note "offline with $all pages on the node: $outcome"
	read_value now "$block/state"
	if [ "$outcome" = "done" ]; then
		expect_eq "$now" offline "state of the memory block"
		node_meminfo "$node" MemTotal
		expect_eq "$kib" 0 "MemTotal of node $node"
		expect_software
		zswap_since written_back_pages
		expect_eq $((stored + counter)) "$all" "pages stored and written back"
	else
		expect_eq "$now" online "state of the memory block"
		expect_direct
		expect_eq "$stored" "$all" "pages stored"
	fi
	verified 1024
	drain
	[ "$outcome" = "done" ] || write_file offline "$block/state"
	filled 1024
	expect_software
	verified 1024
	write_file online_movable "$block/state"
	mark
	filled 1024
	expect_direct
	verified 1024
}

# What was freed without being read may linger until swapoff; it must not come back.
case_offline_with_pages_dropped() {
	begin
	defer is_online
	pattern_start -s 2M -g "$group"
	filled 512
	ask drop
	expect_direct
	try_state offline "$block"
	note "offline with $stored freed pages on the node: $outcome"
	drain
	[ "$outcome" = "done" ] || write_file offline "$block/state"
	zswap_counter stored_pages
	expect_eq "$counter" 0 "pages stored"
	verified 512 "of dropped pages"
}

# One memory block goes, the node stays: its pages find room on the rest of the node, or elsewhere.
case_part_of_the_node_goes() {
	second=${blocks##* }
	[ "$second" != "$block" ] || skip "the region has one memory block"
	begin
	defer is_online
	pattern_start -s 4M -k mixed -g "$group"
	filled 1024
	expect_direct
	all=$stored
	defer second_offline
	write_file online_movable "$second/state"
	try_state offline "$block"
	note "offline of one block with $all pages on it: $outcome"
	zswap_since written_back_pages
	written=$counter
	expect_sum
	expect_eq $((stored + written)) "$all" "pages stored and written back"
	verified 1024
	drain
	[ "$outcome" = "done" ] || write_file offline "$block/state"
	filled 1024
	expect_sum
	expect_eq "$on_nodes" "$stored" "pages stored on the rest of the node"
	verified 1024
}

second_offline() {
	drain
	write_file offline "$second/state"
}

case_offline_and_online_while_tasks_store() {
	begin
	defer is_online
	swapstress -t 3 -n 30 -s 6M -j 3 -g "$group" >"$KTAP_TMP/tasks" 2>&1 &
	pid=$!
	moved=0
	while pattern_lives $pid; do
		try_state offline "$block"
		[ "$outcome" != "done" ] || moved=$((moved + 1))
		is_online
		sleep 0.1
	done
	status=0
	wait $pid || status=$?
	note "$moved times offline and online"
	expect_eq $status 0 "exit status of the tasks ($(tail -n 5 "$KTAP_TMP/tasks"))"
	expect_match "$(tail -n 1 "$KTAP_TMP/tasks")" "stress *bad=0"
	note "$(tail -n 1 "$KTAP_TMP/tasks")"
}

case_swapoff_while_tasks_store() {
	begin
	defer swap_again
	pattern -g "$group" -j 2 -s 2M -k mixed -w 40 fill pageout churn 40 verify pageout churn 20 verify pageout verify \
		>"$KTAP_TMP/tasks" 2>&1 &
	pid=$!
	while pattern_lives $pid; do
		swapoff "$zswap_disk"
		stored
		swapon "$zswap_disk"
		sleep 0.2
	done
	status=0
	wait $pid || status=$?
	expect_eq $status 0 "exit status of the tasks ($(tail -n 5 "$KTAP_TMP/tasks"))"
	expect_eq "$(grep -c 'verify good=512 bad=0' "$KTAP_TMP/tasks")" 6 "verifications"
	expect_direct
}

swap_again() {
	grep -q '^/' /proc/swaps || swapon "$zswap_disk"
}

ktap_main "$@"
