#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Event records of a memory device (CXL 3.1, 8.2.9.2): the host puts them into one of the four logs, the device
# interrupts, the kernel reads and clears the log and shows each record as a trace event (drivers/cxl/core/trace.h).
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/host.sh"
. "${0%/*}/../lib/trace.sh"
. "${0%/*}/../lib/ras.sh"

setup_program() {
	ras_setup cxl-inject-general-media-event cxl-inject-dram-event cxl-inject-memory-module-event
	trace_setup cxl_general_media cxl_dram cxl_memory_module cxl_overflow cxl_generic_event
	# A kernel that does not own the logs (native_cxl_error of the host bridge, drivers/cxl/pci.c) reads none of them.
	if ! media informational 0x40 '' || ! (trace_wait 1 cxl_general_media) 2>/dev/null; then
		rm -f "$KTAP_TMP/failed"
		dmesg | grep -q '_OSC: OS now controls .*CXLMemErrorReporting' ||
			skip "this kernel was not given the CXL event logs by the firmware (_OSC, CXLMemErrorReporting)"
		fail "a record in the informational log, and no trace event"
	fi
}

# optional COMMAND NAME VALUE: ", NAME: VALUE" in $optional where this QEMU's command has such an argument
optional() {
	host members "$1"
	optional=
	case " $reply " in
	*" $2 "* | *" $2? "*) optional=", \"$2\": $3" ;;
	esac
}

# media LOG DPA MORE: a general media event, nothing special about it; MORE members replace none of its own
media() {
	trace_clear
	optional cxl-inject-general-media-event sub-type 0
	inject cxl-inject-general-media-event "\"log\": \"$1\", \"flags\": 0, \"dpa\": $(($2)), \"descriptor\": 0, \
\"type\": 0, \"transaction-type\": 0$optional$3"
}

now() {
	now=$(date +%s)
}

# expect_time BEFORE: the record's time is nanoseconds since 1970, as the kernel has told the device (Set Timestamp)
expect_time() {
	event_field time
	now
	expect_ge $((value / 1000000000)) $(($1 - 2)) "time of the record"
	expect_le $((value / 1000000000)) $((now + 2)) "time of the record"
}

# The checks of this program, each on something that is not so.
case_checks_can_fail() {
	media warning 0x40 ', "channel": 5'
	trace_wait 1 cxl_general_media
	event_at 1
	expect_fields log Warning channel 5 dpa 40
	expect_complaint "log is 'Warning', not 'Fatal'*" expect_fields log Fatal
	expect_complaint "channel is '5', not '6'*" expect_fields channel 6
	expect_complaint "dpa is '40', not '80'*" expect_fields dpa 80
	expect_complaint "*has no field colour*" expect_fields colour red
	expect_complaint "there are 1 events, not 2" event_at 2
	trace_clear
	expect_complaint "events cxl_general_media is '0', expected '1'" expect_events 1 cxl_general_media
	media warning 0x40 ''
	trace_wait 1 cxl_general_media
	expect_complaint "events cxl_dram is '0', expected '1'" expect_events 1 cxl_dram
}

case_general_media_fields() {
	need_command cxl-inject-general-media-event
	trace_clear
	now
	before=$now
	optional cxl-inject-general-media-event sub-type 0
	more=$optional
	optional cxl-inject-general-media-event maint-op-class 2
	more=$more$optional class=${optional:+2}
	inject cxl-inject-general-media-event "\"log\": \"fatal\", \"flags\": 60, \"dpa\": $((0x12345 * 64 + 3)), \
\"descriptor\": 7, \"type\": 2, \"transaction-type\": 4, \"channel\": 5, \"rank\": 9, \"device\": $((0x0a0b0c)), \
\"component-id\": \"part A\"$more"
	trace_wait 1 cxl_general_media
	event_at 1
	expect_fields memdev "$memdev" host "$pci_name" serial "$serial" log Fatal len 128 \
		uuid fbcd0a77-c260-417f-85a9-088b1621eba6 related_handle 0 maint_op_class "${class:-0}" \
		flags 'PERMANENT_CONDITION | MAINTENANCE_NEEDED | PERFORMANCE_DEGRADED | HARDWARE_REPLACEMENT_NEEDED' \
		dpa "$(printf %x $((0x12345 * 64)))" dpa_flags 'VOLATILE|NOT_REPAIRABLE' \
		descriptor 'UNCORRECTABLE_EVENT|THRESHOLD_EVENT|POISON_LIST_OVERFLOW' type 'Data Path Error' \
		transaction_type 'Host Inject Poison' channel 5 rank 9 device a0b0c \
		comp_id '70 61 72 74 20 41 00 00 00 00 00 00 00 00 00 00' \
		hpa ffffffffffffffff region '' region_uuid 00000000-0000-0000-0000-000000000000
	event_field validity_flags
	expect_match "$value" 'CHANNEL|RANK|DEVICE|COMPONENT*' "validity_flags"
	expect_time "$before"
	trace_read cxl_overflow
	expect_eq "$events" 0 "overflows"
}

