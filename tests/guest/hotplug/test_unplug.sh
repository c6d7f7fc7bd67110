#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A memory device is asked to leave (QMP device_del, the slot's attention button), with more and more in use of it, and
# comes back. With RAM online it cannot be let go of: drivers/dax/kmem.c keeps the memory until the next boot.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/host.sh"
. "${0%/*}/../lib/hotplug.sh"

setup_program() {
	hotplug_setup
}

case_idle_device_goes_and_comes_back() {
	before=$cxl_memdevs
	cxl_get "$memdev" ram
	ram=$cxl_value
	unplug
	[ ! -e "$pci" ] || fail "${pci##*/} is still there"
	plug
	cxl_get "$memdev" ram
	expect_eq "$cxl_value" "$ram" "RAM of the device that came back"
	for each in $before; do
		[ -e "$cxl/$each" ] || fail "$each is missing"
	done
	[ -e "$cxl/$memdev/driver" ] || fail "$memdev has no driver"
}

case_twice() {
	unplug
	plug
	unplug
	plug
	[ -e "$cxl/$memdev/driver" ] || fail "$memdev has no driver"
}

# The power file of the slot is the administrator's way (Documentation/ABI/testing/sysfs-bus-pci, "slots").
case_power_off_by_the_guest() {
	need_power_controller
	defer plug_again
	write_file 0 "$slot/power"
	memdev_is_gone || fail "$memdev is there though its slot has no power"
	wait_for 10 host_has_it_not
	plug
	[ -e "$cxl/$memdev/driver" ] || fail "$memdev has no driver"
}

# committed_region KIND: nothing of its memory is used
committed_region() {
	hotplug_region "$1"
	linked
	unplug
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

# offline_region KIND: bound, its memory added, none of it online
offline_region() {
	hotplug_region "$1"
	private_bind
	unplug
	detached
	cxl_blocks "$region"
	expect_eq "$blocks" "" "memory blocks of a device that is gone"
	expect_node "$node" none "after the device is gone"
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
	blocks_before=$blocks
	unplug
	detached
	for block in $blocks_before; do
		[ ! -e "$block" ] || fail "${block##*/} is there without its device"
	done
	expect_node "$node" none "after the device is gone"
	plug
	attached_again private
}

# The memory of one device goes, that of another stays as it is.
case_other_device_is_not_touched() {
	hotplug_region ram
	gone_region=$region gone_root=$root gone_devices=$chosen
	cxl_discover
	cxl_choose_other || skip "this machine has no second device with RAM for a region of its own"
	bound ram
	cxl_online "$region"
	cxl_dax "$region"
	other=$region other_blocks=$blocks other_decoders=$decoders other_chosen=$chosen
	unplug
	expect_file "$cxl/$other/commit" 1
	is_bound "$other"
	for block in $other_blocks; do
		expect_file "$block/state" online
	done
	region=$other chosen=$other_chosen decoders=$other_decoders
	linked
	plug
	expect_file "$cxl/$other/commit" 1
	linked
}

# cxl_choose_other: $root and $chosen for a region on devices that are not in $gone_devices
cxl_choose_other() {
	other_memdevs=
	for other_each in $cxl_memdevs; do
		case " $gone_devices " in *" $other_each "*) ;; *) other_memdevs="$other_memdevs $other_each" ;; esac
	done
	cxl_memdevs=$other_memdevs
	cxl_choose_least ram
}

case_online_ram_region() {
	hotplug_region ram
	private_bind
	cxl_online "$region"
	online_blocks=$blocks
	log_mark
	spoil "a device left with its memory online"
	unplug
	left=
	for block in $online_blocks; do
		[ ! -e "$block" ] || left="$left ${block##*/}"
	done
	log_since
	[ -n "$left" ] || return 0 # a kernel that takes it offline itself
	grep -q 'cannot be hotremoved until the next reboot' "$KTAP_TMP/log" ||
		fail "memory blocks stay without a device, and the kernel does not say so:$left"
	skip "kernel limit: the RAM of a device that is asked to leave stays online without it (kmem: $(
		sed -n 's/.*\(mapping[^#]*until the next reboot\).*/\1/p' "$KTAP_TMP/log" | head -n 1))"
}

ktap_main "$@"
