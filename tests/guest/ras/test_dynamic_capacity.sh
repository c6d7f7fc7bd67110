#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Capacity that the host adds to a dynamic capacity device and takes back (CXL 3.1, 9.13.3). A kernel without support
# (the posted "DCD: Add support for Dynamic Capacity Devices" gives a memory device a partition dynamic_ram_a or dc0)
# answers none of it, and must go on as if nothing had been said.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/facts.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/host.sh"
. "${0%/*}/../lib/trace.sh"
. "${0%/*}/../lib/ras.sh"

setup_program() {
	need_cxl
	need_facts
	host_setup
	need_command cxl-add-dynamic-capacity
	need_command cxl-release-dynamic-capacity
	number=0 found=
	while [ "$number" -lt "$MEMDEVS" ]; do
		fact "MEMDEV_${number}_DYNAMIC_MIB" 0
		if [ "$fact" -gt 0 ] && [ -z "$found" ]; then
			fact "MEMDEV_${number}_SERIAL"
			found=$fact
		fi
		number=$((number + 1))
	done
	[ -n "$found" ] || skip "this machine has no CXL device with dynamic capacity"
	cxl_find_serial $((found)) || fail "no memory device has the serial number $found"
	ras_choose "$memdev"
	partition=
	for each in "$cxl/$memdev"/dc[0-9]* "$cxl/$memdev"/dynamic_ram*; do
		[ ! -e "$each/size" ] || partition=${each##*/}
	done
}

# add OFFSET_MIB MIB, release …: one extent of the first region of dynamic capacity
add() {
	inject cxl-add-dynamic-capacity "\"host-id\": 0, \"selection-policy\": \"prescriptive\", \"region\": 0, \
\"extents\": [{\"offset\": $(($1 << 20)), \"len\": $(($2 << 20))}]"
}

release() {
	host inject "$device" cxl-release-dynamic-capacity "{\"host-id\": 0, \"removal-policy\": \"prescriptive\", \
\"region\": 0, \"extents\": [{\"offset\": $(($1 << 20)), \"len\": $(($2 << 20))}]}"
}

quiet() {
	dmesg -r | sed -n "/$mark/,\$p" >"$KTAP_TMP/log"
	[ -s "$KTAP_TMP/log" ] || fail "the kernel's log has more lines than its buffer holds"
	! grep -E '^<[0-4]>.*(cxl|dax|memory)' "$KTAP_TMP/log" >"$KTAP_TMP/said" || fail "the kernel complains: $(cat "$KTAP_TMP/said")"
}

# What is added and not accepted is pending; it can be taken back, and the device does all that it did before.
case_added_capacity_does_no_harm() {
	mark="ras: mark $$ $ktap_case"
	echo "<7>$mark" >/dev/kmsg
	cxl_get "$memdev" ram
	before=$cxl_value
	add 0 128
	sleep 1
	cxl_discover
	cxl_get "$memdev" ram
	expect_eq "$cxl_value" "$before" "RAM of $memdev after dynamic capacity was offered"
	if release 0 128; then
		note "released what was offered"
	else
		note "not released: $reply"
		[ -z "$partition" ] || fail "the host cannot take back what it added: $reply"
		spoil "capacity was offered to a kernel that does not answer, and stays pending"
	fi
	sleep 1
	quiet
	[ -e "$cxl/$memdev/driver" ] || fail "$memdev lost its driver"
	if [ "$before" -ge "$cxl_unit" ]; then
		need_devices ram 1
		cxl_build ram 0 "$cxl_unit" "$memdev"
	fi
}

case_static_region_stays_while_capacity_comes_and_goes() {
	cxl_get "$memdev" ram
	[ "$cxl_value" -ge "$cxl_unit" ] || skip "$memdev has dynamic capacity only"
	need_file /sys/bus/dax/drivers/kmem "this kernel has no kmem driver for dax devices (CONFIG_DEV_DAX_KMEM)"
	need_devices ram 1
	cxl_build ram 0 "$cxl_unit" "$memdev"
	cxl_bind "$region"
	cxl_dax "$region"
	cxl_online "$region"
	add 256 64
	sleep 0.5
	release 256 64 || spoil "capacity was offered to a kernel that does not answer, and stays pending"
	expect_file "$cxl/$region/commit" 1
	for block in $blocks; do
		expect_file "$block/state" online
	done
}

case_added_capacity_is_usable() {
	[ -n "$partition" ] ||
		skip "this kernel has no dynamic capacity ($memdev has neither dc0 nor dynamic_ram_a): what is added stays pending"
	root_file=
	for each in $cxl_roots; do
		for file in "$cxl/$each"/create_dynamic_ram*_region "$cxl/$each"/create_dc*_region; do
			[ ! -e "$file" ] || root_file=$file
		done
	done
	[ -n "$root_file" ] || skip "this kernel shows $partition, but no root decoder makes a region of it"
	add 0 256
	sleep 1
	skip "this kernel has dynamic capacity ($partition, ${root_file##*/}); no case here uses it yet"
}

ktap_main "$@"
