# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# CXL devices, decoders and regions by sysfs (Documentation/ABI/testing/sysfs-bus-cxl). Everything here is shell builtins
# only: under emulation a process costs more than all the writes of a region together.
#
# cxl_discover sets
#	cxl_memdevs	"mem0 mem1 …", and for each: cxl_mem0_ram, cxl_mem0_pmem (bytes), cxl_mem0_serial,
#			cxl_mem0_endpoint (endpoint2), cxl_mem0_bridge (the host bridge's port: port1)
#	cxl_roots	"decoder0.0 …", and for each, by its number: cxl_root_0_ways, cxl_root_0_granularity,
#			cxl_root_0_start, cxl_root_0_size (bytes), cxl_root_0_bridges ("port1 port3", in target order)

cxl=/sys/bus/cxl/devices
cxl_unit=268435456 # 256 MiB: decoders and regions come in multiples of it (CXL 3.1 8.2.4.20)

# cxl_real PATH: $cxl_path is PATH without symbolic links
cxl_real() {
	cxl_path=$(cd -P "$1" 2>/dev/null && echo "$PWD")
}

cxl_discover() {
	cxl_memdevs='' cxl_roots=''
	for cxl_each in "$cxl"/mem*; do
		[ -e "$cxl_each/serial" ] || continue
		cxl_discover_memdev "${cxl_each##*/}"
	done
	for cxl_each in "$cxl"/decoder*; do
		[ -e "$cxl_each/devtype" ] || continue
		read_value cxl_type "$cxl_each/devtype"
		[ "$cxl_type" = cxl_decoder_root ] || continue
		cxl_discover_root "${cxl_each##*/}"
	done
}

