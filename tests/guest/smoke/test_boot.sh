#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The kernel booted as it was configured, on the machine that was described, without complaint.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/facts.sh"

case_version() {
	read_value release /proc/sys/kernel/osrelease
	read_value version /proc/version
	expect_match "$version" "Linux version $release *"
	note "$version"
}

case_no_taint() {
	read_value taint /proc/sys/kernel/tainted
	expect_eq "$taint" 0 "taint mask (Documentation/admin-guide/tainted-kernels.rst)"
}

# What the kernel logs when it finds itself broken; an expected message of a later case does not count, as this runs first.
case_no_splat() {
	need_program dmesg
	dmesg >"$KTAP_TMP/dmesg"
	first=$(sed '/harness: case begin/,$d' "$KTAP_TMP/dmesg" | grep -m 1 -E \
		'(BUG|KASAN|KCSAN|KFENCE|UBSAN|WARNING|INFO: (possible|suspicious|inconsistent|rcu|task)|Oops|general protection|Call Trace:|Unable to handle|Bad page state|stack segment|soft lockup|hard LOCKUP|refcount_t:)') || return 0
	fail "the log has: $first"
}

case_no_failed_initcall() {
	need_program dmesg
	first=$(dmesg | grep -m 1 -E 'initcall .* returned with|Kernel panic|Failed to execute|Unknown kernel command line') || return 0
	fail "the log has: $first"
}

case_cpus() {
	read_value online /sys/devices/system/cpu/online
	read_value present /sys/devices/system/cpu/present
	expect_eq "$online" "$present" "CPUs online"
	count=$(grep -c '^processor' /proc/cpuinfo)
	expect_eq "$((${online##*[-,]} + 1))" "$count" "CPUs in /proc/cpuinfo"
}

case_memory() {
	while read -r key value _; do
		case $key in
		MemTotal:) total=$value ;;
		MemAvailable:) available=$value ;;
		esac
	done </proc/meminfo
	expect_ge "$available" $((total / 3)) "MemAvailable in KiB, of $total"
}

# each_cpu_node FUNCTION: call it with the number of each node that the machine was described with
each_cpu_node() {
	need_file /sys/devices/system/node/has_cpu "this kernel has no NUMA (CONFIG_NUMA)"
	need_facts
	fact CPU_NODES
	cpu_nodes=$fact number=0
	while [ "$number" -lt "$cpu_nodes" ]; do
		[ -e "/sys/devices/system/node/node$number" ] || fail "there is no node $number"
		"$1" "$number"
		number=$((number + 1))
	done
}

check_node_cpus() {
	count=0
	for each in /sys/devices/system/node/node"$1"/cpu[0-9]*; do
		[ ! -e "$each" ] || count=$((count + 1))
	done
	fact "CPU_NODE_$1_CPUS"
	expect_eq $count "$fact" "CPUs of node $1"
}

case_cpus_of_each_node() {
	each_cpu_node check_node_cpus
	read_value nodes /sys/devices/system/node/has_cpu
	count=$((${nodes##*[-,]} + 1))
	expect_le $count "$cpu_nodes" "nodes with CPUs"
}

# The kernel keeps some of the first node for itself, one with KASAN an eighth of all: three quarters must be there.
check_node_memory() {
	while read -r _ _ key value _; do
		[ "$key" != MemTotal: ] || total=$value
	done <"/sys/devices/system/node/node$1/meminfo"
	fact "CPU_NODE_$1_MEMORY_MIB"
	expect_ge "$total" $((fact * 1024 * 3 / 4)) "KiB of node $1"
	expect_le "$total" $((fact * 1024)) "KiB of node $1"
}

case_memory_of_each_node() {
	each_cpu_node check_node_memory
}

case_mounts() {
	mounts=
	while read -r _ path type _; do
		mounts="$mounts $path:$type"
	done </proc/mounts
	for wanted in /proc:proc /sys:sysfs /dev:devtmpfs /dev/pts:devpts /tmp:tmpfs; do
		expect_match "$mounts " "* $wanted *" "mounts"
	done
	if [ -e /sys/kernel/debug ]; then
		expect_match "$mounts " "* /sys/kernel/debug:debugfs *" "mounts"
	fi
	if [ -e /sys/fs/cgroup ]; then
		expect_match "$mounts " "* /sys/fs/cgroup:cgroup2 *" "mounts"
	fi
}

case_root_is_writable() {
	: >/harness-smoke
	defer rm /harness-smoke
	echo kept >/harness-smoke
	expect_file /harness-smoke kept
}

# Every folder of /sys/module of an option that is built in; only where the kernel tells its configuration.
case_configuration() {
	need_file /proc/config.gz "the kernel does not tell its configuration (CONFIG_IKCONFIG_PROC)"
	zcat /proc/config.gz >"$KTAP_TMP/config"
	for pair in CONFIG_CXL_BUS:/sys/bus/cxl CONFIG_ZSWAP:/sys/module/zswap CONFIG_NUMA:/sys/devices/system/node/node0 \
		CONFIG_DEV_DAX_KMEM:/sys/bus/dax/drivers/kmem CONFIG_CGROUPS:/proc/cgroups CONFIG_SWAP:/proc/swaps \
		CONFIG_PROC_PAGE_MONITOR:/proc/kpageflags CONFIG_DEBUG_FS:/sys/kernel/debug; do
		if grep -q "^${pair%%:*}=y" "$KTAP_TMP/config"; then
			[ -e "${pair#*:}" ] || fail "${pair%%:*}=y, but ${pair#*:} is not there"
		elif grep -q "^# ${pair%%:*} is not set" "$KTAP_TMP/config"; then
			[ ! -e "${pair#*:}" ] || fail "${pair%%:*} is not set, but ${pair#*:} is there"
		fi
	done
}

case_time_goes_on() {
	ktap_read_uptime
	before=$ktap_uptime
	sleep 0.1
	ktap_read_uptime
	expect_ge $((ktap_uptime - before)) 9 "hundredths of a second that passed in a sleep of 0.1 s"
	expect_le $((ktap_uptime - before)) 500 "hundredths of a second that passed in a sleep of 0.1 s"
}

ktap_main "$@"
