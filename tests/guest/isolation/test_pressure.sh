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

# pressed KIND TYPE [COUNT [SIZE]]: it overflows, with so many allocations, and pages of TYPE are seen
pressed() {
	watch
	expect_ok pressure -t 300 -s "${4:-48M}" "$1"
	expect_foreign "pages of type $2"
	allocations=${verdict##*allocations=}
	expect_ge "$allocations" "${3:-1024}" "allocations on node $node" # reclaim may find room for some
}

case_sees_anonymous() {
	pressed anon anonymous
}

case_sees_huge_pages() {
	no_room 2
	pressed huge "large folio" 8 128M
}

case_sees_locked() {
	pressed mlock anonymous
}

case_sees_shared() {
	pressed shm shmem
}

ktap_main "$@"
