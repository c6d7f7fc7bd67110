#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Memory devices, ports, decoders and windows are found as the machine has them.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/facts.sh"
. "${0%/*}/../lib/cxl.sh"

setup_program() {
	need_file "$cxl" "this kernel has no CXL bus (CONFIG_CXL_BUS)"
	cxl_discover
}

# count FILE…: $count of those that exist
count() {
	count=0
	for each in "$@"; do
		[ ! -e "$each" ] || count=$((count + 1))
	done
}

# each_memdev FUNCTION: call it for every device of the facts with its key (MEMDEV_0) and its name here (mem1)
each_memdev() {
	need_facts
	fact MEMDEVS
	memdevs=$fact number=0
	[ "$memdevs" -gt 0 ] || skip "this machine has no CXL memory device"
	while [ "$number" -lt "$memdevs" ]; do
		fact "MEMDEV_${number}_SERIAL"
		cxl_find_serial $((fact)) || fail "no memory device has serial $fact (MEMDEV_$number)"
		"$1" "MEMDEV_$number" "$memdev"
		number=$((number + 1))
	done
}

# each_window FUNCTION: call it with its key (WINDOW_0) and the number of its root decoder, which is its place in the CEDT
each_window() {
	need_facts
	fact WINDOWS
	windows=$fact number=0
	[ "$windows" -gt 0 ] || skip "this machine has no CXL window"
	while [ "$number" -lt "$windows" ]; do
		[ -e "$cxl/decoder0.$number" ] || fail "there is no decoder0.$number for WINDOW_$number"
		"$1" "WINDOW_$number" "$number"
		number=$((number + 1))
	done
}

case_memdev_count() {
	need_facts
	fact MEMDEVS
	count "$cxl"/mem*
	expect_eq $count "$fact" "memory devices"
}

case_pci_device_count() {
	need_facts
	fact MEMDEVS
	count=0
	for each in /sys/bus/pci/devices/*/class; do
		read_value class "$each"
		[ "$class" != 0x050210 ] || count=$((count + 1)) # CXL 3.1 8.1.12.1: class code of a memory device
	done
	expect_eq $count "$fact" "PCI functions of the CXL memory device class"
}

case_serials_are_unique() {
	[ -n "$cxl_memdevs" ] || skip "this machine has no CXL memory device"
	seen=' '
	for memdev in $cxl_memdevs; do
		cxl_get "$memdev" serial
		case $seen in *" $cxl_value "*) fail "two devices have serial $cxl_value" ;; esac
		seen="$seen$cxl_value "
	done
}

check_capacity() {
	fact "$1_VOLATILE_MIB"
	cxl_get "$2" ram
	expect_eq $((cxl_value >> 20)) "$fact" "MiB of RAM of $2 ($1)"
	fact "$1_PERSISTENT_MIB"
	cxl_get "$2" pmem
	expect_eq $((cxl_value >> 20)) "$fact" "MiB of persistent memory of $2 ($1)"
}

case_memdev_capacities() {
	each_memdev check_capacity
}

check_labels() {
	fact "$1_LABELS_MIB"
	expect_file "$cxl/$2/label_storage_size" $((fact << 20))
}

case_memdev_label_storage() {
	each_memdev check_labels
}

check_endpoint() {
	cxl_get "$2" endpoint
	[ -n "$cxl_value" ] || fail "$2 ($1) has no endpoint"
	endpoint=$cxl_value
	[ "$cxl/$2/driver" -ef /sys/bus/cxl/drivers/cxl_mem ] || fail "$2 ($1) is not bound to cxl_mem"
	[ "$cxl/$endpoint/driver" -ef /sys/bus/cxl/drivers/cxl_port ] || fail "$endpoint of $2 ($1) is not bound to cxl_port"
	count "$cxl/$endpoint/decoder"*
	expect_ge $count 1 "decoders of $endpoint ($1)"
}

case_memdev_endpoints() {
	each_memdev check_endpoint
}

# The path from the root says below which host bridge, and how many switches lie between.
check_path() {
	cxl_get "$2" bridge
	cxl_real "$cxl/$cxl_value/uport"
	fact "$1_DPORT"
	expect_eq "${cxl_path##*/}" "$fact" "host bridge of $2 ($1)"
	cxl_get "$2" endpoint
	cxl_real "$cxl/$cxl_value"
	rest=${cxl_path##*/root?/} depth=0
	while [ "$rest" != "${rest#*/}" ]; do
		rest=${rest#*/}
		depth=$((depth + 1))
	done
	fact "$1_SWITCHES"
	expect_eq $((depth - 1)) "$fact" "switches above $2 ($1)"
}

case_memdev_paths() {
	each_memdev check_path
}

# Ports are the host bridges (children of the root) and the switches.
case_host_bridges_and_switches() {
	need_facts
	bridges=0 switches=0 root_ports=0 downstream=0
	for port in "$cxl"/port*; do
		[ -e "$port" ] || continue
		count "$port"/dport*
		cxl_real "$port/.."
		case ${cxl_path##*/} in
		root*)
			bridges=$((bridges + 1))
			root_ports=$((root_ports + count))
			;;
		*)
			switches=$((switches + 1))
			downstream=$((downstream + count))
			;;
		esac
	done
	fact HOST_BRIDGES
	expect_eq $bridges "$fact" "host bridges"
	fact ROOT_PORTS
	expect_eq $root_ports "$fact" "root ports"
	fact SWITCHES
	expect_eq $switches "$fact" "switches"
	fact DOWNSTREAM_PORTS $downstream
	expect_eq $downstream "$fact" "downstream ports of switches"
}

