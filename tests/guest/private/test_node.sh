#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The node of a private region, at each step of its life: node state files, tiers, size, blocks and what the kernel logs.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/private.sh"

setup_program() {
	need_private
	read_value ram_nodes "$nodes/has_memory"
	near=${ram_nodes%%[-,]*}
}

case_file_of_private_nodes() {
	need_file "$nodes/has_private_memory" "this kernel tells private nodes in another way (no has_private_memory)"
	mode=$(stat -c %a "$nodes/has_private_memory")
	expect_eq "$mode" 444 "mode of has_private_memory"
	expect_value "$nodes/has_private_memory" ""
	expect_fail write_file 0 "$nodes/has_private_memory"
	bound private
	expect_value "$nodes/has_private_memory" "$node"
}

# From the bind on, before any block is online, until the region is unbound.
case_states_at_each_step() {
	bound private # to know the node
	gone
	expect_node "$node" none "before the region is made"
	cxl_new_region private
	expect_node "$node" none "with an empty region"
	cxl_delete "$root" "$region"
	attached private
	expect_node "$node" none "with an attached region"
	write_file zswap "$cxl/$region/private_type"
	expect_node "$node" none "with a type"
	write_file 1 "$cxl/$region/commit"
	expect_node "$node" none "after the commit"
	private_bind
	expect_node "$node" private "after the bind"
	for block in $blocks; do
		expect_value "$block/state" offline
	done
	for block in $blocks; do
		write_file online_movable "$block/state"
		expect_node "$node" private "with ${block##*/} online"
	done
	expect_value "$nodes/has_memory" "$ram_nodes"
	for block in $blocks; do
		write_file offline "$block/state"
		expect_node "$node" private "with ${block##*/} offline again"
	done
	cxl_unbind "$region"
	expect_node "$node" none "after the region is unbound"
	write_file 0 "$cxl/$region/commit"
	expect_node "$node" none "after the commit is undone"
	cxl_delete "$root" "$region"
	expect_node "$node" none "after the region is gone"
	expect_value "$nodes/has_memory" "$ram_nodes"
}

case_other_state_files() {
	online private
	node_is possible "$node" || fail "node $node is not possible"
	node_is online "$node" || fail "node $node is not online"
	! node_is has_cpu "$node" || fail "node $node has CPUs"
	for file in "$nodes"/has_*; do
		[ "${file##*/}" != has_private_memory ] || continue
		! node_is "${file##*/}" "$node" || fail "node $node is in ${file##*/}"
	done
	[ -e "$nodes/node$node" ] || fail "there is no folder of node $node"
	for block in $blocks; do
		[ -e "$nodes/node$node/${block##*/}" ] || fail "node $node does not link ${block##*/}"
	done
}

case_size() {
	meminfo MemTotal
	before=$kib
	bound private
	expect_kib "$node" 0
	region_size
	# shellcheck disable=SC2086 # a list
	private_list $blocks
	online=0
	for block in $blocks; do
		write_file online_movable "$block/state"
		online=$((online + 1))
		expect_kib "$node" $((bytes * online / private_length))
	done
	cxl_offline "$region"
	expect_kib "$node" 0
	gone
	expect_kib "$node" 0
	meminfo MemTotal
	expect_eq "$kib" "$before" "MemTotal of the machine in KiB"
}

# Nothing is on it that nobody put there.
case_online_node_is_empty() {
	online private
	for field in AnonPages FilePages Mapped Shmem Slab PageTables KernelStack Active Inactive Unevictable; do
		node_meminfo "$node" "$field"
		expect_eq "$kib" 0 "$field of node $node in KiB"
	done
	node_meminfo "$node" MemTotal
	total=$kib
	node_meminfo "$node" MemFree
	expect_ge "$kib" $((total - 1024)) "MemFree of node $node in KiB, of $total"
}

case_memory_is_movable() {
	bound private
	cxl_online "$region"
	for block in $blocks; do
		expect_value "$block/valid_zones" Movable
	done
}

# Whatever zone its blocks are put to, none of the states of ordinary memory follows.
case_kernel_zone() {
	bound private
	# shellcheck disable=SC2086 # a list
	set -- $blocks
	outcome write_file online_kernel "$1/state"
	note "online_kernel: $outcome"
	expect_node "$node" private
	[ "$outcome" = "done" ] || expect_value "$1/state" offline
	cxl_online "$region"
	expect_node "$node" private
	cxl_offline "$region"
	expect_node "$node" private
}

