# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# KTAP test programs in POSIX shell (busybox ash in the guest, dash or bash on a host).
#
#	#!/bin/sh
#	# SPDX-License-Identifier: GPL-2.0-only
#	# One line that says what this program tests.
#	. "${0%/*}/../lib/ktap.sh"
#
#	setup_program() {			# optional; runs once, before the first case
#		need_file /sys/bus/cxl/devices	# here: every case is skipped with that reason
#	}
#
#	case_region_appears() {			# a case; its name is region_appears
#		write_file region0 "$decoder/create_ram_region"
#		defer write_file region0 "$decoder/delete_region"
#		expect_file "$decoder/../region0/mode" ram
#	}
#
#	ktap_main "$@"
#
# `PROGRAM -l` lists the cases, one a line, without touching the system; `-t NAME` (repeatable) runs only those. Outside
# of functions a program only defines things. Exit status: 0 passed, 1 failed, 4 everything skipped, 2 wrong usage.
#
# A case runs in a subshell of its own, under `set -eu`: the first command that fails ends it, and it fails; so does an
# unset variable. It fails as well when it calls `exit`, when one of its clean-ups fails, and when it leaves state behind.
# What `set -e` cannot see, and a program must not lean on: a command in `if`, `while`, `!`, left of `&&` or `||` (and
# everything in a function called from there), all but the last of a pipe, and the command in `local x=$(command)` (write
# `local x; x=$(command)`). `[ a ] && b` as the last line of a function fails it when `a` is not so: write `if`. The
# expect_… helpers and `fail` do not depend on it: they fail the case from wherever they are called, a pipe, a condition
# or `$(…)` included.
#
# What a case prints (standard output and standard error) becomes diagnostics, shown before its result line; `note` shows
# at once. KTAP_TRACE=1 adds a trace of the commands. Environment: KTAP_PROGRAM (suite/program in the kernel log; default
# from the path), KTAP_KMSG (default /dev/kmsg), KTAP_TAINTED (default /proc/sys/kernel/tainted),
# TMPDIR.
#
# In a case:
#	note TEXT			a diagnostic line, at once
#	skip REASON			end the case as skipped
#	fail REASON			end the case as failed
#	xfail REASON			from here on a failure is expected (XFAIL), a pass is not (XPASS)
#	defer CMD [ARG…]		clean up after the case: last in, first out. One argument is shell code
#					(`defer "echo 0 >$file"`), several are a command with its arguments
#	expect_eq ACTUAL EXPECTED [WHAT], expect_ne …		strings
#	expect_lt A B [WHAT], expect_le, expect_gt, expect_ge	integers
#	expect_match TEXT PATTERN [WHAT]		a shell pattern, as in `case`
#	expect_file PATH CONTENT	the file's content (without trailing newlines)
#	expect_ok CMD…			it succeeds; its output is in $output
#	expect_fail CMD…		it fails (with whatever reason); its output is in $output
#	expect_errno ERRNO CMD…		it fails and says so: `expect_errno EBUSY write_file 1 "$file"`
#	expect_complaint PATTERN CMD…	a check that must fail, and say so
#	expect_splat REGEX		announce a kernel splat that this case provokes (extended regular expression on its title)
#	spoil REASON			this machine cannot be made as it was: the next case gets another. Nothing is cleaned
#					up any more, and what is left behind is no failure. A case that dies does the same.
#	wait_for SECONDS CMD…		poll until it succeeds; fails the case when it does not
#	write_file TEXT PATH		write to an existing file; the reason of a failure in words
#	read_value NAME PATH		the file's first line into a variable, without a process where that works
# In a case or in setup_program: need_file PATH [REASON], need_program NAME [REASON]: skip where it is missing.
# In setup_program: plan_skip_all REASON (skip does the same). What it defers runs after the last case.
# A program may define `state` (prints what must be the same after a case as before); it can call ktap_state in it.
# $KTAP_TMP is a folder for the program's files, gone at its end.

ktap_nl='
'

# ktap_emit TEXT: to the real standard output, in one write
ktap_emit() {
	printf '%s\n' "$1" >&3
}

