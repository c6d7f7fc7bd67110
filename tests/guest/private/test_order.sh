#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The order of steps that makes a private region, and each step left out, done twice or in another order. Where a step is
# one of any region, what a RAM region answers on the same kernel is what a private one has to.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/private.sh"

setup_program() {
	need_private
	memdev=${chosen%% *}
}

# try LABEL CMD…: add to $said what becomes of it
try() {
	label=$1
	shift
	outcome "$@"
	said="$said$label: $outcome; "
}

# compare FUNCTION: call it for a RAM region and for a private one; both must say the same
compare() {
	said=
	"$1" ram
	ram_said=$said said=
	"$1" private
	expect_eq "$said" "$ram_said" "what a private region says"
	note "$said"
}

# a region with no attribute set, and decoders with capacity for it
prepared() {
	decoders=
	for each in $chosen; do
		cxl_reserve "$each" ram "$cxl_unit"
		decoders="${decoders:+$decoders }$decoder"
	done
	cxl_new_region "$1"
	first=${decoders%% *}
	# shellcheck disable=SC2086 # a list
	private_list $decoders
	ways=$private_length
	read_value granularity "$cxl/$root/interleave_granularity"
}

case_the_order_that_works() {
	prepared private
	write_file "$granularity" "$cxl/$region/interleave_granularity"
	write_file "$ways" "$cxl/$region/interleave_ways"
	write_file $((cxl_unit * ways)) "$cxl/$region/size"
	target
	write_file zswap "$cxl/$region/private_type"
	write_file 1 "$cxl/$region/commit"
	is_unbound "$region"
	private_bind
	is_bound "$region"
	[ -n "$blocks" ] || fail "$region has no memory blocks"
	cxl_online "$region"
	for block in $blocks; do
		expect_value "$block/state" online
	done
	expect_node "$node" private
	cxl_offline "$region"
	cxl_unbind "$region"
	is_unbound "$region"
	write_file 0 "$cxl/$region/commit"
	expect_value "$cxl/$region/commit" 0
	write_file "$region" "$cxl/$root/delete_region"
	[ ! -e "$cxl/$region" ] || fail "$region is still there"
	expect_node "$node" none
}

# The order of what is set before the commit: any that a RAM region allows, with the type first, between, or last.
case_the_type_first() {
	prepared private
	write_file zswap "$cxl/$region/private_type"
	shape "$cxl_unit"
	expect_value "$cxl/$region/private_type" zswap
	target
	write_file 1 "$cxl/$region/commit"
	expect_value "$cxl/$region/private_type" zswap
	private_bind
	expect_node "$node" private
}

case_ways_before_granularity() {
	prepared private
	write_file "$ways" "$cxl/$region/interleave_ways"
	write_file "$granularity" "$cxl/$region/interleave_granularity"
	write_file zswap "$cxl/$region/private_type"
	write_file $((cxl_unit * ways)) "$cxl/$region/size"
	target
	write_file 1 "$cxl/$region/commit"
	private_bind
	expect_node "$node" private
}

left_out_granularity() {
	prepared "$1"
	try ways write_file "$ways" "$cxl/$region/interleave_ways"
	try size write_file $((cxl_unit * ways)) "$cxl/$region/size"
	try target write_file "$first" "$cxl/$region/target0"
	try commit write_file 1 "$cxl/$region/commit"
	try bind cxl_bind "$region"
	gone
}

case_without_granularity() {
	compare left_out_granularity
	expect_match "$said" "*size: No such device or address*commit: [!d]*bind: [!d]*"
}

left_out_ways() {
	prepared "$1"
	try granularity write_file "$granularity" "$cxl/$region/interleave_granularity"
	try size write_file $((cxl_unit * ways)) "$cxl/$region/size"
	try target write_file "$first" "$cxl/$region/target0"
	try commit write_file 1 "$cxl/$region/commit"
	try bind cxl_bind "$region"
	gone
}

case_without_ways() {
	compare left_out_ways
	expect_match "$said" "*size: [!d]*target: [!d]*commit: [!d]*bind: [!d]*"
}

left_out_size() {
	prepared "$1"
	write_file "$granularity" "$cxl/$region/interleave_granularity"
	write_file "$ways" "$cxl/$region/interleave_ways"
	try target write_file "$first" "$cxl/$region/target0"
	try commit write_file 1 "$cxl/$region/commit"
	try bind cxl_bind "$region"
	gone
}

case_without_size() {
	compare left_out_size
	expect_match "$said" "target: [!d]*commit: [!d]*bind: [!d]*"
}

left_out_target() {
	prepared "$1"
	shape "$cxl_unit"
	try commit write_file 1 "$cxl/$region/commit"
	try bind cxl_bind "$region"
	gone
}

case_without_target() {
	compare left_out_target
	expect_match "$said" "commit: [!d]*bind: [!d]*"
}

