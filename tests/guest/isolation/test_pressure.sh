#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The pressure of this suite, judged: it does overflow to an ordinary RAM node, and is seen there.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/isolation.sh"

setup_program() {
	isolation_ram
	isolation_tighten
}

# pressed KIND PATTERN [COUNT [SIZE]]: it overflows, with so many allocations, and what is seen has PATTERN. Reclaim may find
# room for some; at times for all of it, where the host gives the guest little.
pressed() {
	for _ in 1 2 3; do
		watch
		expect_ok pressure -t 300 -s "${4:-48M}" "$1"
		judge
		allocations=${verdict##*allocations=}
		[ "$allocations" -lt "${3:-1024}" ] || break
		note "room was found: $verdict"
	done
	expect_ge "$allocations" "${3:-1024}" "allocations on node $node"
	expect_judged_foreign "$2"
}

case_sees_anonymous() {
	pressed anon 'pages of type anonymous'
}

# Page owner lists what it sees by stack, with the order; the flags are looked at once more at the end, when they are gone.
case_sees_huge_pages() {
	no_room 2
	pressed huge 'pages of type large folio\|^Page allocated via order 9,' 8 128M
}

case_sees_locked() {
	pressed mlock 'pages of type anonymous'
}

case_sees_shared() {
	pressed shm 'pages of type shmem'
}

ktap_main "$@"