# What is not given is not said to be valid.
case_general_media_without_optional_fields() {
	media warning 0x80 ''
	trace_wait 1 cxl_general_media
	event_at 1
	expect_fields log Warning flags '' dpa 80 dpa_flags '' descriptor '' type 'ECC Error' transaction_type Unknown \
		channel 0 rank 0 device 0 validity_flags '' comp_id '00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00'
}

case_general_media_types() {
	set -- 'ECC Error' 'Invalid Address' 'Data Path Error'
	type=0
	for words in "$@"; do
		trace_clear
		optional cxl-inject-general-media-event sub-type 0
		inject cxl-inject-general-media-event "\"log\": \"failure\", \"flags\": 0, \"dpa\": 64, \"descriptor\": 1, \
\"type\": $type, \"transaction-type\": $type$optional"
		trace_wait 1 cxl_general_media
		event_at 1
		expect_fields type "$words" descriptor UNCORRECTABLE_EVENT
		type=$((type + 1))
	done
	set -- Unknown 'Host Read' 'Host Write' 'Host Scan Media' 'Host Inject Poison' 'Internal Media Scrub' \
		'Internal Media Management'
	type=0
	for words in "$@"; do
		trace_clear
		inject cxl-inject-general-media-event "\"log\": \"failure\", \"flags\": 0, \"dpa\": 64, \"descriptor\": 2, \
\"type\": 0, \"transaction-type\": $type$optional"
		trace_wait 1 cxl_general_media
		event_at 1
		expect_fields transaction_type "$words" descriptor THRESHOLD_EVENT
		type=$((type + 1))
	done
}

case_dram_fields() {
	trace_clear
	now
	before=$now
	optional cxl-inject-dram-event sub-type 0
	inject cxl-inject-dram-event "\"log\": \"warning\", \"flags\": 8, \"dpa\": $((0x54321 * 64 + 1)), \
\"descriptor\": 2, \"type\": 3, \"transaction-type\": 2, \"channel\": 7, \"rank\": 3, \"nibble-mask\": $((0x123456)), \
\"bank-group\": 11, \"bank\": 13, \"row\": $((0x10203)), \"column\": 1029, \
\"correction-mask\": [$((0x1122334455667788)), 2, 3, 4]$optional"
	trace_wait 1 cxl_dram
	event_at 1
	expect_fields memdev "$memdev" host "$pci_name" serial "$serial" log Warning len 128 \
		uuid 601dcbb3-9c06-4eab-b8af-4e9bfb5c9624 flags MAINTENANCE_NEEDED \
		dpa "$(printf %x $((0x54321 * 64)))" dpa_flags VOLATILE descriptor THRESHOLD_EVENT type 'Data Path Error' \
		transaction_type 'Host Write' channel 7 rank 3 nibble_mask 123456 bank_group 11 bank 13 row 66051 \
		column 1029 hpa ffffffffffffffff region ''
	event_field cor_mask
	expect_match "$value" '88 77 66 55 44 33 22 11 02 00 00 00 00 00 00 00 03 00 *' "cor_mask"
	event_field validity_flags
	expect_match "$value" 'CHANNEL|RANK|NIBBLE|BANK GROUP|BANK|ROW|COLUMN|CORRECTION MASK*' "validity_flags"
	expect_time "$before"
}

case_dram_types() {
	set -- 'ECC Error' 'Scrub Media ECC Error' 'Invalid Address' 'Data Path Error'
	type=0
	optional cxl-inject-dram-event sub-type 0
	for words in "$@"; do
		trace_clear
		inject cxl-inject-dram-event "\"log\": \"informational\", \"flags\": 0, \"dpa\": 64, \"descriptor\": 4, \
\"type\": $type, \"transaction-type\": 0$optional"
		trace_wait 1 cxl_dram
		event_at 1
		expect_fields type "$words" descriptor POISON_LIST_OVERFLOW validity_flags ''
		type=$((type + 1))
	done
}

