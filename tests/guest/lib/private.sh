# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Private regions and nodes: CXL memory that the kernel has, but gives to its owner only. A kernel with it is known by
# create_private_region at a root decoder. Needs cxl.sh and node.sh, and comes after all other libraries (state).
#
# A place is a window with the fewest devices below it that make a region; places have no device in common, and each is
# a node of its own. `place N` sets $root, $root_number and $chosen (devices), as cxl_choose does.

tiers=/sys/devices/virtual/memory_tiering
online_policy=/sys/devices/system/memory/auto_online_blocks

# Beside what every case must leave as it was: tiers, the size of the memory, addresses and decoders that are in use.
state() {
	ktap_state
	grep -s '' "$tiers"/*/nodelist "$cxl"/*/decoders_committed /sys/fs/cgroup/cpuset.mems.* /proc/iomem
	read_value private_value /proc/meminfo
	echo "$private_value"
}

# expect_value PATH TEXT: as expect_file, of a file with one line, without a process
expect_value() {
	[ -e "$1" ] || fail "$1 is not there"
	read_value private_value "$1"
	[ "$private_value" = "$2" ] || fail "$1 reads '$private_value', expected '$2'"
}

# need_private: skip unless the kernel has private regions and the machine a place; the first place is set
need_private() {
	need_cxl
	private_there='' private_ram=''
	for private_root in $cxl_roots; do
		[ ! -e "$cxl/$private_root/create_ram_region" ] || private_ram=$private_root
		[ ! -e "$cxl/$private_root/create_private_region" ] || private_there=$private_root
	done
	if [ -z "$private_there" ]; then
		[ -n "$private_ram" ] || skip "this machine has no CXL window for RAM"
		skip "this kernel has no private regions ($private_ram has no create_private_region)"
	fi
	private_places
	[ "$places" -gt 0 ] || skip "this machine has no CXL window with free RAM below it"
	need_file "$nodes" "this kernel has no NUMA (CONFIG_NUMA)"
	need_file "$online_policy" "this kernel has no memory hotplug (CONFIG_MEMORY_HOTPLUG)"
	need_file /sys/bus/dax/drivers/kmem "this kernel has no kmem driver for dax devices (CONFIG_DEV_DAX_KMEM)"
	place 1
}

private_places() {
	places=0 chosen=''
	for root in $cxl_roots; do
		[ -e "$cxl/$root/create_private_region" ] || continue
		private_collect || continue
		places=$((places + 1))
		chosen="$chosen $collected"
		eval "private_${places}_root=\$root private_${places}_devices=\$collected"
	done
}

# private_collect: $collected is one device with RAM below each target of $root, none of them in $chosen
private_collect() {
	eval "cxl_bridges=\$cxl_root_${root##*.}_bridges"
	private_chosen=$chosen collected=''
	for cxl_bridge in $cxl_bridges; do
		if ! cxl_pick ram "$cxl_bridge"; then
			chosen=$private_chosen
			return 1
		fi
		chosen="$chosen $cxl_picked"
		collected="${collected:+$collected }$cxl_picked"
	done
	chosen=$private_chosen
	[ -n "$collected" ]
}

