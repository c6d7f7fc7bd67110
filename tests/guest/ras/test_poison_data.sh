#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What a poisoned line of a region reads as. QEMU notes poison in a list and nowhere else (hw/mem/cxl_type3.c): a read
# gives what was stored. Hardware gives poison, which is a machine check, so a SIGBUS, where the line is used.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/host.sh"
. "${0%/*}/../lib/ras.sh"

setup_program() {
	ras_setup cxl-inject-poison
	need_poison_clear
	need_program pattern
}

# poisoned: a region as a dax device, its first 2 MiB written, a line of it poisoned
poisoned() {
	need_file /sys/bus/dax/drivers/kmem "this kernel has no kmem driver for dax devices (CONFIG_DEV_DAX_KMEM)"
	ras_region ram
	cxl_bind "$region"
	cxl_dax "$region"
	cxl_device_mode
	defer cxl_memory_mode
	pattern_start -s 2M -f "/dev/$dax"
	ask fill
	ask verify
	expect_eq "$answer" "verify good=512 bad=0" "content before the poison"
	ras_place 0 0x3080
	poison "$dpa"
}

case_read_of_a_poisoned_line() {
	poisoned
	tell verify
	(answer) || skip "the reader died of the poisoned line, as on hardware"
	answer
	expect_eq "$answer" "verify good=512 bad=0" "content with a poisoned line, as QEMU stores it"
}

# "Clearing poison removes the address from the device's Poison List and writes 0 (zero) for 64 bytes"
case_cleared_line_reads_zero() {
	poisoned
	poison_clear "$dpa"
	ask verify
	expect_eq "$answer" "verify good=511 bad=1" "content after one line was cleared"
	pattern_start -s 2M -f "/dev/$dax" # a bad page ended the one before
	ask fill
	ask verify
	expect_eq "$answer" "verify good=512 bad=0" "content once it was written again"
}

ktap_main "$@"
