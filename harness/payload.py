# SPDX-License-Identifier: GPL-2.0-only
"""The guest tests and their compiled helpers as an erofs image, mounted at ``/opt/harness`` in the guest.

Layout, from ``tests/guest``::

    <suite>/test_x.sh, config, settings, …   →  tests/<suite>/…        (as they are; scripts executable)
    <suite>/test_y.c                         →  tests/<suite>/test_y   (compiled)
    lib/*                                    →  tests/lib/*            (lib/ is also on the C include path)
    helpers/z.c                              →  bin/z                  (compiled)
    modules/m.c                              →  modules/m.ko           (built for the kernel; m.missing says why not)

and beside them what a run brings along (:class:`Extra`: the tree's own selftests, a kernel's modules).

Programs are compiled statically and kept one by one by content, so that an edit compiles one file again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import BuildError, EnvironmentFailure
from harness.paths import Paths
from harness.process import run, which
from harness.progress import Progress
from harness.store import Store, disk_failure, file_digest, value_digest
from harness.values import GuestModules, Payload

_KIND = "payload"
_PROGRAM = "guest-program"
_FORMAT = 1
_COMPILE_SECONDS = 120.0
_UUID = "6e707269-7661-7465-0000-000000000001"
_CC = "cc"
_CFLAGS = ("-static", "-s", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-ffile-prefix-map={root}=.")


@dataclass(frozen=True, slots=True)
class Extra:
    """A folder of the host that is packed as well, below ``place`` of the image; ``key`` stands for its content."""

    place: str
    folder: Path
    key: str


@dataclass(frozen=True, slots=True)
class Layout:
    """What goes where in the image, relative to ``tests/guest`` and to the image's root."""

    copies: Mapping[str, str]
    programs: Mapping[str, str]


def layout(files: Sequence[str]) -> Layout:
    """The place of each file (paths relative to ``tests/guest``) in the image. Pure."""
    copies: dict[str, str] = {}
    programs: dict[str, str] = {}
    for name in sorted(files):
        path = PurePosixPath(name)
        if len(path.parts) < 2 or any(part.startswith(".") or part == "__pycache__" for part in path.parts):
            continue
        if path.parts[0] == "helpers":
            if path.suffix == ".c":
                programs[name] = f"bin/{path.stem}"
            elif path.suffix not in (".h", ".md"):
                copies[name] = f"bin/{path.name}"
        elif path.suffix == ".c" and path.stem.startswith("test_") and path.parts[0] != "lib":
            programs[name] = f"tests/{path.with_suffix('')}"
        elif path.suffix not in (".c", ".h"):
            copies[name] = f"tests/{name}"
    return Layout(copies=copies, programs=programs)


def payload(
    *,
    paths: Paths,
    store: Store,
    progress: Progress,
    modules: GuestModules | None = None,
    extra: Sequence[Extra] = (),
) -> Payload:
    """The payload of the project's guest tests, made again only when one of their files or the compiler changed.

    ``modules`` are those of the kernel that it is for; what is ``extra`` is packed with them, folders of one place as
    one. Raises :class:`BuildError` where a program does not compile,
    with the compiler's message.
    """
    root = paths.guest_tests
    files = [name for name in _files(root) if not name.startswith("modules/")]  # these are built against a kernel
    digests = {name: file_digest(root / name) for name in files}
    compiler = _identity(_CC)
    built = {name: file_digest(file) for name, file in modules.files.items()} if modules else {}
    missing = dict(modules.missing) if modules else {}
    more = sorted((one.place, one.key) for one in extra)
    parts = [_FORMAT, digests, _CFLAGS, compiler, _identity("mkfs.erofs"), built, missing, *([more] if more else [])]
    key = value_digest(*parts)

    def make(folder: Path) -> dict[str, Any]:
        plan = layout(files)
        shared = sorted((name, digest) for name, digest in digests.items() if name.endswith((".h", ".inc")))
        with paths.scratch("payload") as scratch:
            _populate(root, plan, scratch)
            _add_modules(modules or GuestModules(), scratch / "modules")
            _compile_all(root, plan, digests, (shared, compiler), scratch, store=store, progress=progress)
            _add(extra, scratch)
            progress.update("packing the guest tests")
            _pack(scratch, folder / "payload.erofs")
        return {"digest": file_digest(folder / "payload.erofs")}

    entry, _ = store.obtain(_KIND, key, make, progress=progress)
    return Payload(key=key, image=entry.path / "payload.erofs", digest=str(entry.meta["digest"]))


