#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# RAM regions by the commands that people use, cxl and daxctl, agreeing with sysfs at each step.
. "${0%/*}/../lib/ktap.sh"
. "${0%/*}/../lib/cxl.sh"
. "${0%/*}/../lib/node.sh"

setup_program() {
	need_program cxl
	need_program daxctl
	need_cxl
	need_devices ram 1
	memdev=$chosen
	need_file /sys/bus/dax/drivers/kmem "this kernel cannot use dax memory as system RAM (CONFIG_DEV_DAX_KMEM)"
}

# created: $region made by cxl, deleted with the case
created() {
	expect_ok cxl create-region -m -t ram -d "$root" -w 1 -s 256M "$memdev"
	region=${output#*\"region\":\"}
	region=${region%%\"*}
	defer cli_delete "$region"
	cxl_settle "$region"
	cxl_dax "$region"
}

cli_delete() {
	[ -e "$cxl/$1" ] || return 0
	cxl_offline "$1"
	cxl destroy-region -f "$1"
}

case_create_and_destroy() {
	created
	expect_file "$cxl/$region/mode" ram
	expect_file "$cxl/$region/commit" 1
	read_value size "$cxl/$region/size"
	expect_eq $((size)) "$cxl_unit" "size of $region"
	[ "$cxl/$region/driver" -ef /sys/bus/cxl/drivers/cxl_region ] || fail "$region is not bound"
	expect_ok cxl list -r "$region"
	expect_match "$output" "*\"region\":\"$region\"*\"type\":\"ram\"*"
	expect_ok cxl destroy-region -f "$region"
	[ ! -e "$cxl/$region" ] || fail "$region is still there"
	cxl_free_decoder "$memdev"
	expect_eq "${decoder##*.}" 0 "first decoder without capacity"
}

case_online_and_offline() {
	created
	expect_ok daxctl online-memory "$dax"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" $((cxl_unit / 1024)) "KiB of node $node"
	expect_ok daxctl list -d "$dax"
	expect_match "$output" "*\"mode\":\"system-ram\"*\"movable\":true*"
	expect_fail cxl destroy-region "$region" # active
	[ -e "$cxl/$region" ] || fail "$region went while its memory was online"
	expect_ok daxctl offline-memory "$dax"
	node_meminfo "$node" MemTotal
	expect_eq "$kib" 0 "KiB of node $node"
}

case_refusals() {
	expect_fail cxl create-region -m -t ram -d "$root" -w 1 -s 100M "$memdev"
	expect_fail cxl create-region -m -t ram -d "$root" -w 1 -s 256M mem4711
	expect_fail cxl create-region -m -t ram -d decoder0.4711 -w 1 -s 256M "$memdev"
	expect_ok cxl list -R
	for each in "$cxl"/region*; do
		[ ! -e "$each" ] || fail "${each##*/} was left by a refused command"
	done
}

ktap_main "$@"
