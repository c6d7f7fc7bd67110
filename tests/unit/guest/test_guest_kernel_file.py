# SPDX-License-Identifier: GPL-2.0-only
"""Kernels of the user's own: what is one, what is none, and what each error says."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.guest import kernel_file
from harness.kvm_probe import probe_image

BANNER = b"\0Linux version 6.12.117-test (root@vm) (gcc) #1 SMP\n\0"


def bzimage(release: bytes = b"6.1.0-13-amd64 (builder@host) #1") -> bytes:
    image = bytearray(0x2000)
    image[0x202:0x206] = b"HdrS"
    image[0x20E:0x210] = (0x1000 - 0x200).to_bytes(2, "little")
    image[0x1000 : 0x1000 + len(release)] = release
    return bytes(image)


def test_a_vmlinux_with_pvh_entry(tmp_path: Path) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(probe_image() + BANNER)
    (tmp_path / ".config").write_text("CONFIG_HZ=100\n")
    read = kernel_file.read(file)
    assert read.kernel.release == "6.12.117-test"
    assert read.kernel.vmlinux == file and read.kernel.bzimage is None
    assert read.config == "CONFIG_HZ=100\n"


def test_the_config_inside_wins_over_the_one_beside(tmp_path: Path) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(probe_image() + BANNER + b"IKCFG_ST" + gzip.compress(b"CONFIG_HZ=1000\n") + b"IKCFG_ED")
    (tmp_path / ".config").write_text("CONFIG_HZ=100\n")
    assert kernel_file.read(file).config == "CONFIG_HZ=1000\n"


def test_a_damaged_config_inside_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(probe_image() + BANNER + b"IKCFG_ST" + b"not gzip" + b"IKCFG_ED")
    assert kernel_file.read(file).config == ""


def test_a_bzimage(tmp_path: Path) -> None:
    boot = tmp_path / "arch" / "x86" / "boot"
    boot.mkdir(parents=True)
    (boot / "bzImage").write_bytes(bzimage())
    (tmp_path / ".config").write_text("CONFIG_HZ=250\n")
    read = kernel_file.read(boot / "bzImage")
    assert read.kernel.release == "6.1.0-13-amd64"
    assert read.kernel.bzimage == boot / "bzImage"
    assert read.config == "CONFIG_HZ=250\n"
    assert kernel_file.read(tmp_path).kernel == read.kernel  # the build folder stands for its kernel


def test_a_build_folder_prefers_vmlinux(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_bytes(probe_image())
    assert kernel_file.read(tmp_path).kernel.vmlinux.name == "vmlinux"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"#!/bin/sh\n", "neither a vmlinux nor a bzImage"),
        (b"\x7fELF\x02\x01\x01", "not a whole ELF file"),
        (probe_image()[:100], "not a whole ELF file"),
        (probe_image()[:-24], "has no PVH entry"),
        (probe_image().replace(b"Xen\0", b"Nex\0"), "has no PVH entry"),
        (probe_image()[:18] + b"\xb7\0" + probe_image()[20:], "not a kernel for x86-64"),
    ],
)
def test_what_is_no_kernel(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "vmlinux"
    file.write_bytes(content)
    with pytest.raises(UserError, match=message):
        kernel_file.read(file)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no kernel"):
        kernel_file.read(tmp_path / "vmlinux")
    with pytest.raises(UserError, match="there is no kernel in"):
        kernel_file.read(tmp_path)
