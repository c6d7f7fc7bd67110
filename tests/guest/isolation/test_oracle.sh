#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The judge of this suite, judged: on an ordinary RAM node it finds what it must not find on a private one.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/module.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/isolation.sh"

setup_program() {
	need_program membind
	isolation_ram
	read_value ordinary "$nodes/has_memory"
	first=${ordinary%%[-,]*}
}

case_sees_nothing_on_an_empty_node() {
	isolated sleep 0.2
}

case_sees_all_of_a_process() {
	pattern_start -s 4M -n "$node"
	ask fill
	watch
	expect_foreign "pages of type anonymous"
	used=${verdict##* foreign=}
	expect_ge "${used%% *}" 1024 "foreign pages"
	pattern_stop
}

case_sees_what_came_and_went() {
	watch
	expect_ok membind range bind "$node" 1M
	expect_foreign "numastat: "
	allocations=${verdict##*allocations=}
	expect_ge "$allocations" 256 "allocations on node $node"
}

case_sees_hugetlb() {
	pool=$nodes/node$node/hugepages/hugepages-2048kB/nr_hugepages
	watch
	write_file 4 "$pool"
	defer write_file 0 "$pool"
	expect_foreign "2048 pages of type hugetlb"
}

# Kernel memory cannot be on the movable node; the first one has all kinds of it, and too many changes to agree.
case_sees_kernel_memory() {
	node=$first
	watch
	expect_ok pressure -s 8M -t 300 pagetables
	expect_ok pressure -s 8M slab
	expect_ok pressure -s 8M file
	expect_foreign "pages of type page table"
	expect_foreign_too "pages of type slab"
	expect_foreign_too "pages of type page cache"
	allocations=${verdict##*allocations=}
	expect_ge "$allocations" 2048 "allocations on node $node"
}

case_a_limit_is_a_limit() {
	pattern_start -s 1M -n "$node"
	ask fill
	watch -m 65536
	expect_foreign "pages of type anonymous"
	pattern_stop
}

case_names_the_stack() {
	need_file /sys/kernel/debug/page_owner "this kernel does not know who allocated a page (page_owner=on)"
	pattern_start -s 1M -n "$node"
	ask fill
	watch
	expect_foreign "^foreign: 256 pages in 256 allocations"
	expect_foreign_too "^ .*handle_mm_fault+"
	watch -o handle_mm_fault
	judge
	! grep -q "^ .*handle_mm_fault+" "$isolation_log" || fail "the owner's stack was taken for a foreign one"
	pattern_stop
}

# What the allocators' test module must find nowhere on a private node, it finds on ordinary ones.
case_the_module_sees() {
	module_load nodealloc
	for check in pages modifiers interrupt bulk slab slab_thisnode vmalloc policy device others; do
		module_finds "wrong" nodealloc "$check" "$first"
	done
	module_finds "MOVABLE movable" nodealloc pages "$node"
	module_finds "alloc_contig_range" nodealloc contig "$node"
}

ktap_main "$@"
