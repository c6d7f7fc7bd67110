# SPDX-License-Identifier: GPL-2.0-only
"""Lasting worktrees: a checked-out commit and a build folder beside it, one a (repository, key), kept between runs.

A worktree is brought from commit to commit by touching only the files that differ, so that make rebuilds only what
these decide. It has no ``.git`` inside (a kernel build would put the commit into its version string); its git folder
lies beside it and shares the objects and refs of the bare repository (gitrepository-layout(5), ``commondir``)::

    <cache>/worktrees/<repository>/<key>/source   the files
    <cache>/worktrees/<repository>/<key>/output   make O=, belongs to whoever builds
    <cache>/worktrees/<repository>/<key>/git      HEAD, index

A new worktree may begin as another one of its repository (:class:`Seed`): files of the source are hard links then,
which git takes apart where a commit changes them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import process, repository
from harness.errors import EnvironmentFailure, HarnessError, UserError
from harness.paths import Paths, make_folder
from harness.process import Enclosure
from harness.progress import Progress
from harness.store import Store, disk_failure

_CHECKOUT_SECONDS = 1800.0
_COPY_SECONDS = 600.0
_LARGEST = 256 << 20  # bytes of an output file in which a path is looked for: more than a kernel with debug information


@dataclass(frozen=True, slots=True)
class Seed:
    """A worktree that a new one may begin as: its key, and whether with what was built there (``output``)."""

    key: str
    output: bool


@dataclass(frozen=True, slots=True)
class Worktree:
    """A leased worktree: ``source`` holds the commit's files, ``output`` is for the build, ``git_dir`` is git's."""

    source: Path
    output: Path
    git_dir: Path

    def git(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        deadline: float = 600.0,
        check: bool = True,
        env: Mapping[str, str | None] | None = None,
        on_line: Callable[[str], None] | None = None,
        error: type[HarnessError] = EnvironmentFailure,
        failure: str | None = None,
        within: Enclosure | None = None,
    ) -> process.Completed:
        """Run git in this worktree."""
        # a link made or removed changes the time of the inode (ctime), not the file
        settings: tuple[str, ...] = ("-c", "core.trustctime=false")
        if self._patterns.is_file():
            settings += ("-c", "core.sparseCheckout=true", "-c", "core.sparseCheckoutCone=false")
        return repository.git(
            f"--git-dir={self.git_dir}",
            f"--work-tree={self.source}",
            *settings,
            *arguments,
            cwd=self.source,
            stdin=stdin,
            deadline=deadline,
            check=check,
            env=env,
            on_line=on_line,
            error=error,
            failure=failure,
            within=within,
        )

    @property
    def head(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "--verify", "HEAD").text.strip()

    @property
    def _patterns(self) -> Path:
        return self.git_dir / "info" / "sparse-checkout"


def folder(paths: Paths, repository: Path, key: str) -> Path:
    """Where the worktree of a repository and key is."""
    digest = hashlib.sha256(str(repository.absolute()).encode()).hexdigest()[:8]
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", key).lstrip(".")
    if safe != key:
        safe = f"{safe[:60]}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    return paths.cache / "worktrees" / f"{repository.stem}-{digest}" / safe


@contextlib.contextmanager
def lease(
    *,
    repository: Path,
    key: str,
    commit: str,
    paths: Paths,
    store: Store,
    progress: Progress,
    sparse: Sequence[str] = (),
    seeds: Sequence[Seed] = (),
) -> Iterator[Worktree]:
    """A worktree at ``commit``, this process's alone for the length of the block, kept after it.

    Local changes and files that do not belong to the commit are gone from ``source``; a worktree too damaged for
    that is made anew. ``sparse`` (patterns in gitignore(5) form) limits which files are checked out; the commit is
    whole all the same. One that is not there yet begins as the first of ``seeds`` that is free.

    Raises :class:`EnvironmentFailure` (disk full, another run holds it for too long), and :class:`UserError` for a
    cache folder in which make cannot work.
    """
    check_cache(paths)
    root = folder(paths, repository, key)
    with store.lock(lock_name(root), what=f"the worktree '{key}'", progress=progress):
        if seeds and is_new(root):
            _begin(root, [(folder(paths, repository, seed.key), seed.output) for seed in seeds], store, progress)
        worktree = Worktree(source=root / "source", output=root / "output", git_dir=root / "git")
        _prepare(worktree, repository, sparse)
        try:
            _bring(worktree, commit, progress)
        except HarnessError as reason:
            if _disk_is_full(reason):
                raise
            progress.warn(f"the worktree '{key}' is damaged ({reason.message}); it is made again")
            _remove(root)
            _prepare(worktree, repository, sparse)
            _bring_again(worktree, commit, repository, progress)
        yield worktree


def is_new(root: Path) -> bool:
    """Whether a worktree has neither a checkout nor anything that was built of one."""
    output = root / "output"
    return not (root / "git" / "index").exists() and not (output.is_dir() and any(output.iterdir()))


def check_cache(paths: Paths) -> None:
    """Raise :class:`UserError` where the cache's path has what the kernel's Makefile refuses in its own."""
    if any(character in str(paths.cache) for character in " :\t"):
        # "source directory cannot contain spaces or colons"
        raise UserError(
            f"a kernel cannot be built below {paths.cache}: its path has a space or a colon",
            hint="choose another cache folder with --cache-dir (HARNESS_CACHE)",
        )


def sparse_pattern(path: str) -> str:
    """The pattern that matches exactly one file, for ``lease(sparse=…)``."""
    return "/" + re.sub(r"([\\*?\[\]!#])", r"\\\1", path)


def _prepare(worktree: Worktree, repository: Path, sparse: Sequence[str]) -> None:
    """Make the folders and git's files."""
    patterns = "".join(f"{pattern}\n" for pattern in sparse)
    patterns_file = worktree.git_dir / "info" / "sparse-checkout"
    try:
        for path in (worktree.source, worktree.output, worktree.git_dir):
            if path.is_symlink() or (path.exists() and not path.is_dir()):
                path.unlink()
            make_folder(path)
        for left in worktree.git_dir.rglob("*.lock"):  # of a killed git: we hold the lock of the whole worktree
            left.unlink(missing_ok=True)
        shutil.rmtree(worktree.git_dir / "rebase-apply", ignore_errors=True)
        _write(worktree.git_dir / "commondir", f"{repository.absolute()}\n")
        if sparse:
            make_folder(patterns_file.parent)
            _write(patterns_file, patterns)
        elif patterns_file.exists():
            patterns_file.unlink()
            (worktree.git_dir / "index").unlink(missing_ok=True)  # it marks files as left out on purpose
    except OSError as reason:
        raise disk_failure(reason, f"while preparing the worktree {worktree.source.parent}") from reason


