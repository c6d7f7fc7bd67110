#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A RAM region on one device by sysfs: its attributes, the order that works, and what each wrong step is answered with
# (drivers/cxl/core/region.c, hdm.c and port.c; Documentation/ABI/testing/sysfs-bus-cxl).
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"

setup_program() {
	need_cxl
	need_devices ram 1
	memdev=$chosen
	eval "window_start=\$cxl_root_${root_number}_start window_size=\$cxl_root_${root_number}_size"
	cxl_get "$memdev" ram
	capacity=$cxl_value
}

# expect_hex PATH NUMBER
expect_hex() {
	read_value value "$1"
	expect_eq $((value)) $(($2)) "$1"
}

# sized_region: $region with ways 1, the window's granularity and 256 MiB, no target yet
sized_region() {
	cxl_new_region ram
	read_value granularity "$cxl/$root/interleave_granularity"
	write_file "$granularity" "$cxl/$region/interleave_granularity"
	write_file 1 "$cxl/$region/interleave_ways"
	write_file "$cxl_unit" "$cxl/$region/size"
}

case_attributes_at_creation() {
	cxl_new_region ram
	expect_file "$cxl/$region/mode" ram
	expect_file "$cxl/$region/commit" 0
	expect_file "$cxl/$region/interleave_ways" 0
	expect_file "$cxl/$region/interleave_granularity" 0
	expect_hex "$cxl/$region/size" 0
	expect_hex "$cxl/$region/resource" 0xffffffffffffffff
	expect_file "$cxl/$region/uuid" ""
	for target in "$cxl/$region"/target*; do
		[ ! -e "$target" ] || fail "${target##*/} is there before the ways are known"
	done
	[ ! -e "$cxl/$region/driver" ] || fail "a new region has a driver"
}

# Modes by the attribute definitions: commit, size, ways and granularity can be written, the others cannot.
case_attribute_modes() {
	cxl_new_region ram
	for pair in commit:644 interleave_ways:644 interleave_granularity:644 size:644 resource:444 mode:444 uuid:444; do
		mode=$(stat -c %a "$cxl/$region/${pair%:*}")
		expect_eq "$mode" "${pair#*:}" "mode of ${pair%:*}"
	done
	write_file 1 "$cxl/$region/interleave_ways"
	mode=$(stat -c %a "$cxl/$region/target0")
	expect_eq "$mode" 644 "mode of target0"
}

case_names_are_handed_out() {
	read_value before "$cxl/$root/create_ram_region"
	cxl_new_region ram
	expect_eq "$region" "$before"
	read_value after "$cxl/$root/create_ram_region"
	expect_ne "$after" "$before" "the next region's name"
	cxl_delete "$root" "$region"
	read_value again "$cxl/$root/create_ram_region"
	expect_eq "$again" "$before" "the next region's name after the region is gone"
}

