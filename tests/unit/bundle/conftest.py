# SPDX-License-Identifier: GPL-2.0-only
"""A run whose kernel does not boot, made by the command line on the stub tree; bundles taken apart by hand."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import struct
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import image
from harness.bundle import index as names
from harness.bundle.index import Index, Target
from harness.bundle.pack import describe, pack
from harness.progress import Quiet
from harness.store import Store
from tests.unit.bad_input.conftest import Bench, bench

__all__ = ["bench"]

RUN = "20261121-173614-345c0"
EDIT = {"mm/zswap.c": ": edited\n"}
TARGET = Target(case="smoke/test_one:one", verdict="CRASH", fingerprint="0123456789ab", reason="WARNING in here")
CONTENTS: dict[str, bytes | Path] = {
    names.README: b"what happened\n",
    names.SCRIPT: b"#!/bin/sh\n",
    names.MANIFEST: b"{}\n",
    names.RESULTS: b"{}\n",
    names.PROGRAMS: b"[]\n",
    names.VMLINUX: bytes(range(256)) * 2000,
    "guests/1/console.log": b"it boots\n" * 500,
}


def packed(target: Path, contents: dict[str, bytes | Path] | None = None, **changes: Any) -> Path:
    """A small bundle; its programs are none, and its kernel is no kernel."""
    contents = CONTENTS if contents is None else contents
    index = Index(harness="0.1.0", run=RUN, targets=(TARGET,), members=describe(contents, progress=Quiet()))
    pack(target, index, contents, time=1_795_000_000, progress=Quiet())
    return remade(target, index=lambda value: value | changes) if changes else target


@dataclass
class Entry:
    """A member as it lies in the archive."""

    info: tarfile.TarInfo
    content: bytes


def remade(
    bundle: Path,
    *,
    index: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    entries: Callable[[list[Entry]], list[Entry]] | None = None,
) -> Path:
    """The bundle in other words: with a changed index, or with members changed behind its index's back."""
    with tarfile.open(bundle) as archive:
        found = []
        for info in archive:
            stream = archive.extractfile(info)
            found.append(Entry(info, stream.read() if stream is not None else b""))
    if index is not None:
        found[0].content = json.dumps(index(json.loads(found[0].content))).encode()
        found[0].info.size = len(found[0].content)
    found = entries(found) if entries is not None else found
    raw = io.BytesIO()
    for entry in found:  # by hand: tarfile would refuse some of what a test wants
        raw.write(entry.info.tobuf(tarfile.GNU_FORMAT))
        raw.write(entry.content + bytes(-len(entry.content) % 512))
    raw.write(bytes(1024))
    bundle.write_bytes(lzma.compress(raw.getvalue(), preset=0))
    return bundle


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def elf_head(machine: int = 62) -> bytes:
    """An ELF64 header and the note by which QEMU finds a kernel's PVH entry; what follows is anything."""
    note = struct.pack("<III", 4, 4, 18) + b"Xen\0" + struct.pack("<I", 0x1000000)
    head = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    )
    return head + struct.pack("<IIQQQQQQ", 4, 4, 64 + 56, 0, 0, len(note), len(note), 4) + note


class Crash(Bench):
    """The bench with a kernel that QEMU could boot, and a stand-in whose guest gives up."""

    def failed_run(self, *words: str | Path) -> Path:
        """Run, and fail at the boot; the run folder."""
        outcome = self("run", *words)
        assert outcome.status == 3 and outcome.results["verdict"] == "BOOT", outcome.text
        return outcome.runs[0]

    def bundle(self, *words: str | Path) -> Path:
        """The bundle of the one run."""
        outcome = self("bundle", "last", "-o", "it.tar.xz", *words)
        assert outcome.status == 0, outcome.text
        return self.folder / "it.tar.xz"

    def elsewhere(self) -> dict[str, str]:
        """Another cache and other data, as on another machine; there is nothing in either."""
        return {"HARNESS_CACHE": str(self.folder / "cache-2"), "HARNESS_DATA": str(self.folder / "data-2")}

    def there(self, *words: str | Path) -> Any:
        """The command line elsewhere, with the same stand-in for QEMU."""
        outcome = self.execute(
            [*self.argv()[:3], *map(str, words), "--qemu", str(self.folder / "qemu/qemu-system-x86_64")],
            **self.elsewhere(),
        )
        return outcome


@pytest.fixture
def crash(bench: Bench) -> Crash:
    made = Crash(bench.folder)

    def seed(folder: Path) -> dict[str, Any]:
        (folder / "rootfs.erofs").write_bytes(b"a root" * 1000)
        return {"digest": digest(b"a root" * 1000), "flavour": "test"}

    Store(made.cache).obtain(image.KIND, image.key("test"), seed, again=True)
    makefile = (made.tree / "Makefile").read_text()
    joined = makefile.replace(
        "@cat $(addprefix $(O)/,$(OBJECTS)) >", "@cat $(srctree)/elf.head $(addprefix $(O)/,$(OBJECTS)) >"
    )
    assert joined != makefile
    made.write("linux/elf.head", elf_head())
    made.commit("a kernel that QEMU would boot", {"Makefile": joined})
    return made
