# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# What the machine is said to be: KEY='value' lines written by whoever described it to QEMU. A guest that was started
# by hand has none, and cases that compare with them are skipped.

facts_file=${HARNESS_FACTS:-/run/harness/topology}

# need_facts: skip unless the machine was described; the facts become variables
need_facts() {
	need_file "$facts_file" "nothing says what this machine should be ($facts_file is missing)"
	# shellcheck disable=SC1090 # its name is a variable
	. "$facts_file"
}

# fact NAME [DEFAULT]: $fact is its value, or DEFAULT; without one a missing fact skips
fact() {
	eval "fact=\${$1-}"
	if [ -z "$fact" ]; then
		[ $# -gt 1 ] || skip "the description of the machine does not say $1"
		fact=$2
	fi
}
