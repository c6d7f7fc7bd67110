#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Stands in the place of a selftest's program (run.sh put it there): skips where .harness/skips says so, else is it.
here=${0%/*} me=${0##*/}
while IFS='|' read -r file arguments reason; do
	[ "$file" = "$me" ] || continue
	# shellcheck disable=SC2254 # it is a pattern
	case "$*" in
	$arguments)
		echo "TAP version 13"
		echo "1..0 # SKIP $reason"
		exit 4
		;;
	esac
done <"$here/.harness/skips"
exec "$here/.harness/real/$me" "$@"
