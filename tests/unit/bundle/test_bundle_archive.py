# SPDX-License-Identifier: GPL-2.0-only
"""The archive alone: written, read, and everything that a hostile or a broken one can be."""

from __future__ import annotations

import copy
import io
import lzma
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.bundle import index as names
from harness.bundle.unpack import unpack
from harness.errors import EnvironmentFailure, UserError
from harness.progress import Quiet
from tests.unit.bundle.conftest import CONTENTS, RUN, Entry, digest, packed, remade

TOP = f"bundle-{RUN}"


def read(bundle: Path, into: Path) -> dict[str, bytes]:
    into.mkdir(exist_ok=True)
    unpacked = unpack(bundle, into, wanted=lambda _: True, progress=Quiet())
    return {name: path.read_bytes() for name, path in unpacked.files.items()}


def refused(bundle: Path, folder: Path) -> str:
    """What it says; and that nothing was written outside, and no link, whatever was in it."""
    into = folder / "into"
    into.mkdir()
    before = sorted(path for path in folder.rglob("*") if into not in path.parents)
    with pytest.raises(UserError) as caught:
        unpack(bundle, into, wanted=lambda _: True, progress=Quiet())
    assert sorted(path for path in folder.rglob("*") if into not in path.parents) == before
    assert not any(path.is_symlink() for path in into.rglob("*"))
    assert str(bundle) in caught.value.message and caught.value.hint
    return caught.value.message


def named(entries: list[Entry], name: str) -> Entry:
    return next(entry for entry in entries if entry.info.name == f"{TOP}/{name}")


def test_what_was_packed_comes_out_and_the_same_is_the_same_file(tmp_path: Path) -> None:
    one, other = packed(tmp_path / "one.tar.xz"), packed(tmp_path / "two.tar.xz")
    assert read(one, tmp_path / "into") == CONTENTS
    assert one.read_bytes() == other.read_bytes()
    assert (tmp_path / "into" / names.SCRIPT).stat().st_mode & 0o777 == 0o600, "nothing that is unpacked can be started"


