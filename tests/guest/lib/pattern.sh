# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# A process with pages of known content that lives while a case goes on, and does what it is told (helpers/pattern.c).
#
#	pattern_start -s 4M -n 1	begin; ends with the case. $pattern_pid
#	ask fill			one command of pattern; its answer, a line, is in $answer
#	pattern_stop			end it now
#
# Several at a time: `pattern_name=two pattern_start …`, then `pattern_name=two; ask …`. The default name is "one".

pattern_name=one

pattern_start() {
	need_program pattern
	pattern_count=$((${pattern_count:-0} + 1))
	pattern_base=$KTAP_TMP/pattern.${ktap_case:-program}.$pattern_count
	mkfifo "$pattern_base.ask"
	: >"$pattern_base.answer"
	pattern "$@" - <"$pattern_base.ask" >"$pattern_base.answer" 2>"$pattern_base.error" &
	pattern_pid=$!
	eval "pattern_${pattern_name}_pid=$! pattern_${pattern_name}_base=\$pattern_base pattern_${pattern_name}_asked=0"
	# opened for both ends: writing to a program that ended must be an answer that never comes, not a signal
	pattern_hold "$pattern_name"
	defer pattern_end $!
	ask sleep 0 # what it was told to be (of a group, of a policy) it is once it answers
}

# a descriptor of its own for each name, as a shell has few
pattern_hold() {
	case $1 in
	one) exec 4<>"$pattern_base.ask" ;;
	two) exec 5<>"$pattern_base.ask" ;;
	three) exec 6<>"$pattern_base.ask" ;;
	four) exec 7<>"$pattern_base.ask" ;;
	*) fail "pattern_name may be one, two, three or four" ;;
	esac
}

pattern_say() {
	case $pattern_name in
	one) echo "$*" >&4 ;;
	two) echo "$*" >&5 ;;
	three) echo "$*" >&6 ;;
	four) echo "$*" >&7 ;;
	esac
}

pattern_end() {
	kill -KILL "$1" 2>/dev/null || :
	# a clean-up is another shell than the one that started it: wait by looking
	pattern_tries=0
	while pattern_lives "$1" && [ "$pattern_tries" -lt 200 ]; do
		sleep 0.02
		pattern_tries=$((pattern_tries + 1))
	done
}

# pattern_lives PID: it runs, and is not a zombie either
pattern_lives() {
	read -r _ _ pattern_state _ 2>/dev/null <"/proc/$1/stat" || return 1
	[ "$pattern_state" != Z ]
}

# tell COMMAND…: as ask, without waiting for the answer; `answer` waits for it
tell() {
	pattern_say "$*"
	eval "pattern_${pattern_name}_asked=\$((pattern_${pattern_name}_asked + 1))"
}

answer() {
	eval "pattern_base=\$pattern_${pattern_name}_base pattern_asked=\$pattern_${pattern_name}_asked \
		pattern_pid=\$pattern_${pattern_name}_pid"
	pattern_waited=0
	until pattern_answered; do
		if ! pattern_lives "$pattern_pid" && ! pattern_answered; then
			fail "pattern ended before it answered: $(cat "$pattern_base.error" "$pattern_base.answer")"
		fi
		pattern_waited=$((pattern_waited + 1))
		[ "$pattern_waited" -lt 3000 ] || fail "pattern did not answer within a minute"
		sleep 0.02
	done
}

ask() {
	tell "$@"
	answer
}

pattern_answered() {
	pattern_lines=0 answer=
	while read -r pattern_line; do
		pattern_lines=$((pattern_lines + 1))
		answer=$pattern_line
	done <"$pattern_base.answer"
	[ "$pattern_lines" -ge "$pattern_asked" ]
}

pattern_stop() {
	pattern_say quit
	eval "pattern_pid=\$pattern_${pattern_name}_pid pattern_base=\$pattern_${pattern_name}_base"
	pattern_status=0
	wait "$pattern_pid" || pattern_status=$?
	[ "$pattern_status" -eq 0 ] || fail "pattern ended with $pattern_status: $(cat "$pattern_base.error")"
}
