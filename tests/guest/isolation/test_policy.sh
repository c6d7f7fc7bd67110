#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What names the private node in a policy, a move, a cpuset or a pool gets nothing from it.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"
. "${0%/*}/../lib/cgroup.sh"
. "${0%/*}/../lib/pattern.sh"
. "${0%/*}/../lib/private.sh"
. "${0%/*}/../lib/isolation.sh"

setup_program() {
	need_program membind
	need_program pagemove
	cpusets=
	if grep -qsw cpuset "$cgroups/cgroup.controllers"; then
		cpusets=yes
		need_controller cpuset
	fi
	isolation_private
	read_value ordinary "$nodes/has_memory"
	first=${ordinary%%[-,]*}
}

# refused ERRNO CMD…: with that error
refused() {
	refused_errno=$1
	shift
	expect_fail "$@"
	expect_eq "$output" "$refused_errno" "'$*'"
}

# attempted CMD…: the kernel may do it or refuse it; it is only not to crash
attempted() {
	attempted_status=0
	output=$("$@" 2>&1) || attempted_status=$?
	[ "$attempted_status" -le 1 ] || fail "'$*' failed with status $attempted_status: $output"
}

case_policies_of_the_node_alone() {
	watch
	for policy in bind interleave preferred-many bind+static interleave+static; do
		refused EINVAL membind range "$policy" "$node" 1M
		refused EINVAL membind task "$policy" "$node" 1M
	done
	expect_isolated
}

case_policies_of_mixed_nodes() {
	watch
	for policy in bind interleave preferred-many weighted-interleave bind+static bind+relative interleave+relative; do
		attempted membind range "$policy" "$ordinary,$node" 4M
		attempted membind task "$policy" "$ordinary,$node" 4M
	done
	expect_isolated
}

case_policies_that_move() {
	watch
	for policy in bind interleave preferred-many; do
		attempted membind -f move late "$policy" "$ordinary,$node" 4M
		attempted membind -f strict,move-all late "$policy" "$ordinary,$node" 4M
		attempted membind -f move late "$policy" "$node" 4M
	done
	expect_isolated
}

case_home_node() {
	watch
	attempted membind home "$node" bind "$ordinary" 16M
	attempted membind home "$node" preferred-many "$ordinary" 16M
	attempted membind home "$node" bind "$ordinary,$node" 16M
	attempted membind home "$node" preferred-many "$ordinary,$node" 16M
	expect_isolated
}

# The policy of a task is that of the kernel's own allocations for it as well.
case_kernel_memory_by_policy() {
	watch
	for kind in slab pagetables pipes vmalloc file; do
		expect_ok membind set interleave "$ordinary,$node" pressure -s 16M "$kind"
		expect_ok membind set preferred-many "$ordinary,$node" pressure -s 16M "$kind"
	done
	expect_isolated
}

case_move_pages() {
	watch
	refused ENODEV pagemove move "$node" 4M
	refused ENODEV pagemove -a move "$node" 4M
	expect_isolated
}

case_migrate_pages() {
	watch
	refused EINVAL pagemove migrate self "$first" "$node"
	attempted pagemove migrate self "$first" "$first,$node"
	attempted pagemove migrate self "$node" "$first"
	attempted pagemove -a migrate 1 "$first" "$first,$node"
	expect_isolated
}

# In the v2 hierarchy the pages of a group follow its cpuset.mems.
case_cpuset_migration() {
	[ -n "$cpusets" ] || skip "this kernel has no cpuset controller in the v2 hierarchy"
	cgroup_new isolation-a
	write_file "$first" "$group/cpuset.mems"
	pattern_start -s 8M -g "$group"
	ask fill
	watch
	for mems in "$node" "$first" "$first,$node" "$node" ""; do
		outcome write_file "$mems" "$group/cpuset.mems"
		note "cpuset.mems of '$mems': $outcome"
		ask fill
		expect_ok pressure -g "$group" -s 8M anon
		expect_ok pressure -g "$group" -s 8M slab
		ask verify
	done
	expect_match "$answer" "verify good=2048 bad=0*"
	expect_isolated
	pattern_stop
}

case_hugetlb_pools() {
	watch
	before=$(cat /proc/sys/vm/nr_hugepages)
	set_until_end $((before + 16)) /proc/sys/vm/nr_hugepages
	pool=$nodes/node$node/hugepages/hugepages-2048kB
	if [ -e "$pool" ]; then
		outcome write_file 8 "$pool/nr_hugepages"
		note "8 pages for the pool of node $node: $outcome"
		expect_file "$pool/nr_hugepages" 0
	fi
	mempolicy=/proc/sys/vm/nr_hugepages_mempolicy
	if [ -e "$mempolicy" ]; then
		expect_ok membind set interleave "$ordinary,$node" sh -c "echo $((before + 32)) >$mempolicy"
	fi
	expect_isolated
}

ktap_main "$@"
