# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Memory devices that leave the machine and come back. Needs cxl.sh, node.sh, private.sh and host.sh, and comes last.
#
#	hotplug_setup			for setup_program: $memdev in a slot, $device, $pci, $port (the slot's port)
#	unplug				the host asks for it (device_del); the guest lets it go, after the five seconds in which
#					a press of the attention button can be taken back
#	pull				it is gone without a word
#	plug				and back, as $memdev, which may have another name then
#	swap				it is gone without a word, and another like it is in its place

# addresses of the PCI device may be others when it comes back
state() {
	ktap_state
}

hotplug_setup() {
	need_cxl
	cxl_choose_least ram || skip "this machine has no CXL window with free RAM below it"
	host_setup
	need_program pciconfig
	hotplug_choose "${chosen%% *}"
}

hotplug_choose() {
	memdev=$1
	host_device "$memdev"
	cxl_get "$memdev" serial
	serial=$cxl_value
	cxl_real "$cxl/$memdev"
	pci=${cxl_path%/*}
	port=${pci%/*}
	slot=
	for hotplug_each in /sys/bus/pci/slots/*; do
		[ -e "$hotplug_each/address" ] || continue
		read_value hotplug_address "$hotplug_each/address"
		case ${pci##*/} in "$hotplug_address".*) slot=$hotplug_each ;; esac
	done
	[ -n "$slot" ] ||
		skip "this kernel has no hot-plug slot for ${pci##*/} (CONFIG_HOTPLUG_PCI_PCIE; _OSC, PCIeHotplug)"
}

memdev_is_gone() {
	[ ! -e "$cxl/$memdev" ]
}

host_has_it() {
	must plugged "$device"
	[ "$reply" = yes ]
}

host_has_it_not() {
	! host_has_it
}

# has_power_controller: the slot (slot capabilities register, PCIe 6.0, 7.5.3.9). In QEMU a root port's, not a switch's.
has_power_controller() {
	[ $(($(pciconfig "$port" express 0x14) & 2)) -ne 0 ]
}

# need_power_controller: QEMU (11.1) takes a device out when power controller and indicator are off; a kernel never writes
# the first where the slot has none
need_power_controller() {
	has_power_controller ||
		skip "QEMU takes no device out of a slot without power controller, as those of a switch are (hw/pci/pcie.c)"
}

unplug() {
	need_power_controller
	defer plug_again
	must unplug "$device"
	wait_for 30 memdev_is_gone
	wait_for 30 host_has_it_not
}

# A device is gone before the kernel hears of it, by the slot's control register (PCIe 6.0, 7.5.3.10): when power
# controller and power indicator are both off from then on, QEMU takes the device out (hw/pci/pcie.c); without interrupts
# of hot-plug the kernel does not see that state. As the register is put back, it is told that the card is not present.
# The indicator is on then, as of a card in use (after the boot it is off, or it blinks): see slot_is_off.
vanish() {
	defer plug_again
	hotplug_control=$(($(pciconfig "$port" express 0x18.w) & ~0x300 | 0x100))
	pciconfig "$port" express 0x18.w $(((hotplug_control | 0x700) & ~0x20))
	wait_for 10 host_has_it_not
}

# The kernel switches the slot of a device that is gone off: power, a second's wait, then the indicator (drivers/pci/
# hotplug/pciehp_ctrl.c, remove_board). A device that is plugged in before is taken out by QEMU when the indicator goes off.
slot_is_off() {
	[ $(($(pciconfig "$port" express 0x18.w) & 0x300)) -eq $((0x300)) ]
}

kernel_is_told() {
	pciconfig "$port" express 0x18.w "$hotplug_control"
}

pull() {
	vanish
	kernel_is_told
	wait_for 60 memdev_is_gone
	wait_for 30 slot_is_off
}

# Another device is in its place by then. Not in a slot with a power controller: the kernel switches it off (slot_is_off),
# and QEMU takes the new device out, too.
swap() {
	! has_power_controller ||
		skip "QEMU takes a device that is in a slot as its power goes off out of it, the new one too (hw/pci/pcie.c)"
	hotplug_before=$(stat -c %i "$cxl/$memdev/")
	vanish
	must plug "$device"
	kernel_is_told
	wait_for 60 memdev_is_another
	wait_for 30 memdev_is_back
}

memdev_is_another() {
	hotplug_now=$(stat -c %i "$cxl/$memdev/" 2>/dev/null) || return 0
	[ "$hotplug_now" != "$hotplug_before" ]
}

# plug: wait until the kernel has the device with its endpoint
plug() {
	must plug "$device"
	wait_for 30 memdev_is_back
	cxl_get "$memdev" serial
}

memdev_is_back() {
	cxl_discover
	cxl_find_serial "$serial" || return 1
	cxl_get "$memdev" endpoint
	[ -n "$cxl_value" ]
}

# plug_again: the end of a case, in another subshell than the case
plug_again() {
	must plugged "$device"
	[ "$reply" = yes ] || plug
}

# hotplug_region KIND: a committed region of KIND over $memdev (and what its window takes beside it): $region, $decoders
hotplug_region() {
	need_file /sys/bus/dax/drivers/kmem "this kernel has no kmem driver for dax devices (CONFIG_DEV_DAX_KMEM)"
	if [ "$1" = private ]; then
		need_private
		case " $chosen " in *" $memdev "*) ;; *) hotplug_choose "${chosen%% *}" ;; esac
	else
		cxl_choose_least ram || skip "this machine has no CXL window with free RAM below it"
	fi
	committed "$1"
}

# detached: what the kernel leaves of a region whose device is gone: no target, not committed, no driver. Its users give
# the name back (the deferred clean-up deletes it).
detached() {
	wait_for 20 region_is_let_go
	[ -e "$cxl/$region" ] || fail "$region went with the device"
	expect_file "$cxl/$region/commit" 0
	hotplug_position=0
	for hotplug_device in $chosen; do
		if [ ! -e "$cxl/$hotplug_device" ]; then
			expect_file "$cxl/$region/target$hotplug_position" ""
		fi
		hotplug_position=$((hotplug_position + 1))
	done
	is_unbound "$region"
}

region_is_let_go() {
	[ ! -e "$cxl/$region/driver" ] || return 1
	for hotplug_each in "$cxl/$region"/dax_region*; do
		[ ! -e "$hotplug_each" ] || return 1
	done
}

# attached_again KIND: the device can be what it was: a region with memory that holds what is written to it
attached_again() {
	cxl_delete "$root" "$region"
	cxl_discover
	if [ "$1" = private ]; then
		need_private
	else
		cxl_choose_least ram || fail "$memdev is back, and no region can be made"
	fi
	bound "$1"
	online_first "$region"
	if [ "$1" = private ]; then
		expect_node "$node" private "after the device came back"
	else
		expect_node "$node" ram "after the device came back"
	fi
	linked
}

# linked: each target of the region is a decoder of the device that it was made of, and of no other
linked() {
	hotplug_position=0
	for hotplug_device in $chosen; do
		read_value hotplug_target "$cxl/$region/target$hotplug_position"
		cxl_get "$hotplug_device" endpoint
		hotplug_endpoint=${hotplug_target%.*}
		expect_eq "${hotplug_endpoint#decoder}" "${cxl_value#endpoint}" "the port of target$hotplug_position of $region"
		[ "$cxl/$hotplug_target/../uport" -ef "$cxl/$hotplug_device" ] ||
			fail "$hotplug_target, target$hotplug_position of $region, is not of $hotplug_device"
		hotplug_position=$((hotplug_position + 1))
	done
}
