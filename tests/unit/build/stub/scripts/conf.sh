# SPDX-License-Identifier: GPL-2.0-only
# conf.sh SOURCE REQUEST CONFIG
{
	echo "# Linux/x86 6.12.117 Kernel Configuration"
	grep -v -w -F -f "$1/scripts/dropped" "$2"
	echo "CONFIG_ALWAYS=y"
} > "$3"
