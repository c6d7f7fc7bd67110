#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Persistent devices: partitions, label storage, and pmem regions as far as libnvdimm.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"

setup_program() {
	need_cxl
	cxl_choose pmem 1 || skip "this machine has no CXL device with persistent memory (in a window that does not interleave)"
	memdev=$chosen
	cxl_get "$memdev" pmem
	capacity=$cxl_value
}

# uuid: $uuid, a new one
new_uuid() {
	read_value uuid /proc/sys/kernel/random/uuid
}

pmem_region() {
	cxl_new_region pmem
	read_value granularity "$cxl/$root/interleave_granularity"
	write_file "$granularity" "$cxl/$region/interleave_granularity"
	write_file 1 "$cxl/$region/interleave_ways"
}

# One nmem per device with persistent memory, on the bridge to libnvdimm.
case_nvdimm_devices() {
	need_file /sys/bus/nd/devices "this kernel has no libnvdimm (CONFIG_LIBNVDIMM)"
	need_file /sys/bus/cxl/drivers/cxl_nvdimm "this kernel has no CXL pmem driver (CONFIG_CXL_PMEM)"
	wanted=0 found=0
	for each in $cxl_memdevs; do
		cxl_get "$each" pmem
		[ "$cxl_value" -eq 0 ] || wanted=$((wanted + 1))
	done
	for each in /sys/bus/nd/devices/nmem*; do
		[ ! -e "$each" ] || found=$((found + 1))
	done
	expect_eq $found $wanted "nvdimm devices"
}

case_security_state() {
	need_file "$cxl/$memdev/security/state" "the device has no security commands"
	expect_match "$(cat "$cxl/$memdev/security/state")" "disabled*"
}

case_decoder_modes() {
	cxl_free_decoder "$memdev"
	cxl_get "$memdev" ram
	[ "$cxl_value" -ne 0 ] || cxl_no_partition ram
	write_file pmem "$cxl/$decoder/mode"
	expect_file "$cxl/$decoder/mode" pmem
	expect_errno ENOSPC write_file $((capacity + cxl_unit)) "$cxl/$decoder/dpa_size"
	write_file "$capacity" "$cxl/$decoder/dpa_size"
	defer write_file 0 "$cxl/$decoder/dpa_size"
	cxl_get "$memdev" ram
	read_value start "$cxl/$decoder/dpa_resource"
	expect_eq $((start)) "$cxl_value" "device address of the persistent partition"
}

case_uuid_refusals() {
	pmem_region
	expect_errno ENXIO write_file "$cxl_unit" "$cxl/$region/size" # a pmem region needs its uuid first
	for uuid in nonsense 00000000-0000-0000-0000-000000000000 12345678-1234-1234-1234-12345678901; do
		expect_errno EINVAL write_file $uuid "$cxl/$region/uuid"
	done
	new_uuid
	write_file "$uuid" "$cxl/$region/uuid"
	expect_file "$cxl/$region/uuid" "$uuid"
	write_file "$cxl_unit" "$cxl/$region/size"
	pmem_region
	expect_errno EBUSY write_file "$uuid" "$cxl/$region/uuid"
}

case_mode_must_match() {
	cxl_reserve "$memdev" pmem "$cxl_unit"
	[ -e "$cxl/$root/create_ram_region" ] || skip "the window is for persistent memory only"
	cxl_new_region ram
	read_value granularity "$cxl/$root/interleave_granularity"
	write_file "$granularity" "$cxl/$region/interleave_granularity"
	write_file 1 "$cxl/$region/interleave_ways"
	write_file "$cxl_unit" "$cxl/$region/size"
	expect_errno EINVAL write_file "$decoder" "$cxl/$region/target0"
}

case_region_commits() {
	cxl_build pmem 0 "$cxl_unit" "$memdev"
	expect_file "$cxl/$region/mode" pmem
	expect_file "$cxl/$region/commit" 1
	new_uuid
	expect_errno EBUSY write_file "$uuid" "$cxl/$region/uuid"
	expect_file "$cxl/$decoder/region" "$region"
}

case_region_reaches_libnvdimm() {
	need_file /sys/bus/cxl/drivers/cxl_pmem_region "this kernel has no CXL pmem driver (CONFIG_CXL_PMEM)"
	need_file /sys/bus/nd/devices "this kernel has no libnvdimm (CONFIG_LIBNVDIMM)"
	cxl_build pmem 0 "$cxl_unit" "$memdev"
	cxl_bind "$region"
	[ -e "$cxl/pmem_${region}" ] || fail "there is no pmem_$region"
	found=
	for each in /sys/bus/nd/devices/region*; do
		[ ! -e "$each/size" ] || found=$each
	done
	[ -n "$found" ] || fail "libnvdimm has no region"
	expect_file "$found/size" "$cxl_unit"
	cxl_unbind "$region"
	[ ! -e "$cxl/pmem_${region}" ] || fail "pmem_$region is still there"
	[ ! -e "$found" ] || fail "${found##*/} of libnvdimm is still there"
}

case_create_again_and_again() {
	for _ in 1 2 3; do
		cxl_build pmem 0 "$cxl_unit" "$memdev"
		cxl_bind "$region"
		cxl_delete "$root" "$region"
		write_file 0 "$cxl/$decoder/dpa_size"
	done
}

case_cxl_cli() {
	need_program cxl
	expect_ok cxl create-region -m -t pmem -d "$root" -w 1 -s 256M "$memdev"
	region=${output#*\"region\":\"}
	region=${region%%\"*}
	defer "[ ! -e $cxl/$region ] || cxl destroy-region -f $region"
	expect_file "$cxl/$region/mode" pmem
	expect_file "$cxl/$region/commit" 1
	expect_ok cxl destroy-region -f "$region"
	[ ! -e "$cxl/$region" ] || fail "$region is still there"
}

ktap_main "$@"
