#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# While zswap stores on its private node, the pages there are zswap's own; when it has nothing stored, none are.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/zswap.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/isolation.sh"

setup_program() {
	isolation_needs
	need_private
	zswap_on
	isolation_begin private
}

# watch_owner: the owner is zswap: by its functions, and with no more pages than it says it has stored
watch_owner() {
	watch -o zswap_ -m "$zswap_debug/stored_pages"
}

# stored: 16 MiB of a group are stored, and most of it on the node: $pages of the node are zswap's
stored() {
	zswap_group
	node_meminfo "$node" MemFree
	before=$kib
	pattern_start -s 16M -g "$group"
	ask fill
	out
	node_meminfo "$node" MemFree
	pages=$(((before - kib) / 4))
	expect_ge "$pages" 2048 "pages of node $node in use with 4096 paged out"
}

case_what_is_stored() {
	watch_owner
	stored
	expect_isolated
	expect_match "$verdict" "*owner=[1-9]*"
	ask verify
	expect_match "$answer" "verify good=4096 bad=0*"
	pattern_stop
}

case_under_pressure_of_user_memory() {
	watch_owner
	stored
	for kind in anon huge shm file; do
		expect_ok pressure -s 32M "$kind"
	done
	expect_isolated
	pattern_stop
}

case_under_pressure_of_kernel_memory() {
	watch_owner
	stored
	for kind in slab pagetables pipes vmalloc forks threads; do
		expect_ok pressure -s 32M "$kind"
	done
	expect_isolated
	pattern_stop
}

case_in_and_out() {
	zswap_group
	watch_owner
	expect_ok pattern -s 8M -g "$group" -j 2 -r 3 fill pageout verify
	expect_isolated
}

case_compaction() {
	need_file "$nodes/node$node/compact" "this kernel has no compaction (CONFIG_COMPACTION)"
	watch_owner
	stored
	write_file 1 "$nodes/node$node/compact"
	ask verify
	expect_match "$answer" "verify good=4096 bad=0*"
	expect_isolated
	pattern_stop
}

# swapoff ends what lingers in swap slots; afterwards the rule is that of a node whose owner stores nothing
case_nothing_is_left() {
	stored
	pattern_stop
	swapoff "$zswap_disk"
	defer swapon "$zswap_disk"
	isolated pressure -s 32M anon
}

ktap_main "$@"