# ktap_comment TEXT: each line of it as a diagnostic line
ktap_comment() {
	ktap_text=$1 ktap_lines=
	while :; do
		case $ktap_text in
		*"$ktap_nl"*)
			ktap_lines="$ktap_lines# ${ktap_text%%"$ktap_nl"*}$ktap_nl"
			ktap_text=${ktap_text#*"$ktap_nl"}
			;;
		*)
			ktap_lines="$ktap_lines# $ktap_text"
			break
			;;
		esac
	done
	ktap_emit "$ktap_lines"
}

note() {
	ktap_comment "$*"
}

# ktap_end KIND REASON: note the outcome where no subshell can lose it, and leave the (sub)shell
ktap_end() {
	printf '%s\n' "$2" >>"$KTAP_TMP/$1"
	exit 1
}

fail() {
	ktap_end failed "${*:-no reason given}"
}

skip() {
	ktap_end skipped "${*:-no reason given}"
}

plan_skip_all() {
	skip "$@"
}

xfail() {
	printf '%s\n' "${*:-no reason given}" >>"$KTAP_TMP/xfail"
}

need_file() {
	[ -e "$1" ] || skip "${2:-$1 is not there}"
}

need_program() {
	command -v "$1" >/dev/null 2>&1 || skip "${2:-the program $1 is not installed}"
}

# ktap_quote TEXT: $ktap_quoted is TEXT as one shell word
ktap_quote() {
	ktap_rest=$1 ktap_quoted=
	while :; do
		case $ktap_rest in
		*\'*)
			ktap_quoted="$ktap_quoted${ktap_rest%%\'*}'\\''"
			ktap_rest=${ktap_rest#*\'}
			;;
		*)
			ktap_quoted="'$ktap_quoted$ktap_rest'"
			return 0
			;;
		esac
	done
}

defer() {
	ktap_command=$1
	if [ $# -gt 1 ]; then
		ktap_command=
		for ktap_word in "$@"; do
			ktap_quote "$ktap_word"
			ktap_command="$ktap_command$ktap_quoted "
		done
	fi
	ktap_deferred=$((ktap_deferred + 1))
	eval "ktap_deferred_$ktap_deferred=\$ktap_command"
}

# ktap_clean_up: run what was deferred, last first, each in a subshell; all of them, whatever fails
ktap_clean_up() {
	while [ "$ktap_deferred" -gt 0 ]; do
		eval "ktap_command=\$ktap_deferred_$ktap_deferred"
		ktap_deferred=$((ktap_deferred - 1))
		(
			trap - EXIT
			set -eu
			eval "$ktap_command"
		)
		ktap_status=$?
		if [ "$ktap_status" -ne 0 ]; then
			printf '%s\n' "clean-up failed with status $ktap_status: $ktap_command" >>"$KTAP_TMP/failed"
		fi
	done
}

expect_eq() {
	[ "$1" = "$2" ] || fail "${3:-value} is '$1', expected '$2'"
}

expect_ne() {
	[ "$1" != "$2" ] || fail "${3:-value} is '$1', expected anything else"
}

# ktap_compare A OPERATOR B WORDS WHAT
ktap_compare() {
	ktap_status=0
	# shellcheck disable=SC2319 # 1 is "no", 2 is "not a number"
	test "$1" "$2" "$3" || ktap_status=$?
	[ "$ktap_status" -le 1 ] || fail "$5: '$1' or '$3' is not a number"
	[ "$ktap_status" -eq 0 ] || fail "$5 is $1, expected $4 $3"
}

expect_lt() {
	ktap_compare "$1" -lt "$2" "less than" "${3:-value}"
}

expect_le() {
	ktap_compare "$1" -le "$2" "at most" "${3:-value}"
}

expect_gt() {
	ktap_compare "$1" -gt "$2" "more than" "${3:-value}"
}

expect_ge() {
	ktap_compare "$1" -ge "$2" "at least" "${3:-value}"
}

expect_match() {
	# shellcheck disable=SC2254 # the pattern is meant as one
	case $1 in
	$2) ;;
	*) fail "${3:-value} is '$1', expected to match '$2'" ;;
	esac
}

expect_file() {
	[ -e "$1" ] || fail "$1 is not there"
	ktap_content=$(cat "$1") || fail "$1 cannot be read"
	[ "$ktap_content" = "$2" ] || fail "$1 reads '$ktap_content', expected '$2'"
}

