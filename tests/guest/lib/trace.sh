# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Trace events of CXL (drivers/cxl/core/trace.h), in a buffer of the program's own.
#
#	trace_clear			forget what there is
#	trace_wait COUNT EVENT		wait until there are COUNT of them; more fail. They are in $KTAP_TMP/events.
#	trace_read EVENT		those there are now: $events, how many, and $KTAP_TMP/events
#	event_at NUMBER, event_with TEXT	$event is that one, or the only one that has the text
#	expect_fields NAME VALUE…	of $event, as it is printed: without its quotes

tracing=/sys/kernel/tracing

# trace_setup EVENT…: for setup_program; skips where the kernel does not have them
trace_setup() {
	need_file "$tracing/events" "this kernel has no trace events (CONFIG_ENABLE_DEFAULT_TRACERS or another tracer)"
	for trace_event in "$@"; do
		need_file "$tracing/events/cxl/$trace_event" "this kernel has no trace event $trace_event"
	done
	need_file "$tracing/instances" "this kernel has no trace buffers beside its own"
	trace=$tracing/instances/harness.$$
	mkdir "$trace"
	defer rmdir "$trace"
	for trace_event in "$@"; do
		write_file 1 "$trace/events/cxl/$trace_event/enable"
	done
}

trace_clear() {
	: >"$trace/trace"
}

trace_read() {
	events=0
	: >"$KTAP_TMP/events"
	sed -n "s/^.* $1: \\(memdev=.*\\)\$/\\1/p" "$trace/trace" >"$KTAP_TMP/events"
	while read -r _; do
		events=$((events + 1))
	done <"$KTAP_TMP/events"
}

trace_has() {
	trace_read "$2"
	[ "$events" -ge "$1" ]
}

trace_wait() {
	wait_for 15 trace_has "$1" "$2"
	expect_events "$1" "$2"
}

# expect_events COUNT EVENT: so many by now
expect_events() {
	trace_read "$2"
	expect_eq "$events" "$1" "events $2"
}

event_at() {
	event=$(sed -n "${1}p" "$KTAP_TMP/events")
	[ -n "$event" ] || fail "there are $events events, not $1"
}

event_with() {
	event='' event_count=0
	while read -r event_each; do
		case " $event_each " in
		*"$1"*) event=$event_each event_count=$((event_count + 1)) ;;
		esac
	done <"$KTAP_TMP/events"
	expect_eq "$event_count" 1 "events with '$1', of $events"
}

# event_field NAME: $value of $event. It goes to its closing quote, else to the next name, as a list of bytes has blanks.
event_field() {
	case " $event" in
	*" $1="*) event_rest=" $event" event_rest=${event_rest#*" $1="} ;;
	*" $1: '"*) event_rest=" $event" event_rest=${event_rest#*" $1: "} ;; # so in cxl_aer_…: status: '…'
	*) fail "the event has no field $1: $event" ;;
	esac
	case $event_rest in
	"'"*)
		value=${event_rest#?}
		value=${value%%"'"*}
		;;
	*)
		value=
		for event_word in $event_rest; do
			case $event_word in *=* | :) break ;; esac
			value="$value${value:+ }${event_word%:}"
			case $event_word in *:) break ;; esac
		done
		;;
	esac
}

expect_fields() {
	while [ $# -gt 1 ]; do
		event_field "$1"
		[ "$value" = "$2" ] || fail "$1 is '$value', not '$2', in: $event"
		shift 2
	done
}
