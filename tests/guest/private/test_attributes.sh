#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The files of a private region: names, modes, first values, and every write that is taken or refused.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/private.sh"

setup_program() {
	need_private
}

# What is not zswap: other types that there might be one day, and what looks like it.
wrong_types='nonsense ZSWAP Zswap zswa zswapx xzswap zswap,zswap none notype compressed accelerator demote_only 0 1'

# refuse_types FOUND: all of them are EINVAL, and leave what was there
refuse_types() {
	for type in $wrong_types; do
		expect_errno EINVAL write_file "$type" "$cxl/$region/private_type"
	done
	expect_errno EINVAL write_file 'zswap zswap' "$cxl/$region/private_type"
	expect_errno EINVAL write_file '' "$cxl/$region/private_type"
	expect_errno EINVAL write_file "$(printf '%04000d' 0)" "$cxl/$region/private_type"
	expect_value "$cxl/$region/private_type" "$1"
}

case_every_ram_window_has_it() {
	found=0
	for each in $cxl_roots; do
		[ -e "$cxl/$each/create_ram_region" ] || continue
		[ -e "$cxl/$each/create_private_region" ] || fail "$each has create_ram_region, but no create_private_region"
		found=$((found + 1))
	done
	expect_gt $found 0 "windows for RAM"
}

case_no_other_decoder_has_it() {
	for each in "$cxl"/decoder*; do
		read_value type "$each/devtype"
		[ "$type" != cxl_decoder_root ] || continue
		[ ! -e "$each/create_private_region" ] || fail "${each##*/}, a $type, has create_private_region"
	done
}

case_create_file_mode() {
	for each in $cxl_roots; do
		[ -e "$cxl/$each/create_private_region" ] || continue
		ram=$(stat -c %a "$cxl/$each/create_ram_region")
		mode=$(stat -c %a "$cxl/$each/create_private_region")
		expect_eq "$mode" "$ram" "mode of create_private_region of $each"
	done
}

case_names_are_handed_out() {
	read_value before "$cxl/$root/create_private_region"
	expect_match "$before" "region[0-9]*"
	cxl_new_region private
	expect_eq "$region" "$before"
	read_value after "$cxl/$root/create_private_region"
	expect_match "$after" "region[0-9]*"
	expect_ne "$after" "$before" "the next region's name"
	cxl_delete "$root" "$region"
	read_value again "$cxl/$root/create_private_region"
	expect_eq "$again" "$before" "the next region's name after the region is gone"
}

# One series of names for regions of all kinds.
case_names_are_shared_with_ram() {
	read_value ram "$cxl/$root/create_ram_region"
	expect_value "$cxl/$root/create_private_region" "$ram"
	cxl_new_region private
	private=$region
	expect_errno EBUSY write_file "$private" "$cxl/$root/create_ram_region"
	cxl_new_region ram
	expect_ne "$region" "$private" "name of a RAM region beside it"
	expect_value "$cxl/$region/mode" ram
	expect_value "$cxl/$private/mode" private
	expect_errno EBUSY write_file "$region" "$cxl/$root/create_private_region"
}

case_names_of_several_windows() {
	need_places 2
	cxl_new_region private
	one=$region
	place 2
	cxl_new_region private
	expect_ne "$region" "$one" "name of a region in another window"
	expect_value "$cxl/$region/mode" private
}

