#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Pages of a private node as everybody's: cleared, poisoned or unmapped where this kernel does that to its pages.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/module.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/isolation.sh"

setup_program() {
	module_load nodealloc
	isolation_private
}

# booted_with WORD: on the kernel's command line
booted_with() {
	read_value command_line /proc/cmdline
	case " $command_line " in *" $1 "*) ;; *) return 1 ;; esac
}

# What the kernel was told to do at boot is what it does.
case_as_booted() {
	module_passes nodealloc hardening "$node"
	told=
	for pair in init_on_alloc=1:init_on_alloc init_on_free=1:init_on_free page_poison=1:page_poison \
		debug_pagealloc=on:debug_pagealloc; do
		booted_with "${pair%:*}" || continue
		# poisoning takes the place of both (mm/mm_init.c)
		case $pair in init_on_*) ! booted_with page_poison=1 || continue ;; esac
		told="$told ${pair%:*}"
		grep -q "${pair#*:}=1" "$module_report" || fail "booted with ${pair%:*}, but: $(grep '^#' "$module_report")"
	done
	[ -n "$told" ] || skip "this kernel was not told to clear, poison or unmap pages"
}

case_new_pages() {
	module_passes nodealloc new_content "$node"
	expect_ok pageoracle "$node"
}

case_free_pages() {
	module_passes nodealloc freed_content "$node"
	expect_ok pageoracle "$node"
}

ktap_main "$@"
