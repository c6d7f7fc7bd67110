#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# run.sh [-w] [-z] [-c SYSCTL=VALUE]... [-s 'FILE|ARGUMENTS|REASON']... NAME TARGET COMMAND [ARGUMENT...]
#
# Runs a program of the kernel's selftests in its target's folder, in a copy-on-write view of what was packed, since some
# write beside themselves. NAME (suite/program:case) marks its begin and end in the kernel log. Each -s puts a stand-in
# in the place of a FILE that the program starts, which skips with REASON where its ARGUMENTS match the shell pattern.
# With -w the guest's swap disk (HARNESS_SWAP) is on while the program runs, with -z zswap, with -c
# a SYSCTL (kernel/threads-max) is VALUE, where the kernel has them.
# Exit status: the program's; 126 where it cannot be started.
here=${0%/*}
base=${KSELFTEST_RUN:-/run/harness/kselftest}
kmsg=${KTAP_KMSG:-/dev/kmsg}
tainted=${KTAP_TAINTED:-/proc/sys/kernel/tainted}
enabled=${KSELFTEST_ZSWAP:-/sys/module/zswap/parameters/enabled}
proc_sys=${KSELFTEST_SYSCTLS:-/proc/sys}
skips='' disk='' zswap='' sysctls='' were=''

cannot() {
	echo "kselftest: $1" >&2
	exit 126
}

mark() {
	taint=$(cat "$tainted" 2>/dev/null)
	printf '<3>harness: case %s %s%s\n' "$1" "$name" "${taint:+ taint=$taint}" 2>/dev/null >>"$kmsg" || :
}

# One file system for all targets of a guest: what a program leaves in its folder, the next one finds.
view() {
	[ -d "$base/tree/kselftest" ] && return
	mkdir -p "$base/upper" "$base/work" "$base/tree" || cannot "no folder $base"
	mount -t overlay -o "lowerdir=$here/tree,upperdir=$base/upper,workdir=$base/work" kselftest "$base/tree" ||
		cannot "no overlay on $base/tree"
}

modules() {
	[ -d "$here/modules" ] && [ -z "$(ls /lib/modules)" ] || return 0
	mount --bind "$here/modules" /lib/modules || cannot "no modules in /lib/modules"
}

# stand_in FILE: the real one moves aside
stand_in() {
	case $1 in */* | .* | '') cannot "'$1' is no file of a target" ;; esac
	mkdir -p .harness/real || cannot "no folder $PWD/.harness"
	[ -e ".harness/real/$1" ] || ! [ -e "$1" ] || mv "$1" .harness/real/ || cannot "cannot move $1"
	{ cp "$here/stand-in.sh" "$1" && chmod 755 "$1"; } || cannot "cannot write $1"
}

restore() {
	[ -e .harness/files ] || return 0
	while read -r file; do
		rm -f "$file"
		[ ! -e ".harness/real/$file" ] || mv ".harness/real/$file" . || cannot "cannot move $file back"
	done <.harness/files
	rm -f .harness/skips .harness/files
}

swap_on() {
	[ -b "$disk" ] || cannot "the guest has no swap disk $disk"
	{ mkswap "$disk" >/dev/null && swapon "$disk"; } || cannot "no swap on $disk"
}

zswap_on() {
	{ zswap=$(cat "$enabled") && echo Y >"$enabled"; } || cannot "zswap cannot be enabled"
}

# set_sysctl SYSCTL=VALUE
set_sysctl() {
	echo "${1#*=}" >"$proc_sys/${1%%=*}"
}

sysctls_on() {
	for one in $sysctls; do
		[ -e "$proc_sys/${one%%=*}" ] || continue
		were="$were ${one%%=*}=$(cat "$proc_sys/${one%%=*}")"
		set_sysctl "$one" || cannot "$one cannot be set"
	done
}

while getopts c:s:wz option; do
	case $option in
	s) skips="$skips$OPTARG
" ;;
	c) sysctls="$sysctls $OPTARG" ;;
	w) disk=${HARNESS_SWAP:-/dev/harness/swap} ;;
	z) [ ! -e "$enabled" ] || zswap=wanted ;;
	*) exit 126 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 3 ] || cannot "usage: run.sh [-w] [-z] [-c SYSCTL=VALUE]... [-s 'FILE|ARGUMENTS|REASON']... NAME TARGET COMMAND [ARGUMENT...]"
name=$1 target=$2
shift 2

mark begin
[ -z "${KSELFTEST_HERE:-}" ] && { view && modules; }
cd "${KSELFTEST_HERE:-$base/tree}/$target" || cannot "the target $target is not in the guest"
restore
if [ -n "$skips" ]; then
	mkdir -p .harness || cannot "no folder $PWD/.harness"
	printf '%s' "$skips" >.harness/skips
	printf '%s' "$skips" | cut -d '|' -f 1 | sort -u >.harness/files
	while read -r file; do
		stand_in "$file"
	done <.harness/files
fi
PATH=$here/bin:$PATH
LD_LIBRARY_PATH=$here/lib
export PATH LD_LIBRARY_PATH
# a program that forks with results in its buffer tells them again and again; kselftest's own runner has stdbuf for it
[ ! -e "$here/lib/line-buffered.so" ] || export LD_PRELOAD="$here/lib/line-buffered.so"
unset KTAP_PROGRAM
[ -z "$disk" ] || swap_on
[ -z "$zswap" ] || zswap_on
sysctls_on
"$@" </dev/null
status=$?
for one in $were; do
	set_sysctl "$one" || echo "kselftest: ${one%%=*} is not as it was"
done
[ -z "$zswap" ] || echo "$zswap" >"$enabled" || echo "kselftest: zswap is not as it was"
[ -z "$disk" ] || swapoff "$disk" || echo "kselftest: swap on $disk does not end" >&2
mark end
exit $status