# module LOG TYPE HEALTH MEDIA ADDITIONAL
module() {
	trace_clear
	optional cxl-inject-memory-module-event sub-type 0
	inject cxl-inject-memory-module-event "\"log\": \"$1\", \"flags\": 16, \"type\": $2, \"health-status\": $3, \
\"media-status\": $4, \"additional-status\": $5, \"life-used\": 23, \"temperature\": -17, \
\"dirty-shutdown-count\": 4000000001, \"corrected-volatile-error-count\": 4000000002, \
\"corrected-persistent-error-count\": 4000000003$optional"
	trace_wait 1 cxl_memory_module
	event_at 1
}

case_memory_module_fields() {
	now
	before=$now
	module failure 3 7 2 $((2 + 4 + 16 + 32))
	expect_fields memdev "$memdev" host "$pci_name" serial "$serial" log Failure len 128 \
		uuid fe927475-dd59-4339-a586-79bab113b774 flags PERFORMANCE_DEGRADED event_type 'Temperature Change' \
		health_status 'MAINTENANCE_NEEDED|PERFORMANCE_DEGRADED|REPLACEMENT_NEEDED' \
		media_status 'Write Persistency Lost' as_life_used Critical as_dev_temp Warning as_cor_vol_err_cnt Warning \
		as_cor_per_err_cnt Warning life_used 23 device_temp -17 dirty_shutdown_cnt 4000000001 \
		cor_vol_err_cnt 4000000002 cor_per_err_cnt 4000000003
	expect_time "$before"
	module failure 0 0 0 0
	expect_fields event_type 'Health Status Change' health_status '' media_status Normal as_life_used Normal \
		as_dev_temp Normal as_cor_vol_err_cnt Normal as_cor_per_err_cnt Normal
}

case_memory_module_types() {
	set -- 'Health Status Change' 'Media Status Change' 'Life Used Change' 'Temperature Change' 'Data Path Error' \
		'LSA Error'
	type=0
	for words in "$@"; do
		module informational $type 1 0 0
		expect_fields event_type "$words" health_status MAINTENANCE_NEEDED
		type=$((type + 1))
	done
	set -- Normal 'Not Ready' 'Write Persistency Lost' 'All Data Lost' \
		'Write Persistency Loss in the Event of Power Loss' 'Write Persistency Loss in Event of Shutdown' \
		'Write Persistency Loss Imminent' 'All Data Loss in Event of Power Loss' 'All Data loss in the Event of Shutdown' \
		'All Data Loss Imminent'
	type=0
	for words in "$@"; do
		module informational 1 2 $type 0
		expect_fields media_status "$words" health_status PERFORMANCE_DEGRADED
		type=$((type + 1))
	done
}

case_each_log() {
	must values cxl-inject-general-media-event log
	expect_eq "$reply" "informational warning failure fatal" "logs that QEMU has"
	media informational 0x40 ''
	trace_wait 1 cxl_general_media
	event_at 1
	expect_fields log Informational
	media warning 0x40 ''
	trace_wait 1 cxl_general_media
	event_at 1
	expect_fields log Warning
	media failure 0x40 ''
	trace_wait 1 cxl_general_media
	event_at 1
	expect_fields log Failure
	media fatal 0x40 ''
	trace_wait 1 cxl_general_media
	event_at 1
	expect_fields log Fatal
}

case_record_flags() {
	optional cxl-inject-general-media-event sub-type 0
	for pair in 4:PERMANENT_CONDITION 8:MAINTENANCE_NEEDED 16:PERFORMANCE_DEGRADED 32:HARDWARE_REPLACEMENT_NEEDED; do
		trace_clear
		inject cxl-inject-general-media-event "\"log\": \"warning\", \"flags\": ${pair%:*}, \"dpa\": 64, \
\"descriptor\": 0, \"type\": 0, \"transaction-type\": 0$optional"
		trace_wait 1 cxl_general_media
		event_at 1
		expect_fields flags "${pair#*:}"
	done
}

