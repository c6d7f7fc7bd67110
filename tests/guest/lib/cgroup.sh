# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Control groups, v2 hierarchy (Documentation/admin-guide/cgroup-v2.rst).

cgroups=/sys/fs/cgroup

# need_controller NAME: skip unless the v2 hierarchy has it; on for the root's children as long as the program runs
need_controller() {
	need_file "$cgroups/cgroup.controllers" "there is no cgroup v2 hierarchy at $cgroups"
	read_value cgroup_list "$cgroups/cgroup.controllers"
	case " $cgroup_list " in
	*" $1 "*) ;;
	*) skip "this kernel has no $1 controller in the v2 hierarchy" ;;
	esac
	read_value cgroup_list "$cgroups/cgroup.subtree_control"
	case " $cgroup_list " in
	*" $1 "*) ;;
	*)
		write_file "+$1" "$cgroups/cgroup.subtree_control"
		defer write_file "-$1" "$cgroups/cgroup.subtree_control"
		;;
	esac
}

# cgroup_new NAME [CONTROLLER…]: $group is a new group below the root ("a") or another ("a/b"), gone with the case, and
# with it whatever still runs there; the controllers are on for its own children
cgroup_new() {
	group=$cgroups/$1
	mkdir "$group"
	defer cgroup_remove "$group"
	shift
	for cgroup_each in "$@"; do
		write_file "+$cgroup_each" "$group/cgroup.subtree_control"
	done
}

cgroup_remove() {
	[ -e "$1" ] || return 0
	write_file 1 "$1/cgroup.kill"
	cgroup_tries=0
	until rmdir "$1" 2>/dev/null; do
		cgroup_tries=$((cgroup_tries + 1))
		[ "$cgroup_tries" -lt 250 ] || fail "$1 cannot be removed"
		sleep 0.02
	done
}

# in_cgroup GROUP COMMAND…: run it there
in_cgroup() {
	(
		echo 0 >"$1/cgroup.procs"
		shift
		exec "$@"
	)
}

# memory_stat GROUP NAME: $stat is that line of its memory.stat
memory_stat() {
	stat=
	while read -r cgroup_name cgroup_value; do
		[ "$cgroup_name" != "$2" ] || stat=$cgroup_value
	done <"$1/memory.stat"
	[ -n "$stat" ] || fail "memory.stat of ${1##*/} has no $2"
}
