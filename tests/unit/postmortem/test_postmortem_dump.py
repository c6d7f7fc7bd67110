# SPDX-License-Identifier: GPL-2.0-only
"""A dump as it comes: put together, refused over its limits, and never half there."""

from __future__ import annotations

import io
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import GuestError
from harness.postmortem import dump
from harness.postmortem.dump import Dump, NoDump, choose_format
from harness.postmortem.reassemble import NotFlattened, Reassembler, TooLong

HEADER = struct.pack(">16sqq", b"makedumpfile", 1, 1).ljust(4096, b"\0")
END = struct.pack(">qq", -1, -1)


def record(offset: int, data: bytes) -> bytes:
    return struct.pack(">qq", offset, len(data)) + data


STREAM = HEADER + record(0, b"KDUMP   head") + record(4096, b"pages" * 100) + record(4, b"P") + END


@pytest.mark.parametrize("step", [1, 7, 16, 4096, len(STREAM)])
def test_a_stream_becomes_the_file_in_whatever_pieces_it_comes(step: int) -> None:
    target = io.BytesIO()
    reassembler = Reassembler(target, limit=1 << 20)
    for start in range(0, len(STREAM), step):
        assert not reassembler.whole
        reassembler.feed(STREAM[start : start + step])
    assert reassembler.whole
    assert target.getvalue()[:12] == b"KDUMP   head" and target.getvalue()[4096:] == b"pages" * 100


@pytest.mark.parametrize("cut", [0, 100, 4096, 4100, 4112, len(STREAM) - 17, len(STREAM) - 1])
def test_a_stream_that_is_cut_off_is_not_whole(cut: int) -> None:
    reassembler = Reassembler(io.BytesIO(), limit=1 << 20)
    reassembler.feed(STREAM[:cut])
    assert not reassembler.whole


@pytest.mark.parametrize("stream", [b"ELF".ljust(5000), HEADER + struct.pack(">qq", -5, 8), HEADER + record(0, b"")])
def test_what_is_no_dump_is_refused(stream: bytes) -> None:
    with pytest.raises(NotFlattened):
        Reassembler(io.BytesIO(), limit=1 << 20).feed(stream)


def test_a_file_over_its_limit_is_refused_before_it_is_written() -> None:
    target = io.BytesIO()
    with pytest.raises(TooLong):
        Reassembler(target, limit=1000).feed(HEADER + record(990, b"x" * 11))
    assert target.getvalue() == b""


def test_formats() -> None:
    assert choose_format(["elf", "kdump-raw-zlib", "kdump-zlib", "kdump-snappy"]) == "kdump-zlib"
    assert choose_format(["elf", "kdump-lzo"]) == "kdump-lzo"
    with pytest.raises(NoDump, match="no compressed dump, only elf"):
        choose_format(["elf"])


class FakeGuest:
    """As much of a guest as a dump needs: its monitor writes a stream to the pipe that it is told."""

    def __init__(self, private: Path, stream: bytes, *, status: str = "completed", hold: bool = False) -> None:
        self.private = private
        self.monitor = self
        self.qemu_runs = True
        self.plan = SimpleNamespace(kernel_release="6.12.117-rc" + "x" * 80)
        self._stream = stream
        self._status = status
        self._hold = hold  # the pipe stays open, and nothing more comes
        self._release = threading.Event()
        self.threads: list[threading.Thread] = []

    def qmp(self, command: str, **_: Any) -> Any:
        return (
            {"formats": ["elf", "kdump-zlib"]} if command.startswith("query-dump-guest") else {"status": self._status}
        )

    def execute(self, command: str, arguments: dict[str, Any], *, deadline: float) -> None:
        assert command == "dump-guest-memory" and arguments["detach"] and arguments["format"] == "kdump-zlib"
        descriptor = os.open(arguments["protocol"].removeprefix("file:"), os.O_WRONLY)
        self.threads.append(threading.Thread(target=self._write, args=(descriptor,)))
        self.threads[-1].start()

    def _write(self, descriptor: int) -> None:
        with open(descriptor, "wb", buffering=0) as pipe:
            try:
                left = memoryview(self._stream)
                while left:
                    left = left[pipe.write(left) or 0 :]
                if self._hold:
                    self._release.wait(60)
            except BrokenPipeError:
                pass

    def end(self) -> None:
        self._release.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "QEMU would still wait for somebody to read"


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    for name in ("private", "guest"):
        (tmp_path / name).mkdir()
    yield tmp_path / "private", tmp_path / "guest"
    assert list((tmp_path / "private").iterdir()) == [], "the pipe is left"


