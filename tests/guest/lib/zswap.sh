# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# zswap over a scratch swap disk (Documentation/admin-guide/mm/zswap.rst). Needs cgroup.sh.
#
# Freed swap slots linger in per-CPU caches, 64 a CPU (mm/swap_slots.c), and with them what zswap has for them: counts
# after pages were dropped without being read may be $zswap_slack too high until swapoff.

zswap=/sys/module/zswap/parameters
zswap_debug=/sys/kernel/debug/zswap
zswap_disk=${HARNESS_SWAP:-/dev/harness/swap}

# zswap_on: for setup_program: zswap over the swap disk until the program ends, with the defaults of the kernel but for
# a pool of 50 %. Whatever a case changes of the parameters, it restores. Skips without kernel support or disk.
zswap_on() {
	need_file "$zswap/enabled" "this kernel has no zswap (CONFIG_ZSWAP)"
	need_program pattern
	need_program mkswap
	need_file "$zswap_disk" "there is no swap disk ($zswap_disk)"
	! grep -q '^/' /proc/swaps || skip "this machine swaps already"
	need_controller memory
	zswap_set max_pool_percent 50
	zswap_set enabled Y # it is set up the first time that it is enabled, its counters too
	need_file "$zswap_debug/stored_pages" "the counters of zswap are not there (CONFIG_DEBUG_FS, mounted)"
	defer zswap_is_empty
	mkswap "$zswap_disk" >/dev/null
	swapon "$zswap_disk"
	defer zswap_swapoff
	zswap_slack=$((64 * $(grep -c '^processor' /proc/cpuinfo)))
}

zswap_swapoff() {
	! grep -q '^/' /proc/swaps || swapoff "$zswap_disk"
}

# zswap_is_empty: without swap it must have nothing left, or something leaks
zswap_is_empty() {
	zswap_counter stored_pages
	expect_eq "$counter" 0 "pages stored without swap"
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		zswap_counter pool_total_size
		[ "$counter" -ne 0 ] || return 0
		sleep 0.1
	done
	fail "the empty pool has $counter bytes"
}

# zswap_keeps_all: whether it keeps what does not compress at its full size, and charges that, as later kernels do (mm/zswap.c,
# zswap_compress()). A group at its memory.max then gains nothing by such pages, and is killed with swap free.
zswap_keeps_all() {
	[ -e "$zswap_debug/stored_incompressible_pages" ]
}

# zswap_set PARAMETER VALUE: until the end of the case
zswap_set() {
	read_value zswap_before "$zswap/$1"
	defer write_file "$zswap_before" "$zswap/$1"
	write_file "$2" "$zswap/$1"
}

# zswap_counter NAME: $counter of debugfs
zswap_counter() {
	read_value counter "$zswap_debug/$1"
}

# zswap_mark: remember all counters, for zswap_since
zswap_mark() {
	for zswap_each in "$zswap_debug"/*; do
		read_value zswap_value "$zswap_each"
		eval "zswap_mark_${zswap_each##*/}=\$zswap_value"
	done
}

# zswap_since NAME: $counter is how much it grew since zswap_mark
zswap_since() {
	read_value counter "$zswap_debug/$1"
	eval "counter=\$((counter - zswap_mark_$1))"
}

# zswap_group [NAME]: $group is a memory group for the tasks of the case
zswap_group() {
	cgroup_new "${1:-zswap-a}"
	need_file "$group/memory.zswap.max" "this kernel does not count zswap by group"
}

# disk_written: $sectors written to the swap disk so far
disk_written() {
	zswap_name=$(readlink -f "$zswap_disk")
	read -r _ _ _ _ _ _ sectors _ <"/sys/class/block/${zswap_name##*/}/stat"
}

# out: page out what the pattern process has; reclaim leaves a page now and then, so up to five times
out() {
	for _ in 1 2 3 4 5; do
		ask pageout
		ask resident
		swapped=${answer#*swapped=}
		swapped=${swapped%% *}
		case $answer in "resident present=0 "*) return 0 ;; esac
	done
	note "some pages stay: $answer"
}