expect_ok() {
	ktap_status=0
	output=$("$@" 2>&1) || ktap_status=$?
	[ "$ktap_status" -eq 0 ] || fail "'$*' failed with status $ktap_status: $output"
}

expect_fail() {
	ktap_status=0
	output=$("$@" 2>&1) || ktap_status=$?
	[ "$ktap_status" -ne 0 ] || fail "'$*' succeeded, expected a failure"
	[ "$ktap_status" -lt 126 ] || fail "'$*' could not run or died: status $ktap_status: $output"
}

expect_errno() {
	case $1 in
	E2BIG) ktap_words='Argument list too long' ;;
	EACCES) ktap_words='Permission denied' ;;
	EAGAIN) ktap_words='Resource temporarily unavailable' ;;
	EBADF) ktap_words='Bad file descriptor' ;;
	EBUSY) ktap_words='Device or resource busy' ;;
	EEXIST) ktap_words='File exists' ;;
	EFAULT) ktap_words='Bad address' ;;
	EFBIG) ktap_words='File too large' ;;
	EINVAL) ktap_words='Invalid argument' ;;
	EIO) ktap_words='Input/output error' ;;
	ENODEV) ktap_words='No such device' ;;
	ENOENT) ktap_words='No such file or directory' ;;
	ENOMEM) ktap_words='Cannot allocate memory' ;;
	ENOSPC) ktap_words='No space left on device' ;;
	ENOTDIR) ktap_words='Not a directory' ;;
	ENOTEMPTY) ktap_words='Directory not empty' ;;
	ENXIO) ktap_words='No such device or address' ;;
	EOPNOTSUPP) ktap_words='Operation not supported' ;;
	EPERM) ktap_words='Operation not permitted' ;;
	ERANGE) ktap_words='Numerical result out of range' ;;
	EROFS) ktap_words='Read-only file system' ;;
	*) fail "expect_errno does not know $1" ;;
	esac
	ktap_errno=$1
	shift
	expect_fail "$@"
	case "$output " in
	*"$ktap_words or address"*) [ "$ktap_errno" = ENXIO ] || fail "'$*' failed with ENXIO, expected $ktap_errno" ;;
	*"$ktap_words"*) ;;
	*) fail "'$*' failed with '$output', expected $ktap_errno ($ktap_words)" ;;
	esac
}

expect_complaint() {
	complaint_pattern=$1
	shift
	complaint_tmp=$KTAP_TMP
	KTAP_TMP=$KTAP_TMP/complaint
	rm -rf "$KTAP_TMP"
	mkdir "$KTAP_TMP"
	("$@") || :
	complaint=$(cat "$KTAP_TMP/failed" 2>/dev/null) || :
	KTAP_TMP=$complaint_tmp
	[ -n "$complaint" ] || fail "'$*' has nothing to complain of"
	expect_match "$complaint" "$complaint_pattern"
}

expect_splat() {
	ktap_comment "expect-splat: $1"
	printf '<3>harness: case expects %s %s\n' "$ktap_program:$ktap_case" "$1" 2>/dev/null >>"$ktap_kmsg" || :
}

spoil() {
	echo "$*" >>"$KTAP_TMP/spoilt"
	ktap_comment "spoilt: $*"
}

wait_for() {
	ktap_limit=$1
	shift
	ktap_read_uptime
	ktap_until=$((ktap_uptime + ktap_limit * 100))
	while ! "$@"; do
		ktap_read_uptime
		[ "$ktap_uptime" -lt "$ktap_until" ] || fail "'$*' did not come true within $ktap_limit s"
		sleep 0.05
	done
}

