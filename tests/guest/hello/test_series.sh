#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The kernel that answers is one with the series harness-hello (patches/harness-hello), not another.
. "${0%/*}/../lib/ktap.sh"

attribute=/sys/kernel/mm/harness_series

setup_program() {
	need_file "$attribute" "this kernel was built without the series harness-hello ($attribute is missing)"
}

case_names_the_series() {
	expect_file "$attribute" "harness-hello v1"
}

case_is_read_only() {
	mode=$(stat -c %a "$attribute")
	expect_eq "$mode" 444 "mode"
	expect_fail write_file other "$attribute"
	expect_file "$attribute" "harness-hello v1"
}

ktap_main "$@"
