#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Dynamic capacity devices: what a kernel without support for it still does with them, and that one with it shows it.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/facts.sh"
. "${0%/*}/../lib/cxl.sh"

setup_program() {
	need_cxl
	need_facts
	fact MEMDEVS
	memdevs=$fact number=0 dynamic=''
	while [ "$number" -lt "$memdevs" ]; do
		fact "MEMDEV_${number}_DYNAMIC_MIB" 0
		if [ "$fact" -gt 0 ] && [ -z "$dynamic" ]; then
			dynamic=MEMDEV_$number
		fi
		number=$((number + 1))
	done
	[ -n "$dynamic" ] || skip "this machine has no CXL device with dynamic capacity"
	fact "${dynamic}_SERIAL"
	cxl_find_serial $((fact)) || fail "no memory device has serial $fact ($dynamic)"
}

# Capacity that is not there yet must not be counted as RAM or persistent memory.
case_static_capacity_only() {
	fact "${dynamic}_VOLATILE_MIB"
	cxl_get "$memdev" ram
	expect_eq $((cxl_value >> 20)) "$fact" "MiB of RAM of $memdev"
	fact "${dynamic}_PERSISTENT_MIB"
	cxl_get "$memdev" pmem
	expect_eq $((cxl_value >> 20)) "$fact" "MiB of persistent memory of $memdev"
}

case_static_capacity_is_usable() {
	cxl_get "$memdev" ram
	[ "$cxl_value" -ge "$cxl_unit" ] || skip "$memdev has dynamic capacity only"
	need_devices ram 1
	cxl_build ram 0 "$cxl_unit" "$memdev"
	cxl_bind "$region"
	cxl_dax "$region"
	cxl_online "$region"
}

# The posted series (Ira Weiny, "DCD: Add support for Dynamic Capacity Devices") names a partition dc0 or dynamic_ram_a.
case_dynamic_partition() {
	for each in "$cxl/$memdev"/dc[0-9]* "$cxl/$memdev"/dynamic_ram*; do
		[ -e "$each/size" ] || continue
		fact "${dynamic}_DYNAMIC_MIB"
		read_value size "$each/size"
		expect_gt $((size)) 0 "${each##*/}/size"
		expect_le $((size >> 20)) "$fact" "${each##*/}/size in MiB"
		return 0
	done
	skip "this kernel has no support for dynamic capacity (no dc0 or dynamic_ram_a in $memdev)"
}

ktap_main "$@"