def _files(root: Path) -> list[str]:
    if not root.is_dir():
        raise EnvironmentFailure(f"the guest tests are missing: there is no {root}")
    found: list[str] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name != "__pycache__" and not name.startswith("."))
        found += (str((Path(folder) / name).relative_to(root)) for name in names if not name.endswith((".pyc", "~")))
    return sorted(found)


def _identity(program: str) -> list[Any]:
    """A program by its file, which is quicker than asking for its version: path, size, time of change."""
    path = which(program)
    if path is None:
        raise EnvironmentFailure(f"'{program}' is not installed", hint="run ci/bootstrap")
    real = path.resolve()
    facts = real.stat()
    return [str(real), facts.st_size, facts.st_mtime_ns]


def _populate(root: Path, plan: Layout, folder: Path) -> None:
    for name, place in plan.copies.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        content = (root / name).read_bytes()
        target.write_bytes(content)
        target.chmod(0o755 if content.startswith(b"#!") else 0o644)


def _add_modules(modules: GuestModules, folder: Path) -> None:
    folder.mkdir()
    for name, file in modules.files.items():
        shutil.copyfile(file, folder / f"{name}.ko")
    for name, reason in modules.missing.items():
        (folder / f"{name}.missing").write_text(f"{reason}\n")


def _add(extra: Sequence[Extra], folder: Path) -> None:
    for one in extra:
        target = folder / one.place
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copytree(one.folder, target, symlinks=True, dirs_exist_ok=True)
        except shutil.Error as several:
            raise disk_failure(OSError(str(several)), "while packing the guest tests") from several


def _compile_all(
    root: Path,
    plan: Layout,
    digests: Mapping[str, str],
    common: tuple[Any, ...],
    folder: Path,
    *,
    store: Store,
    progress: Progress,
) -> None:
    done = 0
    for place in plan.programs.values():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)

    def one(name: str) -> tuple[str, Path]:
        key = value_digest(_FORMAT, name, digests[name], common, _CFLAGS)

        def make(into: Path) -> dict[str, Any]:
            compile_program(root / name, into / "program", root=root)
            return {}

        entry, _ = store.obtain(_PROGRAM, key, make)
        return name, entry.path / "program"

    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        for name, program in pool.map(one, plan.programs):
            done += 1
            progress.update(f"CC {name}", done=done, total=len(plan.programs))
            target = folder / plan.programs[name]
            shutil.copyfile(program, target)
            target.chmod(0o755)


def compile_program(source: Path, target: Path, *, root: Path) -> None:
    """Compile one guest program statically. Raises :class:`BuildError` with the compiler's own message."""
    flags = [flag.format(root=root) for flag in _CFLAGS]
    argv: list[str | Path] = [_CC, *flags, "-I", root / "lib", "-o", target, source]
    done = run(argv, deadline=_COMPILE_SECONDS, check=False)
    said = done.error_text.splitlines()
    if done.returncode == 0:
        return
    if any("No space left on device" in line for line in said):
        raise EnvironmentFailure("the disk is full while compiling the guest tests", details=said[-5:])
    first = next((line for line in said if "error" in line), said[0] if said else "the compiler said nothing")
    raise BuildError(f"a guest program does not compile: {first}", details=said[:30], command=done.argv)


def _pack(folder: Path, image: Path) -> None:
    """Pack a folder into a reproducible erofs: fixed times, owner and UUID."""
    for name in ("tests", "bin"):
        (folder / name).mkdir(exist_ok=True)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    argv: list[str | Path] = ["mkfs.erofs", "--quiet", "-zlz4hc", "-T0", "--all-root", "-U", _UUID, image, folder]
    done = run(argv, deadline=_COMPILE_SECONDS, check=False)
    if done.returncode != 0 or not image.is_file():
        said = (done.error_text + done.text).splitlines()
        if any("No space left" in line for line in said):
            raise disk_failure(OSError(28, "No space left on device", str(image)), "while packing the guest tests")
        raise EnvironmentFailure("mkfs.erofs failed", command=done.argv, details=said[-10:])
