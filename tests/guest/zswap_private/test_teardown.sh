#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A region is taken away with its memory online and pages of zswap on it. Where the kernel cannot do that, the memory is
# its own until the next boot (as that of a busy RAM region), so this program comes last, and fails there.
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
}

# Whatever became of the region, what was stored is counted where it is, and reads back.
after_removal() {
	if [ -e "$block" ]; then
		note "the memory is still there after $1"
		expect_direct
	else
		expect_software
		zswap_since written_back_pages
		expect_eq $((stored + counter)) "$all" "pages stored and written back"
	fi
	verified 1024
	zswap_since stored_pages
	expect_eq "$counter" 0 "pages stored after all were read"
	[ ! -e "$block" ] || fail "the memory of $region is online after $1, with no page on it"
	expect_node "$node" none "after $1"
	filled 1024
	expect_software
	verified 1024
}

# unbind_with_pages: the region is unbound with all pages of the pattern process on its node: $all
unbind_with_pages() {
	pattern_start -s 4M -k mixed -g "$group"
	filled 1024
	expect_direct
	all=$stored
	outcome timeout 60 sh -c "echo $region >/sys/bus/cxl/drivers/cxl_region/unbind"
	note "unbind with $all pages on the node: $outcome"
	after_removal unbind
}

case_unbind_with_pages_stored() {
	direct_node
	begin
	unbind_with_pages
	cxl_bind "$region"
	cxl_dax "$region"
	write_file online_movable "$block/state"
	mark
	filled 1024
	expect_direct
	expect_ge "$stored" "$all" "pages stored when the region is bound again"
	verified 1024
}

# Private pages are not movable, but their owner gets off them: in whichever zone they are.
case_unbind_with_pages_stored_in_the_kernel_zone() {
	bound private
	block=${blocks%% *}
	defer drain
	outcome write_file online_kernel "$block/state"
	[ "$outcome" = "done" ] || skip "this kernel has no private memory in a kernel zone ($outcome)"
	begin
	unbind_with_pages
}

case_delete_with_pages_stored() {
	direct_node
	begin
	pattern_start -s 4M -k mixed -g "$group"
	filled 1024
	expect_direct
	all=$stored
	outcome timeout 60 sh -c "echo $region >$cxl/$root/delete_region"
	note "delete_region with $all pages on the node: $outcome"
	after_removal delete_region
}

# What does not compress, of a group that has no memory left for it: a reason to write to the swap disk, none to kill.
case_unbind_with_a_group_at_its_limit() {
	direct_node
	begin
	write_file 6M "$group/memory.max"
	pattern_start -s 12M -k random -g "$group"
	ask fill
	expect_direct
	expect_ge "$stored" 1024 "pages stored of a group of 6 MiB with 12"
	outcome timeout 60 sh -c "echo $region >/sys/bus/cxl/drivers/cxl_region/unbind"
	note "unbind with $stored pages on the node: $outcome"
	! zswap_keeps_all || zswap_set enabled N # what was moved is to be judged, not what is stored anew
	for _ in 1 2; do
		ask verify
		expect_eq "$answer" "verify good=3072 bad=0"
		ask fill
	done
	expect_eq "$(grep '^oom_kill ' "$group/memory.events")" "oom_kill 0" "with swap free, memory.events"
	cxl_bind "$region"
}

case_unbind_while_tasks_store() {
	direct_node
	begin
	swapstress -t 3 -n 30 -s 6M -j 3 -g "$group" >"$KTAP_TMP/tasks" 2>&1 &
	pid=$!
	times=0
	while pattern_lives $pid; do
		outcome timeout 60 sh -c "echo $region >/sys/bus/cxl/drivers/cxl_region/unbind"
		[ ! -e "$block" ] || fail "the memory of $region is there after unbind: $outcome"
		! node_is_private "$node" || fail "node $node is private, and its region is not bound"
		cxl_bind "$region"
		cxl_dax "$region"
		write_file online_movable "$block/state"
		times=$((times + 1))
		sleep 0.2
	done
	status=0
	wait $pid || status=$?
	note "$times times unbound and bound"
	expect_eq $status 0 "exit status of the tasks ($(tail -n 5 "$KTAP_TMP/tasks"))"
	expect_match "$(tail -n 1 "$KTAP_TMP/tasks")" "stress *bad=0"
	note "$(tail -n 1 "$KTAP_TMP/tasks")"
}

ktap_main "$@"
