#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A device leaves with pages of zswap on it. Where it is asked to, they must be evacuated while it still answers, and
# every one reads back; where it is pulled, they are lost, and the kernel must not be.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/zswap.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/zswap_private.sh"
. "${0%/*}/../lib/host.sh"
. "${0%/*}/../lib/hotplug.sh"

setup_program() {
	hotplug_setup
	direct_on
}

# stored_there: a private node with the pages of the pattern process, all of them direct: $all
stored_there() {
	place 1
	case " $chosen " in *" $memdev "*) ;; *) hotplug_choose "${chosen%% *}" ;; esac
	direct_node
	begin
	pattern_start -s 4M -k mixed -g "$group"
	filled 1024
	expect_direct
	all=$stored
}

# read_back WHEN: every page is what was written. The kernel's own order when an endpoint goes is to reset the decoders of
# its region and only then to release the region's driver (cxl_region_detach() in drivers/cxl/core/region.c): a series that
# leaves it so evacuates what is no longer there to be read, and loses the pages without a word.
read_back() {
	tell verify
	(answer) || fail "the pattern process died"
	answer
	if [ "$answer" != "verify good=1024 bad=0" ]; then
		spoil "pages of a process are not what it wrote"
		fail "content $1 is '$answer', expected 'verify good=1024 bad=0'"
	fi
}

case_unplug_with_pages_stored() {
	stored_there
	unplug
	[ ! -e "$block" ] || fail "${block##*/} is there without its device"
	expect_node "$node" none "after the device is gone"
	expect_software
	zswap_since written_back_pages
	expect_eq $((stored + counter)) "$all" "pages stored and written back"
	read_back "after the device is gone"
	filled 1024
	expect_software
	verified 1024
	plug
}

case_unplug_and_store_again() {
	stored_there
	unplug
	read_back "after the device is gone"
	cxl_delete "$root" "$region"
	plug
	need_private
	direct_node
	mark
	filled 1024
	expect_direct
	verified 1024 "on the device that came back"
}

case_pull_with_pages_stored() {
	stored_there
	spoil "a device was pulled with pages on it"
	pull
	tell verify
	(answer) || skip "the pages are lost with the device, and so is their process"
	answer
	note "$all pages were on the device: $answer"
	case $answer in
	"verify good=1024 bad=0") ;;
	verify*) skip "limit of what is stored on a device: the pages are lost with it, and their process is not told ($answer)" ;;
	*) fail "the pattern process says '$answer'" ;;
	esac
}

ktap_main "$@"
