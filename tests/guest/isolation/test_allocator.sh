#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The kernel's allocators, asked directly by a module (modules/nodealloc.c) while memory is short: who only prefers the
# private node gets nothing of it, by no allocator, zone, type and order; who insists on it gets that or nothing.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/module.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/isolation.sh"

setup_program() {
	need_program membind
	module_load nodealloc
	isolation_private
	read_value ordinary "$nodes/has_memory"
}

# kept_off CHECK: right answers, and nothing was or is on the node
kept_off() {
	watch
	module_passes nodealloc "$1" "$node"
	expect_isolated
}

# insisted CHECK: right answers, and nothing is left on the node, which was used meanwhile
insisted() {
	module_passes nodealloc "$1" "$node"
	expect_ok pageoracle "$node"
}

case_pages() {
	kept_off pages
}

case_modifiers() {
	kept_off modifiers
}

case_slab() {
	kept_off slab
}

case_vmalloc() {
	kept_off vmalloc
}

case_devices() {
	kept_off device
}

case_others() {
	kept_off others
}

case_contiguous() {
	kept_off contig
}

case_policies() {
	watch
	for policy in interleave preferred-many bind; do
		expect_ok membind set "$policy" "$ordinary,$node" sh -c "echo policy $node >$module_debug/nodealloc/run"
		module_read nodealloc policy
		module_judge
	done
	expect_isolated
}

case_thisnode() {
	insisted thisnode
}

case_bulk() {
	insisted bulk
}

case_interrupt() {
	insisted interrupt
}

case_slab_thisnode() {
	insisted slab_thisnode
}

case_exhausted() {
	before=$(grep '^oom_kill ' /proc/vmstat)
	insisted exhausted
	expect_eq "$(grep '^oom_kill ' /proc/vmstat)" "$before" "out-of-memory kills"
}

# The judge, judged on the private node itself: pages that are not the owner's are found, with who has them.
case_a_page_of_somebody_else() {
	defer module_passes nodealloc drop
	watch
	module_passes nodealloc keep "$node"
	expect_foreign "^numastat: "
	expect_match "$verdict" "* foreign=5 *"
	if [ -e /sys/kernel/debug/page_owner ]; then
		expect_foreign_too "^ check_keep.*nodealloc"
	fi
	module_passes nodealloc drop
	expect_ok pageoracle "$node"
}

ktap_main "$@"
