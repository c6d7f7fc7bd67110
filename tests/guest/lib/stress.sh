# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Tests that go on for as long as they are told, in an order that follows from a seed:
#
#	HARNESS_STRESS		how long (30s, 10m, 8h; default 5s)
#	HARNESS_SEED		default 1
#	HARNESS_STRESS_SIZE	memory of all tasks (default 64M)
#
# `harness run --stress LENGTH --seed N` sets the first two, and adds the length to the deadlines of each program that
# names HARNESS_STRESS.

# stress_parameters: for setup_program: $length, $seconds, $seed, $size
stress_parameters() {
	length=${HARNESS_STRESS:-5s} seed=${HARNESS_SEED:-1} size=${HARNESS_STRESS_SIZE:-64M}
	stress_seconds "$length"
	case $seed in
	'' | *[!0-9]*) fail "HARNESS_SEED is '$seed', expected a number" ;;
	esac
}

# stress_seconds LENGTH: $seconds
stress_seconds() {
	seconds=${1%[smh]}
	case $seconds in
	'' | 0 | *[!0-9]*) fail "HARNESS_STRESS is '$1', expected a length like 30s, 10m or 8h" ;;
	esac
	case $1 in
	*m) seconds=$((seconds * 60)) ;;
	*h) seconds=$((seconds * 3600)) ;;
	esac
}

# chance LIMIT: $chance below it, the next one of the seed; begins with chance_state=$seed
chance() {
	chance_state=$(((chance_state * 1103515245 + 12345) & 0x7fffffff))
	chance=$(((chance_state >> 8) % $1))
}

# stress_choose FILE VALUE…: write one of them; the kernel may not have it, or not get it done
stress_choose() {
	stress_file=$1
	shift
	chance $#
	shift "$chance"
	write_file "$1" "$stress_file" 2>/dev/null || :
}
