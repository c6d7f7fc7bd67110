#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The helpers of the other suites run here, and fail when they should; the swap disk is there.
. "${0%/*}/../lib/ktap.sh"

setup_program() {
	need_program pattern "the helpers are not in PATH"
}

case_pattern_reads_back() {
	for kind in random compressible same zero mixed; do
		expect_ok pattern -s 1M -k $kind fill verify fill verify
		expect_match "$output" "*generation=2*verify good=256 bad=0" "$kind"
	done
}

# A file stands for memory that changed behind the pattern's back: one byte, then a page in another's place.
case_pattern_finds_a_changed_byte() {
	mkfifo "$KTAP_TMP/commands"
	pattern -s 64K -w 7 -f "$KTAP_TMP/pages" fill - <"$KTAP_TMP/commands" >"$KTAP_TMP/answers" 2>&1 &
	pid=$!
	exec 4>"$KTAP_TMP/commands"
	wait_for 5 grep -q fill "$KTAP_TMP/answers"
	printf x | dd of="$KTAP_TMP/pages" bs=1 seek=20000 conv=notrunc 2>/dev/null
	echo verify >&4
	exec 4>&-
	status=0
	wait $pid || status=$?
	expect_eq $status 1 "exit status"
	expect_match "$(cat "$KTAP_TMP/answers")" "*page 4 generation 1 *1 of 512 words differ, first at byte 3616:*bad=1"
}

case_pattern_finds_a_swapped_page() {
	mkfifo "$KTAP_TMP/commands2"
	pattern -s 64K -w 7 -f "$KTAP_TMP/pages2" fill - <"$KTAP_TMP/commands2" >"$KTAP_TMP/answers2" 2>&1 &
	pid=$!
	exec 4>"$KTAP_TMP/commands2"
	wait_for 5 grep -q fill "$KTAP_TMP/answers2"
	dd if="$KTAP_TMP/pages2" of="$KTAP_TMP/pages2" bs=4096 skip=9 seek=2 count=1 conv=notrunc 2>/dev/null
	echo verify >&4
	exec 4>&-
	status=0
	wait $pid || status=$?
	expect_eq $status 1 "exit status"
	expect_match "$(cat "$KTAP_TMP/answers2")" "*page 2 generation 1 *it holds owner 7 page 9 generation 1*bad=1"
}

case_helpers_refuse_wrong_usage() {
	for command in "pattern -k purple fill" "pattern nonsense" "pattern -s 12Q fill" "membind range bind 0" \
		"membind range sideways 0 4K" "pagemove move" "nodepages"; do
		status=0
		# shellcheck disable=SC2086 # a command line
		output=$($command 2>&1) || status=$?
		expect_eq $status 2 "exit status of '$command' ($output)"
	done
}

case_policy_calls() {
	need_file /sys/devices/system/node/node0 "this kernel has no NUMA (CONFIG_NUMA)"
	expect_ok membind range bind 0 1M
	expect_eq "$output" "0=256"
	expect_ok membind set interleave 0
	expect_eq "$output" "interleave 0"
	expect_fail membind range bind 1023 4K
	expect_eq "$output" EINVAL
	expect_ok pagemove move 0 256K
	expect_eq "$output" "0=64"
	expect_ok nodepages $$
	expect_match "$output" "*=[1-9]*"
}

case_swap_disk() {
	need_file /dev/harness/swap "there is no swap disk"
	need_program mkswap
	mkswap /dev/harness/swap
	swapon /dev/harness/swap
	defer swapoff /dev/harness/swap
	count=0
	while read -r _ type _; do
		[ "$type" != partition ] || count=$((count + 1))
	done </proc/swaps
	expect_eq $count 1 "swap partitions in use"
}

ktap_main "$@"
