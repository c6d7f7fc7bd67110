# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# A second memory node: that of a CXL region made for it (online_movable), else one that the machine has. Needs cxl.sh
# and node.sh.

# find_far: for setup_program: $near is the first node with memory, $far another, empty if there is none; $far_region the
# CXL region that it comes from, empty if it is a fixed one
find_far() {
	far='' far_region=''
	near=0
	[ -e "$nodes" ] || return 0
	read_value far_list "$nodes/has_memory"
	near=${far_list%%[-,]*}
	if cxl_ram_node; then
		far=$node far_region=$region
		return 0
	fi
	far_at=$((near + 1))
	while [ "$far_at" -lt 64 ]; do
		if in_list "$far_at" "$far_list"; then
			far=$far_at
			return 0
		fi
		far_at=$((far_at + 1))
	done
}

need_far() {
	[ -n "$far" ] || skip "this machine has one node with memory and no CXL RAM for another"
}

need_far_region() {
	[ -n "$far_region" ] || skip "this machine has no CXL RAM whose node can come and go"
}
