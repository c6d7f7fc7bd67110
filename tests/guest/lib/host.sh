# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Requests of a program to the host (harness/suite/host_requests.py lists them): a diagnostic line there, a line in a
# pipe back. Under nothing but the harness is there somebody to answer, so that everything else skips.
#
#	host VERB WORDS…		ask; $reply is the answer, or why it was refused (then false)
#	must VERB WORDS…		ask, and fail the case where it is refused
#	need_command COMMAND		skip where this QEMU does not have it
#	host_device memN		$device is QEMU's name of it. Needs cxl.sh.

# host_setup: for setup_program
host_setup() {
	[ -n "${KTAP_HOST:-}" ] || skip "nobody to ask for what this needs of the host: it runs under 'harness run'"
	mkfifo "$KTAP_TMP/host"
	exec 8<>"$KTAP_TMP/host" # for both ends: neither side waits for the other to open it
}

host() {
	host_number=$((${host_number:-0} + 1))
	host_token=${ktap_number:-0}.$host_number
	ktap_emit "# host: $KTAP_TMP/host $host_token $*"
	while read -r host_echo host_status reply <&8; do
		[ "$host_echo" = "$host_token" ] || continue # of a case that was ended
		[ "$host_status" = ok ] || return 1
		return 0
	done
	fail "the host does not answer"
}

must() {
	host "$@" || fail "the host refused '$*': $reply"
}

need_command() {
	host members "$1" || skip "$reply"
	members=" $reply "
}

host_device() {
	cxl_get "$1" serial
	must device "$cxl_value"
	device=$reply
}
