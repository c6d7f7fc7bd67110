# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Steps of a sequence that the lifecycle suite plays, and what can be seen after each. The same text runs in the shell
# that the suite talks to and at the head of the scripts that it writes, so that both do the same. Builtins where they
# do: under emulation a process costs more than all files of a region.
#
#	attempt PATH VALUE	write it; $outcome is "done" or the errno's name
#	answer COMMAND…		run it; $outcome is the last word that it says, on either output
#	task N start OPTIONS…	a process with pages of known content (helpers/pattern.c); N is 1 or 2; $outcome
#	task N fill|pageout|verify|drop	its answer is $outcome
#	task N end
#	mems N LIST		$outcome is the Mems_allowed_list of task N, once it is LIST, or after five seconds
#	adds_up NODE…		$outcome is where zswap's pages are: empty (nowhere), direct (all on these nodes), software
#				(none there), mixed, or "wrong …": a page is on the nodes that zswap does not have
#	unplug MEMDEV		in scripts, where nobody takes it out: its PCI device is removed
#	whole			what a sequence must leave as it was, beside the files that it looks at after each step
#	look PATH…		a line for each that is there: PATH=first line
#	try WANTED …		in scripts: one of those above; says so where $outcome is not one of WANTED (a|b, * for any,
#				refused for anything but done)
#	expect WANTED PATH	in scripts: what is read there, "-" where it is not there
#	as_before		in scripts: whole says what it said at the begin ("$steps_tmp/whole")
#	quiet TITLE		in scripts: the kernel has logged no splat since the begin
#	ended			in scripts: exit status 0 all was as wanted, 1 it was not

steps_tmp=${TMPDIR:-/tmp}/steps.$$
mkdir -p "$steps_tmp"
steps_wrong=0 steps_pid_1='' steps_pid_2=''

# dash's own echo does not say the reason of a failed write, echo the program does
if [ -n "${BB_ASH_VERSION:-}${BASH_VERSION:-}" ]; then
	steps_echo() { echo "$@"; }
else
	steps_echo() { env echo "$@"; }
fi

attempt() {
	if [ ! -e "$1" ]; then
		outcome=ENOENT
	elif { steps_echo "$2" >"$1"; } 2>"$steps_tmp/error"; then
		outcome='done'
	else
		read -r steps_error <"$steps_tmp/error" || :
		steps_errno "$steps_error"
	fi
}

# steps_errno TEXT: $outcome
steps_errno() {
	case $1 in
	*'Invalid argument'*) outcome=EINVAL ;;
	*'resource busy'*) outcome=EBUSY ;;
	*'No such device or address'*) outcome=ENXIO ;;
	*'No such device'*) outcome=ENODEV ;;
	*'No such file'* | *'nonexistent directory'*) outcome=ENOENT ;;
	*'No space left'*) outcome=ENOSPC ;;
	*'Cannot allocate'* | *'out of memory'*) outcome=ENOMEM ;;
	*'File exists'*) outcome=EEXIST ;;
	*'ermission denied'*) outcome=EACCES ;;
	*'not permitted'*) outcome=EPERM ;;
	*'temporarily unavailable'*) outcome=EAGAIN ;;
	*'nterrupted'*) outcome=EINTR ;;
	*'out of range'*) outcome=ERANGE ;;
	*'nput/output error'* | *'I/O error'*) outcome=EIO ;;
	*) outcome="error: $1" ;;
	esac
}

answer() {
	if "$@" >"$steps_tmp/output" 2>&1; then
		outcome='done'
	else
		read -r outcome <"$steps_tmp/output" || :
		case $outcome in
		E[A-Z0-9]*) ;;
		*) steps_errno "$outcome" ;;
		esac
	fi
}

task() {
	steps_number=$1 steps_verb=$2
	shift 2
	case $steps_verb in
	start) steps_start "$@" ;;
	end)
		eval "steps_pid=\$steps_pid_$steps_number steps_pid_$steps_number="
		if [ -n "$steps_pid" ]; then
			kill -KILL "$steps_pid"
			wait "$steps_pid" 2>/dev/null
		fi
		outcome='done'
		;;
	*)
		if [ "$steps_number" -eq 1 ]; then
			echo "$steps_verb" >&4
			read -r outcome <&5
		else
			echo "$steps_verb" >&6
			read -r outcome <&7
		fi
		;;
	esac
}

