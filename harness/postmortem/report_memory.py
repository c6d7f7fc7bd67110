# SPDX-License-Identifier: GPL-2.0-only
"""The part of a triage report about memory: node states, zones, private nodes and who owns their pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from drgn import Object, Program, cast
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.mm import decode_page_flags, pfn_to_page
from drgn.helpers.linux.mmzone import for_each_online_pgdat, high_wmark_pages, pfn_to_section
from drgn.helpers.linux.nodemask import for_each_node_state
from drgn.helpers.linux.stackdepot import stack_depot_fetch

from harness.display import printable

_PAGES_LIMIT = 256 << 10  # pages of a node that are looked at: 1 GiB of 4 KiB
_OWNERS = 8
_OWNER_FRAMES = 12
_PRIVATE = "N_PRIVATE"
_OTHER_NAMES = ("N_MEMORY_PRIVATE",)  # what later revisions call it


def node_states(prog: Program) -> Iterator[str]:
    """Each state with its nodes."""
    for name, value in _states(prog):
        nodes = list(for_each_node_state(prog, value))
        yield f"{name:16} {' '.join(map(str, nodes)) or '-'}"


def zones(prog: Program) -> Iterator[str]:
    """Each zone that has pages, of each node."""
    yield f"{'node':4} {'zone':10} {'present':>10} {'managed':>10} {'free':>10} {'high':>8}  first pfn"
    free = int(prog["NR_FREE_PAGES"])
    for node in for_each_online_pgdat(prog):
        for zone in node.node_zones:
            present = zone.present_pages.value_()
            if not zone.spanned_pages.value_():
                continue
            name = zone.name.string_().decode(errors="replace")
            yield (
                f"{int(node.node_id):4} {name:10} {present:10} {zone.managed_pages.counter.value_():10} "
                f"{zone.vm_stat[free].counter.value_():10} {int(high_wmark_pages(zone)):8}  "
                f"{zone.zone_start_pfn.value_():#x}"
            )


def private_nodes(prog: Program) -> Iterator[str]:
    """The nodes in the private state, their registered ranges, and the pages in use with their owners."""
    state = next((value for name, value in _states(prog) if name in (_PRIVATE, *_OTHER_NAMES)), None)
    if state is None:
        yield "this kernel has no private nodes"
        return
    nodes = list(for_each_node_state(prog, state))
    yield f"nodes: {' '.join(map(str, nodes)) or 'none'}"
    yield from _ranges(prog)
    for node in for_each_online_pgdat(prog):
        if node.node_id.value_() in nodes:
            yield from _pages(prog, node)


def _states(prog: Program) -> list[tuple[str, int]]:
    enumerators = prog.type("enum node_states").enumerators or ()
    return [(one.name, one.value) for one in enumerators if one.name != "NR_NODE_STATES"]


def _ranges(prog: Program) -> Iterator[str]:
    """The registrations of the series (``private_ranges`` in mm/)."""
    try:
        head = prog["private_ranges"].address_of_()
        types = {one.value: one.name for one in prog.type("enum private_memtype").enumerators or ()}
    except LookupError:
        yield "ranges: this kernel keeps no list of them"
        return
    for one in list_for_each_entry("struct private_range", head, "list"):
        owner = one.ops.page_allocated if one.ops else None
        name = _symbol(prog, owner) if owner is not None else "none"
        yield (
            f"range: node {one.nid.value_()}, pfn {one.start_pfn.value_():#x} to {one.end_pfn.value_():#x}, "
            f"{types.get(one.memtype.value_(), '?')}, {one.nr_online.value_()} pages online, asks {name}"
        )


def _pages(prog: Program, node: Object) -> Iterator[str]:
    """What the pages of a node are, by flags; and their owners where the kernel notes them."""
    nid = node.node_id.value_()
    owners = _Owners(prog)
    kinds: Counter[str] = Counter()
    stacks: Counter[int] = Counter()
    comms: dict[int, str] = {}
    seen = 0
    for zone in node.node_zones:
        start, count = zone.zone_start_pfn.value_(), zone.spanned_pages.value_()
        for pfn in range(start, start + count):
            seen += 1
            if seen > _PAGES_LIMIT:
                break
            page = _online_page(prog, pfn)
            if page is None:
                kinds["not online"] += 1
                continue
            used = page._refcount.counter.value_() > 0
            kinds[f"in use {decode_page_flags(page) or '0'}" if used else "free or part of a larger page"] += 1
            if used and (handle := owners.of(pfn)) is not None:
                stacks[handle] += 1
                comms.setdefault(handle, owners.comm(pfn))
    yield f"node {nid}: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common(12)) or 'no pages'}"
    if seen > _PAGES_LIMIT:
        yield f"(only the first {_PAGES_LIMIT} pages were looked at)"
    if not owners.known:
        yield "owners: this kernel notes none (fragment debug-page-owner)"
    for handle, count in stacks.most_common(_OWNERS):
        yield f"{count} pages allocated by {comms[handle]} through"
        trace = stack_depot_fetch(Object(prog, "depot_stack_handle_t", handle))
        for frame in list(trace or ())[:_OWNER_FRAMES]:
            yield f"     {printable(str(frame.name))}"


def _online_page(prog: Program, pfn: int) -> Object | None:
    """The page of a number where its memory is online: SECTION_IS_ONLINE of include/linux/mmzone.h."""
    section = pfn_to_section(prog, pfn)
    if not section or not section.section_mem_map.value_() & _online_bit(prog):
        return None
    return pfn_to_page(prog, pfn)


def _online_bit(prog: Program) -> int:
    cached: dict[str, int] = prog.cache.setdefault("harness_section_online", {})
    if "bit" not in cached:
        try:
            cached["bit"] = 1 << int(prog["SECTION_IS_ONLINE_BIT"])
        except LookupError:
            cached["bit"] = 1 << 2  # a macro before 6.3
    return cached["bit"]


class _Owners:
    """page_owner: who allocated a page (mm/page_owner.c), in the sparse memory model."""

    def __init__(self, prog: Program) -> None:
        self._prog = prog
        try:
            self._size = prog["page_ext_size"].value_()
            self._offset = prog["page_owner_ops"].offset.value_()
            self._allocated = 1 << int(prog["PAGE_EXT_OWNER_ALLOCATED"])
            self.known = bool(prog["page_owner_inited"].key.enabled.counter.value_())
        except (LookupError, AttributeError):
            self.known = False

    def of(self, pfn: int) -> int | None:
        """The handle of the stack that allocated a page, None where there is none."""
        entry = self._entry(pfn)
        if entry is None or not entry.flags.value_() & self._allocated:
            return None
        return int(self._owner(entry).handle.value_()) or None

    def comm(self, pfn: int) -> str:
        """The task that allocated a page."""
        entry = self._entry(pfn)
        if entry is None:
            return "?"
        owner = self._owner(entry)
        return f"{printable(owner.comm.string_().decode(errors='replace'))} (pid {owner.pid.value_()})"

    def _entry(self, pfn: int) -> Object | None:
        if not self.known:
            return None
        section = pfn_to_section(self._prog, pfn)
        if not section or not section.page_ext:
            return None
        return cast("struct page_ext *", cast("char *", section.page_ext) + self._size * pfn)

    def _owner(self, entry: Object) -> Object:
        return cast("struct page_owner *", cast("char *", entry) + self._offset)


def _symbol(prog: Program, pointer: Object) -> str:
    try:
        return str(prog.symbol(pointer.value_()).name)
    except LookupError:
        return f"{pointer.value_():#x}"
