# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Test modules (modules/*.c): what only the kernel can ask. Each has checks, run by name, that report in KTAP.
#
#	setup_program() { module_load nodealloc; }
#	case_x() { module_passes nodealloc pages "$node"; }

module_folder=${HARNESS_MODULES:-${0%/*}/../../modules}
module_debug=${HARNESS_DEBUGFS:-/sys/kernel/debug}

# module_load NAME: for setup_program; skip where it is missing, with the reason that the build left
module_load() {
	if [ -e "$module_folder/$1.missing" ]; then
		read_value module_value "$module_folder/$1.missing"
		skip "$module_value"
	fi
	need_file "$module_folder/$1.ko" "the test module $1 was not built for this kernel"
	need_program insmod
	insmod "$module_folder/$1.ko" || fail "insmod $1.ko failed"
	defer rmmod "$1"
	need_file "$module_debug/$1/run" "this kernel has no debugfs (CONFIG_DEBUG_FS)"
}

# module_run NAME CHECK ARG…: $module_report is its KTAP
module_run() {
	module_name=$1
	shift
	write_file "$*" "$module_debug/$module_name/run"
	module_read "$module_name" "$1"
}

# module_read NAME CHECK: judge the report of the check that ran last. $module_passed, $module_skipped and $module_wrong
# are how many lines said so; a plan that was not kept fails the case.
module_read() {
	module_passed=0 module_skipped=0 module_wrong=0 module_plan=
	module_report=$KTAP_TMP/$1.$2
	cat "$module_debug/$1/log" >"$module_report"
	while read -r module_line; do
		case $module_line in
		1..*) module_plan=${module_line#1..} ;;
		"not ok "*) module_wrong=$((module_wrong + 1)) ;;
		"ok "*"# SKIP"*) module_skipped=$((module_skipped + 1)) ;;
		"ok "*) module_passed=$((module_passed + 1)) ;;
		"# "*) note "${module_line#\# }" ;;
		esac
	done <"$module_report"
	module_sum=$((module_passed + module_skipped + module_wrong))
	[ "$module_plan" = "$module_sum" ] || {
		cat "$module_report"
		fail "$1 planned '$module_plan' results of $2 and gave $module_sum"
	}
	[ "$module_sum" -gt 0 ] || fail "$1 gave no results of $2"
}

# module_judge: what module_run found: nothing wrong, and something to be found
module_judge() {
	if [ "$module_wrong" -gt 0 ]; then
		grep '^not ok' "$module_report"
		fail "$module_wrong of $module_sum answers are wrong, the first: $(grep -m 1 '^not ok' "$module_report")"
	fi
	[ "$module_passed" -gt 0 ] || skip "nothing to judge: $(grep -m 1 '^ok' "$module_report")"
}

# module_passes NAME CHECK ARG…
module_passes() {
	module_run "$@"
	module_judge
}

# module_finds PATTERN NAME CHECK ARG…: the opposite, where there is something to be found
module_finds() {
	module_pattern=$1
	shift
	module_run "$@"
	grep -q -e "^not ok .*$module_pattern" "$module_report" || {
		cat "$module_report"
		fail "$2 found no '$module_pattern'"
	}
}