# Host bridges by their place in the PCI hierarchy: how many ports each has, and decoders of its own where it should.
case_each_host_bridge() {
	need_facts
	fact HOST_BRIDGES
	bridges=$fact number=0
	[ "$bridges" -gt 0 ] || skip "this machine has no CXL host bridge"
	while [ "$number" -lt "$bridges" ]; do
		fact "HOST_BRIDGE_${number}_DPORT"
		found=
		for port in "$cxl"/port*; do
			cxl_real "$port/uport"
			[ "${cxl_path##*/}" != "$fact" ] || found=$port
		done
		[ -n "$found" ] || fail "no port belongs to $fact (HOST_BRIDGE_$number)"
		count "$found"/dport*
		fact "HOST_BRIDGE_${number}_ROOT_PORTS"
		expect_eq $count "$fact" "root ports of ${found##*/} (HOST_BRIDGE_$number)"
		count "$found"/decoder*.*
		fact "HOST_BRIDGE_${number}_HDM_DECODERS"
		case $fact in
		0) expect_eq $count 1 "decoders of ${found##*/}, which passes everything through (HOST_BRIDGE_$number)" ;;
		1) expect_gt $count 1 "decoders of ${found##*/} (HOST_BRIDGE_$number)" ;;
		*) fail "HOST_BRIDGE_${number}_HDM_DECODERS is '$fact'" ;;
		esac
		number=$((number + 1))
	done
}

case_window_count() {
	need_facts
	fact WINDOWS
	count=0
	for root in $cxl_roots; do
		count=$((count + 1))
	done
	expect_eq $count "$fact" "windows (root decoders)"
}

check_window() {
	eval "size=\$cxl_root_${2}_size ways=\$cxl_root_${2}_ways granularity=\$cxl_root_${2}_granularity"
	fact "$1_SIZE_MIB"
	expect_eq $((size >> 20)) "$fact" "MiB of decoder0.$2 ($1)"
	fact "$1_WAYS"
	expect_eq "$ways" "$fact" "ways of decoder0.$2 ($1)"
	# a window over one host bridge has no granularity of its own: 256, whatever the table says
	if [ "$ways" -gt 1 ]; then
		fact "$1_GRANULARITY"
		expect_eq "$granularity" "$fact" "granularity of decoder0.$2 ($1)"
	fi
}

case_window_shapes() {
	each_window check_window
}

check_window_targets() {
	eval "bridges=\$cxl_root_${2}_bridges"
	targets=
	for bridge in $bridges; do
		cxl_real "$cxl/$bridge/uport"
		targets="${targets:+$targets }${cxl_path##*/}"
	done
	fact "$1_DPORTS"
	expect_eq "$targets" "$fact" "targets of decoder0.$2 ($1)"
}

case_window_targets() {
	each_window check_window_targets
}

case_windows_do_not_overlap() {
	[ -n "$cxl_roots" ] || skip "this machine has no CXL window"
	for one in $cxl_roots; do
		eval "start=\$cxl_root_${one##*.}_start size=\$cxl_root_${one##*.}_size"
		expect_eq $((start % cxl_unit)) 0 "start of $one modulo 256 MiB"
		for other in $cxl_roots; do
			[ "$one" != "$other" ] || continue
			eval "begin=\$cxl_root_${other##*.}_start"
			[ $((begin >= start && begin < start + size)) -eq 0 ] || fail "$other begins inside $one"
		done
	done
}

case_windows_are_in_iomem() {
	[ -n "$cxl_roots" ] || skip "this machine has no CXL window"
	for root in $cxl_roots; do
		eval "start=\$cxl_root_${root##*.}_start size=\$cxl_root_${root##*.}_size"
		range=$(printf '%x-%x' "$start" $((start + size - 1)))
		grep -q "^ *$range : CXL Window ${root##*.}\$" /proc/iomem || fail "/proc/iomem has no '$range : CXL Window ${root##*.}'"
	done
}

# A window that no SRAT entry covers gets a node of its own, after those with CPUs (acpi_parse_cfmws() in
# drivers/acpi/numa/srat.c); it is possible from boot on, and empty.
case_windows_have_nodes() {
	need_file /sys/devices/system/node/possible "this kernel has no NUMA (CONFIG_NUMA)"
	need_facts
	fact WINDOWS
	windows=$fact
	fact CPU_NODES
	last=$((fact + windows - 1))
	read_value possible /sys/devices/system/node/possible
	expected=0
	if [ "$last" -gt 0 ]; then
		expected=0-$last
	fi
	expect_eq "$possible" "$expected" "possible nodes"
}

case_nothing_is_configured() {
	[ -n "$cxl_memdevs" ] || skip "this machine has no CXL memory device"
	for each in "$cxl"/region*; do
		[ ! -e "$each" ] || fail "${each##*/} is there before anyone made it"
	done
	for each in "$cxl"/port*/decoders_committed "$cxl"/endpoint*/decoders_committed; do
		expect_file "$each" 0
	done
	for each in "$cxl"/decoder*/dpa_size; do
		read_value size "$each"
		expect_eq $((size)) 0 "$each"
	done
}

check_cli() {
	fact "$1_SERIAL"
	object=${listed#*\"memdev\":\""$2"\"}
	expect_match "${object%%\}*}" "*\"serial\":$((fact))[!0-9]*" "cxl list on $2"
}

case_cxl_cli_lists_the_same() {
	need_program cxl
	[ -n "$cxl_memdevs" ] || skip "this machine has no CXL memory device"
	listed=$(cxl list -M)
	each_memdev check_cli
}

ktap_main "$@"
