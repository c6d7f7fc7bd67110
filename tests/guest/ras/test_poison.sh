#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Poisoned lines of a memory device, put there by the host (QMP cxl-inject-poison) or by the kernel (debugfs): the
# device's list of them, as the kernel's trace events show it, and what becomes of it when they are cleared
# (Documentation/ABI/testing/debugfs-cxl; trigger_poison_list in sysfs-bus-cxl).
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/host.sh"
. "${0%/*}/../lib/trace.sh"
. "${0%/*}/../lib/ras.sh"

setup_program() {
	ras_setup cxl-inject-poison
	need_file "$cxl/$memdev/trigger_poison_list" "this kernel does not list the poison of $memdev (Get Poison List)"
	need_poison_clear
	trace_setup cxl_poison
}

# a list that is as long as before
state() {
	ktap_state
	for state_memdev in $cxl_memdevs; do
		write_file 1 "$cxl/$state_memdev/trigger_poison_list"
	done
	trace_read cxl_poison
	echo "poison records: $events"
	trace_clear
}

case_nothing_listed_without_poison() {
	poison_list
	expect_eq "$events" 0 "records of a device without poison"
}

case_inject_and_list() {
	poison 0x1040
	poison_list
	expect_eq "$events" 1 "records"
	event_at 1
	expect_poison 0x1040 64 Internal
	expect_no_region
}

case_several_and_their_lengths() {
	poison 0 64
	poison 0x2000 4096
	poison 0x100000 192
	poison_list
	expect_eq "$events" 3 "records"
	event_with " dpa=0x0 "
	expect_poison 0 64 Internal
	event_with " dpa=0x2000 "
	expect_poison 0x2000 4096 Internal
	event_with " dpa=0x100000 "
	expect_poison 0x100000 192 Internal
}

case_last_line_of_the_device() {
	cxl_get "$memdev" ram
	last=$((cxl_value - 64))
	poison "$last"
	poison_list
	expect_eq "$events" 1 "records"
	event_at 1
	expect_poison "$last" 64 Internal
}

case_clear() {
	poison 0x3000
	trace_clear
	poison_clear 0x3000
	trace_read cxl_poison
	expect_eq "$events" 1 "events of a clear"
	event_at 1
	expect_fields memdev "$memdev" trace_type Clear dpa 0x3000 dpa_length 0x40 region "" flags ""
	poison_list
	expect_eq "$events" 0 "records after the only one was cleared"
}

# Clearing a line in the middle leaves what is on both sides of it.
case_clear_in_the_middle() {
	poison 0x4000 320
	poison_clear $((0x4000 + 128))
	poison_list
	expect_eq "$events" 2 "records"
	event_with " dpa=0x4000 "
	expect_poison 0x4000 128 Internal
	event_with " dpa=0x40c0 "
	expect_poison 0x40c0 128 Internal
}

# "It is not an error to clear poison from an address that does not have poison set."
case_clear_without_poison() {
	poison_clear 0x5000
	poison_list
	expect_eq "$events" 0 "records"
}

case_inject_by_the_kernel() {
	need_file "$poison_debug/inject_poison" "this kernel injects no poison (no inject_poison in debugfs)"
	trace_clear
	write_file 0x6000 "$poison_debug/inject_poison"
	defer poison_clear 0x6000
	trace_read cxl_poison
	expect_eq "$events" 1 "events of an injection"
	event_at 1
	expect_fields memdev "$memdev" trace_type Inject dpa 0x6000 dpa_length 0x40 region ""
	poison_list
	expect_eq "$events" 1 "records"
	event_at 1
	expect_poison 0x6000 64 Injected
	# "It is not an error to inject poison into an address that already has poison present"
	write_file 0x6000 "$poison_debug/inject_poison"
	poison_list
	expect_eq "$events" 1 "records after it was injected again"
}

case_addresses_the_kernel_refuses() {
	need_file "$poison_debug/inject_poison" "this kernel injects no poison (no inject_poison in debugfs)"
	cxl_get "$memdev" ram
	cxl_end=$cxl_value
	cxl_get "$memdev" pmem
	cxl_end=$((cxl_end + cxl_value))
	for file in inject_poison clear_poison; do
		expect_errno EINVAL write_file 0x20 "$poison_debug/$file"
		expect_errno EINVAL write_file "$cxl_end" "$poison_debug/$file"
		expect_errno EINVAL write_file 0xffffffffffffffc0 "$poison_debug/$file"
	done
	poison_list
	expect_eq "$events" 0 "records after refusals"
}

# What QEMU refuses leaves the list as it is.
case_injections_the_host_refuses() {
	poison 0x7000 128
	for arguments in '"start": 28704, "length": 64' '"start": 28736, "length": 100' '"start": 28672, "length": 64' \
		'"start": 28736, "length": 64' '"start": 28640, "length": 64'; do
		! host inject "$device" cxl-inject-poison "{$arguments}" || fail "injected: $arguments"
		note "refused: $arguments: $reply"
	done
	poison_list
	expect_eq "$events" 1 "records"
	event_at 1
	expect_poison 0x7000 128 Internal
}

