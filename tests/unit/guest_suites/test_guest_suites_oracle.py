# SPDX-License-Identifier: GPL-2.0-only
"""The page-owner oracle (``helpers/pageoracle.c``) on made-up nodes: whose page is whose, and files that disagree."""

from __future__ import annotations

import struct
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness import process

HELPERS = Path(__file__).parents[2] / "guest" / "helpers"
STRICT = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wvla", "-Wstrict-prototypes")
BLOCK = 64  # pages of the node's memory block, its fourth
BUDDY, SLAB, ANON, PGTABLE, NOPAGE, RESERVED, LRU, THP = (1 << bit for bit in (10, 7, 12, 26, 20, 32, 5, 22))

DIRECT = ["get_page_from_freelist", "__alloc_pages_noprof", "zswap_store_direct", "zswap_store", "swap_writepage"]
SLAB_FOR_ZSWAP = ["__alloc_pages_noprof", "new_slab", "kmem_cache_alloc_noprof", "zswap_store", "swap_writepage"]
POOL = ["__alloc_pages_noprof", "zs_malloc", "zswap_store", "swap_writepage"]
FAULT = ["__alloc_pages_noprof", "vma_alloc_folio_noprof", "handle_mm_fault", "exc_page_fault"]
RECLAIM_FOR_SLAB = ["__alloc_pages_noprof", "zswap_store", "shrink_folio_list", "__alloc_pages_noprof", "new_slab"]


