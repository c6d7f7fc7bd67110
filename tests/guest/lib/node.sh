# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# NUMA nodes by sysfs, with shell builtins.

nodes=/sys/devices/system/node

# in_list NUMBER LIST: whether a list in the kernel's format ("0,2-3") has it
in_list() {
	node_rest=$2,
	while [ -n "$node_rest" ]; do
		node_range=${node_rest%%,*} node_rest=${node_rest#*,}
		[ -n "$node_range" ] || continue
		[ "$1" -lt "${node_range%-*}" ] || [ "$1" -gt "${node_range#*-}" ] || return 0
	done
	return 1
}

# node_is STATE NODE: whether NODE is in has_memory, online, has_cpu, …
node_is() {
	read_value node_list "$nodes/$1"
	in_list "$2" "$node_list"
}

# node_meminfo NODE FIELD: $kib of a line of its meminfo (MemTotal, MemFree, AnonPages …); 0 for a node that is offline
node_meminfo() {
	kib=0
	[ -e "$nodes/node$1/meminfo" ] || return 0
	while read -r _ _ node_field node_value _; do
		[ "$node_field" != "$2:" ] || kib=$node_value
	done <"$nodes/node$1/meminfo"
}

# meminfo FIELD: $kib of a line of /proc/meminfo
meminfo() {
	kib=
	while read -r node_field node_value _; do
		[ "$node_field" != "$1:" ] || kib=$node_value
	done </proc/meminfo
	[ -n "$kib" ] || fail "/proc/meminfo has no $1"
}

# on_node LIST NODE: $count of the pages on NODE in the list "0=12 1=4" that the helpers print
on_node() {
	count=0
	for node_pair in $1; do
		[ "${node_pair%=*}" != "$2" ] || count=${node_pair#*=}
	done
}

# memory_tier NODE: $tier is the memory tier that lists it (memory_tier4), empty if none does, "several" if it is wrong
memory_tier() {
	tier=
	for node_each in /sys/devices/virtual/memory_tiering/memory_tier*; do
		[ -e "$node_each/nodelist" ] || continue
		read_value node_list "$node_each/nodelist"
		in_list "$1" "$node_list" || continue
		if [ -n "$tier" ]; then
			tier=several
		else
			tier=${node_each##*/}
		fi
	done
}