def take(guest: FakeGuest, folder: Path, *, limit: int = 1 << 20, reserve: int = 0, deadline: float = 60.0) -> Dump:
    try:
        return dump.take(guest, folder, limit=limit, reserve=reserve, deadline=deadline)  # type: ignore[arg-type]
    finally:
        guest.end()


def test_a_dump_is_kept_for_this_user_alone(folders: tuple[Path, Path]) -> None:
    private, folder = folders
    done = take(FakeGuest(private, STREAM), folder)
    assert done.path.read_bytes()[:8] == b"KDUMP   " and done.size == 4596 and done.format == "kdump-zlib"
    assert done.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["vmcore"]


def test_its_header_names_the_kernel_and_the_machine(folders: tuple[Path, Path]) -> None:
    """QEMU does not, and then drgn refuses the dump."""
    private, folder = folders
    header = b"KDUMP   \6\0\0\0" + b"\0" * 260 + b"Unknown".ljust(65, b"\0") + b"domain".ljust(65, b"\0") + b"rest"
    done = take(FakeGuest(private, HEADER + record(0, header) + record(4096, b"pages") + END), folder)
    content = done.path.read_bytes()
    fields = [content[12 + 65 * at :][:65] for at in range(6)]
    assert [field.rstrip(b"\0") for field in fields] == [
        b"Linux", b"", b"6.12.117-rc" + b"x" * 53, b"of a guest", b"x86_64", b"domain",
    ]  # fmt: skip
    assert all(field.endswith(b"\0") for field in fields) and content[402:406] == b"rest"
    assert content[:12] == header[:12] and content[4096:] == b"pages"


BIG = HEADER + b"".join(record(number << 16, b"x" * 65536) for number in range(64)) + END


@pytest.mark.parametrize(
    ("stream", "options", "limits", "says"),
    [
        (BIG, {}, {"limit": 1 << 20}, "it would be larger than 1 MiB"),
        (STREAM, {}, {"reserve": 1 << 60}, "must stay free"),
        (STREAM[:-16], {}, {}, "QEMU broke it off after 0 MiB"),
        (b"", {}, {}, "QEMU broke it off after 0 MiB"),
        (STREAM, {"status": "failed"}, {}, "QEMU says that the dump failed"),
        (b"x" * 5000, {}, {}, "QEMU wrote what is no dump"),
        (STREAM[:-16], {"hold": True}, {"deadline": 0.3}, "it was not done in time"),
    ],
    ids=["cap", "free", "cut off", "nothing", "failed", "garbage", "slow"],
)
def test_a_dump_that_cannot_be_leaves_nothing(
    folders: tuple[Path, Path], stream: bytes, options: dict[str, Any], limits: dict[str, Any], says: str
) -> None:
    private, folder = folders
    with pytest.raises(NoDump, match=says):
        take(FakeGuest(private, stream, **options), folder, **limits)
    assert list(folder.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_ends_it(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    private, folder = folders
    monkeypatch.setattr(dump, "_CHECK_BYTES", 1 << 20)
    free = iter([1 << 40, 1 << 40, 100, 100, 100, 100])
    monkeypatch.setattr(dump, "free_bytes", lambda _: next(free))
    with pytest.raises(NoDump, match="the disk was filling up"):
        take(FakeGuest(private, BIG), folder, limit=1 << 30, reserve=1000)
    assert list(folder.iterdir()) == []


def test_a_qemu_that_refuses_is_quoted(folders: tuple[Path, Path]) -> None:
    private, folder = folders
    guest = FakeGuest(private, b"")

    def refuse(command: str, arguments: dict[str, Any], *, deadline: float) -> None:
        raise GuestError("QEMU refused dump-guest-memory: there is a dump in process")

    guest.execute = refuse  # type: ignore[method-assign]
    with pytest.raises(NoDump, match="there is a dump in process"):
        take(guest, folder)
    assert list(folder.iterdir()) == []