left_out_capacity() {
	cxl_free_decoder "$memdev"
	decoders=$decoder
	write_file ram "$cxl/$decoder/mode"
	cxl_new_region "$1"
	write_file 256 "$cxl/$region/interleave_granularity" || :
	write_file 1 "$cxl/$region/interleave_ways" || :
	write_file "$cxl_unit" "$cxl/$region/size" || :
	try target write_file "$decoder" "$cxl/$region/target0"
	try commit write_file 1 "$cxl/$region/commit"
	gone
}

case_without_capacity() {
	eval "window_ways=\$cxl_root_${root_number}_ways"
	[ "$window_ways" -eq 1 ] || skip "the window interleaves"
	compare left_out_capacity
	expect_match "$said" "target: [!d]*commit: [!d]*"
}

left_out_commit() {
	attached "$1"
	[ "$1" = ram ] || write_file zswap "$cxl/$region/private_type"
	try bind cxl_bind "$region"
	is_unbound "$region"
	gone
}

case_without_commit() {
	compare left_out_commit
	expect_match "$said" "bind: [!d]*"
}

# The commit does not look at the type, the bind does, and says why; it may be set after undoing the commit.
case_without_type() {
	attached private
	write_file 1 "$cxl/$region/commit"
	expect_value "$cxl/$region/commit" 1
	log_mark
	expect_errno EINVAL cxl_bind "$region"
	log_since
	grep -q "private_type must be set before commit" "$KTAP_TMP/log" || fail "the kernel does not log why the bind failed"
	is_unbound "$region"
	cxl_blocks "$region"
	expect_eq "$blocks" "" "memory blocks after the bind failed"
	expect_value "$cxl/$region/commit" 1
	expect_errno EINVAL cxl_bind "$region"
	expect_errno EBUSY write_file zswap "$cxl/$region/private_type"
	expect_errno EINVAL cxl_bind "$region"
	write_file 0 "$cxl/$region/commit"
	write_file zswap "$cxl/$region/private_type"
	write_file 1 "$cxl/$region/commit"
	private_bind
	is_bound "$region"
	expect_node "$node" private
	online_first "$region"
	expect_node "$node" private online
}

case_without_type_no_node_becomes_private() {
	bound private
	gone
	attached private
	write_file 1 "$cxl/$region/commit"
	expect_errno EINVAL cxl_bind "$region"
	expect_node "$node" none "after the bind failed"
	gone
	expect_node "$node" none "after the region is gone"
}

twice() {
	attached "$1"
	try "same granularity" write_file "$private_granularity" "$cxl/$region/interleave_granularity"
	try "same ways" write_file "$private_length" "$cxl/$region/interleave_ways"
	region_size
	try "same size" write_file "$bytes" "$cxl/$region/size"
	try "other size" write_file $((bytes * 2)) "$cxl/$region/size"
	try "same target" write_file "${decoders%% *}" "$cxl/$region/target0"
	[ "$1" = ram ] || write_file zswap "$cxl/$region/private_type"
	try commit write_file 1 "$cxl/$region/commit"
	try "commit again" write_file 1 "$cxl/$region/commit"
	try bind cxl_bind "$region"
	is_bound "$region"
	try "bind again" cxl_bind "$region"
	is_bound "$region"
	try "commit when bound" write_file 1 "$cxl/$region/commit"
	is_bound "$region"
	try unbind cxl_unbind "$region"
	try "unbind again" cxl_unbind "$region"
	is_unbound "$region"
	try uncommit write_file 0 "$cxl/$region/commit"
	try "uncommit again" write_file 0 "$cxl/$region/commit"
	try delete write_file "$region" "$cxl/$root/delete_region"
	try "delete again" write_file "$region" "$cxl/$root/delete_region"
	gone
}

case_each_step_twice() {
	private_policy offline
	compare twice
	expect_match "$said" "*bind: done*unbind: done*uncommit: done*delete: done*"
}

# What is fixed once the region is committed, bound, or has memory online.
fixed() {
	committed "$1"
	for state in committed bound online; do
		case $state in
		bound) private_bind ;;
		online) online_first "$region" ;;
		esac
		said="$said$state: "
		try size write_file 0 "$cxl/$region/size"
		try ways write_file 1 "$cxl/$region/interleave_ways"
		try granularity write_file 256 "$cxl/$region/interleave_granularity"
		try target write_file "${decoders%% *}" "$cxl/$region/target0"
		try capacity write_file 0 "$cxl/${decoders%% *}/dpa_size"
		try "decoder mode" write_file ram "$cxl/${decoders%% *}/mode"
		expect_value "$cxl/$region/commit" 1
	done
	is_bound "$region"
	gone
}

case_committed_region_is_fixed() {
	compare fixed
	case $said in
	*": done"*) fail "a step was done that must be refused" ;;
	esac
}

