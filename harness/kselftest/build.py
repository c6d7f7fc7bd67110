# SPDX-License-Identifier: GPL-2.0-only
"""Builds a target of the tree's selftests out of tree, as ``make -C tools/testing/selftests`` does, kept by content.

An entry holds ``tree/``, in the layout of an installed kselftest (``<target>/…``, ``kselftest/…``), and ``lib/``, the
host's libraries that its programs need beside the C library. What does not build is in it too, by name and reason.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import sandbox, worktrees
from harness.debian import elf
from harness.errors import BuildError, EnvironmentFailure
from harness.kselftest.log import Reason, reasons
from harness.kselftest.tree import FOLDER, SPARSE, Selftests
from harness.paths import Paths, make_folder
from harness.process import Enclosure, run
from harness.progress import Progress
from harness.store import Entry, Store, disk_failure, file_digest, value_digest
from harness.toolchain import Toolchain, make_argv

_KIND = "kselftest"
_FORMAT = 1
_HEADERS_SECONDS = 600.0
_LIST_SECONDS = 120.0
_BUILD_SECONDS = 1800.0

_PROGRAMS = ("TEST_GEN_PROGS", "TEST_CUSTOM_PROGS", "TEST_PROGS")  # what lib.mk runs, in its order
_BESIDE = ("TEST_PROGS_EXTENDED", "TEST_FILES", "TEST_GEN_PROGS_EXTENDED", "TEST_GEN_FILES")
_OTHERS = ("TEST_INCLUDES", "TEST_GEN_MODS_DIR")
_LISTS = "harness-lists"
_PRELOADED = Path(__file__).parent / "guest" / "line-buffered.c"

# Of the C library: the guest's own serve, since they go with its dynamic loader.
_GLIBC = (
    "libc.so.",
    "libm.so.",
    "libpthread.so.",
    "librt.so.",
    "libdl.so.",
    "libutil.so.",
    "libresolv.so.",
    "ld-linux",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltTarget:
    """A target as far as it could be built. ``folder`` has ``tree/`` and ``lib/``; ``key`` stands for its content.

    ``programs`` are the names of the target's programs (what kselftest runs), in its order, built or not; ``unbuilt``
    maps what is not there, a program or a file that programs use, to the reason.
    """

    target: str
    key: str
    folder: Path
    programs: tuple[str, ...]
    unbuilt: Mapping[str, Reason]

    def text(self, program: str) -> str:
        """A program's file as text ("" where it is not there)."""
        path = self.folder / "tree" / self.target / program
        return path.read_text("utf-8", "replace") if path.is_file() else ""


def build(
    selftests: Selftests, target: str, *, toolchain: Toolchain, paths: Paths, store: Store, progress: Progress
) -> BuiltTarget:
    """Build a target, or take it from the cache.

    What does not compile is no error here: it is told by name. Raises :class:`EnvironmentFailure` where this machine
    failed (a full disk, no make), and :class:`BuildError` where the tree's own headers cannot be installed.
    """
    preloaded = file_digest(_PRELOADED)
    key = value_digest(_FORMAT, selftests.digest, target, toolchain.digest, _host_libraries(toolchain), preloaded)

    def make(folder: Path) -> dict[str, Any]:
        with (
            worktrees.lease(
                repository=selftests.applied.tree.repository,
                key="kselftest",
                commit=selftests.applied.commit,
                paths=paths,
                store=store,
                progress=progress,
                sparse=SPARSE,
            ) as worktree,
            paths.scratch("kselftest") as output,
        ):
            headers = _headers(selftests, worktree.source, toolchain, paths, store, progress)
            (output / "usr").symlink_to(headers)
            # several targets put files beside their sources
            within = sandbox.enclosure(paths, writable=[worktree.source, output], readable=[headers])
            return _Build(worktree.source, output, headers, target, toolchain, within, progress).into(folder)

    entry, _ = store.obtain(_KIND, key, make, progress=progress)
    return _built(entry, target)


def _built(entry: Entry, target: str) -> BuiltTarget:
    unbuilt = {name: Reason(text=text, ours=ours) for name, (text, ours) in entry.meta["unbuilt"].items()}
    return BuiltTarget(
        target=target, key=entry.key, folder=entry.path, programs=tuple(entry.meta["programs"]), unbuilt=unbuilt
    )