# Records are cleared as they are read: none comes twice, and none is lost.
case_records_come_once_and_in_order() {
	trace_clear
	optional cxl-inject-general-media-event sub-type 0
	number=1
	while [ "$number" -le 20 ]; do
		inject cxl-inject-general-media-event "\"log\": \"informational\", \"flags\": 0, \"dpa\": $((number * 64)), \
\"descriptor\": 0, \"type\": 0, \"transaction-type\": 0$optional"
		number=$((number + 1))
	done
	trace_wait 20 cxl_general_media
	trace_read cxl_overflow
	[ "$events" -eq 0 ] || skip "the guest was too slow: the log overflowed"
	trace_read cxl_general_media
	number=1
	while [ "$number" -le 20 ]; do
		event_at "$number"
		expect_fields dpa "$(printf %x $((number * 64)))"
		number=$((number + 1))
	done
	sleep 0.5
	trace_wait 20 cxl_general_media
}

# burst LOG COUNT: so many records before the kernel can read the first
burst() {
	trace_clear
	optional cxl-inject-general-media-event sub-type 0
	must burst "$2" "$device" cxl-inject-general-media-event "{\"log\": \"$1\", \"flags\": 0, \"dpa\": 64, \
\"descriptor\": 0, \"type\": 0, \"transaction-type\": 0$optional}"
}

case_several_records_at_a_time() {
	burst warning 3
	trace_wait 3 cxl_general_media
	trace_read cxl_overflow
	expect_eq "$events" 0 "overflows"
}

# overflow LOG WORDS: what a log does not hold is counted, with the time of the first and the last that were lost
overflow() {
	now
	before=$now
	burst "$1" 30
	wait_for 15 trace_has 1 cxl_overflow
	sleep 0.3
	trace_read cxl_general_media
	kept=$events
	expect_ge "$kept" 1 "records that the log held"
	expect_lt "$kept" 30 "records that the log held"
	trace_read cxl_overflow
	lost=0
	while [ "$events" -gt 0 ]; do
		event_at "$events"
		expect_fields memdev "$memdev" host "$pci_name" serial "$serial" log "$2"
		set -- "$1" "$2" "${event##* log="$2" : }"
		count=${3%% *}
		expect_match "$3" "* records from * to *" "the event's end"
		first=${3#* from } last=${3##* to }
		first=${first%% *}
		for value in "$first" "$last"; do
			expect_ge $((value / 1000000000)) $((before - 2)) "time of an overflow"
			expect_le $((value / 1000000000)) $((before + 60)) "time of an overflow"
		done
		expect_ge "$last" "$first" "time of the last"
		[ "$count" -le "$lost" ] || lost=$count
		events=$((events - 1))
	done
	note "$1: $kept records kept, $lost lost"
	expect_eq $((kept + lost)) 30 "records, kept ($kept) and lost ($lost)"
	# and the log is as good as new
	media "$1" 0x1000 ''
	trace_wait 1 cxl_general_media
	event_at 1
	expect_fields log "$2" dpa 1000
	trace_read cxl_overflow
	expect_eq "$events" 0 "overflows of a log that was emptied"
}

case_overflow_of_the_informational_log() {
	overflow informational Informational
}

case_overflow_of_the_warning_log() {
	overflow warning Warning
}

case_overflow_of_the_failure_log() {
	overflow failure Failure
}

case_overflow_of_the_fatal_log() {
	overflow fatal Fatal
}

# in_region KIND: a record of an address in a region names it, and where that is in the system's memory
in_region() {
	ras_region "$1"
	# shellcheck disable=SC2086 # a list
	set -- "$1" $chosen
	ras_place $(($# - 2)) 0x10c0
	media warning "$dpa" ''
	trace_wait 1 cxl_general_media
	event_at 1
	expect_fields memdev "$memdev" dpa "$(printf %x "$dpa")" hpa "$(printf %x "$hpa")" region "$region"
	trace_clear
	optional cxl-inject-dram-event sub-type 0
	inject cxl-inject-dram-event "\"log\": \"warning\", \"flags\": 0, \"dpa\": $((dpa + 64)), \"descriptor\": 0, \
\"type\": 0, \"transaction-type\": 0$optional"
	trace_wait 1 cxl_dram
	event_at 1
	expect_fields memdev "$memdev" dpa "$(printf %x $((dpa + 64)))" hpa "$(printf %x $((hpa + 64)))" region "$region"
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

# Every device has logs of its own.
case_each_device() {
	for each in $cxl_memdevs; do
		ras_choose "$each"
		media informational 0x40 ''
		trace_wait 1 cxl_general_media
		event_at 1
		expect_fields memdev "$each" host "$pci_name" serial "$serial"
	done
}

ktap_main "$@"
