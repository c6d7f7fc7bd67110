#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A memory device is gone before the kernel hears of it. What was stored on it is lost; the kernel must live on where
# none of its own memory was there, and take the device back.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/host.sh"
. "${0%/*}/../lib/hotplug.sh"

setup_program() {
	hotplug_setup
}

case_idle_device() {
	pull
	plug
	[ -e "$cxl/$memdev/driver" ] || fail "$memdev has no driver"
}

committed_region() {
	hotplug_region "$1"
	pull
	detached
	plug
	attached_again "$1"
}

case_committed_ram_region() {
	committed_region ram
}

case_committed_private_region() {
	committed_region private
}

offline_region() {
	hotplug_region "$1"
	private_bind
	pull
	detached
	cxl_blocks "$region"
	expect_eq "$blocks" "" "memory blocks of a device that is gone"
	plug
	attached_again "$1"
}

case_offline_ram_region() {
	offline_region ram
}

case_offline_private_region() {
	offline_region private
}

case_online_private_region() {
	hotplug_region private
	private_bind
	cxl_online "$region"
	expect_node "$node" private
	pull
	detached
	expect_node "$node" none "after the device is gone"
	plug
	attached_again private
}

case_swap_of_an_idle_device() {
	swap
	[ -e "$cxl/$memdev/driver" ] || fail "$memdev has no driver"
}

# swapped KIND: the region is not one of the device that is there now, until it is made so
swapped() {
	hotplug_region "$1"
	swap
	wait_for 20 region_is_let_go
	expect_file "$cxl/$region/commit" 0
	is_unbound "$region"
	attached_again "$1"
}

case_swap_with_a_committed_ram_region() {
	swapped ram
}

case_swap_with_a_committed_private_region() {
	swapped private
}

case_swap_with_an_online_private_region() {
	hotplug_region private
	private_bind
	cxl_online "$region"
	swap
	wait_for 20 region_is_let_go
	expect_file "$cxl/$region/commit" 0
	is_unbound "$region"
	expect_node "$node" none "after the device is another"
	attached_again private
}

ktap_main "$@"
