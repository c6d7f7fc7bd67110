#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Crashes on purpose (drivers/misc/lkdtm), to see what a failure looks like: the first two cases must be a CRASH.
. "${0%/*}/../lib/ktap.sh"

direct=/sys/kernel/debug/provoke-crash/DIRECT

setup_program() {
	need_file "$direct" "no LKDTM on this kernel: --add-config lkdtm ($direct is missing)"
}

# provoke KIND: a crash ends the process that asked for it
provoke() {
	sh -c 'echo "$1" >"$2"' provoke "$1" "$direct" || :
}

case_writes_through_null() {
	provoke EXCEPTION
}

case_meets_a_bug() {
	provoke BUG
}

case_announces_its_bug() {
	expect_splat 'kernel BUG at .*bugs.c'
	provoke BUG
}

case_is_well() {
	expect_file /proc/sys/kernel/tainted 0
}

ktap_main "$@"