# ktap_read_uptime: $ktap_uptime in hundredths of a second
ktap_read_uptime() {
	read -r ktap_uptime _ </proc/uptime
	ktap_uptime=${ktap_uptime%.*}${ktap_uptime#*.}
}

# dash's own echo does not say the reason of a failed write, echo the program does
if [ -n "${BB_ASH_VERSION:-}${BASH_VERSION:-}" ]; then
	ktap_echo() { echo "$@"; }
else
	ktap_echo() { env echo "$@"; }
fi

write_file() {
	if ! [ -e "$2" ]; then
		echo "$2: No such file or directory" >&2
		return 1
	fi
	ktap_echo "$1" >"$2"
}

read_value() {
	case $2 in
	/proc/sys/*) # `read` asks byte by byte, and a number there answers one request only
		ktap_content=$(cat "$2") || fail "$2 cannot be read"
		eval "$1=\${ktap_content%%\"\$ktap_nl\"*}"
		return 0
		;;
	esac
	if ! read -r "$1" <"$2" && eval "[ -z \"\$$1\" ]"; then
		[ -r "$2" ] || fail "$2 cannot be read"
	fi
}

# ktap_state: what a case must leave as it found it. Names by globbing, contents by one process. The mode of a decoder
# is not among it: it cannot be set back to none (mode_store() in drivers/cxl/core/port.c takes ram and pmem only).
ktap_state() {
	echo "cxl:" /sys/bus/cxl/devices/region* /sys/bus/dax/devices/*
	echo "cgroups:" /sys/fs/cgroup/*/ /sys/fs/cgroup/*/*/
	grep -s '' /proc/swaps /proc/mounts /sys/devices/system/node/online /sys/devices/system/node/has_* \
		/sys/devices/system/memory/memory*/state /sys/devices/system/cpu/online \
		/sys/bus/cxl/devices/decoder*/dpa_size \
		/sys/module/zswap/parameters/* /sys/kernel/mm/numa/demotion_enabled \
		/sys/kernel/mm/transparent_hugepage/enabled /proc/sys/kernel/numa_balancing \
		/proc/sys/vm/nr_hugepages /proc/sys/vm/overcommit_memory /proc/sys/vm/swappiness
	return 0
}

state() {
	ktap_state
}

# ktap_snapshot: $ktap_now is the state, without the "Used" column of /proc/swaps, which is not a case's to restore
ktap_snapshot() {
	ktap_now=$(state 2>/dev/null | sed 's#^\(/proc/swaps:.*[ 	]\)[0-9][0-9]*\([ 	][ 	]*-*[0-9]*\)$#\1used\2#')
}

# ktap_left_behind BEFORE: whether state differs from BEFORE for longer than a second; $ktap_diff says how
ktap_left_behind() {
	for _ in 1 2 3 4 5; do
		ktap_snapshot
		[ "$ktap_now" != "$1" ] || return 1
		sleep 0.2
	done
	printf '%s\n' "$1" >"$KTAP_TMP/before"
	printf '%s\n' "$ktap_now" >"$KTAP_TMP/after"
	ktap_diff=$(diff "$KTAP_TMP/before" "$KTAP_TMP/after" | grep '^[-+<>]')
	return 0
}

# ktap_read_taint: $ktap_taint; `read` gets one digit of a file in /proc/sys, enough to tell that there is no taint
ktap_read_taint() {
	ktap_taint=
	# shellcheck disable=SC2034 # it is read
	read -r ktap_taint 2>/dev/null <"$ktap_tainted" || :
	[ "$ktap_taint" = 0 ] || ktap_taint=$(cat "$ktap_tainted" 2>/dev/null)
}

# ktap_mark begin|end: where the case begins and ends in the kernel's log, and what the kernel is tainted with there
ktap_mark() {
	ktap_read_taint
	printf '<3>harness: case %s %s%s\n' "$1" "$ktap_program:$ktap_case" "${ktap_taint:+ taint=$ktap_taint}" \
		2>/dev/null >>"$ktap_kmsg" || :
}

# ktap_show_output: what the case printed, as diagnostics, the last 200 lines of it
ktap_show_output() {
	[ -s "$KTAP_TMP/output" ] || return 0
	tail -n 200 "$KTAP_TMP/output" | cut -c 1-1900 | sed 's/^/# /' >&3
	: >"$KTAP_TMP/output"
}

# ktap_reason FILE: $ktap_why is its lines, joined
ktap_reason() {
	ktap_why=
	while read -r ktap_line || [ -n "$ktap_line" ]; do
		ktap_why="$ktap_why${ktap_why:+; }$ktap_line"
	done <"$KTAP_TMP/$1"
	case $ktap_why in
	*'#'*) # a hash sign would begin a directive
		ktap_why=$(printf '%s' "$ktap_why" | tr '#' '%')
		;;
	esac
}

# ktap_finish STATUS: the end of a case, in its subshell: clean up, compare, report, exit 0, 1 or 4
ktap_finish() {
	trap - EXIT
	trap '' TERM INT HUP
	set +eux
	if [ -e "$KTAP_TMP/failed" ] || [ -e "$KTAP_TMP/skipped" ]; then
		:
	elif [ "$1" -ne 0 ]; then
		echo "a command failed with status $1" >"$KTAP_TMP/failed"
	elif [ -z "$ktap_returned" ]; then
		echo "the case called exit" >"$KTAP_TMP/failed"
	fi
	if ! [ -e "$KTAP_TMP/spoilt" ]; then
		ktap_clean_up
		if ktap_left_behind "$ktap_before"; then
			ktap_comment "left behind (< before, > after):$ktap_nl$ktap_diff"
			echo "the case left state behind" >>"$KTAP_TMP/failed"
		fi
	fi
	ktap_show_output
	ktap_mark end
	if [ -e "$KTAP_TMP/failed" ]; then
		ktap_reason failed
		ktap_failure=$ktap_why
		if [ -e "$KTAP_TMP/xfail" ]; then
			ktap_reason xfail
			ktap_comment "failed as expected: $ktap_failure"
			ktap_emit "ok $ktap_number $ktap_case # XFAIL $ktap_why"
			exit 0
		fi
		ktap_comment "$ktap_failure"
		ktap_emit "not ok $ktap_number $ktap_case"
		exit 1
	elif [ -e "$KTAP_TMP/skipped" ]; then
		ktap_reason skipped
		ktap_emit "ok $ktap_number $ktap_case # SKIP $ktap_why"
		exit 4
	elif [ -e "$KTAP_TMP/xfail" ]; then
		ktap_reason xfail
		ktap_emit "not ok $ktap_number $ktap_case # XPASS expected to fail: $ktap_why"
		exit 1
	fi
	ktap_emit "ok $ktap_number $ktap_case"
	exit 0
}

# ktap_run_case: in a subshell that the caller has in the background, so that a signal reaches it at once
ktap_run_case() {
	ktap_deferred=0 ktap_returned=
	trap 'ktap_finish $?' EXIT
	trap 'echo "ended by a signal" >>"$KTAP_TMP/failed"; exit 143' TERM INT HUP
	set -eu
	if [ -n "${KTAP_TRACE:-}" ]; then
		set -x
	fi
	"case_$ktap_case"
	ktap_returned=yes
	exit 0
}

# ktap_stop: a signal to the program: end the case (its clean-ups run), then the program
ktap_stop() {
	trap '' TERM INT HUP
	if [ -n "$ktap_child" ]; then
		kill -TERM "$ktap_child" 2>/dev/null
		wait "$ktap_child"
	fi
	exit 143
}

# ktap_report_all RESULT REASON: one line for every selected case; the mark says how far the kernel's log belongs to them
ktap_report_all() {
	ktap_number=0
	ktap_case=${ktap_selected##* }
	ktap_mark end
	for ktap_case in $ktap_selected; do
		ktap_number=$((ktap_number + 1))
		case $1 in
		ok) ktap_emit "ok $ktap_number $ktap_case # SKIP $2" ;;
		*)
			ktap_comment "$2"
			ktap_emit "not ok $ktap_number $ktap_case"
			;;
		esac
	done
}

# ktap_leave STATUS: the end of the program, however it comes
ktap_leave() {
	trap - EXIT
	trap '' TERM INT HUP
	set +eux
	ktap_exit=$1
	if [ "$ktap_phase" = setup ]; then
		if [ -e "$KTAP_TMP/failed" ]; then
			ktap_exit=1
			ktap_reason failed
			ktap_show_output
			ktap_report_all "not ok" "setup_program failed: $ktap_why"
		elif [ -e "$KTAP_TMP/skipped" ]; then
			ktap_exit=4
			ktap_reason skipped
			ktap_show_output
			ktap_report_all ok "$ktap_why"
		else
			ktap_show_output
			ktap_report_all "not ok" "setup_program failed: a command failed with status $1"
			ktap_exit=1
		fi
	fi
	rm -f "$KTAP_TMP/failed"
	ktap_clean_up >>"$KTAP_TMP/output" 2>&1
	if [ -e "$KTAP_TMP/failed" ]; then
		ktap_show_output
		ktap_reason failed
		ktap_comment "the program failed: $ktap_why"
		ktap_exit=1
	fi
	rm -rf "$KTAP_TMP"
	exit "$ktap_exit"
}

ktap_usage() {
	echo "usage: ${0##*/} [-l] [-t CASE]…" >&2
	exit 2
}

