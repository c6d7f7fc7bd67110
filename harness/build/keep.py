# SPDX-License-Identifier: GPL-2.0-only
"""What is kept of a built kernel, and the kernel that an entry of the cache is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from harness import sandbox, worktrees
from harness.build.make import STEP_SECONDS, Job
from harness.errors import BuildError, EnvironmentFailure
from harness.paths import make_folder
from harness.process import Enclosure, run
from harness.store import Entry, file_digest
from harness.toolchain import ARCHITECTURE
from harness.values import Kernel

SYMBOLS = "Module.symvers"
_RELEASE = re.compile(r"[0-9][\w.+~-]{0,63}", re.ASCII)  # as uname(2) has room for
_GDB_SCRIPT = "vmlinux-gdb.py"


def collect(job: Job, worktree: worktrees.Worktree, folder: Path) -> dict[str, Any]:
    """Copy what is kept of a build into an entry; returns its facts."""
    output = worktree.output
    job.progress.update("keeping the kernel")
    release = _release(output)

    def keep(made: Path, name: str) -> None:
        shutil.copyfile(sandbox.contained(made, output), folder / name)

    keep(output / ".config", "config")
    keep(output / "System.map", "System.map")
    if job.config.enabled("DEBUG_INFO"):
        within = sandbox.enclosure(job.paths, writable=[folder], readable=[output])
        _objcopy("--strip-debug", output / "vmlinux", folder / "vmlinux", within)
        _objcopy("--compress-debug-sections=zlib", output / "vmlinux", folder / "vmlinux.debug", within)
    else:
        keep(output / "vmlinux", "vmlinux")
    if (output / SYMBOLS).is_file():
        keep(output / SYMBOLS, SYMBOLS)
    if job.config.enabled("GDB_SCRIPTS"):
        _keep_gdb_scripts(worktree, folder)
    if not job.config.enabled("PVH"):
        keep(output / "arch" / ARCHITECTURE / "boot" / "bzImage", "bzImage")
    if "=m\n" in job.config.text:
        _install_modules(job, worktree, folder / "modules")
    shutil.copyfile(job.log, folder / "build.log")
    job.log.unlink(missing_ok=True)
    return {
        "release": release,
        "toolchain": job.toolchain.text,
        "digest": file_digest(folder / "vmlinux"),
        "tree": job.applied.tree_id,
        "spec": job.applied.tree.spec,
        "fragments": list(job.config.fragments),
    }


def _release(output: Path) -> str:
    try:
        path = sandbox.contained(output / "include" / "config" / "kernel.release", output)
        release = path.read_text(errors="replace").strip()
    except OSError as reason:
        raise BuildError(f"the build ended without naming its release: {reason.strerror}") from reason
    if not _RELEASE.fullmatch(release):
        raise BuildError(f"the build says that its release is {release[:80]!r}, which is none")
    return release


def _install_modules(job: Job, worktree: worktrees.Worktree, folder: Path) -> None:
    plan = job.plan(worktree, ("modules_install",), INSTALL_MOD_PATH=str(folder), INSTALL_MOD_STRIP="1")
    run(
        plan.argv,
        deadline=STEP_SECONDS,
        env=plan.env,
        error=BuildError,
        failure="make modules_install failed",
        within=job.within(worktree, make_folder(folder)),
    )
    for link in (*folder.glob("lib/modules/*/build"), *folder.glob("lib/modules/*/source")):
        link.unlink()  # they lead to the worktree, which moves on


def _keep_gdb_scripts(worktree: worktrees.Worktree, folder: Path) -> None:
    """The kernel's own gdb commands (Documentation/process/debugging/gdb-kernel-debugging.rst), as ``vmlinux-gdb.py``
    looks for them: beside itself. In the output folder they are links to the worktree, which moves on."""
    output = worktree.output
    scripts = folder / "scripts" / "gdb" / "linux"
    scripts.mkdir(parents=True)
    made = {folder / _GDB_SCRIPT: output / _GDB_SCRIPT}
    made |= {scripts / file.name: file for file in (output / "scripts" / "gdb" / "linux").glob("*.py")}
    for place, file in made.items():
        shutil.copyfile(sandbox.contained(file, output, worktree.source), place)


def _objcopy(option: str, source: Path, target: Path, within: Enclosure) -> None:
    run(["objcopy", option, source, target], deadline=STEP_SECONDS, error=EnvironmentFailure, within=within)


def kernel_of(entry: Entry) -> Kernel:
    """The kernel that an entry of the cache holds."""

    def optional(name: str) -> Path | None:
        path = entry.path / name
        return path if path.exists() else None

    return Kernel(
        key=entry.key,
        release=entry.meta["release"],
        vmlinux=entry.path / "vmlinux",
        bzimage=optional("bzImage"),
        config=entry.path / "config",
        system_map=entry.path / "System.map",
        debug_vmlinux=optional("vmlinux.debug"),
        gdb_script=optional(_GDB_SCRIPT),
        modules=optional("modules"),
        toolchain=entry.meta["toolchain"],
        warnings={file: tuple(messages) for file, messages in entry.meta["warnings"].items()},
        digest=entry.meta["digest"],
    )
