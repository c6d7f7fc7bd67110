# SPDX-License-Identifier: GPL-2.0-only
"""A kernel of the user's own, from a file: ``vmlinux`` with a PVH entry, or a bzImage."""

from __future__ import annotations

import mmap
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.store import file_digest
from harness.values import Kernel

_ELF_MAGIC = b"\x7fELF"
_X86_64 = 62
_PT_NOTE = 4
_PVH_ENTRY_NOTE = 18  # XEN_ELFNOTE_PHYS32_ENTRY
_SETUP_MAGIC_OFFSET = 0x202  # Documentation/arch/x86/boot.rst: "HdrS"
_VERSION_POINTER_OFFSET = 0x20E  # ditto: kernel_version, less 0x200
_BANNER = re.compile(rb"Linux version (\S+) ")
_CONFIG_BEGIN, _CONFIG_END = b"IKCFG_ST", b"IKCFG_ED"  # kernel/configs.c


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFile:
    """A kernel from a file, and its ``.config`` where it can be found (in it, or beside it), else ""."""

    kernel: Kernel
    config: str


def read(path: Path) -> KernelFile:
    """What this kernel is.

    Raises :class:`UserError` for a file that is not there, not a kernel, or not one that QEMU can boot directly.
    """
    path = path.absolute()
    if path.is_dir():
        found = [path / name for name in ("vmlinux", "arch/x86/boot/bzImage") if (path / name).is_file()]
        if not found:
            raise UserError(f"there is no kernel in {path}", hint="give the path of its vmlinux or bzImage")
        path = found[0]
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as image:
            return _describe(path, image)
    except FileNotFoundError:
        raise UserError(f"there is no kernel {path}") from None
    except ValueError:  # mmap: an empty file
        raise UserError(f"{path} is empty") from None
    except OSError as reason:
        raise UserError(f"cannot read the kernel {path}: {reason.strerror}") from None


def placeholder(name: str) -> KernelFile:
    """A kernel that is not there yet, for showing a plan."""
    path = Path(name)
    kernel = Kernel(
        key="",
        release="",
        vmlinux=path,
        bzimage=None,
        config=path,
        system_map=path,
        debug_vmlinux=None,
        modules=None,
        toolchain="",
        warnings={},
        digest="",
    )
    return KernelFile(kernel=kernel, config="")


def _describe(path: Path, image: mmap.mmap) -> KernelFile:
    if image[:4] == _ELF_MAGIC:
        _check_vmlinux(path, image)
        release = _banner_release(image)
        config = _embedded_config(image) or _config_beside(path.parent)
        bzimage = None
    elif image[_SETUP_MAGIC_OFFSET : _SETUP_MAGIC_OFFSET + 4] == b"HdrS":
        release = _setup_release(image)
        config = _config_beside(path.parent, path.parents[min(3, len(path.parents) - 1)])
        bzimage = path
    else:
        raise UserError(f"{path} is neither a vmlinux nor a bzImage", hint="give the file that the kernel's build made")
    digest = file_digest(path)
    kernel = Kernel(
        key=digest,
        release=release,
        vmlinux=path,
        bzimage=bzimage,
        config=path.parent / ".config",
        system_map=path.parent / "System.map",
        debug_vmlinux=None if bzimage else path,
        modules=None,
        toolchain="",
        warnings={},
        digest=digest,
    )
    return KernelFile(kernel=kernel, config=config)


def _check_vmlinux(path: Path, image: mmap.mmap) -> None:
    try:
        machine = struct.unpack_from("<H", image, 18)[0]
        if image[4] != 2 or machine != _X86_64:
            raise UserError(f"{path} is not a kernel for x86-64")
        if has_pvh_entry(image):
            return
    except struct.error:
        raise UserError(f"{path} is not a whole ELF file") from None
    raise UserError(
        f"{path} has no PVH entry, so QEMU cannot boot it directly",
        hint="build it with CONFIG_PVH=y, or give its arch/x86/boot/bzImage",
    )


def has_pvh_entry(image: mmap.mmap | bytes) -> bool:
    """Whether an ELF64 file has the note by which QEMU finds the PVH entry. Raises ``struct.error`` on a cut file."""
    table, size, count = struct.unpack_from("<Q14xHH", image, 32)[0], *struct.unpack_from("<HH", image, 54)
    for number in range(count):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", image, table + number * size)
        if kind == _PT_NOTE and _has_note(bytes(image[offset : offset + length])):
            return True
    return False


def _has_note(notes: bytes) -> bool:
    """Notes are (name size, value size, type), name, value, each padded to 4 bytes (elf(5))."""
    at = 0
    while at + 12 <= len(notes):
        name_size, value_size, kind = struct.unpack_from("<III", notes, at)
        at += 12
        if kind == _PVH_ENTRY_NOTE and notes[at : at + name_size] == b"Xen\0":
            return True
        at += (name_size + 3 & ~3) + (value_size + 3 & ~3)
    return False


def _banner_release(image: mmap.mmap) -> str:
    found = _BANNER.search(image)
    return found[1].decode("ascii", "replace") if found else "unknown"


def _setup_release(image: mmap.mmap) -> str:
    pointer = struct.unpack_from("<H", image, _VERSION_POINTER_OFFSET)[0]
    words = bytes(image[pointer + 0x200 : pointer + 0x300]).split(b"\0")[0].split()
    return words[0].decode("ascii", "replace") if pointer and words else "unknown"


def _embedded_config(image: mmap.mmap) -> str:
    """The ``.config`` that CONFIG_IKCONFIG put into the kernel, or ""."""
    begin = image.find(_CONFIG_BEGIN)
    end = image.find(_CONFIG_END, begin)
    if begin < 0 or end < 0:
        return ""
    try:
        return zlib.decompress(image[begin + len(_CONFIG_BEGIN) : end], wbits=31).decode("utf-8", "replace")
    except zlib.error:
        return ""


def _config_beside(*folders: Path) -> str:
    for folder in folders:
        try:
            return (folder / ".config").read_text("utf-8", "replace")
        except OSError:
            continue
    return ""