def test_only_what_is_wanted_is_written(tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    bundle = packed(tmp_path / "one.tar.xz")
    unpacked = unpack(bundle, tmp_path / "into", wanted=lambda name: name == names.README, progress=Quiet())
    assert [path.name for path in (tmp_path / "into").rglob("*")] == ["README"] and list(unpacked.files) == ["README"]


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar")
def test_a_plain_tar_opens_it(tmp_path: Path) -> None:
    bundle = packed(tmp_path / "one.tar.xz")
    subprocess.run(["tar", "-xf", bundle], cwd=tmp_path, check=True)
    assert {str(path.relative_to(tmp_path / TOP)) for path in (tmp_path / TOP).rglob("*") if path.is_file()} == {
        names.INDEX,
        *CONTENTS,
    }
    assert (tmp_path / TOP / names.SCRIPT).stat().st_mode & 0o111


def test_cut_short_anywhere(tmp_path: Path) -> None:
    # content that does not compress: a cut in it is a cut in that member
    contents = CONTENTS | {names.VMLINUX: random.Random(1).randbytes(600_000)}
    bundle = packed(tmp_path / "one.tar.xz", contents)
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[: len(whole) // 2])
    assert "is cut short in the member kernel/vmlinux" in refused(bundle, tmp_path)
    for size in (0, 3, 30, len(whole) - 40, len(whole) - 1):
        bundle.write_bytes(whole[:size])
        shutil.rmtree(tmp_path / "into", ignore_errors=True)
        assert "cut short" in (said := refused(bundle, tmp_path)) or "is no bundle" in said or "damaged" in said


def test_a_bit_that_fell_over(tmp_path: Path) -> None:
    bundle = packed(tmp_path / "one.tar.xz", CONTENTS | {names.VMLINUX: random.Random(1).randbytes(600_000)})
    whole = bytearray(bundle.read_bytes())
    whole[len(whole) // 2] ^= 1
    bundle.write_bytes(whole)
    assert "kernel/vmlinux" in (said := refused(bundle, tmp_path)) and ("damaged" in said or "altered" in said)


def test_the_end_of_the_archive_is_looked_at(tmp_path: Path) -> None:
    whole = packed(tmp_path / "one.tar.xz").read_bytes()
    for more, says in ((b"\0" * 64, "more after its end"), (lzma.compress(b"more"), "more after its end")):
        bundle = tmp_path / "more.tar.xz"
        bundle.write_bytes(whole + more)
        assert says in refused(bundle, tmp_path)
        shutil.rmtree(tmp_path / "into")
    raw = lzma.decompress(whole)
    bundle.write_bytes(lzma.compress(raw + b"x"))
    assert "holds more than its index names" in refused(bundle, tmp_path)


def altered(entries: list[Entry]) -> list[Entry]:
    entry = named(entries, names.VMLINUX)
    entry.content = b"X" + entry.content[1:]
    return entries


def longer(entries: list[Entry]) -> list[Entry]:
    entry = named(entries, names.README)
    entry.content += b"more\n"
    entry.info.size = len(entry.content)
    return entries


def missing(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.info.name != f"{TOP}/{names.VMLINUX}"]


def last_missing(entries: list[Entry]) -> list[Entry]:
    return entries[:-1]


def one_more(entries: list[Entry]) -> list[Entry]:
    return [*entries, Entry(_info(f"{TOP}/kernel/bzImage", 4), b"more")]


def one_between(entries: list[Entry]) -> list[Entry]:
    return [*entries[:3], Entry(_info(f"{TOP}/kernel/bzImage", 4), b"more"), *entries[3:]]


def twice(entries: list[Entry]) -> list[Entry]:
    return [*entries[:2], *entries[1:]]


def swapped(entries: list[Entry]) -> list[Entry]:
    return [entries[0], entries[2], entries[1], *entries[3:]]


def index_last(entries: list[Entry]) -> list[Entry]:
    return [*entries[1:], entries[0]]


def climbing(entries: list[Entry]) -> list[Entry]:
    named(entries, names.README).info.name = f"{TOP}/../../README"
    return entries


def absolute(entries: list[Entry]) -> list[Entry]:
    named(entries, names.README).info.name = "/tmp/README"
    return entries


def another_top(entries: list[Entry]) -> list[Entry]:
    for entry in entries:
        entry.info.name = entry.info.name.replace(TOP, "..")
    return entries


def long_name(entries: list[Entry]) -> list[Entry]:
    named(entries, names.README).info.name = f"{TOP}/{'x' * 3000}"  # GNU's extra header
    return entries


def negative(entries: list[Entry]) -> list[Entry]:
    named(entries, names.README).info.size = -14  # in GNU's own way to write a number
    return entries


def _kind(kind: bytes, link: str = "") -> Callable[[list[Entry]], list[Entry]]:
    def change(entries: list[Entry]) -> list[Entry]:
        entry = named(entries, names.VMLINUX)
        entry.info.type, entry.info.linkname, entry.info.size, entry.content = kind, link, 0, b""
        return entries

    return change


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    return info


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (altered, "was altered: the content of the member kernel/vmlinux"),
        (longer, "was altered: the member README has 19 bytes, not 14"),
        (missing, "guests/1/console.log' is where the member kernel/vmlinux should be"),
        (last_missing, "is cut short: it ends before the member guests/1/console.log"),
        (one_more, "holds more than its index names"),
        (one_between, "holds the member 'bundle-20261121-173614-345c0/kernel/bzImage', which its index does not name"),
        (twice, "is where the member repro.sh should be"),
        (swapped, "is where the member README should be"),
        (index_last, "its first member is 'bundle-20261121-173614-345c0/README', not bundle.json"),
        (climbing, "holds the path 'bundle-20261121-173614-345c0/../../README', which leads out of it"),
        (absolute, "holds the path '/tmp/README', which leads out of it"),
        (another_top, "its folder is '..'"),
        (long_name, "an entry of type b'L'"),
        (_kind(tarfile.SYMTYPE, "/etc/passwd"), "holds a symbolic link, 'bundle-20261121-173614-345c0/kernel/vmlinux'"),
        (_kind(tarfile.LNKTYPE, "/etc/passwd"), "holds a hard link"),
        (_kind(tarfile.CHRTYPE), "holds a device"),
        (_kind(tarfile.BLKTYPE), "holds a device"),
        (_kind(tarfile.FIFOTYPE), "holds a pipe"),
        (_kind(tarfile.DIRTYPE), "holds a folder"),
        (negative, "a size of -14"),
        (_kind(tarfile.GNUTYPE_SPARSE), "an entry of type b'S'"),
    ],
)  # fmt: skip
def test_members_that_are_not_what_the_index_says(
    change: Callable[[list[Entry]], list[Entry]], says: str, tmp_path: Path
) -> None:
    assert says in refused(remade(packed(tmp_path / "one.tar.xz"), entries=change), tmp_path)


def _member(name: str, content: bytes = b"evil", size: int | None = None) -> dict[str, Any]:
    return {"name": name, "size": len(content) if size is None else size, "sha256": digest(content)}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, "is a bundle of version 2; this harness reads up to 1"),
        ({"architecture": "arm64"}, "is of a kernel for arm64; this harness runs x86_64"),
        ({"format": "something"}, "its bundle.json is of 'something'"),
        ({"harness": 7}, "bundle.json: Expected `str`"),
        ({"more": 7}, "bundle.json: Object contains unknown field `more`"),
        ({"run": "../../x"}, "'../../x' is no run's name"),
        ({"targets": []}, "names nothing that could come back"),
        ({"targets": [{"case": "", "verdict": "BOMB", "fingerprint": ""}]}, "'BOMB' is not a valid Verdict"),
        ({"memory_mib": 1 << 40}, "MiB are no memory of a guest"),
        ({"members": [_member("../../.bashrc")]}, "has a member '../../.bashrc', which no bundle has"),
        ({"members": [_member("/etc/passwd")]}, "has a member '/etc/passwd', which no bundle has"),
        ({"members": [_member("ktap/../../x.ktap")]}, "has a member 'ktap/../../x.ktap', which no bundle has"),
        ({"members": [_member("ktap/a/.ssh.ktap")]}, "which no bundle has"),
        ({"members": [_member("README"), _member("README")]}, "has the member README twice"),
        ({"members": [_member("kernel/vmlinux", size=1 << 40)]}, "is said to have 1048576 MiB; 512 MiB is the most"),
        ({"members": [_member("README", size=-1)]}, "is said to have -1 bytes"),
        ({"members": [_member(f"guests/{n}/vmcore", size=4 << 30) for n in (1, 2, 3)]}, "of 12288 MiB"),
        ({"members": [_member("README")]}, "lacks the member manifest.json"),
    ],
)  # fmt: skip
def test_an_index_that_no_honest_bundle_has(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert says in refused(packed(tmp_path / "one.tar.xz", **copy.deepcopy(changes)), tmp_path)


def test_a_bomb_is_not_blown_up(tmp_path: Path) -> None:
    """What is small and becomes gigabytes: it is read as far as the index says, and not a byte further."""
    bundle = tmp_path / "bomb.tar.xz"
    head = _info(f"{TOP}/{names.INDEX}", (1 << 33) - 1)
    packer = lzma.LZMACompressor(preset=0)
    with open(bundle, "wb") as stream:
        stream.write(packer.compress(head.tobuf(tarfile.USTAR_FORMAT)))
        for _ in range(64):
            stream.write(packer.compress(bytes(1 << 20)))
        stream.write(packer.flush())
    assert bundle.stat().st_size < 100_000
    assert "its bundle.json is said to have 8589934591 bytes" in refused(bundle, tmp_path)

    def swell(entries: list[Entry]) -> list[Entry]:
        entry = named(entries, names.README)
        entry.content = bytes(50 << 20)
        entry.info.size = len(entry.content)
        return entries

    shutil.rmtree(tmp_path / "into")
    assert "the member README has 52428800 bytes, not 14" in refused(remade(packed(bundle), entries=swell), tmp_path)


def test_a_disk_without_room_is_no_fault_of_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = packed(tmp_path / "one.tar.xz")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1 << 20))
    with pytest.raises(EnvironmentFailure, match="has 1 MiB"):
        unpack(bundle, tmp_path, wanted=lambda _: True, progress=Quiet())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is no bundle"),
        (b"#!/bin/sh\n", "it is not compressed with xz"),
        (lzma.compress(b"hello" * 1000), "is damaged at the index"),
        (lzma.compress(b""), "is cut short in the member bundle.json"),
    ],
)
def test_files_that_are_no_bundle(content: bytes, says: str, tmp_path: Path) -> None:
    bundle = tmp_path / "one.tar.xz"
    bundle.write_bytes(content)
    assert says in refused(bundle, tmp_path)


def test_a_tarball_of_something_else(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        archive.addfile(_info("linux-6.12/Makefile", 1), io.BytesIO(b"x"))
    bundle = tmp_path / "linux.tar.xz"
    bundle.write_bytes(lzma.compress(raw.getvalue()))
    assert "its first member is 'linux-6.12/Makefile', not bundle.json" in refused(bundle, tmp_path)
