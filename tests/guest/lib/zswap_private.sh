# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Direct stores of zswap to private nodes. Needs cxl.sh, node.sh, cgroup.sh, pattern.sh, zswap.sh and private.sh.
#
# What a direct store is known by: stored_pages rises and pool_total_size stays; MemFree of the node falls by the page;
# the node's pages in use (helpers/nodeused.c: to the page, without the per-CPU lists) rise by one; the node counts an
# allocation. A group is charged a whole page for it, as nothing is compressed.
#
# Freed swap slots linger in per-CPU caches, and with them what zswap has for them: counts after pages were dropped
# without being read may be $zswap_slack too high until swapoff. That the node's pages in use are the pages that zswap
# has stored holds always, and to the page.

# direct_on: for setup_program: zswap over the swap disk, and what private nodes need, until the program ends
direct_on() {
	need_private
	need_file "$zswap/enabled" "this kernel has no zswap (CONFIG_ZSWAP)"
	need_program nodeused
	zswap_on
	private_policy offline
}

# direct_node [PLACE]: a private node with one memory block online, for as long as the case (or, from setup_program, the
# program) runs: $node, $region, $block, $blocks, and $decoders for `gone`
direct_node() {
	place "${1:-1}"
	bound private
	block=${blocks%% *}
	defer drain
	write_file online_movable "$block/state"
}

# drain: nothing is stored anywhere, freed slots included, until something is paged out again
drain() {
	zswap_swapoff
	swapon "$zswap_disk"
}

# begin [NODE…]: what every case starts with: a group, the counters marked, and at the end of the case, when its tasks
# are gone, the proof that nothing of it is left, on the nodes or in zswap. Without NODE it is $node.
begin() {
	begun=${*:-$node}
	zswap_group
	mark
	defer settled
}

# mark: remember the counters of zswap and of the nodes; `stored`, `direct` and `expect_direct` count from here
mark() {
	zswap_mark
	for direct_node in $begun; do
		usage "$direct_node"
		node_meminfo "$direct_node" MemFree
		eval "mark_used_$direct_node=\$used mark_hits_$direct_node=\$hits mark_kib_$direct_node=\$kib"
	done
}

