# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# A node under watch (helpers/pageoracle.c) while memory is short everywhere else, and the kernel is asked for more
# (helpers/pressure.c). Needs cxl.sh, node.sh and private.sh.
#
#	setup_program() { isolation_private; }
#	case_x() { isolated pressure anon; }
#
# A page of a zone for movable memory cannot be a slab or a page table anyhow: the first memory block of the node is online
# in a kernel zone, the others are movable.
#
# Short means: the ordinary nodes are just above their low watermark, which is a third of them, by pages for hugetlb that
# nobody uses. Whatever is allocated next, the allocator then tries every other zone it may use before this one (it asks for
# the low watermark first, get_page_from_freelist()), and there is still room for all of it: no out of memory, no reclaim.

isolation_disk=${HARNESS_SWAP:-/dev/harness/swap}

# isolation_private: for setup_program: a private region, online as $node, whose owner stores nothing: swap is on, zswap off
isolation_private() {
	isolation_needs
	need_private
	isolation_swap
	isolation_begin private
	node_is_private "$node" || fail "node $node of a private region is not private"
}

# isolation_ram: an ordinary RAM region, movable only, or it could not be taken offline again; memory is not short yet
isolation_ram() {
	isolation_needs
	need_cxl
	need_file /sys/bus/dax/drivers/kmem "this kernel has no kmem driver for dax devices (CONFIG_DEV_DAX_KMEM)"
	cxl_choose_least ram || skip "this machine has no CXL window with free RAM below it"
	isolation_swap
	bound ram
	cxl_online "$region" online_movable
	note "node $node is ordinary, movable only; judged by $(isolation_by)"
}

isolation_needs() {
	need_program pageoracle
	need_program pressure
	need_file "$nodes" "this kernel has no NUMA (CONFIG_NUMA)"
	need_file /proc/kpageflags "this kernel does not show the flags of pages (CONFIG_PROC_PAGE_MONITOR)"
}

# isolation_begin KIND: a region of KIND is $node, and memory is short elsewhere
isolation_begin() {
	bound "$1"
	isolation_online
	isolation_tighten
	note "node $node is $1, $isolation_zones; judged by $(isolation_by)"
}

isolation_by() {
	if [ -e /sys/kernel/debug/page_owner ]; then
		echo page_owner
	else
		echo kpageflags
	fi
}

# isolation_swap: swap to the scratch disk until the program ends, not through zswap
isolation_swap() {
	need_file "$isolation_disk" "there is no swap disk ($isolation_disk)"
	! grep -q '^/' /proc/swaps || skip "this machine swaps already"
	[ ! -e /sys/module/zswap/parameters/enabled ] || set_until_end N /sys/module/zswap/parameters/enabled
	mkswap "$isolation_disk" >/dev/null
	swapon "$isolation_disk"
	defer swapoff "$isolation_disk"
}

# isolation_online: the blocks of $region; $isolation_zones says how
isolation_online() {
	isolation_zones='movable only'
	isolation_state=online_kernel
	for block in $blocks; do
		if [ "$isolation_state" = online_kernel ] && write_file online_kernel "$block/state"; then
			isolation_zones='a kernel block first'
		else
			write_file online_movable "$block/state"
		fi
		isolation_state=online_movable
	done
}

# set_until_end TEXT PATH: what was there, again, at the end of the case or the program. Not read_value: a number below
# /proc/sys must be read at once, the shell's read gets its first digit only.
set_until_end() {
	isolation_value=$(cat "$2")
	defer write_file "$isolation_value" "$2"
	write_file "$1" "$2"
}

# isolation_tighten: ordinary nodes other than $node down to their low watermarks, until the program ends; each case does
# it again, as reclaim has made room meanwhile
isolation_tighten() {
	need_file /proc/sys/vm/nr_hugepages "this kernel has no hugetlb pages to fill nodes with (CONFIG_HUGETLBFS)"
	set_until_end 3000 /proc/sys/vm/watermark_scale_factor
	isolation_tight=yes
	isolation_fill_all low 4096
}

# isolation_fill_all WATERMARK KIB: see isolation_fill; KIB above that watermark (min or low)
isolation_fill_all() {
	isolation_at=0
	while [ "$isolation_at" -lt 64 ]; do
		if [ "$isolation_at" -ne "$node" ] && node_is has_memory "$isolation_at"; then
			isolation_watermark "$isolation_at" "$1"
			isolation_fill "$isolation_at" $((watermark + $2))
		fi
		isolation_at=$((isolation_at + 1))
	done
}