cxl_discover_memdev() {
	cxl_memdevs="${cxl_memdevs:+$cxl_memdevs }$1"
	read_value cxl_value "$cxl/$1/serial"
	eval "cxl_${1}_serial=$((cxl_value)) cxl_${1}_endpoint='' cxl_${1}_bridge=''"
	read_value cxl_value "$cxl/$1/ram/size"
	eval "cxl_${1}_ram=$((cxl_value))"
	read_value cxl_value "$cxl/$1/pmem/size"
	eval "cxl_${1}_pmem=$((cxl_value))"
	for cxl_endpoint in "$cxl"/endpoint*; do
		[ "$cxl_endpoint/uport" -ef "$cxl/$1" ] || continue
		cxl_real "$cxl_endpoint"
		cxl_below=${cxl_path##*/root?/} # root ports are numbered per bus, 0 to 9 is plenty
		eval "cxl_${1}_endpoint=${cxl_endpoint##*/} cxl_${1}_bridge=${cxl_below%%/*}"
	done
}

cxl_discover_root() {
	cxl_roots="${cxl_roots:+$cxl_roots }$1"
	cxl_number=${1##*.} cxl_bridges=''
	for cxl_name in interleave_ways interleave_granularity start size; do
		read_value cxl_value "$cxl/$1/$cxl_name"
		eval "cxl_root_${cxl_number}_${cxl_name#interleave_}=$((cxl_value))"
	done
	read_value cxl_targets "$cxl/$1/target_list"
	cxl_rest=$cxl_targets,
	while [ -n "$cxl_rest" ]; do
		cxl_dport=$cxl/$1/../dport${cxl_rest%%,*}
		cxl_rest=${cxl_rest#*,}
		for cxl_port in "$cxl"/port*; do
			if [ "$cxl_port/uport" -ef "$cxl_dport" ]; then
				cxl_bridges="${cxl_bridges:+$cxl_bridges }${cxl_port##*/}"
			fi
		done
	done
	eval "cxl_root_${cxl_number}_bridges=\$cxl_bridges"
}

# cxl_get memN PROPERTY: $cxl_value is one of those of cxl_discover
cxl_get() {
	eval "cxl_value=\$cxl_${1}_$2"
}

# cxl_find_serial NUMBER: $memdev is the device with this serial number; false if there is none
cxl_find_serial() {
	for memdev in $cxl_memdevs; do
		cxl_get "$memdev" serial
		[ "$cxl_value" -ne "$1" ] || return 0
	done
	return 1
}

# need_cxl: skip unless there is a CXL bus with a memory device; discovers
need_cxl() {
	need_file "$cxl" "this kernel has no CXL bus (CONFIG_CXL_BUS)"
	cxl_discover
	[ -n "$cxl_memdevs" ] || skip "this machine has no CXL memory device"
}

# cxl_choose KIND COUNT: find a window with COUNT free devices of KIND (ram, pmem) below it, the first that has them, in
# the order that a region interleaved over them wants. Sets $root (decoder0.0), $root_number and $chosen ("mem0 mem1");
# false if there is none. COUNT must be a multiple of the window's ways, as an interleaved window takes from each bridge.
cxl_choose() {
	for root in $cxl_roots; do
		root_number=${root##*.}
		[ -e "$cxl/$root/create_$1_region" ] || continue
		eval "cxl_ways=\$cxl_root_${root_number}_ways cxl_bridges=\$cxl_root_${root_number}_bridges"
		[ $(($2 % cxl_ways)) -eq 0 ] || continue
		if cxl_collect "$1" "$2"; then
			return 0
		fi
	done
	return 1
}

# cxl_collect KIND COUNT: $chosen, taking from each of $cxl_bridges in turn
cxl_collect() {
	chosen='' cxl_taken=0
	while [ "$cxl_taken" -lt "$2" ]; do
		for cxl_bridge in $cxl_bridges; do
			cxl_pick "$1" "$cxl_bridge" || return 1
			chosen="${chosen:+$chosen }$cxl_picked"
			cxl_taken=$((cxl_taken + 1))
		done
	done
}

# cxl_pick KIND BRIDGE: $cxl_picked is a device below BRIDGE that is not in $chosen and has a unit of KIND
cxl_pick() {
	for cxl_picked in $cxl_memdevs; do
		case " $chosen " in *" $cxl_picked "*) continue ;; esac
		cxl_get "$cxl_picked" bridge
		[ "$cxl_value" = "$2" ] || continue
		cxl_get "$cxl_picked" "$1"
		[ "$cxl_value" -lt "$cxl_unit" ] || return 0
	done
	return 1
}

# need_devices KIND COUNT: cxl_choose, or skip
need_devices() {
	cxl_choose "$1" "$2" || skip "this machine has no CXL window with $2 free device(s) of $1 below it"
}

# cxl_free_decoder memN: $decoder is the first decoder of its endpoint without capacity (they are used in order)
cxl_free_decoder() {
	cxl_get "$1" endpoint
	cxl_at=0
	while :; do
		decoder=decoder${cxl_value#endpoint}.$cxl_at
		[ -e "$cxl/$decoder" ] || fail "no free decoder on $cxl_value of $1"
		read_value cxl_size "$cxl/$decoder/dpa_size"
		[ $((cxl_size)) -ne 0 ] || return 0
		cxl_at=$((cxl_at + 1))
	done
}

# cxl_reserve memN KIND BYTES: give $decoder of the device BYTES of its capacity; undone with the case
cxl_reserve() {
	cxl_free_decoder "$1"
	write_file "$2" "$cxl/$decoder/mode"
	write_file "$3" "$cxl/$decoder/dpa_size"
	defer write_file 0 "$cxl/$decoder/dpa_size"
}

# cxl_no_partition MODE: $decoder does not take it, its device has nothing of the kind: ENXIO; EINVAL in later kernels,
# which know a device by its partitions (cxl_dpa_set_part() in drivers/cxl/core/hdm.c)
cxl_no_partition() {
	expect_fail write_file "$1" "$cxl/$decoder/mode"
	case $output in
	*'No such device or address' | *'Invalid argument') ;;
	*) fail "mode $1 was refused with '$output', expected ENXIO or EINVAL" ;;
	esac
}

# cxl_new_region KIND: create an unconfigured region below $root: $region; deleted with the case
cxl_new_region() {
	read_value region "$cxl/$root/create_$1_region"
	write_file "$region" "$cxl/$root/create_$1_region"
	defer cxl_delete "$root" "$region"
}

# cxl_delete ROOT REGION: its memory offline first, as a region that goes with memory online pins it until reboot
cxl_delete() {
	[ -e "$cxl/$2" ] || return 0
	cxl_offline "$2"
	write_file "$2" "$cxl/$1/delete_region"
}

# cxl_build KIND GRANULARITY BYTES memN…: a committed region over the devices in that order, BYTES of each. Sets $region
# and $decoders. GRANULARITY 0 is the window's own.
cxl_build() {
	cxl_kind=$1 cxl_granularity=$2 cxl_bytes=$3
	shift 3
	if [ "$cxl_granularity" -eq 0 ]; then
		read_value cxl_granularity "$cxl/$root/interleave_granularity"
	fi
	decoders=
	for cxl_memdev in "$@"; do
		cxl_reserve "$cxl_memdev" "$cxl_kind" "$cxl_bytes"
		decoders="${decoders:+$decoders }$decoder"
	done
	cxl_new_region "$cxl_kind"
	if [ "$cxl_kind" = pmem ]; then
		read_value cxl_uuid /proc/sys/kernel/random/uuid
		write_file "$cxl_uuid" "$cxl/$region/uuid"
	fi
	write_file "$cxl_granularity" "$cxl/$region/interleave_granularity"
	write_file $# "$cxl/$region/interleave_ways"
	write_file $((cxl_bytes * $#)) "$cxl/$region/size"
	cxl_position=0
	for cxl_decoder in $decoders; do
		write_file "$cxl_decoder" "$cxl/$region/target$cxl_position"
		cxl_position=$((cxl_position + 1))
	done
	write_file 1 "$cxl/$region/commit"
}

cxl_bind() {
	write_file "$1" /sys/bus/cxl/drivers/cxl_region/bind || return
	cxl_settle "$1"
}

# cxl_settle REGION: the dax device of a bound one is there, with its driver. Later kernels make it beside the bind
# (PROBE_PREFER_ASYNCHRONOUS in drivers/dax/cxl.c); who asks for what is left of a region waits for who takes of it.
cxl_settle() {
	for cxl_each in "$cxl/$1"/dax_region*; do
		[ -e "$cxl_each" ] || continue
		wait_for 10 cxl_has_dax "$cxl_each"
		read_value cxl_value "$cxl_each/dax_region/available_size"
	done
}

cxl_has_dax() {
	for cxl_one in "$1"/dax*.*; do
		[ ! -e "$cxl_one" ] || return 0
	done
	return 1
}

cxl_unbind() {
	write_file "$1" /sys/bus/cxl/drivers/cxl_region/unbind
}

# cxl_blocks REGION: $blocks are the memory blocks of a RAM region, bound or not; none if it is not added as memory
cxl_blocks() {
	read_value cxl_start "$cxl/$1/resource"
	read_value cxl_size "$cxl/$1/size"
	read_value cxl_block /sys/devices/system/memory/block_size_bytes
	cxl_block=$((0x$cxl_block)) blocks=''
	cxl_at=$((cxl_start)) cxl_end=$((cxl_start + cxl_size))
	[ $((cxl_size)) -gt 0 ] || return 0
	while [ "$cxl_at" -lt "$cxl_end" ]; do
		if [ -e /sys/devices/system/memory/memory$((cxl_at / cxl_block)) ]; then
			blocks="${blocks:+$blocks }/sys/devices/system/memory/memory$((cxl_at / cxl_block))"
		fi
		cxl_at=$((cxl_at + cxl_block))
	done
}

# cxl_online REGION [STATE]: its blocks online (default online_movable, which can be taken offline again)
cxl_online() {
	cxl_blocks "$1"
	[ -n "$blocks" ] || fail "$1 has no memory blocks"
	for block in $blocks; do
		read_value cxl_value "$block/state"
		[ "$cxl_value" = online ] || write_file "${2:-online_movable}" "$block/state"
	done
}

cxl_offline() {
	cxl_blocks "$1"
	for block in $blocks; do
		read_value cxl_value "$block/state"
		[ "$cxl_value" = offline ] || write_file offline "$block/state"
	done
}

# cxl_dax REGION: $dax is its dax device (dax0.0), $node its NUMA node
cxl_dax() {
	dax=
	for cxl_each in "$cxl/$1"/dax_region*/dax*.*; do
		[ -e "$cxl_each/target_node" ] || continue
		dax=${cxl_each##*/}
		read_value node "$cxl_each/target_node"
	done
	[ -n "$dax" ] || fail "$1 has no dax device"
}

# cxl_choose_least KIND: cxl_choose, as few devices as any window takes
cxl_choose_least() {
	for cxl_count in 1 2 4 8; do
		if cxl_choose "$1" "$cxl_count"; then
			return 0
		fi
	done
	return 1
}

# cxl_ram_node: a RAM region over as few devices as a window takes, online as a node for as long as the case (or the
# program, from setup_program) runs: $region, $node, $dax, $blocks. False where the kernel or the machine cannot.
cxl_ram_node() {
	[ -e "$cxl" ] && [ -e /sys/bus/dax/drivers/kmem ] || return 1
	cxl_discover
	cxl_choose_least ram || return 1
	# shellcheck disable=SC2086 # a list
	cxl_build ram 0 "$cxl_unit" $chosen
	cxl_bind "$region"
	cxl_dax "$region"
	cxl_online "$region"
}

# cxl_device_mode: take the memory of $dax (of $region) away from the kernel and give it out as /dev/$dax. A kmem device
# goes to another driver only by name (drivers/dax/bus.c, do_id_store()), which must not outlive the device.
cxl_device_mode() {
	need_file /sys/bus/dax/drivers/device_dax "this kernel has no device dax (CONFIG_DEV_DAX)"
	cxl_offline "$region"
	write_file "$dax" /sys/bus/dax/drivers/kmem/unbind
	write_file "$dax" /sys/bus/dax/drivers/device_dax/new_id
	write_file "$dax" /sys/bus/dax/drivers/device_dax/remove_id
	[ "/sys/bus/dax/devices/$dax/driver" -ef /sys/bus/dax/drivers/device_dax ] || fail "$dax is not a dax device"
	cxl_status=0
	pattern -s 2M -f "/dev/$dax" assume >/dev/null 2>&1 || cxl_status=$?
	[ "$cxl_status" -eq 0 ] || skip "this kernel does not map dax devices (CONFIG_FS_DAX)"
}

# cxl_memory_mode: and back
cxl_memory_mode() {
	write_file "$dax" /sys/bus/dax/drivers/device_dax/unbind
	write_file "$dax" /sys/bus/dax/drivers/kmem/bind
}