@dataclass
class Node:
    """What the kernel says of a node of one block; ``used`` are flags of the pages that are not free."""

    used: list[int] = field(default_factory=list)
    stacks: list[tuple[int, list[str]]] | None = None  # order, functions; None: no page_owner
    pcp: int = 0
    managed: int = BLOCK
    free: int | None = None
    vmstat: str = "nr_anon_pages 0\n"
    block: int = BLOCK

    def write(self, root: Path) -> None:
        flags = self.used + [0] * self.pcp
        flags += [BUDDY] * (self.block - len(flags))
        first = 4 * self.block
        free = sum(bool(word & BUDDY) for word in flags) if self.free is None else self.free
        for name, text in {
            "sys/devices/system/memory/block_size_bytes": f"{self.block * 4096:x}\n",
            "sys/devices/system/node/node1/memory4/state": "online\n",
            "sys/devices/system/node/node1/memory5/state": "offline\n",
            "sys/devices/system/node/node1/vmstat": self.vmstat,
            "proc/zoneinfo": "Node 0, zone   Normal\n  pages free     7\n        managed  9\n"
            f"Node 1, zone  Movable\n  pages free     {free}\n        boost    0\n        managed  {self.managed}\n"
            f"  pagesets\n    cpu: 0\n              count:    {self.pcp}\n              high:  14\n",
        }.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (root / "proc/kpageflags").write_bytes(struct.pack(f"{first + self.block}Q", *[SLAB] * first, *flags))
        (root / "proc/kpagecount").write_bytes(bytes(8 * (first + self.block)))
        if self.stacks is not None:
            path = root / "sys/kernel/debug/page_owner"
            path.parent.mkdir(parents=True)
            path.write_text("".join(self.records(first, first + self.block, self.stacks)))

    @staticmethod
    def records(first: int, end: int, stacks: list[tuple[int, list[str]]]) -> list[str]:
        """As print_page_owner() in mm/page_owner.c writes them; one before and one after the node are another's."""
        places = [(first // 2, 0, FAULT)]
        at = first
        for order, stack in stacks:
            places.append((at, order, stack))
            at += 1 << order
        places.append((end, 0, FAULT))
        return [
            f"Page allocated via order {order}, mask 0x140cca(GFP_HIGHUSER), pid 7, tgid 7 (cat), ts 123 ns\n"
            f"PFN {pfn:#x} type Movable Block 2 type Movable Flags 0x8(uptodate)\n"
            + "".join(f" {name}+0x1b/0x200\n" for name in stack)
            + "Page has been migrated, last migrate reason: compaction\n" * (at % 2)
            + "Charged to memcg a\n\n"
            for at, (pfn, order, stack) in enumerate(places)
        ]


@pytest.fixture(scope="module")
def helpers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two helpers of the suite, with more warnings than the payload has, each an error."""
    folder = tmp_path_factory.mktemp("oracle")
    for name in ("pageoracle", "pressure"):
        process.run(["cc", "-O1", *STRICT, "-o", folder / name, HELPERS / f"{name}.c"], deadline=60)
    return folder


def judged(helpers: Path, root: Path, node: Node, *options: str) -> tuple[int, str]:
    node.write(root)
    done = process.run([helpers / "pageoracle", "-r", root, *options, "1"], deadline=30, check=False)
    return done.returncode, done.text + done.error_text


OWNED = Node(used=[0, 0, 0], stacks=[(0, DIRECT), (1, DIRECT)])


@pytest.mark.parametrize("name", ["pageoracle", "pressure"])
def test_the_helpers_refuse_nonsense(helpers: Path, name: str) -> None:
    for words, status in (("-h",), 0), ((), 2), (("--no-such-option",), 2), (("nonsense",), 2):
        assert process.run([helpers / name, *words], deadline=30, check=False).returncode == status


@pytest.mark.parametrize(
    ("node", "options"),
    [
        (Node(), ()),
        (Node(stacks=[]), ()),
        (Node(pcp=9), ()),
        (Node(used=[RESERVED] * 4, managed=BLOCK - 4), ()),
        (Node(used=[NOPAGE] * 4, managed=BLOCK - 4), ()),
        (OWNED, ("-o", "zswap_")),
        (Node(used=[0], stacks=[(0, RECLAIM_FOR_SLAB)], pcp=3), ("-o", "zswap_")),
        (Node(used=[0, 0], pcp=3), ("-m", "2")),
    ],
)
def test_nothing_foreign(helpers: Path, tmp_path: Path, node: Node, options: tuple[str, ...]) -> None:
    assert judged(helpers, tmp_path, node, *options)[0] == 0


@pytest.mark.parametrize(
    ("node", "options", "said"),
    [
        (OWNED, (), "foreign: 3 pages in 2 allocations with this stack"),
        (OWNED, ("-o", "zswap_load"), "zswap_store_direct+0x1b"),
        (Node(used=[0], stacks=[(0, SLAB_FOR_ZSWAP)]), ("-o", "zswap_"), "new_slab"),
        (Node(used=[0], stacks=[(0, POOL)]), ("-o", "zswap_"), "zs_malloc"),
        (Node(used=[0, ANON], stacks=[(0, DIRECT), (0, FAULT)]), ("-o", "zswap_"), "handle_mm_fault"),
        (Node(used=[ANON]), ("-m", "9"), "1 pages of type anonymous, the first PFN 0x100"),
        (Node(used=[0, PGTABLE]), ("-m", "9"), "1 pages of type page table, the first PFN 0x101"),
        (Node(used=[SLAB]), (), "1 pages of type slab"),
        (Node(used=[0]), (), "foreign: 1 pages without type"),
        (Node(used=[0, 0, 0]), ("-m", "2"), "foreign: 3 pages without type, at most 2"),
        (Node(vmstat="nr_kernel_stack 16\n"), (), "vmstat: nr_kernel_stack is 16"),
        (Node(free=BLOCK - 5), (), "disagree: 5 pages in use by zoneinfo, 0 by kpageflags"),
        (Node(used=[0, 0], stacks=[(0, DIRECT)]), ("-o", "zswap_"), "2 by kpageflags, 1 by page_owner"),
        (Node(used=[0], free=BLOCK, stacks=[]), (), "disagree: 0 pages in use by zoneinfo, 1 by kpageflags"),
    ],
)
def test_foreign(helpers: Path, tmp_path: Path, node: Node, options: tuple[str, ...], said: str) -> None:
    status, text = judged(helpers, tmp_path, node, *options)
    assert status == 1
    assert said in text


def test_the_verdict_says_how_much(helpers: Path, tmp_path: Path) -> None:
    node = Node(used=[0, 0, 0, ANON], stacks=[(0, DIRECT), (1, DIRECT), (0, FAULT)], pcp=2)
    assert judged(helpers, tmp_path, node, "-o", "zswap_")[1].splitlines()[-1] == (
        "node=1 by=page_owner used=4 owner=3 foreign=1 reserved=0 pcp=2 free=58"
    )


def test_a_look_ends_when_it_has_found_enough(helpers: Path, tmp_path: Path) -> None:
    own, foreign = [(0, DIRECT)] * 100, [(0, FAULT)] * 2100
    node = Node(used=[0] * 100 + [ANON] * 2100, stacks=own + foreign, managed=4096, block=4096)
    status, text = judged(helpers, tmp_path, node, "-o", "zswap_")
    assert status == 1
    assert "foreign: after 2048 allocations page_owner was not read further" in text
    assert "disagree" not in text
    assert "foreign: 2100 pages of type anonymous" in text
    assert " used=2200 owner=100 foreign=2048 " in text


def test_the_owners_pages_are_all_looked_at(helpers: Path, tmp_path: Path) -> None:
    own = Node(used=[0] * 3000, stacks=[(0, DIRECT)] * 3000, managed=4096, block=4096)
    status, text = judged(helpers, tmp_path / "own", own, "-o", "zswap_")
    assert (status, " owner=3000 foreign=0 " in text) == (0, True)
    last = Node(used=[0] * 3001, stacks=[(0, DIRECT)] * 3000 + [(0, FAULT)], managed=4096, block=4096)
    status, text = judged(helpers, tmp_path / "last", last, "-o", "zswap_")
    assert (status, " owner=3000 foreign=1 " in text) == (1, True)


def test_the_watch_tells_of_each_type_however_much_it_has_seen_before(helpers: Path, tmp_path: Path) -> None:
    """A node that everything overflows to: huge pages come after page cache was told of three times."""
    root, log = tmp_path / "root", tmp_path / "log"

    def happens(allocations: int, used: list[int]) -> None:
        Node(used=used).write(root)
        file = root / "sys/devices/system/node/node1/numastat"
        file.with_name("next").write_text(f"numa_hit {allocations}\nnuma_miss 0\n")
        file.with_name("next").rename(file)

    def told(text: str, times: int = 1) -> None:
        until = time.monotonic() + 60
        while log.read_text().count(text) < times:
            assert time.monotonic() < until and watch.poll() is None, log.read_text()
            time.sleep(0.01)

    happens(0, [])
    with open(log, "wb") as stream:
        watch = subprocess.Popen([helpers / "pageoracle", "-r", root, "-w", "1"], stdout=stream, stderr=stream)
    try:
        told("watching\n")
        for count in (1, 2, 3):
            happens(count, [LRU])
            told("pages of type page cache", count)
        happens(4, [LRU, THP | LRU])
        told("pages of type large folio")
        watch.terminate()
        assert watch.wait(60) == 1
    finally:
        watch.kill()
        watch.wait()


def test_the_owners_limit_from_a_file(helpers: Path, tmp_path: Path) -> None:
    (tmp_path / "stored").write_text("2\n")
    assert judged(helpers, tmp_path, Node(used=[0, 0]), "-m", "/stored")[0] == 0
    assert judged(helpers, tmp_path, Node(used=[0, 0, 0]), "-m", "/stored")[0] == 1


def test_an_offline_node_has_no_pages(helpers: Path, tmp_path: Path) -> None:
    Node().write(tmp_path)
    done = process.run([helpers / "pageoracle", "-r", tmp_path, "7"], deadline=30, check=False)
    assert done.returncode == 0
    assert "used=0" in done.text


def test_files_that_are_missing_or_garbage_are_no_verdict(helpers: Path, tmp_path: Path) -> None:
    assert process.run([helpers / "pageoracle", "-r", tmp_path, "1"], deadline=30, check=False).returncode == 2
    Node(stacks=[]).write(tmp_path)
    (tmp_path / "sys/kernel/debug/page_owner").write_text("something else\n\n")
    assert process.run([helpers / "pageoracle", "-r", tmp_path, "1"], deadline=30, check=False).returncode == 2


def test_spare_victims_go_first_and_end_with_the_case(helpers: Path) -> None:
    script = f"""
set -eu
PATH={helpers}:$PATH
. {HELPERS.parent}/lib/pattern.sh
. {HELPERS.parent}/lib/isolation.sh
pids=
defer() {{ [ "$1" = pattern_end ]; pids="$pids $2"; }}
wait_for() {{ shift; until "$@"; do sleep 0.05; done; }}
spare_victims
for each in $pids; do cat "/proc/$each/oom_score_adj"; done
for each in $pids; do pattern_end "$each"; ! pattern_lives "$each"; done
"""
    done = process.run(["dash", "-c", script], deadline=300, check=False)
    assert (done.returncode, done.text.split()) == (0, ["1000"] * 12), done.error_text