# ktap_select ARGUMENTS: $ktap_selected are the cases to run, in the order of the file
ktap_select() {
	ktap_cases=$(sed -n 's/^case_\([A-Za-z0-9_]\{1,\}\)[ 	]*().*/\1/p' "$0")
	ktap_wanted=
	while [ $# -gt 0 ]; do
		case $1 in
		-l)
			printf '%s\n' "$ktap_cases"
			exit 0
			;;
		-t)
			[ $# -ge 2 ] || ktap_usage
			case "$ktap_nl$ktap_cases$ktap_nl" in
			*"$ktap_nl$2$ktap_nl"*) ktap_wanted="$ktap_wanted $2" ;;
			*)
				echo "${0##*/}: no case '$2'; -l lists them" >&2
				exit 2
				;;
			esac
			shift 2
			;;
		*) ktap_usage ;;
		esac
	done
	ktap_selected=
	ktap_count=0
	for ktap_case in $ktap_cases; do
		case "$ktap_wanted " in
		" " | *" $ktap_case "*)
			ktap_selected="$ktap_selected $ktap_case"
			ktap_count=$((ktap_count + 1))
			;;
		esac
	done
	if [ "$ktap_count" -eq 0 ]; then
		echo "${0##*/}: defines no case" >&2
		exit 2
	fi
}

