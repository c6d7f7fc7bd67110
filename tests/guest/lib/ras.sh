# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Errors of CXL memory devices, injected by the host. Needs cxl.sh and host.sh; poison needs debugfs to be cleared.

# ras_setup COMMAND…: for setup_program: $memdev with RAM, $device (QEMU's name), $pci (its PCI device in sysfs); skips
# where QEMU lacks a command
ras_setup() {
	need_cxl
	cxl_choose_least ram || skip "this machine has no CXL window with free RAM below it"
	host_setup
	for ras_command in "$@"; do
		need_command "$ras_command"
	done
	ras_choose "${chosen%% *}"
}

ras_choose() {
	memdev=$1
	host_device "$memdev"
	cxl_get "$memdev" serial
	serial=$cxl_value
	cxl_real "$cxl/$memdev"
	pci=${cxl_path%/*}
	pci_name=${pci##*/}
	poison_debug=/sys/kernel/debug/cxl/$memdev
}

# inject COMMAND MEMBERS: MEMBERS is the inside of a JSON object
inject() {
	must inject "$device" "$1" "{$2}"
}

# ras_region KIND: a committed region over as few devices as the window takes: $region, $decoders, $chosen
ras_region() {
	if [ "$1" = private ]; then
		need_private
	else
		cxl_choose_least "$1" || skip "this machine has no CXL window with free capacity ($1) below it"
	fi
	# shellcheck disable=SC2086 # a list
	cxl_make "$1" $chosen
}

# cxl_make KIND memN…: cxl_build, a private one with its type before the commit
cxl_make() {
	ras_kind=$1
	shift
	if [ "$ras_kind" = private ]; then
		committed private
	else
		cxl_build "$ras_kind" 0 "$cxl_unit" "$@"
	fi
}

# ras_place POSITION OFFSET: where byte OFFSET of the share of the device at POSITION in $region is: $memdev and the
# rest of ras_choose, $dpa and $hpa (CXL 3.1, 9.13.1: the interleave arithmetic, in which ways are a power of two here)
ras_place() {
	# shellcheck disable=SC2086 # lists
	ras_nth "$1" $chosen
	ras_choose "$nth"
	# shellcheck disable=SC2086
	ras_nth "$1" $decoders
	read_value ras_value "$cxl/$nth/dpa_resource"
	dpa=$((ras_value + $2))
	read_value ways "$cxl/$region/interleave_ways"
	read_value granularity "$cxl/$region/interleave_granularity"
	read_value ras_value "$cxl/$region/resource"
	ras_stripe=$(($2 / granularity))
	hpa=$((ras_value + (ras_stripe * ways + $1) * granularity + $2 % granularity))
}

ras_nth() {
	shift "$1"
	shift
	nth=$1
}

# poison START [BYTES]: injected by the host at a device address; cleared with the case
poison() {
	inject cxl-inject-poison "\"start\": $(($1)), \"length\": ${2:-64}"
	defer poison_clear_all "$memdev" $(($1)) "${2:-64}"
}

poison_clear() {
	write_file "$1" "$poison_debug/clear_poison"
}

# poison_clear_all memN START BYTES [STEP]: line by line, or one line every STEP bytes, where the device is still there
poison_clear_all() {
	[ -e "/sys/kernel/debug/cxl/$1/clear_poison" ] || return 0
	ras_at=$2
	while [ "$ras_at" -lt $(($2 + $3)) ]; do
		write_file "$ras_at" "/sys/kernel/debug/cxl/$1/clear_poison"
		ras_at=$((ras_at + ${4:-64}))
	done
}

need_poison_clear() {
	need_file "$poison_debug/clear_poison" "nothing here clears poison (no clear_poison in debugfs: Clear Poison)"
}

# poison_list: what $memdev says of its poison: $events, $KTAP_TMP/events
poison_list() {
	trace_clear
	write_file 1 "$cxl/$memdev/trigger_poison_list"
	trace_read cxl_poison
}

# expect_poison DPA BYTES SOURCE: $event is a record of it, outside of any region
expect_poison() {
	expect_fields memdev "$memdev" host "$pci_name" serial "$serial" trace_type List \
		dpa "$(printf '0x%x' $(($1)))" dpa_length "$(printf '0x%x' "$2")" source "$3" flags "" overflow_time 0
}

expect_no_region() {
	expect_fields region "" hpa 0xffffffffffffffff
}
