# SPDX-License-Identifier: GPL-2.0-only
"""The run folder: ``<data>/runs/<time>-<id>/`` with everything that a run leaves.

::

    manifest.json  results.json  junit.xml                what decided it, what came out
    programs.json                                         what was selected: the programs, their cases and deadlines
    config  series/                                       the final .config, the patches
    failure.log                                           the whole output of the command that made the run fail
    reruns/<number>/                                      guests and outputs of failed cases that were run again
    guests/1/  console.log  console.raw  qemu.argv  meminfo.txt  dmesg.txt    a folder a guest
               samples.tsv                                                    its memory over time (--sample)
               hang.txt  sysrq.txt  registers.txt  vmcore  triage.txt         of one that hung or crashed
    ktap/<suite>/<program>.ktap                           each program's output as received
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from harness.display import plain_json
from harness.errors import UserError, nearest
from harness.paths import Paths, make_dated_folder, make_folder, open_regular
from harness.results import older
from harness.results.junit import junit
from harness.results.record import MANIFEST_VERSION, RESULTS_VERSION, Manifest, Results
from harness.store import disk_failure


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder; ``name`` is the run's id."""

    path: Path

    @property
    def name(self) -> str:
        """The run's id: time and a few random digits."""
        return self.path.name

    @contextmanager
    def held(self) -> Iterator[None]:
        """Mark the run as going on for the length of the block (flock(2): a dead holder holds nothing)."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    @property
    def going_on(self) -> bool:
        """Whether a process holds the run."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def folder(self, *parts: str) -> Path:
        """A folder inside, made where it is not there."""
        return make_folder(self.path.joinpath(*parts))

    def write(self, name: str, content: bytes | str) -> Path:
        """Write a file whole: beside its place, then renamed. Raises :class:`EnvironmentFailure` on a full disk."""
        target = self.path / name
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                beside.write_bytes(data)
                beside.replace(target)
            except BaseException:  # Ctrl-C too
                beside.unlink(missing_ok=True)
                raise
        except OSError as reason:
            raise disk_failure(reason, f"while writing {target}") from reason
        return target

    def write_manifest(self, manifest: Manifest) -> None:
        """Write ``manifest.json``."""
        self.write("manifest.json", _json(manifest))

    def write_results(self, results: Results) -> None:
        """Write ``results.json`` and ``junit.xml``."""
        self.write("results.json", _json(results))
        self.write("junit.xml", junit(results))


def _json(value: Manifest | Results) -> str:
    # by the standard library: a path or a message may hold what is no UTF-8, on which msgspec gives up
    return plain_json(json.dumps(msgspec.to_builtins(value), indent=1, ensure_ascii=False)) + "\n"


def create(paths: Paths) -> RunFolder:
    """A new, empty run folder; the name sorts by time and does not collide."""
    return RunFolder(make_dated_folder(paths.runs))


def find(name: str, *, paths: Paths) -> RunFolder:
    """A run folder by id, by the start of one, by path, or ``last``."""
    as_path = Path(name)
    if (as_path / "results.json").is_file():
        return RunFolder(as_path.absolute())
    known = sorted(path.name for path in paths.runs.glob("*") if (path / "results.json").is_file())
    matches = known[-1:] if name == "last" else [run for run in known if run.startswith(name)]
    if len(matches) != 1:
        close = nearest(name, known)
        reason = (
            f"{len(matches)} runs begin with it" if matches else (f"nearest: {close}" if close else "no run is kept")
        )
        raise UserError(f"there is no single run '{name}' in {paths.runs}", hint=reason)
    return RunFolder(paths.runs / matches[0])


def read_results(folder: RunFolder) -> Results:
    """``results.json``; raises :class:`UserError` where it is damaged or from a newer harness."""
    return read_results_file(folder.path / "results.json")


def read_results_file(file: Path) -> Results:
    """Results by their file, as :func:`read_results`."""
    return older.results(_read(file, Results, RESULTS_VERSION))


def read_manifest(folder: RunFolder) -> Manifest:
    """``manifest.json``; raises :class:`UserError` where it is damaged or from a newer harness."""
    return read_manifest_file(folder.path / "manifest.json")


def read_manifest_file(file: Path) -> Manifest:
    """A manifest by its file, as :func:`read_manifest`."""
    try:
        return older.manifest(_read(file, Manifest, MANIFEST_VERSION))
    except (KeyError, TypeError, AttributeError, ValueError) as reason:
        raise UserError(f"{file} is damaged: {reason!r} where version 1 has something else") from None


_T = TypeVar("_T", Manifest, Results)


class _Versioned(msgspec.Struct):
    version: int


def _read(file: Path, kind: type[_T], newest: int) -> _T:
    try:
        with open_regular(file) as stream:
            text = stream.read()
        version = msgspec.json.decode(text, type=_Versioned).version
        if version > newest:
            raise UserError(
                f"{file} is of version {version}; this harness reads up to {newest}", hint="update the harness"
            )
        return msgspec.json.decode(text, type=kind)
    except OSError as reason:
        raise UserError(f"cannot read {file}: {reason.strerror}") from None
    except msgspec.MsgspecError as reason:
        raise UserError(f"{file} is damaged: {reason}") from None