ktap_name_program() {
	ktap_program=${KTAP_PROGRAM:-}
	[ -z "$ktap_program" ] || return 0
	ktap_folder=${0%/*}
	[ "$ktap_folder" != "$0" ] && [ "$ktap_folder" != . ] || ktap_folder=$PWD
	ktap_program=${0##*/}
	ktap_program=${ktap_folder##*/}/${ktap_program%.sh}
}

ktap_main() {
	ktap_select "$@"
	ktap_name_program
	ktap_kmsg=${KTAP_KMSG:-/dev/kmsg}
	[ -w "$ktap_kmsg" ] || ktap_kmsg=/dev/null
	ktap_tainted=${KTAP_TAINTED:-/proc/sys/kernel/tainted}
	umask 077
	KTAP_TMP=${TMPDIR:-/tmp}/ktap.$$
	mkdir "$KTAP_TMP" || exit 1
	ktap_deferred=0 ktap_child='' ktap_phase=setup ktap_case=setup_program
	exec 3>&1 1>>"$KTAP_TMP/output" 2>&1 </dev/null
	ktap_emit "KTAP version 1$ktap_nl""1..$ktap_count"
	trap 'ktap_leave $?' EXIT
	trap ktap_stop TERM INT HUP
	if command -v setup_program >/dev/null 2>&1; then
		set -eu
		setup_program
		set +eu
		ktap_show_output
	fi
	ktap_phase=cases ktap_number=0 ktap_skips=0 ktap_result=0
	ktap_snapshot
	ktap_before=$ktap_now
	for ktap_case in $ktap_selected; do
		ktap_number=$((ktap_number + 1))
		rm -f "$KTAP_TMP/failed" "$KTAP_TMP/skipped" "$KTAP_TMP/xfail" "$KTAP_TMP/spoilt"
		ktap_mark begin
		ktap_run_case >>"$KTAP_TMP/output" 2>&1 &
		ktap_child=$!
		wait "$ktap_child"
		ktap_status=$?
		ktap_child=
		case $ktap_status in
		0) ;;
		4) ktap_skips=$((ktap_skips + 1)) ;;
		1) ktap_result=1 ;;
		*) # it died before it could report
			ktap_result=1
			ktap_show_output
			ktap_mark end
			ktap_comment "spoilt: clean-ups of a case that died"
			ktap_comment "the case died with status $ktap_status, its clean-ups did not run"
			ktap_emit "not ok $ktap_number $ktap_case"
			;;
		esac
		if [ "$ktap_status" -ne 0 ] || [ -e "$KTAP_TMP/spoilt" ]; then
			ktap_snapshot # what a failed case left behind is not the next one's
			ktap_before=$ktap_now
		fi
	done
	if [ "$ktap_result" -eq 0 ] && [ "$ktap_skips" -eq "$ktap_count" ]; then
		ktap_result=4
	fi
	exit "$ktap_result"
}