# both fifos are opened for reading and writing, so that no side waits for the other to open it
steps_start() {
	steps_fifo=$steps_tmp/task$steps_number
	rm -f "$steps_fifo.ask" "$steps_fifo.answer"
	mkfifo "$steps_fifo.ask" "$steps_fifo.answer"
	if [ "$steps_number" -eq 1 ]; then
		exec 4<>"$steps_fifo.ask" 5<>"$steps_fifo.answer"
	else
		exec 6<>"$steps_fifo.ask" 7<>"$steps_fifo.answer"
	fi
	# what it says when it fails is an answer, too
	pattern "$@" - <"$steps_fifo.ask" >"$steps_fifo.answer" 2>&1 4>&- 5>&- 6>&- 7>&- &
	eval "steps_pid_$steps_number=$!"
	task "$steps_number" resident
	case $outcome in
	resident*) outcome='done' ;;
	esac
}

mems() {
	eval "steps_pid=\$steps_pid_$1"
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
		outcome='no such process'
		[ -e "/proc/$steps_pid/status" ] || return 0
		while read -r steps_key steps_value; do
			[ "$steps_key" != Mems_allowed_list: ] || outcome=$steps_value
		done <"/proc/$steps_pid/status"
		[ "$outcome" != "$2" ] || return 0
		sleep 0.2
	done
}

adds_up() {
	steps_used=0
	for steps_line in $(nodeused "$@"); do
		case $steps_line in
		used=*) steps_used=$((steps_used + ${steps_line#used=})) ;;
		esac
	done
	read -r steps_stored </sys/kernel/debug/zswap/stored_pages
	read -r steps_pool </sys/kernel/debug/zswap/pool_total_size
	if [ "$steps_used" -gt "$steps_stored" ]; then
		outcome="wrong used=$steps_used stored=$steps_stored pool=$steps_pool"
	elif [ "$steps_stored" -eq 0 ]; then
		outcome=empty
	elif [ "$steps_used" -eq 0 ]; then
		outcome=software
	elif [ "$steps_used" -eq "$steps_stored" ]; then
		outcome=direct
	else
		outcome=mixed
	fi
}

unplug() {
	steps_device=$(readlink -f "/sys/bus/cxl/devices/$1/../remove")
	attempt "$steps_device" 1
}

look() {
	for steps_each in "$@"; do
		[ -e "$steps_each" ] || continue
		steps_value=
		read -r steps_value 2>/dev/null <"$steps_each" || :
		echo "$steps_each=$steps_value"
	done
}

whole() {
	sed 's/^/whole: /' /proc/iomem /proc/swaps
	grep -s '' /sys/bus/cxl/devices/*/decoders_committed | sed 's/^/whole: /'
	echo "whole: $(grep MemTotal /proc/meminfo)"
	echo "whole:" /sys/bus/dax/devices/* /sys/fs/cgroup/*/
}

steps_note() {
	echo "# $*"
}

steps_wanted() {
	case "|$1|" in
	*"|$2|"* | '|*|') return 0 ;;
	'|refused|') [ "$2" != 'done' ] && return 0 ;;
	esac
	return 1
}

try() {
	steps_want=$1
	shift
	steps_words=$*
	"$@"
	if steps_wanted "$steps_want" "$outcome"; then
		steps_note "$steps_words: $outcome"
	else
		echo "WRONG: $steps_words: $outcome, expected $steps_want"
		steps_wrong=1
	fi
}

# what follows a step late, as cpusets do, has five seconds
expect() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
		steps_value=-
		if [ -e "$2" ]; then
			steps_value=
			read -r steps_value 2>/dev/null <"$2" || :
		fi
		if steps_wanted "$1" "$steps_value"; then
			steps_note "$2 reads '$steps_value'"
			return 0
		fi
		sleep 0.2
	done
	echo "WRONG: $2 reads '$steps_value', expected '$1'"
	steps_wrong=1
}

as_before() {
	whole >"$steps_tmp/now"
	if ! diff "$steps_tmp/whole" "$steps_tmp/now"; then
		echo "WRONG: something is left behind (< before, > now)"
		steps_wrong=1
	fi
}

quiet() {
	sleep 1
	if dmesg | sed -n "/steps: begin $$\$/,\$p" | grep -E \
		'cut here|WARNING:|BUG:|BUG |KASAN|KFENCE|UBSAN|Oops|general protection|Bad page|refcount_t|INFO: task|possible circular|unreferenced object'; then
		echo "WRONG: the kernel has logged a splat (${1:-any})"
		steps_wrong=1
	fi
}

ended() {
	task 1 end
	task 2 end
	rm -rf "$steps_tmp"
	if [ "$steps_wrong" -ne 0 ]; then
		echo "not ok: it is reproduced"
		exit 1
	fi
	echo "ok: all is as it should be"
	exit 0
}