def _headers(
    selftests: Selftests, source: Path, toolchain: Toolchain, paths: Paths, store: Store, progress: Progress
) -> Path:
    """The tree's headers for user space, in ``include`` of the folder returned; the same for all targets."""

    def make(folder: Path) -> dict[str, Any]:
        progress.update("make headers")
        output = make_folder(folder / "output")
        argv = make_argv(["headers"], source=source, output=output, toolchain=toolchain)
        failure = "the headers for the tree's selftests cannot be made"
        within = sandbox.enclosure(paths, writable=[output], readable=[source])
        run(argv, deadline=_HEADERS_SECONDS, error=BuildError, failure=failure, within=within)
        sandbox.contained(output / "usr" / "include", output).rename(folder / "include")
        shutil.rmtree(output)
        return {}

    key = value_digest(_FORMAT, selftests.digest, toolchain.digest)
    return store.obtain(f"{_KIND}-headers", key, make, progress=progress)[0].path


def _host_libraries(toolchain: Toolchain) -> list[str]:
    """The libraries that programs can be linked with, by name and version: with other ones another target results."""
    found = Path(run([toolchain.cc, "-print-file-name=libc.so"], deadline=30).text.strip())
    return sorted(f"{path.name} {path.resolve().name}" for path in found.parent.glob("lib*.so"))