# poison_many COUNT: so many lines, each on a page of its own
poison_many() {
	size=0
	defer poison_clear_all "$memdev" $((0x200000)) $(($1 * 4096)) 4096
	while [ "$size" -lt "$1" ]; do
		inject cxl-inject-poison "\"start\": $((0x200000 + size * 4096)), \"length\": 64"
		size=$((size + 1))
	done
	poison_list
	note "$events records of $1"
}

# all_cleared COUNT: the list is empty then, and takes a record again
all_cleared() {
	poison_clear_all "$memdev" $((0x200000)) $(($1 * 4096)) 4096
	poison_list
	expect_eq "$events" 0 "records after all were cleared"
	poison 0x1000
	poison_list
	event_at 1
	expect_poison 0x1000 64 Internal
}

# $fits: so many records fit in one answer of the mailbox, behind a header of 32 bytes (CXL 3.1, 8.2.9.9.4.1)
poison_that_fits() {
	read_value payload "$cxl/$memdev/payload_max"
	fits=$(((payload - 32) / 16))
}

case_list_of_a_whole_answer() {
	poison_that_fits
	[ "$fits" -le 256 ] || fits=256
	poison_many "$fits"
	expect_eq "$events" "$fits" "records of a list"
	all_cleared "$fits"
}

# A list holds so many records (QEMU: 256); more than that and it says that some are missing, since when.
case_list_overflow() {
	poison_that_fits
	[ "$fits" -ge 256 ] ||
		skip "QEMU (11.1) ends at the listing of more than the $fits records of one answer, below the 256 that overflow (hw/cxl/cxl-mailbox-utils.c, cmd_media_get_poison_list)"
	poison_many 300
	expect_lt "$events" 300 "records that a list holds"
	expect_ge "$events" 128 "records that a list holds"
	event_at "$events"
	event_field flags
	expect_match "$value" '*Overflow*' "flags of the last record of a list that overflowed"
	event_field overflow_time
	expect_ne "$value" 0 "the time of the overflow"
	date=$(date +%s)
	expect_ge $((value / 1000000000)) $((date - 600)) "the time of the overflow"
	expect_le $((value / 1000000000)) $((date + 2)) "the time of the overflow"
	all_cleared 300
}

# in_region KIND: a record inside a region names it, and where it is in the system's memory; one beside it does not
in_region() {
	ras_region "$1"
	ras_place 0 0x10c0
	poison "$dpa"
	poison_list
	event_with " dpa=$(printf '0x%x' "$dpa") "
	expect_poison "$dpa" 64 Internal
	expect_fields region "$region" hpa "$(printf '0x%x' "$hpa")"
	read_value uuid "$cxl/$region/uuid" || :
	[ -z "$uuid" ] || expect_fields region_uuid "$uuid"
	# the last byte of what the last device gives
	ras_place $((ways - 1)) $((cxl_unit - 64))
	poison "$dpa"
	poison_list
	event_with " dpa=$(printf '0x%x' "$dpa") "
	expect_fields region "$region" hpa "$(printf '0x%x' "$hpa")"
	cxl_get "$memdev" ram
	if [ "$1" != pmem ] && [ "$cxl_value" -gt "$cxl_unit" ]; then
		poison "$cxl_unit" # the decoders take the capacity from its beginning
		poison_list
		event_with " dpa=$(printf '0x%x' "$cxl_unit") "
		expect_poison "$cxl_unit" 64 Internal
		expect_no_region
	fi
}

case_in_a_ram_region() {
	in_region ram
}

case_in_a_pmem_region() {
	in_region pmem
}

case_in_a_private_region() {
	in_region private
}

case_persistent_capacity() {
	for each in $cxl_memdevs; do
		cxl_get "$each" pmem
		[ "$cxl_value" -gt 0 ] || continue
		ras_choose "$each"
		cxl_get "$each" ram
		poison $((cxl_value + 0x1000))
		poison_list
		expect_eq "$events" 1 "records"
		event_at 1
		expect_poison $((cxl_value + 0x1000)) 64 Internal
		expect_no_region
		return 0
	done
	skip "this machine has no persistent CXL memory"
}

# cxl-cli reads the same events.
case_cxl_cli_lists_it() {
	need_program cxl
	cxl list -M --media-errors >"$KTAP_TMP/list" 2>&1 || skip "this cxl-cli lists no media errors ($(head -n 1 "$KTAP_TMP/list"))"
	poison 0x9000 128
	cxl list -m "$memdev" -M --media-errors >"$KTAP_TMP/list"
	grep -q 'media_errors' "$KTAP_TMP/list" || fail "no media errors in: $(cat "$KTAP_TMP/list")"
	tr -d ' ",' <"$KTAP_TMP/list" >"$KTAP_TMP/words"
	grep -q '^offset:36864$' "$KTAP_TMP/words" || grep -q '^dpa:36864$' "$KTAP_TMP/words" ||
		fail "no record at 36864 in: $(cat "$KTAP_TMP/list")"
	grep -q '^length:128$' "$KTAP_TMP/words" || fail "no length of 128 in: $(cat "$KTAP_TMP/list")"
	grep -q '^source:Internal$' "$KTAP_TMP/words" || fail "the source is not Internal in: $(cat "$KTAP_TMP/list")"
}

ktap_main "$@"