# no_room MIB: memory is short for real, with $room MIB left above the min watermark of each ordinary node, below which only
# reclaim gets pages: until the end of the case. KASAN keeps up to a 32nd of memory of what was freed, out of reclaim's reach
# (kasan_quarantine_reduce()): so much more room.
no_room() {
	set_until_end 10 /proc/sys/vm/watermark_scale_factor
	isolation_tight=
	room=$1
	if zcat /proc/config.gz 2>/dev/null | grep -qx CONFIG_KASAN=y; then
		meminfo MemTotal
		room=$((room + kib / 32 / 1024))
	fi
	isolation_fill_all min $((room << 10))
}

# isolation_watermark NODE WATERMARK: $watermark are the KiB of its watermarks of that name, min or low
isolation_watermark() {
	watermark=0 isolation_here=
	while read -r isolation_word isolation_number isolation_rest; do
		case $isolation_word in
		Node) isolation_here=${isolation_number%,} ;;
		"$2") [ "$isolation_here" != "$1" ] || watermark=$((watermark + isolation_number * 4)) ;;
		esac
	done </proc/zoneinfo
}

# isolation_fill NODE KIB: pages for hugetlb, until only KIB are free; undone with the case or the program
isolation_fill() {
	isolation_pool=$nodes/node$1/hugepages/hugepages-2048kB/nr_hugepages
	read_value isolation_value "$isolation_pool"
	node_meminfo "$1" MemFree
	[ "$kib" -gt "$2" ] || return 0
	defer write_file "$isolation_value" "$isolation_pool"
	write_file $((isolation_value + (kib - $2) / 2048)) "$isolation_pool"
}

# spare_victims: processes of 1 MiB each that the OOM killer takes before any other but a larger `pressure`, until the end of
# the case; before no_room. Whoever needs a page while its first victim is freed makes it choose a second one: exit_mmap()
# sets MMF_OOM_SKIP before tlb_finish_mmu() has given a page back (slower still with init_on_free). Without these that is a shell.
spare_victims() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
		pressure -s 1M -t 600000 anon &
		defer pattern_end $!
		wait_for 20 spare_is_ready $!
	done
}

# spare_is_ready PID: all of it is there; its size in pages is the second number in statm
spare_is_ready() {
	read -r _ spare_pages _ <"/proc/$1/statm"
	[ "$spare_pages" -ge 256 ]
}

# watch [OPTIONS]: have pageoracle watch $node until `judge`
# shellcheck disable=SC2120 # other files give it options
watch() {
	[ -z "${isolation_tight-}" ] || isolation_fill_all low 4096
	isolation_count=$((${isolation_count:-0} + 1))
	isolation_log=$KTAP_TMP/watch.${ktap_case:-program}.$isolation_count
	pageoracle -w "$@" "$node" >"$isolation_log" 2>&1 &
	isolation_pid=$!
	defer isolation_kill $!
	wait_for 20 grep -qs watching "$isolation_log"
}

isolation_kill() {
	kill -KILL "$1" 2>/dev/null || :
}

# judge: end the watch; $verdict is its last line, $foreign its finding: yes or no
judge() {
	kill -TERM "$isolation_pid"
	isolation_status=0
	wait "$isolation_pid" || isolation_status=$?
	verdict=$(tail -n 1 "$isolation_log")
	case $isolation_status in
	0) foreign=no ;;
	1) foreign=yes ;;
	*) fail "pageoracle ended with $isolation_status: $(cat "$isolation_log")" ;;
	esac
}

# expect_isolated: judge, and fail with the stacks if anything but the owner's was on the node
expect_isolated() {
	judge
	[ "$foreign" = no ] || {
		cat "$isolation_log"
		fail "node $node has or had pages that are not its owner's: $verdict"
	}
}

# expect_foreign [PATTERN]: the opposite, for nodes that are open to all; PATTERN is in what was found
expect_foreign() {
	judge
	expect_judged_foreign "${1-}"
}

# expect_judged_foreign [PATTERN]: the same of a watch that has ended
expect_judged_foreign() {
	[ "$foreign" = yes ] || fail "nothing foreign was seen on node $node: $verdict"
	[ -z "${1-}" ] || expect_foreign_too "$1"
}

expect_foreign_too() {
	grep -q -e "$1" "$isolation_log" || {
		cat "$isolation_log"
		fail "what was seen on node $node has no '$1'"
	}
}

# isolated CMD…: it succeeds, and $node stays its owner's all the while
isolated() {
	# shellcheck disable=SC2119 # no options
	watch
	expect_ok "$@"
	expect_isolated
}