# Blocks that come online by themselves when they are added: the node has to be private before that.
case_auto_online() {
	for policy in online_movable online_kernel; do
		committed private
		read_value before "$online_policy"
		write_file "$policy" "$online_policy"
		defer write_file "$before" "$online_policy"
		cxl_bind "$region"
		write_file "$before" "$online_policy"
		cxl_dax "$region"
		expect_node "$node" private "$policy"
		cxl_blocks "$region"
		for block in $blocks; do
			expect_value "$block/state" online
		done
		region_size
		expect_kib "$node" "$bytes"
		gone
		expect_node "$node" none "after $policy"
	done
}

case_block_state_refusals() {
	online private
	# shellcheck disable=SC2086 # a list
	set -- $blocks
	expect_errno EINVAL write_file nonsense "$1/state"
	expect_errno EINVAL write_file online_movable "$1/state"
	expect_value "$1/state" online
	write_file offline "$1/state"
	expect_errno EINVAL write_file offline "$1/state"
	expect_node "$node" private
}

case_online_again_and_again() {
	bound private
	for round in 1 2; do
		cxl_online "$region"
		expect_node "$node" private "online $round"
		cxl_offline "$region"
		expect_node "$node" private "offline $round"
		expect_kib "$node" 0
	done
}

case_never_in_a_memory_tier() {
	need_file "$tiers" "this kernel has no memory tiers (CONFIG_MIGRATION)"
	memory_tier "$near"
	expect_match "$tier" "memory_tier*" "tier of node $near"
	before=$(cat "$tiers"/memory_tier*/nodelist)
	bound private
	expect_tier "$node" ""
	online_first "$region"
	expect_tier "$node" ""
	expect_eq "$(cat "$tiers"/memory_tier*/nodelist)" "$before" "nodes in tiers, node $node online"
	cxl_offline "$region"
	expect_tier "$node" ""
	gone
	expect_tier "$node" ""
	expect_eq "$(cat "$tiers"/memory_tier*/nodelist)" "$before" "nodes in tiers, node $node gone"
}

# A RAM node comes while the private one is there: tiers are built anew, without it.
case_tiers_beside_a_ram_node() {
	need_file "$tiers" "this kernel has no memory tiers (CONFIG_MIGRATION)"
	need_places 2
	online private
	private=$node
	place 2
	log_mark
	online ram
	expect_tier "$node" "memory_tier[0-9]*"
	expect_tier "$private" ""
	log_since
	while read -r line; do
		case $line in
		*"Demotion targets for Node $private:"*) fail "the kernel logs: $line" ;;
		*"Demotion targets for Node "*preferred:*fallback:*)
			list=${line##*fallback: }
			! in_list "$private" "$list" || fail "the kernel logs: $line"
			list=${line##*preferred: }
			! in_list "$private" "${list%%, fallback:*}" || fail "the kernel logs: $line"
			;;
		esac
	done <"$KTAP_TMP/log"
}

case_demotion_enabled() {
	demotion=/sys/kernel/mm/numa/demotion_enabled
	need_file "$demotion" "this kernel has no demotion"
	read_value before "$demotion"
	defer write_file "$before" "$demotion"
	write_file true "$demotion"
	online private
	expect_node "$node" private
	write_file false "$demotion"
	write_file true "$demotion"
	expect_node "$node" private
}

# life KIND: everything that happens to a region, and $KTAP_TMP/KIND is what the kernel warned of meanwhile
life() {
	log_mark
	online "$1"
	cxl_offline "$region"
	cxl_unbind "$region"
	private_bind
	online_first "$region"
	gone
	log_since
	sed -n 's/^<[0-4]>\[[0-9. ]*\] *//p' "$KTAP_TMP/log" | sort -u >"$KTAP_TMP/$1"
}

# What the kernel says of a RAM region's life it may say of a private one's.
case_log_has_no_new_warning() {
	life ram
	life private
	while read -r line; do
		grep -qxF "$line" "$KTAP_TMP/ram" || fail "the kernel warns: $line"
	done <"$KTAP_TMP/private"
}

# The device behind the region goes back and forth between the kernel and nobody; the node is never ordinary meanwhile.
case_kmem_unbind_and_bind() {
	online private
	cxl_offline "$region"
	for round in 1 2; do
		write_file "$dax" /sys/bus/dax/drivers/kmem/unbind
		! node_is has_memory "$node" || fail "node $node is in has_memory without its driver"
		cxl_blocks "$region"
		expect_eq "$blocks" "" "memory blocks without the driver"
		write_file "$dax" /sys/bus/dax/drivers/kmem/bind
		expect_node "$node" private "bound to kmem again, $round"
		cxl_online "$region"
		expect_node "$node" private "online again, $round"
		region_size
		expect_kib "$node" "$bytes"
		cxl_offline "$region"
	done
}

ktap_main "$@"