reversed() {
	prepared "$1"
	try bind cxl_bind "$region"
	try commit write_file 1 "$cxl/$region/commit"
	try target write_file "$first" "$cxl/$region/target0"
	try size write_file $((cxl_unit * ways)) "$cxl/$region/size"
	[ "$1" = ram ] || write_file zswap "$cxl/$region/private_type"
	try ways write_file "$ways" "$cxl/$region/interleave_ways"
	try granularity write_file "$granularity" "$cxl/$region/interleave_granularity"
	try "size, at last" write_file $((cxl_unit * ways)) "$cxl/$region/size"
	target
	try "commit, at last" write_file 1 "$cxl/$region/commit"
	try "bind, at last" cxl_bind "$region"
	is_bound "$region"
	[ "$1" = ram ] || expect_node "$node" private
	gone
}

case_steps_in_reverse() {
	private_policy offline
	compare reversed
	expect_match "$said" "bind: [!d]*commit: [!d]*target: [!d]*bind, at last: done*"
}

wrong_target() {
	prepared "$1"
	shape "$cxl_unit"
	try unknown write_file decoder99.99 "$cxl/$region/target0"
	try "root decoder" write_file "$root" "$cxl/$region/target0"
	try device write_file "$memdev" "$cxl/$region/target0"
	try itself write_file "$region" "$cxl/$region/target0"
	expect_value "$cxl/$region/target0" ""
	target
	expect_value "$cxl/$region/target0" "$first"
	try "capacity of a target" write_file 0 "$cxl/$first/dpa_size"
	try "size with a target" write_file 0 "$cxl/$region/size"
	write_file '' "$cxl/$region/target0"
	expect_value "$cxl/$region/target0" ""
	expect_value "$cxl/$first/region" ""
	gone
}

case_wrong_targets() {
	compare wrong_target
	case $said in
	*": done"*) fail "a step was done that must be refused" ;;
	esac
}

# Persistent capacity is no target for a private region.
case_persistent_target() {
	for each in $cxl_memdevs; do
		cxl_get "$each" pmem
		if [ "$cxl_value" -ge "$cxl_unit" ]; then
			cxl_reserve "$each" pmem "$cxl_unit"
			decoders=$decoder
			cxl_new_region private
			write_file zswap "$cxl/$region/private_type"
			shape "$cxl_unit"
			expect_errno EINVAL write_file "$decoder" "$cxl/$region/target0"
			gone
			return 0
		fi
	done
	skip "this machine has no persistent CXL memory"
}

case_target_of_another_region() {
	attached private
	one=$region taken=${decoders%% *}
	cxl_new_region private
	shape "$cxl_unit"
	expect_errno EBUSY write_file "$taken" "$cxl/$region/target0"
	cxl_delete "$root" "$region"
	cxl_new_region ram
	shape "$cxl_unit"
	expect_errno EBUSY write_file "$taken" "$cxl/$region/target0"
	expect_value "$cxl/$taken/region" "$one"
}

case_detached_target_undoes_the_commit() {
	bound private
	bound_node=$node
	write_file '' "$cxl/$region/target0"
	expect_value "$cxl/$region/commit" 0
	is_unbound "$region"
	expect_node "$bound_node" none "after its target went"
	write_file "${decoders%% *}" "$cxl/$region/target0"
	private_commit private
	private_bind
	expect_node "$node" private
}

case_uncommit_unbinds() {
	bound private
	write_file 0 "$cxl/$region/commit"
	is_unbound "$region"
	expect_node "$node" none "after the commit was undone"
	expect_fail cxl_bind "$region"
	write_file 1 "$cxl/$region/commit"
	private_bind
	expect_node "$node" private
}

# Deleting from each state gives everything back: name, addresses, capacity, decoders and the node's state.
case_delete_from_each_state() {
	node=
	for state in created typed attached committed without-type bound was-online; do
		case $state in
		created | typed)
			cxl_new_region private
			decoders=
			;;
		attached | without-type) attached private ;;
		committed) committed private ;;
		bound) bound private ;;
		was-online) online private ;;
		esac
		case $state in
		typed) write_file zswap "$cxl/$region/private_type" ;;
		without-type)
			write_file 1 "$cxl/$region/commit"
			expect_errno EINVAL cxl_bind "$region"
			;;
		was-online) cxl_offline "$region" ;;
		esac
		expected=$region
		write_file "$region" "$cxl/$root/delete_region"
		[ ! -e "$cxl/$region" ] || fail "$region is still there ($state)"
		! grep -q " : $region\$" /proc/iomem || fail "/proc/iomem still has $region ($state)"
		expect_value "$cxl/$root/create_private_region" "$expected"
		for each in $decoders; do
			expect_value "$cxl/$each/region" ""
			expect_value "$cxl/$each/../decoders_committed" 0
		done
		gone
		[ -z "$node" ] || expect_node "$node" none "$state"
	done
}

ktap_main "$@"