# usage NODE: $used, $free, $managed, $hits of it
usage() {
	direct_line=$(nodeused "$1")
	direct_line=${direct_line#* } # all but node=
	eval "$direct_line"
}

# stored: $stored pages of zswap since mark
stored() {
	zswap_since stored_pages
	stored=$counter
}

# direct NODE: $direct pages of it in use since mark, $allocated pages taken from it, $fell KiB of its MemFree
direct() {
	usage "$1"
	node_meminfo "$1" MemFree
	eval "direct=\$((used - mark_used_$1)) allocated=\$((hits - mark_hits_$1)) fell=\$((mark_kib_$1 - kib))"
}

# expect_direct [NODE [GROUP]]: all that is stored since mark is on the node, by every sign, and it is what the group has
# (default: $node and $group; "" for no group). Sets $stored.
expect_direct() {
	direct_at=${1:-$node} direct_group=${2-$group}
	stored
	zswap_since pool_total_size
	expect_eq "$counter" 0 "growth of pool_total_size, with $stored pages stored directly"
	direct "$direct_at"
	expect_eq "$direct" "$stored" "pages of node $direct_at in use, of those that zswap stores"
	# the per-CPU lists take what they want
	expect_ge "$fell" $((stored * 4 - 10240)) "KiB that MemFree of node $direct_at fell, with $stored pages stored"
	expect_le "$fell" $((stored * 4 + 10240)) "KiB that MemFree of node $direct_at fell, with $stored pages stored"
	expect_ge "$allocated" "$stored" "allocations that node $direct_at counts"
	zswap_counter stored_pages
	meminfo Zswapped
	expect_eq "$kib" $((counter * 4)) "Zswapped of /proc/meminfo"
	[ -z "$direct_group" ] || expect_charged "$direct_group" "$stored"
}

# expect_software: nothing of what is stored since mark is on a node, it is in the pool. Sets $stored.
expect_software() {
	stored
	for direct_each in $begun; do
		direct "$direct_each"
		expect_eq "$direct" 0 "pages of node $direct_each in use, with $stored pages stored"
	done
	zswap_since pool_total_size
	expect_ge "$counter" $((stored * 32)) "growth of pool_total_size, with $stored pages stored"
}

# expect_sum: what is stored since mark is on the nodes or in the pool. Sets $stored, $on_nodes and $in_pool (pages).
expect_sum() {
	stored
	on_nodes=0
	for direct_each in $begun; do
		direct "$direct_each"
		on_nodes=$((on_nodes + direct))
	done
	in_pool=$((stored - on_nodes))
	expect_ge "$in_pool" 0 "pages stored ($stored) less those on nodes ($on_nodes)"
	zswap_since pool_total_size
	# the smallest that zsmalloc gives out is 32 bytes (ZS_MIN_ALLOC_SIZE)
	expect_ge "$counter" $((in_pool * 32)) "growth of pool_total_size, with $in_pool pages in the pool"
	[ "$in_pool" -gt 0 ] || expect_le "$counter" 0 "growth of pool_total_size, with no page in the pool"
}

# expect_charged GROUP PAGES: the group has so many pages in zswap, all of them whole
expect_charged() {
	expect_stat "$1" zswapped $(($2 * 4096)) "with $2 pages stored directly"
	expect_stat "$1" zswap $(($2 * 4096)) "with $2 pages stored directly"
	read_value direct_value "$1/memory.zswap.current"
	expect_eq "$direct_value" $(($2 * 4096)) "memory.zswap.current, with $2 pages stored directly"
}

# expect_stat GROUP NAME VALUE WHEN: a line of memory.stat. The kernel sums it up when enough has changed, else every
# two seconds (flush_memcg_stats_dwork() in mm/memcontrol.c), so the value has four to come true.
expect_stat() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		memory_stat "$1" "$2"
		[ "$stat" != "$3" ] || return 0
		sleep 0.2
	done
	expect_eq "$stat" "$3" "$2 of memory.stat, $4"
}

# settled: without swap nothing is stored and no page of the nodes is in use, to the page
settled() {
	zswap_swapoff
	direct_status=0
	(settled_now) || direct_status=$?
	swapon "$zswap_disk"
	return "$direct_status"
}

settled_now() {
	zswap_counter stored_pages
	expect_eq "$counter" 0 "pages stored without swap"
	for direct_node in $begun; do
		usage "$direct_node"
		eval "direct_before=\$mark_used_$direct_node"
		expect_eq "$used" "$direct_before" "pages of node $direct_node in use without swap"
	done
}

# verified COUNT [WHEN]: all pages of the pattern process read back as written
verified() {
	ask verify
	expect_eq "$answer" "verify good=$1 bad=0" "content${2:+ $2}"
}

# filled COUNT: write them all and page them out: $swapped, at least 19 of 20
filled() {
	ask fill
	out
	expect_ge "$swapped" $(($1 * 19 / 20)) "pages of $1 that are swapped out"
}

# try_state STATE BLOCK: $outcome of putting a memory block online or offline, within half a minute
try_state() {
	# shellcheck disable=SC2016 # of the other shell
	outcome timeout 30 sh -c 'echo "$1" >"$2/state"' sh "$1" "$2"
}

# need_time MIB SECONDS: skip where storing and reading so much would take longer, by the time that one MiB takes:
# interleaved CXL memory, and some that is not, is emulated access by access
need_time() {
	pattern_name=four
	pattern_start -s 1M -g "$group"
	ask fill
	ktap_read_uptime
	time_begin=$ktap_uptime
	ask pageout
	ask verify
	ktap_read_uptime
	time_all=$(((ktap_uptime - time_begin) * $1 / 100))
	pattern_stop
	pattern_name=one
	[ "$time_all" -le "$2" ] || skip "$1 MiB on node $node would take $time_all s, more than $2"
}

# vmstat NAME: $event of /proc/vmstat, empty without VM_EVENT_COUNTERS
vmstat() {
	event=
	while read -r direct_name direct_value; do
		[ "$direct_name" != "$1" ] || event=$direct_value
	done </proc/vmstat
}