place() {
	eval "root=\$private_${1}_root chosen=\$private_${1}_devices"
	root_number=${root##*.}
}

need_places() {
	[ "$places" -ge "$1" ] || skip "this machine has $places CXL window(s) with RAM of its own below it, not $1"
}

# need_second: $second are the devices for a second region in the same window: the same ones, where they have the
# capacity, else others
need_second() {
	second=$chosen
	for private_device in $chosen; do
		cxl_get "$private_device" ram
		[ "$cxl_value" -ge $((cxl_unit * 2)) ] || second=
	done
	if [ -z "$second" ]; then
		private_collect || skip "there is no RAM for a second region in the window of $root"
		second=$collected
	fi
}

# attach KIND BYTES memN…: a region of KIND (ram, private) with BYTES of each device, complete but for type and commit.
# $region, $decoders
attach() {
	private_kind=$1 private_bytes=$2 decoders=''
	shift 2
	for private_device in "$@"; do
		cxl_reserve "$private_device" ram "$private_bytes"
		decoders="${decoders:+$decoders }$decoder"
	done
	cxl_new_region "$private_kind"
	shape "$private_bytes"
	target
}

# shape BYTES: granularity, ways and size of $region for $decoders
shape() {
	# shellcheck disable=SC2086 # a list
	private_list $decoders
	read_value private_granularity "$cxl/$root/interleave_granularity"
	write_file "$private_granularity" "$cxl/$region/interleave_granularity"
	write_file "$private_length" "$cxl/$region/interleave_ways"
	write_file $(($1 * private_length)) "$cxl/$region/size"
}

private_list() {
	private_length=$#
}

target() {
	private_position=0
	for private_decoder in $decoders; do
		write_file "$private_decoder" "$cxl/$region/target$private_position"
		private_position=$((private_position + 1))
	done
}

# attached KIND: attach at the place
attached() {
	# shellcheck disable=SC2086 # a list
	attach "$1" "$cxl_unit" $chosen
}

# committed KIND: and committed, a private one with its type
committed() {
	attached "$1"
	private_commit "$1"
}

private_commit() {
	[ "$1" != private ] || write_file zswap "$cxl/$region/private_type"
	write_file 1 "$cxl/$region/commit"
}

# bound KIND: and bound, its memory offline: $dax, $node, $blocks
bound() {
	committed "$1"
	private_bind
}

private_bind() {
	private_policy offline
	cxl_bind "$region"
	cxl_dax "$region"
	cxl_blocks "$region"
}

# online KIND: and its first memory block online, which makes a node as well as all of them do, and goes sooner
online() {
	bound "$1"
	online_first "$region"
}

online_first() {
	cxl_blocks "$1"
	[ -n "$blocks" ] || fail "$1 has no memory blocks"
	read_value private_value "${blocks%% *}/state"
	[ "$private_value" = online ] || write_file online_movable "${blocks%% *}/state"
}

# gone: delete $region and give its capacity back, in the middle of a case
gone() {
	cxl_delete "$root" "$region"
	private_reversed=
	for private_decoder in $decoders; do
		private_reversed="$private_decoder $private_reversed"
	done
	for private_decoder in $private_reversed; do
		write_file 0 "$cxl/$private_decoder/dpa_size"
	done
}

# private_policy STATE: what becomes of new memory blocks, until the end of the case
private_policy() {
	read_value private_value "$online_policy"
	[ "$private_value" != "$1" ] || return 0
	defer write_file "$private_value" "$online_policy"
	write_file "$1" "$online_policy"
}

# node_is_private NODE: by the file that has it, else what has memory that is not public
node_is_private() {
	if [ -e "$nodes/has_private_memory" ]; then
		node_is has_private_memory "$1"
	elif [ -e "$nodes/has_public_memory" ]; then
		node_is has_memory "$1" && ! node_is has_public_memory "$1"
	else
		return 1
	fi
}

# expect_node NODE KIND [WHEN]: what every file says of it; KIND is private, ram (with memory online) or none
expect_node() {
	private_when=${3:+ ($3)} private_is=no public_is=no
	! node_is_private "$1" || private_is=yes
	! node_is has_memory "$1" || public_is=yes
	case $2 in
	private)
		expect_eq "$private_is" yes "node $1 is private$private_when:"
		expect_eq "$public_is" no "node $1 is in has_memory$private_when:"
		;;
	ram)
		expect_eq "$private_is" no "node $1 is private$private_when:"
		expect_eq "$public_is" yes "node $1 is in has_memory$private_when:"
		expect_tier "$1" "memory_tier[0-9]*"
		return 0
		;;
	none)
		expect_eq "$private_is" no "node $1 is private$private_when:"
		expect_eq "$public_is" no "node $1 is in has_memory$private_when:"
		;;
	*) fail "expect_node: $2" ;;
	esac
	! node_is has_normal_memory "$1" || fail "node $1 is in has_normal_memory$private_when"
	expect_tier "$1" ""
}

# expect_tier NODE PATTERN: the memory tier of a node, where the kernel has tiers
expect_tier() {
	[ -e "$tiers" ] || return 0
	memory_tier "$1"
	expect_match "$tier" "$2" "memory tier of node $1${private_when:-}"
}

# expect_kib NODE BYTES: how large it is
expect_kib() {
	node_meminfo "$1" MemTotal
	expect_eq "$kib" $(($2 >> 10)) "MemTotal of node $1 in KiB"
}

# expect_blocks NODE COUNT: how many memory blocks it has online
expect_blocks() {
	read_value private_value /sys/devices/system/memory/block_size_bytes
	expect_kib "$1" $((0x$private_value * $2))
}

# region_size: $bytes of $region
region_size() {
	read_value private_value "$cxl/$region/size"
	bytes=$((private_value))
}

# is_bound REGION, is_unbound REGION: to the region driver; with a dax device, or without
is_bound() {
	[ "$cxl/$1/driver" -ef /sys/bus/cxl/drivers/cxl_region ] || fail "$1 is not bound to cxl_region"
	cxl_dax "$1"
}

is_unbound() {
	[ ! -e "$cxl/$1/driver" ] || fail "$1 has a driver"
	for private_dax in "$cxl/$1"/dax_region*; do
		[ ! -e "$private_dax" ] || fail "$1 has ${private_dax##*/}"
	done
}

# outcome CMD…: $outcome is what became of it: "done", or the reason of its failure in words
outcome() {
	outcome=$("$@" 2>&1) && outcome='done' || outcome=${outcome##*: }
}

# log_mark, log_since: $KTAP_TMP/log is what the kernel has logged from the mark on, as "<level>[ time] text"; the lines
# that somebody wrote to /dev/kmsg have numbers above 7 there
log_mark() {
	need_program dmesg
	log_number=$((${log_number:-0} + 1))
	log_text="private: mark $$ $ktap_case $log_number"
	echo "<7>$log_text" >/dev/kmsg
}

log_since() {
	dmesg -r | sed -n "/$log_text\$/,\$p" >"$KTAP_TMP/log"
	[ -s "$KTAP_TMP/log" ] || fail "the kernel's log has more lines than its buffer holds"
}
