#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Protocol errors of CXL.cachemem: noted in the device's RAS capability, signalled as internal errors of PCIe (AER), and
# shown by the kernel as trace events (CXL 3.1, 8.2.4.17 and 12.2; drivers/cxl/core/ras.c).
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/host.sh"
. "${0%/*}/../lib/trace.sh"
. "${0%/*}/../lib/ras.sh"

# offsets in the AER capability (PCI_ERR_… of include/uapi/linux/pci_regs.h), and the bits of internal errors
uncorrectable_mask=0x08 uncorrectable_severity=0x0c correctable_mask=0x14
uncorrectable_internal=$((1 << 22)) correctable_internal=$((1 << 14))

setup_program() {
	ras_setup cxl-inject-correctable-error cxl-inject-uncorrectable-errors
	need_program pciconfig
	need_file "$pci/aer_dev_correctable" "this kernel does not handle AER of $pci_name (CONFIG_PCIEAER; _OSC, AER)"
	traced=
	if [ -e "$tracing/events/cxl/cxl_aer_correctable_error" ]; then
		trace_setup cxl_aer_correctable_error cxl_aer_uncorrectable_error
		traced=yes
	fi
}

# errors_forwarded: the ports above the device pass its errors on (SERR# Enable of the bridge control register), which
# firmware sets up on a real machine
errors_forwarded() {
	forward_port=${pci%/*}
	while [ -e "$forward_port/config" ]; do
		forward_control=$(($(pciconfig "$forward_port" header 0x3e.w)))
		if [ $((forward_control & 2)) -eq 0 ]; then
			note "SERR# Enable of ${forward_port##*/} is off: on for this case"
			defer pciconfig "$forward_port" header 0x3e.w "$forward_control"
			pciconfig "$forward_port" header 0x3e.w $((forward_control | 2))
		fi
		forward_port=${forward_port%/*}
	done
}

# register NAME [VALUE]: of the AER capability; $value, or written
register() {
	if [ $# -gt 1 ]; then
		pciconfig "$pci" aer "$1" "$2"
	else
		value=$(($(pciconfig "$pci" aer "$1")))
	fi
}

# set_bit, clear_bit REGISTER BITS: until the end of the case
set_bit() {
	register "$1"
	defer register "$1" "$value"
	register "$1" $((value | $2))
}

clear_bit() {
	errors_forwarded
	register "$1"
	defer register "$1" "$value"
	register "$1" $((value & ~$2))
}

# counted FILE NAME: $count in a statistic of the device (Documentation/ABI/testing/sysfs-bus-pci-devices-aer)
counted() {
	count=
	while read -r counted_name counted_value; do
		[ "$counted_name" != "$2" ] || count=$counted_value
	done <"$pci/$1"
	[ -n "$count" ] || fail "$1 has no $2"
}

counts() {
	counted "$1" "$2"
	[ "$count" -eq "$3" ]
}

words_of() {
	case $1 in
	correctable:cache-data-ecc) words='Cache Data ECC Error' ;;
	correctable:mem-data-ecc) words='Memory Data ECC Error' ;;
	correctable:crc-threshold) words='CRC Threshold Hit' ;;
	correctable:retry-threshold) words='Retry Threshold' ;;
	correctable:cache-poison-received) words='Received Cache Poison From Peer' ;;
	correctable:mem-poison-received) words='Received Memory Poison From Peer' ;;
	correctable:physical) words='Received Error From Physical Layer' ;;
	uncorrectable:cache-data-parity) words='Cache Data Parity Error' ;;
	uncorrectable:cache-address-parity) words='Cache Address Parity Error' ;;
	uncorrectable:cache-be-parity) words='Cache Byte Enable Parity Error' ;;
	uncorrectable:cache-data-ecc) words='Cache Data ECC Error' ;;
	uncorrectable:mem-data-parity) words='Memory Data Parity Error' ;;
	uncorrectable:mem-address-parity) words='Memory Address Parity Error' ;;
	uncorrectable:mem-be-parity) words='Memory Byte Enable Parity Error' ;;
	uncorrectable:mem-data-ecc) words='Memory Data ECC Error' ;;
	uncorrectable:reinit-threshold) words='REINIT Threshold Hit' ;;
	uncorrectable:rsvd-encoding) words='Received Unrecognized Encoding' ;;
	uncorrectable:poison-received) words='Received Poison From Peer' ;;
	uncorrectable:receiver-overflow) words='Receiver Overflow' ;;
	uncorrectable:internal) words='Component Specific Error' ;;
	uncorrectable:cxl-ide-tx) words='IDE Tx Error' ;;
	uncorrectable:cxl-ide-rx) words='IDE Rx Error' ;;
	*) fail "this test does not know the type $1" ;;
	esac
}

need_traced() {
	[ -n "$traced" ] || skip "this kernel has no trace event cxl_aer_correctable_error"
}

# Internal errors are masked after a reset (PCIe 6.0, 7.8.4.3 and 7.8.4.6); only a kernel that unmasks them hears of
# protocol errors without an administrator's help.
case_kernel_unmasks_internal_errors() {
	register "$correctable_mask"
	masked=$((value & correctable_internal))
	register "$uncorrectable_mask"
	masked=$((masked | (value & uncorrectable_internal)))
	[ "$masked" -eq 0 ] ||
		skip "this kernel leaves internal errors of $pci_name masked in AER: no protocol error reaches it by itself"
	counted aer_dev_correctable CorrIntErr
	inject cxl-inject-correctable-error '"type": "mem-data-ecc"'
	wait_for 15 counts aer_dev_correctable CorrIntErr $((count + 1))
}

case_masked_error_is_not_heard() {
	set_bit "$correctable_mask" "$correctable_internal"
	counted aer_dev_correctable CorrIntErr
	before=$count
	[ -z "$traced" ] || trace_clear
	inject cxl-inject-correctable-error '"type": "physical"'
	sleep 1
	counted aer_dev_correctable CorrIntErr
	expect_eq "$count" "$before" "correctable internal errors that are counted while they are masked"
	if [ -n "$traced" ]; then
		trace_read cxl_aer_correctable_error
		expect_eq "$events" 0 "events of a masked error"
	fi
	# the device has noted it, and it is seen with the next one
	clear_bit "$correctable_mask" "$correctable_internal"
	inject cxl-inject-correctable-error '"type": "mem-data-ecc"'
	wait_for 15 counts aer_dev_correctable CorrIntErr $((before + 1))
	if [ -n "$traced" ]; then
		trace_wait 1 cxl_aer_correctable_error
		event_at 1
		expect_fields status 'Memory Data ECC Error | Received Error From Physical Layer'
	fi
}

case_correctable_errors_are_counted() {
	clear_bit "$correctable_mask" "$correctable_internal"
	must values cxl-inject-correctable-error type
	counted aer_dev_correctable CorrIntErr
	total=$count
	for type in $reply; do
		inject cxl-inject-correctable-error "\"type\": \"$type\""
		total=$((total + 1))
		wait_for 15 counts aer_dev_correctable CorrIntErr "$total"
	done
	[ -e "$cxl/$memdev/driver" ] || fail "$memdev lost its driver with a correctable error"
}

case_correctable_error_types() {
	need_traced
	clear_bit "$correctable_mask" "$correctable_internal"
	must values cxl-inject-correctable-error type
	types=$reply
	for type in $types; do
		words_of "correctable:$type"
		trace_clear
		inject cxl-inject-correctable-error "\"type\": \"$type\""
		trace_wait 1 cxl_aer_correctable_error
		event_at 1
		expect_fields memdev "$memdev" host "$pci_name" serial "$serial" status "$words"
	done
	trace_read cxl_aer_uncorrectable_error
	expect_eq "$events" 0 "uncorrectable errors"
}

# is_back: the memory device has its driver and an endpoint again
is_back() {
	[ -e "$cxl/$memdev/driver" ] || return 1
	for back in "$cxl"/endpoint*; do
		[ ! "$back/uport" -ef "$cxl/$memdev" ] || return 0
	done
	return 1
}

# The last that the kernel says of an uncorrectable error (drivers/pci/pcie/err.c).
recovery_is_over() {
	log_since
	grep -q 'AER: device recovery' "$KTAP_TMP/log"
}

# A limit of kernels up to 6.12 at least, heard of with lockdep: pcie_do_recovery() calls cxl_error_detected(), which locks
# the memory device, under pci_bus_sem; devm_cxl_port_enumerate_dports() takes that one in the probe of the memory device.
known_lock_order() {
	grep -A 8 'possible circular locking dependency' "$KTAP_TMP/log" >"$KTAP_TMP/lock_order" || return 0
	for lock_order_part in 'cxl_memdev_key.* at: cxl_error_detected+' '(pci_bus_sem)'; do
		grep -q "$lock_order_part" "$KTAP_TMP/lock_order" ||
			fail "a lock order that is not the known one: $(tail -n 5 "$KTAP_TMP/lock_order")"
	done
	note "kernel limit: cxl_error_detected() locks $memdev under pci_bus_sem, against the order of its probe"
}

# recovered: wait until the device is as before. $limit is what the kernel could not do itself: cxl_slot_reset() attaches
# the driver again while the work that its own removal has begun is still to be done (detach_work in drivers/cxl/mem.c
# and core/memdev.c), so that the probe is refused (EBUSY), or what it made is undone at once.
recovered() {
	wait_for 30 recovery_is_over
	known_lock_order
	limit='' recovered_tries=0
	sleep 1 # for that work
	until is_back; do
		recovered_tries=$((recovered_tries + 1))
		if [ "$recovered_tries" -eq 20 ]; then
			limit="$memdev is left without its driver ($(sed -n 's/.*\(AER: device recovery.*\)/\1/p' "$KTAP_TMP/log"))"
			outcome write_file "$memdev" /sys/bus/cxl/drivers/cxl_mem/bind
			note "$limit; bound by hand: $outcome"
		fi
		[ "$recovered_tries" -lt 60 ] || fail "$limit, and cannot be bound by hand: $outcome"
		sleep 0.2
	done
}

# internal_errors_are_heard: again, after a recovery that put the registers back (pci_restore_state() in cxl_slot_reset())
internal_errors_are_heard() {
	for heard_register in "$uncorrectable_severity" "$uncorrectable_mask"; do
		register "$heard_register"
		register "$heard_register" $((value & ~uncorrectable_internal))
	done
}

# uncorrectable TYPE…: inject them together, the header of each 16 numbers from 0x100 times its place on
uncorrectable() {
	errors='' header_base=0
	for uncorrectable_type in "$@"; do
		header_base=$((header_base + 256)) header='' header_at=0
		while [ "$header_at" -lt 16 ]; do
			header="$header${header:+, }$((header_base + header_at))"
			header_at=$((header_at + 1))
		done
		errors="$errors${errors:+, }{\"type\": \"$uncorrectable_type\", \"header\": [$header]}"
	done
	[ -z "$traced" ] || trace_clear
	log_mark
	if [ -e /proc/lockdep ] && [ -z "${lockdep_announced:-}" ]; then
		expect_splat 'possible circular locking dependency detected' # known_lock_order
		lockdep_announced=1
	fi
	inject cxl-inject-uncorrectable-errors "\"errors\": [$errors]"
}

# after: the device is as before: driver, endpoint, and a region can be made on it
after() {
	recovered
	cxl_discover
	cxl_choose_least ram || fail "no region can be made any more"
	# shellcheck disable=SC2086 # a list
	cxl_build ram 0 "$cxl_unit" $chosen
	[ -z "$limit" ] || skip "kernel limit: after an uncorrectable error $limit; bound by hand it works"
}

case_uncorrectable_nonfatal_error() {
	clear_bit "$uncorrectable_severity" "$uncorrectable_internal"
	clear_bit "$uncorrectable_mask" "$uncorrectable_internal"
	counted aer_dev_nonfatal UncorrIntErr
	uncorrectable mem-data-ecc
	wait_for 15 counts aer_dev_nonfatal UncorrIntErr $((count + 1))
	after
}

# fatal: an error after which the kernel resets the link. That masks the errors in the RAS capability again.
fatal() {
	set_bit "$uncorrectable_severity" "$uncorrectable_internal"
	clear_bit "$uncorrectable_mask" "$uncorrectable_internal"
	uncorrectable mem-address-parity
	spoil "a reset of the link changes the device"
}

case_uncorrectable_fatal_error() {
	fatal
	# AER itself does not read a device with a fatal error, so none is counted (aer_get_device_error_info())
	wait_for 30 recovery_is_over
	grep -q "$memdev: frozen state error detected, disable CXL.mem" "$KTAP_TMP/log" ||
		fail "the driver was not told of a frozen state: $(grep -E 'AER|cxl' "$KTAP_TMP/log")"
	if [ -n "$traced" ]; then
		trace_wait 1 cxl_aer_uncorrectable_error
		event_at 1
		expect_fields memdev "$memdev" serial "$serial" status 'Memory Address Parity Error' \
			first_error 'Memory Address Parity Error'
	fi
	after
}

case_error_after_a_fatal_one() {
	fatal
	recovered
	internal_errors_are_heard
	counted aer_dev_nonfatal UncorrIntErr
	before=$count
	uncorrectable cache-data-parity
	tries=0
	while ! counts aer_dev_nonfatal UncorrIntErr $((before + 1)); do
		tries=$((tries + 1))
		[ "$tries" -lt 25 ] || break
		sleep 0.2
	done
	if [ "$tries" -lt 25 ]; then
		recovered
		return
	fi
	write_file "$pci_name" /sys/bus/pci/drivers/cxl_pci/unbind
	write_file "$pci_name" /sys/bus/pci/drivers/cxl_pci/bind
	wait_for 15 [ -e "$pci/driver" ]
	internal_errors_are_heard
	counted aer_dev_nonfatal UncorrIntErr
	before=$count
	uncorrectable cache-data-parity
	wait_for 15 counts aer_dev_nonfatal UncorrIntErr $((before + 1))
	skip "kernel limit: after the reset of the link nothing unmasks the errors of the RAS capability (cxl_pci_ras_unmask() is called by the probe, not by cxl_slot_reset()); with the driver bound anew they are heard"
}

case_uncorrectable_error_types() {
	need_traced
	clear_bit "$uncorrectable_severity" "$uncorrectable_internal"
	clear_bit "$uncorrectable_mask" "$uncorrectable_internal"
	must values cxl-inject-uncorrectable-errors type
	types=$reply
	for type in $types; do
		words_of "uncorrectable:$type"
		internal_errors_are_heard
		uncorrectable "$type"
		trace_wait 1 cxl_aer_uncorrectable_error
		event_at 1
		expect_fields memdev "$memdev" host "$pci_name" serial "$serial" status "$words" first_error "$words"
		recovered
	done
	trace_read cxl_aer_correctable_error
	expect_eq "$events" 0 "correctable errors"
}

# Of several the device says which came first, and the log has the header of that one.
case_uncorrectable_errors_together() {
	need_traced
	clear_bit "$uncorrectable_severity" "$uncorrectable_internal"
	clear_bit "$uncorrectable_mask" "$uncorrectable_internal"
	uncorrectable poison-received cache-data-parity mem-be-parity
	trace_wait 1 cxl_aer_uncorrectable_error
	event_at 1
	expect_fields memdev "$memdev" first_error 'Received Poison From Peer' \
		status 'Cache Data Parity Error | Memory Byte Enable Parity Error | Received Poison From Peer'
	recovered
	[ -e "$trace/options/fields" ] || return 0
	write_file 1 "$trace/options/fields"
	defer write_file 0 "$trace/options/fields"
	fields=$(grep -o 'header_log=.*' "$trace/trace") || fail "no header_log in: $(cat "$trace/trace")"
	note "$fields"
	case $fields in *INVALID-SIZE*) return 0 ;; esac # a kernel that prints no array (print_fields() in kernel/trace/)
	# little-endian numbers from 0x100 on, byte by byte
	expect_match "$fields" '*00,01,00,00,01,01,00,00,02,01,00,00*0f,01,00,00*' "the header of the first error"
}

ktap_main "$@"
