# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What cpusets and their tasks show of private nodes. Needs cgroup.sh and private.sh.

# need_sysram: skip unless the cpusets of the v2 hierarchy have cpuset.mems.sysram
need_sysram() {
	need_controller cpuset
	need_file "$cgroups/cpuset.mems.sysram" "this kernel has no cpuset.mems.sysram"
	need_program pattern
	need_program membind
	read_value ram_nodes "$nodes/has_memory"
	near=${ram_nodes%%[-,]*}
}

# private_node: for setup_program: a private node until the program ends: $private, $private_region
private_node() {
	online private
	private=$node private_region=$region
}

# ram_node: and a RAM node, if the machine has room for one: $far, else empty
ram_node() {
	far=
	if [ "$places" -ge 2 ]; then
		place 2
		online ram
		far=$node
		place 1
	fi
	read_value ram_nodes "$nodes/has_memory"
}

need_ram_node() {
	[ -n "$far" ] || skip "this machine has no second CXL window with RAM of its own"
}

# reads FILE TEXT: for wait_for; cpusets follow hotplug in a work item of their own
reads() {
	read_value sysram_text "$1"
	[ "$sysram_text" = "$2" ]
}

# shows GROUP EFFECTIVE SYSRAM: for wait_for
shows() {
	reads "$1/cpuset.mems.effective" "$2" && reads "$1/cpuset.mems.sysram" "$3"
}

expect_mems() {
	expect_value "$1/cpuset.mems.effective" "$2"
	expect_value "$1/cpuset.mems.sysram" "$3"
}

# list NODE…: $list is them in the kernel's format
list() {
	list='' sysram_first='' sysram_last=-2
	for sysram_each in $(printf '%s\n' "$@" | sort -un); do
		if [ "$sysram_each" -ne $((sysram_last + 1)) ]; then
			sysram_range
			sysram_first=$sysram_each
		fi
		sysram_last=$sysram_each
	done
	sysram_range
}

sysram_range() {
	[ -n "$sysram_first" ] || return 0
	if [ "$sysram_first" -eq "$sysram_last" ]; then
		list=${list:+$list,}$sysram_first
	else
		list=${list:+$list,}$sysram_first-$sysram_last
	fi
}

# with_private LIST: $list is it and the private node; LIST is of the kernel's
with_private() {
	sysram_rest=$1, sysram_all=''
	while [ -n "$sysram_rest" ]; do
		sysram_pair=${sysram_rest%%,*} sysram_rest=${sysram_rest#*,}
		[ -n "$sysram_pair" ] || continue
		sysram_all="$sysram_all $(seq "${sysram_pair%-*}" "${sysram_pair#*-}")"
	done
	# shellcheck disable=SC2086 # a list
	list $sysram_all "$private"
}

# status_mems PID: $mems is its Mems_allowed_list, $mask its Mems_allowed, the last word of it as a number
status_mems() {
	mems='' mask=''
	while read -r sysram_key sysram_value; do
		case $sysram_key in
		Mems_allowed_list:) mems=$sysram_value ;;
		Mems_allowed:) mask=$((0x${sysram_value##*,})) ;;
		esac
	done <"/proc/$1/status"
}

# sees PID LIST: for wait_for
sees() {
	status_mems "$1"
	[ "$mems" = "$2" ]
}
