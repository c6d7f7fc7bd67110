#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Memory of every kind, for more than the ordinary nodes have: none of it comes from a private node.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/isolation.sh"

setup_program() {
	isolation_private
}

case_idle() {
	isolated sleep 0.2
}

case_anonymous() {
	isolated pressure anon
}

case_locked() {
	isolated pressure mlock
}

case_shared() {
	isolated pressure shm
}

case_page_cache() {
	isolated pressure file
}

case_slab() {
	isolated pressure slab
}

case_page_tables() {
	isolated pressure pagetables
}

case_pipes() {
	isolated pressure pipes
}

case_vmalloc() {
	isolated pressure vmalloc
}

case_forks() {
	isolated pressure forks
}

case_threads() {
	isolated pressure threads
}

ktap_main "$@"