case_create_refusals() {
	read_value next "$cxl/$root/create_ram_region"
	expect_errno EINVAL write_file nonsense "$cxl/$root/create_ram_region"
	expect_errno EINVAL write_file region "$cxl/$root/create_ram_region"
	expect_errno EBUSY write_file region$((${next#region} + 7)) "$cxl/$root/create_ram_region"
	cxl_new_region ram
	expect_errno EBUSY write_file "$region" "$cxl/$root/create_ram_region"
}

case_delete_refusals() {
	expect_errno EINVAL write_file nonsense "$cxl/$root/delete_region"
	expect_errno ENODEV write_file region4711 "$cxl/$root/delete_region"
	cxl_new_region ram
	expect_errno ENODEV write_file "${region}x" "$cxl/$root/delete_region"
	[ -e "$cxl/$region" ] || fail "$region went all the same"
}

case_interleave_refusals() {
	cxl_new_region ram
	for ways in 0 5 7 9 17 32 -1 many; do
		expect_errno EINVAL write_file $ways "$cxl/$region/interleave_ways"
	done
	for granularity in 0 100 128 32768 many; do
		expect_errno EINVAL write_file $granularity "$cxl/$region/interleave_granularity"
	done
	expect_file "$cxl/$region/interleave_ways" 0
	expect_file "$cxl/$region/interleave_granularity" 0
}

# Everything that one device allows: any granularity that CXL defines, below a window with one target.
case_granularities() {
	eval "ways=\$cxl_root_${root_number}_ways"
	[ "$ways" -eq 1 ] || skip "the window interleaves, and fixes the granularity"
	cxl_new_region ram
	for granularity in 256 512 1024 2048 4096 8192 16384; do
		write_file $granularity "$cxl/$region/interleave_granularity"
		expect_file "$cxl/$region/interleave_granularity" $granularity
	done
}

case_targets_follow_the_ways() {
	cxl_new_region ram
	for ways in 1 2 4 8 16 1; do
		write_file $ways "$cxl/$region/interleave_ways"
		[ -e "$cxl/$region/target$((ways - 1))" ] || fail "no target$((ways - 1)) with $ways ways"
		[ ! -e "$cxl/$region/target$ways" ] || fail "target$ways with $ways ways"
	done
}

case_size_needs_the_interleave() {
	cxl_new_region ram
	expect_errno ENXIO write_file "$cxl_unit" "$cxl/$region/size"
	write_file 1 "$cxl/$region/interleave_ways"
	expect_errno ENXIO write_file "$cxl_unit" "$cxl/$region/size"
	read_value granularity "$cxl/$root/interleave_granularity"
	write_file "$granularity" "$cxl/$region/interleave_granularity"
	write_file "$cxl_unit" "$cxl/$region/size"
}

case_size_takes_and_gives_back_addresses() {
	sized_region
	expect_hex "$cxl/$region/size" "$cxl_unit"
	read_value resource "$cxl/$region/resource"
	expect_ge $((resource)) "$window_start" "first address of the region"
	expect_le $((resource + cxl_unit)) $((window_start + window_size)) "end of the region"
	expect_eq $((resource % cxl_unit)) 0 "first address modulo 256 MiB"
	grep -q " : $region\$" /proc/iomem || fail "/proc/iomem has no $region"
	write_file "$cxl_unit" "$cxl/$region/size"
	write_file 0 "$cxl/$region/size"
	expect_hex "$cxl/$region/size" 0
	expect_hex "$cxl/$region/resource" 0xffffffffffffffff
	! grep -q " : $region\$" /proc/iomem || fail "/proc/iomem still has $region"
}

case_size_refusals() {
	sized_region
	expect_errno EBUSY write_file $((cxl_unit * 2)) "$cxl/$region/size"
	expect_errno EBUSY write_file 2 "$cxl/$region/interleave_ways"
	expect_errno EBUSY write_file "$granularity" "$cxl/$region/interleave_granularity"
	write_file 0 "$cxl/$region/size"
	for size in $((cxl_unit + 4096)) 1 4096 $((cxl_unit / 2)) many; do
		expect_errno EINVAL write_file "$size" "$cxl/$region/size"
	done
	expect_hex "$cxl/$region/size" 0
}

# kernel/resource.c, get_free_mem_region(): no such range
case_size_larger_than_the_window() {
	sized_region
	write_file 0 "$cxl/$region/size"
	expect_errno ERANGE write_file $((window_size + cxl_unit)) "$cxl/$region/size"
	expect_hex "$cxl/$region/size" 0
}

case_decoder_mode_refusals() {
	cxl_free_decoder "$memdev"
	expect_errno EINVAL write_file nonsense "$cxl/$decoder/mode"
	expect_errno EINVAL write_file none "$cxl/$decoder/mode"
	cxl_get "$memdev" pmem
	[ "$cxl_value" -ne 0 ] || cxl_no_partition pmem
	write_file ram "$cxl/$decoder/mode"
	expect_file "$cxl/$decoder/mode" ram
}

case_dpa_refusals() {
	cxl_free_decoder "$memdev"
	read_value mode "$cxl/$decoder/mode"
	if [ "$mode" = none ]; then
		expect_errno EINVAL write_file "$cxl_unit" "$cxl/$decoder/dpa_size"
	fi
	write_file ram "$cxl/$decoder/mode"
	for size in 1 4096 $((cxl_unit + 1)) many; do
		expect_errno EINVAL write_file "$size" "$cxl/$decoder/dpa_size"
	done
	expect_errno ENOSPC write_file $((capacity + cxl_unit)) "$cxl/$decoder/dpa_size"
	expect_hex "$cxl/$decoder/dpa_size" 0
	expect_hex "$cxl/$decoder/dpa_resource" 0xffffffffffffffff
}

case_dpa_is_taken_and_given_back() {
	cxl_reserve "$memdev" ram "$capacity"
	expect_hex "$cxl/$decoder/dpa_size" "$capacity"
	expect_hex "$cxl/$decoder/dpa_resource" 0
	first=$decoder
	cxl_free_decoder "$memdev"
	write_file ram "$cxl/$decoder/mode"
	expect_errno ENOSPC write_file "$cxl_unit" "$cxl/$decoder/dpa_size"
	write_file 0 "$cxl/$first/dpa_size"
	expect_hex "$cxl/$first/dpa_resource" 0xffffffffffffffff
	write_file "$cxl_unit" "$cxl/$first/dpa_size"
	expect_hex "$cxl/$first/dpa_size" "$cxl_unit"
}

# Decoders of a device are given capacity in order, and give it back in the reverse order.
case_dpa_order() {
	[ "$capacity" -ge $((cxl_unit * 2)) ] || skip "$memdev has capacity for one decoder only"
	cxl_reserve "$memdev" ram "$cxl_unit"
	first=$decoder
	second=${first%.*}.$((${first#*.} + 1)) third=${first%.*}.$((${first#*.} + 2))
	[ -e "$cxl/$third" ] || skip "$memdev has fewer than three decoders"
	write_file ram "$cxl/$third/mode"
	expect_errno EBUSY write_file "$cxl_unit" "$cxl/$third/dpa_size"
	cxl_reserve "$memdev" ram "$cxl_unit"
	expect_eq "$decoder" "$second"
	expect_hex "$cxl/$second/dpa_resource" "$cxl_unit"
	expect_errno EBUSY write_file 0 "$cxl/$first/dpa_size"
	write_file 0 "$cxl/$second/dpa_size"
	write_file 0 "$cxl/$first/dpa_size"
}

case_target_refusals() {
	cxl_reserve "$memdev" ram "$cxl_unit"
	cxl_new_region ram
	write_file 1 "$cxl/$region/interleave_ways"
	expect_errno ENXIO write_file "$decoder" "$cxl/$region/target0" # no granularity yet, so nothing to attach to
	read_value granularity "$cxl/$root/interleave_granularity"
	write_file "$granularity" "$cxl/$region/interleave_granularity"
	expect_errno ENXIO write_file "$decoder" "$cxl/$region/target0" # no addresses yet
	write_file "$cxl_unit" "$cxl/$region/size"
	expect_errno ENODEV write_file decoder99.99 "$cxl/$region/target0"
	expect_errno EINVAL write_file "$root" "$cxl/$region/target0"
	expect_errno EINVAL write_file "$memdev" "$cxl/$region/target0"
	expect_file "$cxl/$region/target0" ""
	write_file "$decoder" "$cxl/$region/target0"
	expect_errno EBUSY write_file "$decoder" "$cxl/$region/target0"
	expect_file "$cxl/$region/target0" "$decoder"
}

case_target_without_capacity() {
	sized_region
	cxl_free_decoder "$memdev"
	write_file ram "$cxl/$decoder/mode"
	expect_errno ENXIO write_file "$decoder" "$cxl/$region/target0"
}

case_target_of_another_size() {
	[ "$capacity" -ge $((cxl_unit * 2)) ] || skip "$memdev has no more than 256 MiB"
	sized_region
	cxl_reserve "$memdev" ram $((cxl_unit * 2))
	expect_errno EINVAL write_file "$decoder" "$cxl/$region/target0"
}

case_target_in_two_regions() {
	cxl_reserve "$memdev" ram "$cxl_unit"
	sized_region
	write_file "$decoder" "$cxl/$region/target0"
	sized_region
	expect_errno EBUSY write_file "$decoder" "$cxl/$region/target0"
}

case_attached_capacity_is_held() {
	cxl_reserve "$memdev" ram "$cxl_unit"
	sized_region
	write_file "$decoder" "$cxl/$region/target0"
	expect_file "$cxl/$decoder/region" "$region"
	expect_errno EBUSY write_file 0 "$cxl/$decoder/dpa_size"
	expect_errno EBUSY write_file 0 "$cxl/$region/size"
	write_file '' "$cxl/$region/target0"
	expect_file "$cxl/$region/target0" ""
	expect_file "$cxl/$decoder/region" ""
	write_file 0 "$cxl/$decoder/dpa_size"
	write_file 0 "$cxl/$region/size"
}

case_commit_refusals() {
	cxl_reserve "$memdev" ram "$cxl_unit"
	cxl_new_region ram
	expect_errno ENXIO write_file 1 "$cxl/$region/commit"
	expect_errno EINVAL write_file maybe "$cxl/$region/commit"
	write_file 0 "$cxl/$region/commit"
	read_value granularity "$cxl/$root/interleave_granularity"
	write_file "$granularity" "$cxl/$region/interleave_granularity"
	write_file 1 "$cxl/$region/interleave_ways"
	expect_errno ENXIO write_file 1 "$cxl/$region/commit"
	write_file "$cxl_unit" "$cxl/$region/size"
	expect_errno ENXIO write_file 1 "$cxl/$region/commit"
	write_file "$decoder" "$cxl/$region/target0"
	expect_file "$cxl/$region/commit" 0
	write_file 1 "$cxl/$region/commit"
	expect_file "$cxl/$region/commit" 1
	write_file 1 "$cxl/$region/commit"
}

case_commit_programs_the_decoders() {
	cxl_build ram 0 "$cxl_unit" "$memdev"
	read_value resource "$cxl/$region/resource"
	expect_hex "$cxl/$decoder/start" "$resource"
	expect_hex "$cxl/$decoder/size" "$cxl_unit"
	expect_file "$cxl/$decoder/region" "$region"
	expect_file "$cxl/$decoder/interleave_ways" 1
	cxl_real "$cxl/$decoder/.."
	while :; do
		case ${cxl_path##*/} in root*) break ;; esac
		expect_file "$cxl_path/decoders_committed" 1
		cxl_path=${cxl_path%/*}
	done
	write_file 0 "$cxl/$region/commit"
	expect_file "$cxl/$decoder/../decoders_committed" 0
	write_file 1 "$cxl/$region/commit"
	expect_file "$cxl/$decoder/../decoders_committed" 1
}

case_committed_region_is_fixed() {
	cxl_build ram 0 "$cxl_unit" "$memdev"
	read_value granularity "$cxl/$region/interleave_granularity"
	expect_errno EBUSY write_file "$granularity" "$cxl/$region/interleave_granularity"
	expect_errno EBUSY write_file 1 "$cxl/$region/interleave_ways"
	expect_errno EBUSY write_file 0 "$cxl/$region/size"
	expect_errno EBUSY write_file $((cxl_unit * 2)) "$cxl/$region/size"
	expect_errno EBUSY write_file 0 "$cxl/$decoder/dpa_size"
	expect_errno EBUSY write_file ram "$cxl/$decoder/mode"
	expect_errno EBUSY write_file "$decoder" "$cxl/$region/target0"
}

case_detach_resets_a_committed_region() {
	cxl_build ram 0 "$cxl_unit" "$memdev"
	write_file '' "$cxl/$region/target0"
	expect_file "$cxl/$region/commit" 0
	expect_file "$cxl/$decoder/../decoders_committed" 0
	write_file "$decoder" "$cxl/$region/target0"
	write_file 1 "$cxl/$region/commit"
}

case_bind_needs_the_commit() {
	sized_region
	expect_errno ENXIO cxl_bind "$region"
	expect_fail write_file region4711 /sys/bus/cxl/drivers/cxl_region/bind
}

case_bind_makes_a_dax_device() {
	cxl_build ram 0 "$cxl_unit" "$memdev"
	cxl_bind "$region"
	[ "$cxl/$region/driver" -ef /sys/bus/cxl/drivers/cxl_region ] || fail "$region is not bound to cxl_region"
	[ -e "$cxl/dax_region${region#region}" ] || fail "there is no dax_region${region#region}"
	cxl_dax "$region"
	expect_file "/sys/bus/dax/devices/$dax/size" "$cxl_unit"
	read_value resource "$cxl/$region/resource"
	expect_hex "/sys/bus/dax/devices/$dax/resource" "$resource"
	cxl_unbind "$region"
	[ ! -e "$cxl/$region/driver" ] || fail "$region still has a driver"
	[ ! -e "/sys/bus/dax/devices/$dax" ] || fail "$dax is still there"
	[ ! -e "$cxl/dax_region${region#region}" ] || fail "dax_region${region#region} is still there"
	expect_file "$cxl/$region/commit" 1
	cxl_bind "$region"
}

case_uncommit_unbinds() {
	cxl_build ram 0 "$cxl_unit" "$memdev"
	cxl_bind "$region"
	cxl_dax "$region"
	write_file 0 "$cxl/$region/commit"
	[ ! -e "$cxl/$region/driver" ] || fail "$region still has a driver"
	[ ! -e "/sys/bus/dax/devices/$dax" ] || fail "$dax is still there"
	expect_errno ENXIO cxl_bind "$region"
}

# Deleting from each state gives everything back: addresses, capacity and the decoder.
case_delete_gives_everything_back() {
	for state in empty attached committed bound; do
		cxl_free_decoder "$memdev"
		case $state in
		empty) sized_region ;;
		attached)
			cxl_reserve "$memdev" ram "$cxl_unit"
			sized_region
			write_file "$decoder" "$cxl/$region/target0"
			;;
		*) cxl_build ram 0 "$cxl_unit" "$memdev" ;;
		esac
		[ "$state" != bound ] || cxl_bind "$region"
		write_file "$region" "$cxl/$root/delete_region"
		[ ! -e "$cxl/$region" ] || fail "$region is still there ($state)"
		! grep -q " : $region\$" /proc/iomem || fail "/proc/iomem still has $region ($state)"
		expect_file "$cxl/$decoder/region" ""
		expect_file "$cxl/$decoder/../decoders_committed" 0
		write_file 0 "$cxl/$decoder/dpa_size"
		expect_hex "$cxl/$decoder/dpa_size" 0
	done
}

case_create_again_and_again() {
	cxl_build ram 0 "$cxl_unit" "$memdev"
	read_value first_resource "$cxl/$region/resource"
	first=$region
	cxl_delete "$root" "$region"
	write_file 0 "$cxl/$decoder/dpa_size"
	for _ in 1 2 3 4 5; do
		cxl_build ram 0 "$cxl_unit" "$memdev"
		expect_eq "$region" "$first"
		expect_file "$cxl/$region/resource" "$first_resource"
		cxl_bind "$region"
		cxl_delete "$root" "$region"
		write_file 0 "$cxl/$decoder/dpa_size"
	done
}

# As large as device and window allow, in one region.
case_whole_device() {
	size=$capacity
	[ "$size" -le "$window_size" ] || size=$window_size
	size=$((size / cxl_unit * cxl_unit))
	cxl_build ram 0 $size "$memdev"
	expect_hex "$cxl/$decoder/size" $size
	cxl_bind "$region"
	cxl_dax "$region"
	expect_file "/sys/bus/dax/devices/$dax/size" $size
}

# Several regions on one device, each on the next decoder and the next addresses, and gone in the reverse order.
case_two_regions_on_one_device() {
	[ "$capacity" -ge $((cxl_unit * 2)) ] || skip "$memdev has no more than 256 MiB"
	cxl_build ram 0 "$cxl_unit" "$memdev"
	one=$region one_decoder=$decoder
	cxl_build ram 0 "$cxl_unit" "$memdev"
	expect_ne "$region" "$one" "second region"
	expect_ne "$decoder" "$one_decoder" "second decoder"
	read_value one_start "$cxl/$one/resource"
	read_value two_start "$cxl/$region/resource"
	expect_ge $((two_start)) $((one_start + cxl_unit)) "address of the second region"
	expect_file "$cxl/$decoder/../decoders_committed" 2
}

ktap_main "$@"
