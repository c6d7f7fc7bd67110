#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Regions over several devices: interleaved, side by side, and what cannot be.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/facts.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"

setup_program() {
	need_cxl
	ways=
	for count in 16 8 4 2; do
		if cxl_choose ram $count; then
			ways=$count
			break
		fi
	done
	[ -n "$ways" ] || skip "no CXL window here has two devices with RAM below it"
	eval "window_ways=\$cxl_root_${root_number}_ways window_granularity=\$cxl_root_${root_number}_granularity"
	eval "window_size=\$cxl_root_${root_number}_size"
	members=$chosen
	first_member=${members%% *} last_member=${members##* }
}

# check_decoders REGION WAYS GRANULARITY: what the endpoints' decoders, in $decoders, and all above them were told. The
# ways of the levels from the window down multiply to those of the region, and a level's granularity is that of the
# region times the ways above it (cxl_port_setup_targets() in drivers/cxl/core/region.c).
check_decoders() {
	read_value start "$cxl/$1/resource"
	read_value size "$cxl/$1/size"
	position=0
	for decoder in $decoders; do
		expect_file "$cxl/$1/target$position" "$decoder"
		expect_file "$cxl/$decoder/region" "$1"
		expect_file "$cxl/$decoder/interleave_ways" "$2"
		expect_file "$cxl/$decoder/interleave_granularity" "$3"
		expect_file "$cxl/$decoder/start" "$start"
		expect_file "$cxl/$decoder/size" "$size"
		check_levels "$1" "$2" "$3" "$decoder"
		position=$((position + 1))
	done
}

check_levels() {
	cxl_real "$cxl/$4/../.."
	levels=''
	while [ -e "$cxl_path/devtype" ]; do
		case ${cxl_path##*/} in root*) break ;; esac
		for each in "$cxl_path"/decoder*.*; do
			read_value owner "$each/region"
			[ "$owner" != "$1" ] || levels="$each $levels"
		done
		cxl_path=${cxl_path%/*}
	done
	above=$window_ways
	for each in $levels; do
		read_value level_ways "$each/interleave_ways"
		read_value level_granularity "$each/interleave_granularity"
		if [ "$level_ways" -gt 1 ]; then
			expect_eq "$level_granularity" $(($3 * above)) "granularity of ${each##*/}"
		fi
		above=$((above * level_ways))
	done
	expect_eq "$above" "$2" "ways of all levels above $4"
}

# build_described NUMBER: region NUMBER of the facts: $region, $decoders, $region_ways, $region_granularity
build_described() {
	fact "REGION_$1_WINDOW"
	root=decoder0.$fact root_number=$fact
	fact "REGION_$1_SERIALS"
	list=
	for serial in $fact; do
		cxl_find_serial $((serial)) || fail "no memory device has serial $serial (REGION_$1)"
		list="${list:+$list }$memdev"
	done
	fact "REGION_$1_WAYS"
	region_ways=$fact
	fact "REGION_$1_GRANULARITY"
	region_granularity=$fact
	fact "REGION_$1_SIZE_MIB"
	# shellcheck disable=SC2086 # a list
	cxl_build ram "$region_granularity" $((fact * 1048576 / region_ways)) $list
}

# The regions that the machine was made for, all of them at once.
case_described_regions() {
	need_facts
	fact REGIONS
	regions=$fact number=0 built=0
	while [ "$number" -lt "$regions" ]; do
		fact "REGION_${number}_TYPE"
		if [ "$fact" = ram ]; then
			build_described "$number"
			eval "window_ways=\$cxl_root_${root_number}_ways"
			check_decoders "$region" "$region_ways" "$region_granularity"
			cxl_bind "$region"
			cxl_dax "$region"
			built=$((built + 1))
		fi
		number=$((number + 1))
	done
	[ "$built" -gt 0 ] || skip "the machine was described without RAM regions"
}

# Decoders select devices by the address bits 8 to 14 (CXL 3.1 8.2.4.20.1, HDM Decoder Capability): what reaches higher
# is refused when the first target comes.
case_ways_and_granularity_land() {
	for granularity in 256 512 1024 2048 4096 8192 16384; do
		if [ "$window_ways" -gt 1 ] && [ "$granularity" -ne "$window_granularity" ]; then
			continue
		fi
		[ $((granularity * ways)) -le 32768 ] || continue
		# shellcheck disable=SC2086 # a list
		cxl_build ram $granularity "$cxl_unit" $members
		expect_file "$cxl/$region/interleave_ways" "$ways"
		expect_file "$cxl/$region/interleave_granularity" "$granularity"
		read_value size "$cxl/$region/size"
		expect_eq $((size)) $((cxl_unit * ways)) "size of the region"
		check_decoders "$region" "$ways" "$granularity"
		cxl_delete "$root" "$region"
		for decoder in $decoders; do
			write_file 0 "$cxl/$decoder/dpa_size"
		done
	done
}

case_granularity_beyond_the_decoders() {
	[ $((16384 * ways)) -gt 32768 ] || skip "two ways of the largest granularity are within what decoders select by"
	[ "$window_ways" -eq 1 ] || skip "the window interleaves, and fixes the granularity"
	cxl_reserve "$first_member" ram "$cxl_unit"
	cxl_new_region ram
	write_file 16384 "$cxl/$region/interleave_granularity"
	write_file "$ways" "$cxl/$region/interleave_ways"
	write_file $((cxl_unit * ways)) "$cxl/$region/size"
	expect_errno ENXIO write_file "$decoder" "$cxl/$region/target0"
}

# Fewer ways than devices, where the window allows it.
case_every_number_of_ways() {
	count=$window_ways
	while [ "$count" -le "$ways" ]; do
		cxl_choose ram "$count" || fail "$count of $ways devices cannot be chosen"
		# shellcheck disable=SC2086 # a list
		cxl_build ram 0 "$cxl_unit" $chosen
		read_value granularity "$cxl/$region/interleave_granularity"
		check_decoders "$region" "$count" "$granularity"
		cxl_bind "$region"
		cxl_dax "$region"
		expect_file "/sys/bus/dax/devices/$dax/size" $((cxl_unit * count))
		cxl_delete "$root" "$region"
		for decoder in $decoders; do
			write_file 0 "$cxl/$decoder/dpa_size"
		done
		count=$((count * 2))
	done
}

# Interleaved memory is slow under emulation, so little of it is touched; the pages come from both ends of the region.
case_pattern_reads_back() {
	need_program pattern
	# shellcheck disable=SC2086 # a list
	cxl_build ram 0 "$cxl_unit" $members
	cxl_bind "$region"
	cxl_dax "$region"
	cxl_online "$region"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((cxl_unit * ways / 1024)) "KiB of node $node"
	expect_ok pattern -s 512K -k random -n "$node" fill nodes verify
	expect_match "$output" "*nodes $node=128*bad=0" "where the pages are"
	: >"$KTAP_TMP/held"
	pattern -s 512K -k compressible -n "$node" fill verify hold >"$KTAP_TMP/held" &
	held=$!
	defer "kill -KILL $held 2>/dev/null || :"
	wait_for 30 grep -q holding "$KTAP_TMP/held"
	cxl_offline "$region"
	kill $held
	wait $held
	expect_match "$(cat "$KTAP_TMP/held")" "*bad=0*"
}

# What is written through an interleaved region, page by page, is found on the single devices: with a granularity of a
# page, page N of the region is page N / ways of device N modulo ways.
case_pages_alternate_between_the_devices() {
	need_program pattern
	[ "$window_ways" -eq 1 ] || skip "the window interleaves, so no region shows one device alone"
	# shellcheck disable=SC2086 # a list
	cxl_build ram 4096 "$cxl_unit" $members
	cxl_bind "$region"
	cxl_dax "$region"
	cxl_device_mode
	expect_ok pattern -w 1 -k random -s $((2 * ways))M -f "/dev/$dax" fill verify
	cxl_delete "$root" "$region"
	for decoder in $decoders; do
		write_file 0 "$cxl/$decoder/dpa_size"
	done
	position=0
	for member in $members; do
		cxl_build ram 0 "$cxl_unit" "$member"
		cxl_bind "$region"
		cxl_dax "$region"
		cxl_device_mode
		expect_ok pattern -w 1 -k random -s 2M -i "$position,$ways" -f "/dev/$dax" assume verify
		cxl_delete "$root" "$region"
		write_file 0 "$cxl/$decoder/dpa_size"
		position=$((position + 1))
	done
}

case_size_must_share_out() {
	cxl_new_region ram
	write_file "$window_granularity" "$cxl/$region/interleave_granularity"
	write_file "$ways" "$cxl/$region/interleave_ways"
	expect_errno EINVAL write_file "$cxl_unit" "$cxl/$region/size"
	expect_errno EINVAL write_file $((cxl_unit * (ways + 1))) "$cxl/$region/size"
	write_file $((cxl_unit * ways)) "$cxl/$region/size"
}

case_interleaved_window_refusals() {
	[ "$window_ways" -gt 1 ] || skip "the window does not interleave"
	cxl_new_region ram
	expect_errno EINVAL write_file 1 "$cxl/$region/interleave_ways"
	expect_errno EINVAL write_file 3 "$cxl/$region/interleave_ways"
	for granularity in 256 512 1024 2048 4096 8192 16384; do
		if [ "$granularity" -eq "$window_granularity" ]; then
			write_file "$granularity" "$cxl/$region/interleave_granularity"
		else
			expect_errno EINVAL write_file "$granularity" "$cxl/$region/interleave_granularity"
		fi
	done
}

# half_region: $region sized for all $members, $decoders reserved, no target yet
half_region() {
	decoders=
	for member in $members; do
		cxl_reserve "$member" ram "$cxl_unit"
		decoders="${decoders:+$decoders }$decoder"
	done
	cxl_new_region ram
	write_file "$window_granularity" "$cxl/$region/interleave_granularity"
	write_file "$ways" "$cxl/$region/interleave_ways"
	write_file $((cxl_unit * ways)) "$cxl/$region/size"
}

# attach_all: the targets of half_region, in order; none of the incomplete regions on the way commits
attach_all() {
	position=0
	for decoder in $decoders; do
		expect_errno ENXIO write_file 1 "$cxl/$region/commit"
		write_file "$decoder" "$cxl/$region/target$position"
		position=$((position + 1))
	done
	write_file 1 "$cxl/$region/commit"
}

# All targets are taken out before one comes in again: Linux (6.12, cxl_port_detach_region()) counts a target that comes
# back to a host bridge that still has others of the region twice.
case_commit_needs_every_target() {
	half_region
	attach_all
	write_file '' "$cxl/$region/target0"
	expect_file "$cxl/$region/commit" 0
	expect_errno ENXIO write_file 1 "$cxl/$region/commit"
	position=1
	while [ "$position" -lt "$ways" ]; do
		write_file '' "$cxl/$region/target$position"
		position=$((position + 1))
	done
	attach_all
}

case_target_twice() {
	half_region
	write_file "${decoders%% *}" "$cxl/$region/target0"
	expect_errno EBUSY write_file "${decoders%% *}" "$cxl/$region/target1"
	[ "$window_ways" -eq 1 ] || return 0
	expect_errno EBUSY write_file "${decoders##* }" "$cxl/$region/target0"
}

# Position 0 of an interleaved window goes to its first host bridge.
case_target_below_the_wrong_bridge() {
	[ "$window_ways" -gt 1 ] || skip "the window does not interleave"
	half_region
	for decoder in $decoders; do
		second=$decoder
		[ "$decoder" = "${decoders%% *}" ] || break
	done
	expect_errno ENXIO write_file "$second" "$cxl/$region/target0"
	expect_errno ENXIO write_file "${decoders%% *}" "$cxl/$region/target1"
}

# A window of one target, and two of its devices on their own.
two_regions() {
	[ "$window_ways" -eq 1 ] || skip "the window interleaves, so a region takes all of it"
	cxl_build ram 0 "$cxl_unit" "$first_member"
	one=$region one_decoder=$decoder
	cxl_build ram 0 "$cxl_unit" "$last_member"
	two=$region two_decoder=$decoder
}

case_two_regions_on_two_devices() {
	need_program pattern
	two_regions
	expect_ne "$two" "$one" "name of the second region"
	read_value one_start "$cxl/$one/resource"
	read_value two_start "$cxl/$two/resource"
	expect_ge $((two_start)) $((one_start + cxl_unit)) "address of the second region"
	expect_file "$cxl/$one_decoder/region" "$one"
	expect_file "$cxl/$two_decoder/region" "$two"
	for region in $one $two; do
		cxl_bind "$region"
		cxl_dax "$region"
		cxl_online "$region"
	done
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((cxl_unit / 512)) "KiB of node $node"
	expect_ok pattern -s 8M -n "$node" fill verify
	cxl_offline "$two"
	expect_ok pattern -s 8M -n "$node" fill verify
	cxl_offline "$one"
	cxl_online "$two"
	expect_ok pattern -s 8M -n "$node" fill verify
}

# The first of two goes first. Host bridges want their decoders freed in reverse, so nothing new may begin before the
# second is gone too, but then everything is as new.
case_teardown_out_of_order() {
	two_regions
	cxl_delete "$root" "$one"
	[ ! -e "$cxl/$one" ] || fail "$one is still there"
	expect_file "$cxl/$two/commit" 1
	expect_file "$cxl/$two_decoder/region" "$two"
	cxl_bind "$two"
	cxl_delete "$root" "$two"
	write_file 0 "$cxl/$one_decoder/dpa_size"
	write_file 0 "$cxl/$two_decoder/dpa_size"
	two_regions
}

case_interleave_again_and_again() {
	for _ in 1 2 3; do
		# shellcheck disable=SC2086 # a list
		cxl_build ram 0 "$cxl_unit" $members
		cxl_bind "$region"
		cxl_dax "$region"
		cxl_online "$region"
		cxl_delete "$root" "$region"
		for decoder in $decoders; do
			write_file 0 "$cxl/$decoder/dpa_size"
		done
	done
}

ktap_main "$@"