def lock_name(root: Path) -> str:
    """The name of the lock (:meth:`harness.store.Store.lock`) of who works in a worktree."""
    return f"worktree-{root.parent.name}-{root.name}"


def _begin(root: Path, seeds: Sequence[tuple[Path, bool]], store: Store, progress: Progress) -> None:
    """Make a new worktree as one of others, the first that can be had now; none is an ordinary checkout."""
    beside = root / "beginning"
    for origin, output in seeds:
        shutil.rmtree(beside, ignore_errors=True)
        try:
            with store.lock(lock_name(origin), what=str(origin), wait=0.0):
                if is_new(origin):
                    continue
                progress.update(f"beginning as {origin.name}")
                _copy(origin, beside, output=output)
            if output:
                rename_within(beside / "output", origin, root)
            # source and output are of one time: with the output alone, make would take files of another for its own
            for name in ("source", "output", "git"):
                shutil.rmtree(root / name, ignore_errors=True)
            for name in ("output", "source", "git"):
                (beside / name).rename(root / name)
        except (OSError, EnvironmentFailure):
            continue
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return


def _copy(origin: Path, target: Path, *, output: bool) -> None:
    make_folder(target)
    for name in ("source", "git", *(["output"] if output else [])):
        copy_folder(origin / name, target / name, links=name == "source")
    make_folder(target / "output")


def copy_folder(folder: Path, target: Path, *, links: bool = False) -> None:
    """Copy a folder to a ``target`` that is not there, times and special files as they are; ``links``: hard links.

    Raises :class:`EnvironmentFailure`; what was copied until then is left.
    """
    form = ["--link"] if links else []
    process.run(
        ["cp", "--archive", *form, "--no-target-directory", "--", folder, target],
        deadline=_COPY_SECONDS,
        failure=f"cannot copy {folder}",
    )


def rename_within(folder: Path, origin: Path, target: Path) -> None:
    """Have files and links of a copied output folder name ``target``, as if they had been made there; times stay.

    Else what knows its own path is made again, objtool among it, and after it all objects (Makefile.build). Both paths
    are of one length, so that it is the same inside of programs. Raises :class:`OSError`.
    """
    old, new = os.fsencode(origin), os.fsencode(target)
    if len(old) != len(new):
        raise OSError(f"{target} is longer or shorter than {origin}")
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *files)):
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                link = os.fsencode(path.readlink())
                if old in link:
                    path.unlink()
                    path.symlink_to(os.fsdecode(link.replace(old, new)))
            elif stat.S_ISREG(status.st_mode) and status.st_size <= _LARGEST and old in (data := path.read_bytes()):
                path.unlink()  # it may be read-only
                path.write_bytes(data.replace(old, new))
                path.chmod(stat.S_IMODE(status.st_mode))
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _write(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def _bring(worktree: Worktree, commit: str, progress: Progress) -> None:
    head = worktree.git_dir / "HEAD"
    if not (worktree.git_dir / "index").is_file():
        progress.update(f"checking out {commit[:12]}")
    head.write_text(f"{commit}\n")
    # reset rather than checkout: it needs nothing of the commit that was there before, which may be gone by now
    worktree.git("reset", "--quiet", "--hard", commit, deadline=_CHECKOUT_SECONDS)
    worktree.git("clean", "-ffdxq", deadline=_CHECKOUT_SECONDS)


def _bring_again(worktree: Worktree, commit: str, repository: Path, progress: Progress) -> None:
    """The second try, in a new worktree: what fails now is not the worktree's fault."""
    try:
        _bring(worktree, commit, progress)
    except HarnessError as reason:
        if _disk_is_full(reason):
            raise
        raise EnvironmentFailure(
            f"the commit {commit[:12]} cannot be checked out from {repository}",
            command=reason.command,
            details=reason.details,
            hint=f"if its objects are damaged, remove {repository} (it is only a cache) and run this again",
        ) from reason


def _remove(root: Path) -> None:
    """Take away the source and git's files; the build folder holds what make can still use."""
    for name in ("git", "source"):
        shutil.rmtree(root / name, ignore_errors=True)


def _disk_is_full(reason: HarnessError) -> bool:
    return "disk is full" in reason.message