case_create_refusals() {
	read_value next "$cxl/$root/create_private_region"
	for name in nonsense region Region0 private0 '' "x$next"; do
		expect_errno EINVAL write_file "$name" "$cxl/$root/create_private_region"
	done
	expect_errno EBUSY write_file region$((${next#region} + 1)) "$cxl/$root/create_private_region"
	expect_errno EBUSY write_file region$((${next#region} + 7)) "$cxl/$root/create_private_region"
	for each in "$cxl"/region*; do
		[ ! -e "$each" ] || fail "${each##*/} was made by a write that was refused"
	done
	cxl_new_region private
	expect_errno EBUSY write_file "$region" "$cxl/$root/create_private_region"
}

case_delete_refusals() {
	expect_errno EINVAL write_file nonsense "$cxl/$root/delete_region"
	cxl_new_region private
	expect_errno ENODEV write_file region4711 "$cxl/$root/delete_region"
	expect_errno ENODEV write_file "${region}x" "$cxl/$root/delete_region"
	expect_value "$cxl/$region/mode" private
}

case_delete_at_another_window() {
	need_places 2
	cxl_new_region private
	place 2
	expect_errno ENODEV write_file "$region" "$cxl/$root/delete_region"
	expect_value "$cxl/$region/mode" private
}

case_attributes_at_creation() {
	cxl_new_region private
	expect_value "$cxl/$region/mode" private
	expect_value "$cxl/$region/private_type" ""
	expect_value "$cxl/$region/commit" 0
	expect_value "$cxl/$region/interleave_ways" 0
	expect_value "$cxl/$region/interleave_granularity" 0
	read_value value "$cxl/$region/size"
	expect_eq $((value)) 0 "size"
	read_value value "$cxl/$region/resource"
	expect_eq $((value)) -1 "resource"
	for each in "$cxl/$region"/target*; do
		[ ! -e "$each" ] || fail "${each##*/} is there before the ways are known"
	done
	is_unbound "$region"
}

case_attribute_modes() {
	cxl_new_region private
	# shellcheck disable=SC2086 # a list
	private_list $chosen
	write_file "$private_length" "$cxl/$region/interleave_ways"
	for pair in private_type:644 mode:444 commit:644 size:644 resource:444 interleave_ways:644 \
		interleave_granularity:644 target0:644; do
		mode=$(stat -c %a "$cxl/$region/${pair%:*}")
		expect_eq "$mode" "${pair#*:}" "mode of ${pair%:*}"
	done
	expect_fail write_file ram "$cxl/$region/mode"
	expect_value "$cxl/$region/mode" private
}

# Files that a RAM region has, a private one has as well, with the same modes.
case_it_has_what_a_ram_region_has() {
	cxl_new_region ram
	write_file 2 "$cxl/$region/interleave_ways"
	ram=$region
	cxl_new_region private
	write_file 2 "$cxl/$region/interleave_ways"
	for each in "$cxl/$ram"/*; do
		[ -f "$each" ] || continue
		other=$cxl/$region/${each##*/}
		[ -e "$other" ] || fail "a private region has no ${each##*/}"
		modes=$(stat -c %a "$each" "$other" | uniq)
		expect_match "$modes" '???' "modes of ${each##*/}, of a RAM and a private region"
	done
}

case_type_takes_zswap() {
	cxl_new_region private
	write_file zswap "$cxl/$region/private_type"
	expect_value "$cxl/$region/private_type" zswap
	write_file zswap "$cxl/$region/private_type"
	expect_value "$cxl/$region/private_type" zswap
}

case_type_without_newline() {
	cxl_new_region private
	printf zswap >"$cxl/$region/private_type"
	expect_value "$cxl/$region/private_type" zswap
}

case_type_refuses_the_rest() {
	cxl_new_region private
	refuse_types ""
	write_file zswap "$cxl/$region/private_type"
	wrong_types='nonsense none'
	refuse_types zswap
}

# From the creation on until the commit, whatever else is set or not.
case_type_at_any_time_before_commit() {
	for when in created shaped with_targets; do
		if [ $when = created ]; then
			cxl_new_region private
			decoders=
		else
			attached private
		fi
		if [ $when = shaped ]; then
			position=0
			for each in $decoders; do
				write_file '' "$cxl/$region/target$position"
				position=$((position + 1))
			done
		fi
		expect_value "$cxl/$region/private_type" ""
		write_file zswap "$cxl/$region/private_type"
		expect_value "$cxl/$region/private_type" zswap
		gone
	done
}

case_type_after_commit_is_busy() {
	committed private
	expect_errno EBUSY write_file zswap "$cxl/$region/private_type"
	outcome write_file nonsense "$cxl/$region/private_type"
	expect_ne "$outcome" "done" "writing nonsense after the commit"
	expect_value "$cxl/$region/private_type" zswap
	private_bind
	expect_errno EBUSY write_file zswap "$cxl/$region/private_type"
	online_first "$region"
	expect_errno EBUSY write_file zswap "$cxl/$region/private_type"
	expect_value "$cxl/$region/private_type" zswap
	cxl_offline "$region"
	cxl_unbind "$region"
	expect_errno EBUSY write_file zswap "$cxl/$region/private_type"
	write_file 0 "$cxl/$region/commit"
	expect_value "$cxl/$region/private_type" zswap
	write_file zswap "$cxl/$region/private_type"
}

case_type_of_a_commit_without_one_is_busy() {
	attached private
	write_file 1 "$cxl/$region/commit"
	expect_errno EBUSY write_file zswap "$cxl/$region/private_type"
	expect_value "$cxl/$region/private_type" ""
	write_file 0 "$cxl/$region/commit"
	write_file zswap "$cxl/$region/private_type"
	expect_value "$cxl/$region/private_type" zswap
}

case_type_of_each_region_is_its_own() {
	cxl_new_region private
	one=$region
	cxl_new_region private
	write_file zswap "$cxl/$region/private_type"
	expect_value "$cxl/$one/private_type" ""
	cxl_delete "$root" "$region"
	cxl_new_region private
	expect_value "$cxl/$region/private_type" ""
}

# A RAM region is none of a type, whether it shows the file or not.
case_a_ram_region_stays_one() {
	committed ram
	expect_value "$cxl/$region/mode" ram
	if [ -e "$cxl/$region/private_type" ]; then
		expect_value "$cxl/$region/private_type" ""
		expect_fail write_file zswap "$cxl/$region/private_type"
		expect_value "$cxl/$region/private_type" ""
	fi
	private_bind
	online_first "$region"
	expect_node "$node" ram
}

case_values_of_a_bound_region() {
	bound private
	expect_value "$cxl/$region/mode" private
	expect_value "$cxl/$region/commit" 1
	expect_value "$cxl/$region/private_type" zswap
	region_size
	# shellcheck disable=SC2086 # a list
	private_list $chosen
	expect_value "$cxl/$region/interleave_ways" "$private_length"
	expect_eq "$bytes" $((cxl_unit * private_length)) "size"
	eval "start=\$cxl_root_${root_number}_start length=\$cxl_root_${root_number}_size"
	read_value resource "$cxl/$region/resource"
	expect_ge $((resource)) "$start" "first address"
	expect_le $((resource + bytes)) $((start + length)) "end"
	position=0
	for each in $decoders; do
		expect_value "$cxl/$region/target$position" "$each"
		expect_value "$cxl/$each/region" "$region"
		expect_value "$cxl/$each/mode" ram
		position=$((position + 1))
	done
	expect_value "/sys/bus/dax/devices/$dax/size" "$bytes"
	read_value dax_resource "/sys/bus/dax/devices/$dax/resource"
	expect_eq $((dax_resource)) $((resource)) "first address of $dax"
	[ "/sys/bus/dax/devices/$dax/driver" -ef /sys/bus/dax/drivers/kmem ] || fail "$dax is not bound to kmem"
}

ktap_main "$@"
