# SPDX-License-Identifier: GPL-2.0-only
"""The guest's test modules (``tests/guest/modules``), built against the kernel under test; kept by content.

Each ``.c`` file is a module of its own. One that does not build against a kernel, because what it tests is not there,
is no error: it is missing, and the guest tests that need it skip with the compiler's reason.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness import sandbox
from harness.build.failure import error_of
from harness.build.kernel import module_folder
from harness.build.log import BuildLog
from harness.build.plan import MakePlan, default_jobs, make_plan
from harness.errors import BuildError, EnvironmentFailure
from harness.paths import Paths, make_folder
from harness.process import Completed, Enclosure, run
from harness.progress import Progress
from harness.store import Entry, Store, file_digest, value_digest
from harness.toolchain import Toolchain
from harness.values import AppliedSeries, GuestModules, Kernel, KernelConfig
from harness.worktrees import Worktree

_KIND = "guest-module"
_FORMAT = 1
_BUILD_SECONDS = 600.0


def guest_modules(
    applied: AppliedSeries,
    config: KernelConfig,
    kernel: Kernel,
    *,
    folder: Path,
    toolchain: Toolchain,
    paths: Paths,
    store: Store,
    progress: Progress,
    jobs: int | None = None,
) -> GuestModules:
    """The modules of ``folder`` for a kernel, from the cache where they are there; none where it loads no modules.

    Raises what :func:`harness.build.module_folder` raises, and :class:`EnvironmentFailure` where this machine fails.
    """
    sources = sorted(folder.glob("*.c"))
    if not config.enabled("MODULES"):
        reason = "this kernel has no loadable modules (CONFIG_MODULES)"
        return GuestModules(missing={source.stem: reason for source in sources})
    shared = [path for path in sorted(folder.iterdir()) if path.suffix == ".h" or path.name == "Kbuild"]
    keys = {source: _key(kernel, source, shared) for source in sources}
    found = {source: store.find(_KIND, key, progress=progress) for source, key in keys.items()}
    wanted = [source for source, entry in found.items() if entry is None]
    with contextlib.ExitStack() as stack:
        if wanted:
            worktree = stack.enter_context(
                module_folder(
                    applied, config, toolchain=toolchain, paths=paths, store=store, progress=progress, jobs=jobs
                )
            )
            maker = _Maker(shared, worktree=worktree, config=config, toolchain=toolchain, jobs=jobs, paths=paths)
            at_once = stack.enter_context(paths.scratch("modules"))
            whole = False
            if len(wanted) > 1:
                progress.update("test modules")
                whole = maker.make(wanted, at_once).returncode == 0
        for source in wanted:

            def make(into: Path, source: Path = source) -> dict[str, Any]:
                if whole:
                    return maker.keep(source, at_once, into)
                progress.update(f"test module {source.stem}")
                with paths.scratch("module") as scratch:
                    return maker.make_one(source, scratch, into)

            found[source], _ = store.obtain(_KIND, keys[source], make, progress=progress)
    entries = {source.stem: entry for source, entry in found.items() if entry is not None}
    return GuestModules(
        files={name: _file(entry, name) for name, entry in entries.items() if not entry.meta["missing"]},
        missing={name: entry.meta["missing"] for name, entry in entries.items() if entry.meta["missing"]},
    )


def _key(kernel: Kernel, source: Path, shared: Iterable[Path]) -> str:
    files = [(path.name, file_digest(path)) for path in (source, *shared)]
    return value_digest(_FORMAT, kernel.key, files)


def _file(entry: Entry, name: str) -> Path:
    return entry.path / f"{name}.ko"


class _Maker:
    """Builds modules against the kernel of a worktree, in folders of its caller's."""

    def __init__(
        self,
        shared: Sequence[Path],
        *,
        worktree: Worktree,
        config: KernelConfig,
        toolchain: Toolchain,
        jobs: int | None,
        paths: Paths,
    ) -> None:
        self._shared = shared
        self._worktree = worktree
        self._config = config
        self._toolchain = toolchain
        self._jobs = jobs or default_jobs()
        self._paths = paths

    def make(self, sources: Iterable[Path], folder: Path) -> Completed:
        """Run make for ``sources`` in ``folder``."""
        for path in (*sources, *self._shared):
            shutil.copyfile(path, folder / path.name)
        plan = self._plan(folder)
        return run(plan.argv, deadline=_BUILD_SECONDS, env=plan.env, check=False, within=self._within(folder))

    def keep(self, source: Path, folder: Path, into: Path) -> dict[str, Any]:
        """Put a module that was built in ``folder`` into a cache entry; its facts."""
        built = folder / f"{source.stem}.ko"
        within = self._within(folder)
        run(["objcopy", "--strip-debug", built], deadline=_BUILD_SECONDS, error=EnvironmentFailure, within=within)
        shutil.copyfile(sandbox.contained(built, folder), into / built.name)
        return {"missing": ""}

    def make_one(self, source: Path, folder: Path, into: Path) -> dict[str, Any]:
        """Build one module; its facts, with why it is ``missing`` if it does not build."""
        done = self.make([source], folder)
        if done.returncode == 0:
            return self.keep(source, folder, into)
        text = (done.text + done.error_text).replace(f"{folder}/", "")
        log_file = make_folder(self._paths.cache / "logs") / f"module-{source.stem}.log"
        log_file.write_text(text)
        log = BuildLog(source=self._worktree.source, output=self._worktree.output)
        for line in text.splitlines():
            log.feed(line)
        log.close()
        argv = self._plan(folder).argv
        error = error_of(log, argv=argv, command=None, file=log_file, returncode=done.returncode)
        if not isinstance(error, BuildError):
            raise error
        return {"missing": f"{source.name} does not build against this kernel: {_reason(text)}"}

    def _plan(self, folder: Path) -> MakePlan:
        return make_plan(
            ("modules",),
            source=self._worktree.source,
            output=self._worktree.output,
            config=self._config,
            toolchain=self._toolchain,
            jobs=self._jobs,
            ccache=None,
            variables={"M": str(folder)},
        )

    def _within(self, folder: Path) -> Enclosure:
        writable = [self._worktree.output, folder]
        return sandbox.enclosure(self._paths, writable=writable, readable=[self._worktree.source])


def _reason(text: str) -> str:
    """The first error in a compiler's or modpost's words."""
    return next(
        (line.strip() for line in text.splitlines() if "error: " in line or line.startswith("ERROR: ")), "no reason"
    )
