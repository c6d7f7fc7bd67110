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

# booted_with NAME: $value is what the kernel's command line says last, empty if nothing
booted_with() {
	read_value command_line /proc/cmdline
	value=
	for word in $command_line; do
		case $word in "$1="*) value=${word#*=} ;; esac
	done
}

# What the kernel was told to do at boot is what it does.
case_as_booted() {
	module_passes nodealloc hardening "$node"
	told=
	for name in page_poison debug_pagealloc init_on_alloc init_on_free; do
		booted_with "$name"
		case $value in 1 | on) ;; *) continue ;; esac
		# poisoning takes the place of both (mm/mm_init.c)
		case "$told $name" in *page_poison*init_on_*) continue ;; esac
		told="$told $name"
		grep -q "$name=1" "$module_report" || fail "booted with $name, but: $(grep '^#' "$module_report")"
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
