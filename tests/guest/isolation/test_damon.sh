#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# DAMON moves cold pages to whichever node it is told (Documentation/admin-guide/mm/damon/usage.rst, migrate_cold): not to
# a private one.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/isolation.sh"

damon=/sys/kernel/mm/damon/admin/kdamonds

setup_program() {
	isolation_needs
	need_private
	need_file "$damon/nr_kdamonds" "this kernel has no DAMON (the fragment damon)"
	isolation_swap
	read_value ordinary "$nodes/has_memory"
	first=${ordinary%%[-,]*}
}

# damon_starts NODE: have it take all memory of the first ordinary node for cold, and move it to NODE
damon_starts() {
	defer write_file 0 "$damon/nr_kdamonds"
	write_file 1 "$damon/nr_kdamonds"
	write_file 1 "$damon/0/contexts/nr_contexts"
	context=$damon/0/contexts/0
	write_file paddr "$context/operations"
	write_file 1 "$context/targets/nr_targets"
	write_file 1 "$context/targets/0/regions/nr_regions"
	read_value block_size /sys/devices/system/memory/block_size_bytes
	end=0
	for block in "$nodes/node$first"/memory[0-9]*; do
		number=${block##*/memory}
		[ "$number" -lt "$end" ] || end=$((number + 1))
	done
	write_file 0 "$context/targets/0/regions/0/start"
	write_file $((end * 0x$block_size)) "$context/targets/0/regions/0/end"
	write_file 1 "$context/schemes/nr_schemes"
	scheme=$context/schemes/0
	write_file migrate_cold "$scheme/action"
	write_file "$1" "$scheme/target_nid"
	for limit in sz nr_accesses age; do
		write_file 2147483647 "$scheme/access_pattern/$limit/max"
	done
	defer damon_stops
	write_file on "$damon/0/state"
}

damon_stops() {
	read_value damon_state "$damon/0/state"
	[ "$damon_state" = off ] || write_file off "$damon/0/state"
}

# damon_acts NODE: on the pages of a process, until it has looked at all of them
damon_acts() {
	pattern_start -s 16M -n "$first"
	ask fill
	watch
	damon_starts "$1"
	wait_for 20 damon_tried
	sleep 1
	damon_stops
	note "applied to $applied of $tried bytes"
	ask verify
	expect_match "$answer" "verify good=4096 bad=0*"
}

damon_tried() {
	write_file update_schemes_stats "$damon/0/state"
	read_value tried "$scheme/stats/sz_tried"
	read_value applied "$scheme/stats/sz_applied"
	[ "$tried" -gt $((512 << 20)) ]
}

case_to_an_ordinary_node() {
	bound ram
	cxl_online "$region" online_movable
	damon_acts "$node"
	expect_foreign "pages of type anonymous"
	pattern_stop
}

case_to_a_private_node() {
	bound private
	isolation_online
	damon_acts "$node"
	expect_isolated
	pattern_stop
}

ktap_main "$@"
