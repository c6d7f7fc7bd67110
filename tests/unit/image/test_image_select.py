# SPDX-License-Identifier: GPL-2.0-only
"""Choosing files from packages, on a tar file made here from programs of this machine."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness import debian
from harness.debian import elf
from harness.debian.manifest import Drop, Keep, Link, Manifest
from harness.errors import EnvironmentFailure


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A program that needs libone, which needs libtwo from a folder of its own."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "two.c").write_text("int two(void) { return 2; }")
    (folder / "one.c").write_text("int two(void); int one(void) { return two(); }")
    (folder / "main.c").write_text("int one(void); int main(void) { return one(); }")

    def compile(*arguments: str) -> None:
        subprocess.run(["cc", "-nostdlib", *arguments], cwd=folder, check=True)

    compile("-shared", "-fPIC", "-o", "libtwo.so.2", "-Wl,-soname,libtwo.so.2", "two.c")
    compile("-shared", "-fPIC", "-o", "libone.so.1", "-Wl,-soname,libone.so.1", "-Wl,-rpath,$ORIGIN/own", "one.c",
            "libtwo.so.2")  # fmt: skip
    compile("-o", "main", "main.c", "libone.so.1", "-Wl,-rpath-link,.", "-Wl,--no-as-needed", "-Wl,-e,main")
    return {name: (folder / name).read_bytes() for name in ("main", "libone.so.1", "libtwo.so.2")}


def make_tar(path: Path, files: dict[str, bytes], links: dict[str, str]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size, member.mode = len(data), 0o4755 if "bin/" in name else 0o644
            tar.addfile(member, io.BytesIO(data))
        for name, target in links.items():
            member = tarfile.TarInfo(f"./{name}")
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return path


LIB = "usr/lib/x86_64-linux-gnu"


def packages(programs: dict[str, bytes]) -> tuple[dict[str, bytes], dict[str, str]]:
    files = {
        "usr/bin/main": programs["main"],
        f"{LIB}/libone.so.1.0": programs["libone.so.1"],
        f"{LIB}/own/libtwo.so.2": programs["libtwo.so.2"],
        f"{LIB}/libbig.so.1": b"never wanted",
        f"{LIB}/ld-linux-x86-64.so.2": b"loader",
        "usr/share/doc/main/copyright": b"free",
        "usr/share/doc/main/changelog": b"old",
    }
    links = {
        f"{LIB}/libone.so.1": "libone.so.1.0",
        "usr/lib64/ld-linux-x86-64.so.2": f"/lib/{LIB[8:]}/ld-linux-x86-64.so.2",
    }
    return files, links


def manifest(*keep: str, drop: tuple[str, ...] = (), link: tuple[tuple[str, str], ...] = ()) -> Manifest:
    return Manifest(
        suites=("s",),
        package=(),
        keep=tuple(Keep(path=path, reason="r") for path in keep),
        drop=tuple(Drop(path=path, reason="r") for path in drop),
        link=tuple(Link(path=path, target=target, reason="r") for path, target in link),
    )


def test_a_program_brings_its_loader_and_libraries(tmp_path: Path, programs: dict[str, bytes]) -> None:
    tar = make_tar(tmp_path / "t.tar", *packages(programs))
    root = tmp_path / "root"
    taken = debian.unpack(
        tar, manifest("usr/bin/*", "usr/share/doc/*", drop=("*/changelog",), link=(("usr/bin/m", "main"),)), root
    )
    assert taken == [
        "usr/bin/main",
        f"{LIB}/ld-linux-x86-64.so.2",
        f"{LIB}/libone.so.1",
        f"{LIB}/libone.so.1.0",
        f"{LIB}/own/libtwo.so.2",
        "usr/lib64/ld-linux-x86-64.so.2",
        "usr/share/doc/main/copyright",
    ]
    assert (root / "usr/bin/main").stat().st_mode & 0o7777 == 0o755
    assert (root / LIB / "libone.so.1").readlink() == Path("libone.so.1.0")
    assert (root / "usr/bin/m").resolve() == root / "usr/bin/main"


def test_a_library_that_no_package_has_is_an_error(tmp_path: Path, programs: dict[str, bytes]) -> None:
    files, links = packages(programs)
    del files[f"{LIB}/own/libtwo.so.2"]
    tar = make_tar(tmp_path / "t.tar", files, links)
    with pytest.raises(EnvironmentFailure, match=r"libone.so.1.0 needs libtwo.so.2, which is in none"):
        debian.unpack(tar, manifest("usr/bin/main"), tmp_path / "root")


def test_patterns_that_match_nothing_are_all_named(tmp_path: Path, programs: dict[str, bytes]) -> None:
    tar = make_tar(tmp_path / "t.tar", *packages(programs))
    with pytest.raises(EnvironmentFailure) as caught:
        debian.unpack(tar, manifest("usr/bin/main", "usr/bin/none", "etc/*"), tmp_path / "root")
    assert caught.value.details == ("usr/bin/none (r)", "etc/* (r)")


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    tar = make_tar(tmp_path / "t.tar", {"../outside": b"x", "usr/bin/../../../up": b"x", "usr/bin/ok": b"x"}, {})
    debian.unpack(tar, manifest("*"), tmp_path / "a" / "root")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["ok", "t.tar"]


@pytest.mark.parametrize("length", [10, 512, 700])
def test_a_tar_file_cut_short(tmp_path: Path, programs: dict[str, bytes], length: int) -> None:
    tar = make_tar(tmp_path / "t.tar", *packages(programs))
    tar.write_bytes(tar.read_bytes()[:length])
    with pytest.raises(EnvironmentFailure):
        debian.unpack(tar, manifest("usr/bin/main"), tmp_path / "root")


def test_needs_of_a_real_program() -> None:
    program = shutil.which("git")
    assert program is not None
    needs = elf.needs(Path(program).read_bytes())
    assert "libc.so.6" in needs.libraries and needs.interpreter == "/lib64/ld-linux-x86-64.so.2"


def test_needs_of_what_is_no_elf_file_or_a_damaged_one(programs: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match="not a 64-bit"):
        elf.needs(b"#!/bin/sh\n")
    for length in range(6, 400, 13):
        with pytest.raises(ValueError):
            elf.needs(programs["main"][:length])
    wild = bytearray(programs["main"])
    struct.pack_into("<Q", wild, 32, 1 << 62)  # a program header table far beyond the end
    with pytest.raises(ValueError, match="damaged"):
        elf.needs(bytes(wild))


def test_our_manifests_are_read_and_their_reasons_do_not_decide() -> None:
    from harness import image, qemu_runtime

    assert image.flavours() == ["shell", "test"]
    assert {package.name for package in image.manifest("test").package} >= {"cxl", "daxctl", "dropbear-bin"}
    assert image.key("test") != image.key("shell") != qemu_runtime.runtime_key()
    assert manifest("a").digest == Manifest(suites=("s",), package=(), keep=(Keep(path="a", reason="other"),)).digest
    assert manifest("a").digest != manifest("b").digest