@dataclass(frozen=True, slots=True)
class _Build:
    """One target's build from nothing, in a folder of its own."""

    source: Path
    output: Path
    headers: Path
    target: str
    toolchain: Toolchain
    within: Enclosure
    progress: Progress

    @property
    def home(self) -> Path:
        """The target's folder in the source."""
        return self.source / FOLDER / self.target

    @property
    def objects(self) -> Path:
        """Where make puts what it builds."""
        return self.output / "kselftest" / self.target

    def into(self, folder: Path) -> dict[str, Any]:
        """Build, and put what is kept into an entry's folder; its facts."""
        make_folder(self.objects)
        make_folder(folder / "tree" / self.target)
        lists, broken = self._lists()
        unbuilt: dict[str, Reason] = {"Makefile": broken} if broken is not None else {}
        if broken is None:
            self.progress.update(f"make -C {FOLDER}/{self.target}")
            said = self._make("-k", f"-j{len(os.sched_getaffinity(0))}", "--output-sync=target", "all").splitlines()
            unbuilt |= self._install(lists, folder / "tree" / self.target, reasons(said))
            self._install_shared(lists, folder / "tree")
            (folder / "build.log").write_text("\n".join(said) + "\n")
            if lists["TEST_GEN_MODS_DIR"]:
                text = "kernel modules of selftests are not built here"
                unbuilt |= {Path(name).name: Reason(text=text, ours=False) for name in lists["TEST_GEN_MODS_DIR"]}
        _libraries(folder / "tree" / self.target, folder / "lib", self.toolchain)
        flags = ("-shared", "-fPIC", "-O2", "-s", "-Wl,--build-id=none")
        run(
            [self.toolchain.cc, *flags, "-o", folder / "lib" / _PRELOADED.with_suffix(".so").name, _PRELOADED],
            deadline=60,
        )
        programs = [Path(name).name for kind in _PROGRAMS for name in lists.get(kind, ())]
        return {
            "programs": list(dict.fromkeys(programs)),
            "unbuilt": {name: [reason.text, reason.ours] for name, reason in sorted(unbuilt.items())},
        }

    def _argv(self, *words: str) -> list[str]:
        return [
            "make", "-C", str(self.home), "--no-print-directory", *words,
            f"OUTPUT={self.objects}", f"O={self.output}", f"KHDR_INCLUDES=-isystem {self.output}/usr/include",
            f"USERCFLAGS=-ffile-prefix-map={self.source}=. -ffile-prefix-map={self.output}=.",
        ]  # fmt: skip

    def _make(self, *words: str) -> str:
        """Run make; what it said on standard error. It may fail: the files say what is there."""
        done = run(self._argv(*words), deadline=_BUILD_SECONDS, check=False, within=self.within)
        if "No space left on device" in done.error_text:
            raise EnvironmentFailure("the disk is full while building selftests", command=done.argv)
        return done.error_text

    def _lists(self) -> tuple[dict[str, list[str]], Reason | None]:
        """The target's lists of files, from its own Makefile; or why there are none."""
        kinds = (*_PROGRAMS, *_BESIDE, *_OTHERS)
        rule = f"{_LISTS}: ; @:$(foreach list,{' '.join(kinds)},$(info {_LISTS} $(list) $($(list))))"
        argv = self._argv("-s", f"--eval={rule}", _LISTS)
        done = run(argv, deadline=_LIST_SECONDS, check=False, within=self.within)
        lists: dict[str, list[str]] = {kind: [] for kind in kinds}
        for line in done.text.splitlines():
            if line.startswith(f"{_LISTS} "):
                _, kind, *names = line.split()
                lists[kind] = names
        if done.returncode == 0:
            return lists, None
        said = next((line for line in done.error_text.splitlines() if "***" in line), "make said nothing")
        return lists, Reason(text=f"its Makefile does not work: {said}", ours=True)

    def _install(self, lists: Mapping[str, Sequence[str]], place: Path, why: Mapping[str, Reason]) -> dict[str, Reason]:
        """Copy what the lists name, as lib.mk's INSTALL_RULE does; what is not there, with the reason."""
        missing: dict[str, Reason] = {}
        names = [name for kind in (*_PROGRAMS, *_BESIDE) for word in lists[kind] for name in self._expanded(word)]
        for name in dict.fromkeys(names):
            path = self.home / name  # an absolute name stays what it is
            if not self._ours(path):
                missing[path.name] = Reason(text=f"its Makefile names a file outside of the tree: {path}", ours=True)
                continue
            try:
                if path.is_dir():
                    shutil.copytree(path, place / path.name, dirs_exist_ok=True, ignore=self._foreign,
                                    ignore_dangling_symlinks=True)  # fmt: skip
                elif path.is_file():
                    shutil.copy(path, place / path.name)
                else:
                    missing[path.name] = why.get(path.name) or Reason(text="make did not make it", ours=True)
            except OSError as reason:
                raise disk_failure(reason, f"while keeping {path}") from reason
        return missing

    def _ours(self, path: Path) -> bool:
        """Whether a path leads into what is built here, not to a file that only the harness can read."""
        real = path.resolve()
        return any(real.is_relative_to(top.resolve()) for top in (self.source, self.output, self.headers))

    def _foreign(self, folder: str, names: list[str]) -> set[str]:
        return {name for name in names if not self._ours(Path(folder) / name)}

    def _expanded(self, word: str) -> list[str]:
        """The names that a word of a list stands for: lib.mk gives it to a shell, which expands patterns."""
        pattern = not word.startswith("/") and bool(set("*?[") & set(word))
        found = [str(path) for path in sorted(self.home.glob(word))] if pattern else []
        return found or [word]

    def _install_shared(self, lists: Mapping[str, Sequence[str]], tree: Path) -> None:
        """What scripts of all targets use (``../kselftest``), and what this target's name beside their own folder."""
        top = (self.source / FOLDER).resolve()
        named = ((self.home / name).resolve() for name in lists["TEST_INCLUDES"])
        for path in (*(top / "kselftest").glob("*"), *named):
            if path.is_file() and path.resolve().is_relative_to(top):
                place = tree / path.relative_to(top)
                make_folder(place.parent)
                shutil.copy(path, place)


def _libraries(folder: Path, place: Path, toolchain: Toolchain) -> None:
    """Copy the libraries that the programs of a folder need, and those that these need, but for the C library."""
    make_folder(place)
    todo = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()] if folder.is_dir() else []
    own = {path.name for path in todo}
    seen: set[str] = set()
    while todo:
        data = todo.pop().read_bytes()
        if not data.startswith(elf.MAGIC):
            continue
        try:
            names = elf.needs(data).libraries
        except (ValueError, StopIteration):
            continue  # no program of ours to repair: running it says what is wrong
        for name in names:
            if name in seen or name in own or "/" in name or name.startswith(_GLIBC):
                continue
            seen.add(name)
            found = Path(run([toolchain.cc, f"-print-file-name={name}"], deadline=30).text.strip())
            if found.is_absolute() and found.is_file():
                shutil.copy(found, place / name)
                todo.append(place / name)
