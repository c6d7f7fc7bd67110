# SPDX-License-Identifier: GPL-2.0-only
"""Where code of a kernel tree runs: make and all that it starts, checkpatch, and git while it applies patches.

A series comes from a mailing list, and building it runs its Makefiles. So such a command runs in bubblewrap (bwrap(1)):
no network; the host read-only; homes, sockets of the session, /tmp and the rest of the harness's own folders not there
(an empty folder in their place); processes, IPC and user namespace of its own; nothing of it outlives the harness.
What it may write are the folders that are named.

What it leaves in these is still from outside: :func:`contained` and :func:`own_file` are for whoever opens it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import process
from harness.errors import BuildError, EnvironmentFailure, HarnessError
from harness.paths import Paths
from harness.process import Enclosure

_PROGRAM = "bwrap"
_PROBE_SECONDS = 30.0
_MEMORY = str(1 << 30)  # bytes that each of its own folders (/tmp …) may hold
_HIDDEN = ("/home", "/root", "/run", "/tmp", "/var/tmp", "/dev/shm")
_SYSTEM = ("/", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys", "/var", "/opt", "/nix")
_COMPILERS = ("gcc", "ld", "ccache")
_TOOLCHAINS = ".rustup"  # in a home: what the rustc in PATH starts, whose version Kconfig writes down

# bubblewrap's own two processes ignore SIGTERM and the command does not: at a deadline make removes what it has half
# written, as it would outside, before bubblewrap ends with it (env(1) of coreutils 8.31)
_OUTSIDE = ("env", "--ignore-signal=TERM")
_INSIDE = ("env", "--default-signal=TERM")
_OWN_NAMESPACES = (
    "--unshare-user", "--disable-userns", "--unshare-all", "--cap-drop", "ALL", "--die-with-parent",
    "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
)  # fmt: skip

# where agents, proxies with passwords and the user's own settings are
_NO_ENVIRONMENT = dict.fromkeys((
    "SSH_AUTH_SOCK", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "http_proxy",
    "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "GIT_SSL_CERT",
))  # fmt: skip

WARNING = (
    "the sandbox is off (--no-sandbox): code of the series and of its tree runs as you, with your files and the network"
)

_FIX = (
    "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; "
    "in a container: --privileged, or a --security-opt for each of seccomp, apparmor and systempaths (=unconfined); "
    "in a chroot there are none (user_namespaces(7)): use a container"
)


def enclosure(paths: Paths, *, writable: Sequence[Path], readable: Sequence[Path] = (), hide: bool = True) -> Enclosure:
    """What a command of the tree runs within (:func:`harness.process.run`), or nothing where the sandbox is off.

    It can write below ``writable`` and read ``readable``; both are there, though the harness's other folders are not.
    Without ``hide`` nothing is hidden: for a program of ours that only works on what came from outside.

    Raises :class:`EnvironmentFailure` where bubblewrap does not work here: it is never left out silently.
    """
    if not paths.sandboxed:
        return Enclosure()
    reason = unusable()
    if reason:
        raise EnvironmentFailure(
            f"code of a series or a kernel tree cannot be run in the sandbox: {reason[0]}",
            details=reason[1:],
            hint=f"{fix()}; or --no-sandbox, which runs it as you",
        )
    hidden = hidden_folders(paths) if hide else ()
    seen = (*readable, *_programs(hidden))
    return Enclosure(
        prefix=(*_OUTSIDE, *arguments(hidden=hidden, writable=writable, readable=seen), "--", *_INSIDE),
        env=_NO_ENVIRONMENT,
    )


def arguments(*, hidden: Sequence[Path], writable: Sequence[Path], readable: Sequence[Path]) -> tuple[str, ...]:
    """bubblewrap and its options; each later one covers what came before."""
    words = [_PROGRAM, *_OWN_NAMESPACES]
    for folder in hidden:
        words += ["--size", _MEMORY, "--tmpfs", str(folder)]
    mounts = [(path, "--ro-bind") for path in readable] + [(path, "--bind") for path in writable]
    for path, how in sorted(mounts, key=lambda mount: len(mount[0].parts)):
        real = path.resolve()
        words += [how, str(real), str(real)]
        if path != real and any(path.is_relative_to(folder) for folder in hidden):
            words += [how, str(real), str(path)]  # the link that leads there is hidden
    return tuple(words)


def hidden_folders(paths: Paths) -> tuple[Path, ...]:
    """Folders that the code must not see, outermost only: homes, the session's sockets, what the harness keeps."""
    wanted = [*map(Path, _HIDDEN), *_homes(), paths.cache, paths.data]
    real = {path.resolve() for path in wanted if path.is_dir()} - set(map(Path, _SYSTEM))
    return tuple(sorted(path for path in real if not any(parent in real for parent in path.parents)))


@functools.cache
def unusable() -> tuple[str, ...]:
    """Why there can be no sandbox here (the reason, then bubblewrap's own words); empty where it works. Asks once."""
    if process.which(_PROGRAM) is None:
        return ("bubblewrap is not installed",)
    try:
        done = process.run(
            (*_OUTSIDE, _PROGRAM, *_OWN_NAMESPACES, "--", *_INSIDE, "true"), deadline=_PROBE_SECONDS, check=False
        )
    except HarnessError as reason:
        return (reason.message,)
    if done.returncode == 0:
        return ()
    return ("bubblewrap cannot make its namespaces", *(done.error_text.strip().splitlines() or ("it says nothing",)))


def fix() -> str:
    """What makes the sandbox work where :func:`unusable` says that it does not."""
    return "apt install bubblewrap (ci/bootstrap does)" if process.which(_PROGRAM) is None else _FIX


def contained(path: Path, *folders: Path) -> Path:
    """The path itself, if it leads into one of the folders, whatever links are on the way.

    Raises :class:`BuildError` where it leads elsewhere: code of the tree would have the harness open files that it
    cannot reach itself.
    """
    real = path.resolve()
    if not any(real.is_relative_to(folder.resolve()) for folder in folders):
        raise BuildError(
            f"{path.name} leads out of the build ({path} → {real})",
            hint=f"no kernel makes such a link: do not trust this series, or the last one built in {folders[0]}; "
            "remove that folder",
        )
    return path


def own_file(path: Path) -> Path:
    """The path of a file that the harness writes where code of the tree can write too: a plain file, or nothing yet.

    A link, a pipe or a folder that was put there is taken away.
    """
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            shutil.rmtree(path)
        elif not stat.S_ISREG(mode):
            path.unlink()
    return path


def _homes() -> set[Path]:
    names = {os.environ.get("HOME", "")}
    with contextlib.suppress(KeyError):  # a container's user may have no entry
        names.add(pwd.getpwuid(os.getuid()).pw_dir)
    return {Path(name).resolve() for name in names if name}


def _programs(hidden: Sequence[Path]) -> Iterator[Path]:
    """Folders of programs that lie where nothing is to be seen: those of PATH, and a compiler's with its libraries."""
    compilers = [path.resolve() for path in map(process.which, _COMPILERS) if path is not None]
    folders = [*map(Path, os.environ.get("PATH", "").split(":")), *(path.parent.parent for path in compilers)]
    folders += [home / _TOOLCHAINS for home in _homes()]
    for folder in dict.fromkeys(folders):
        real = folder.resolve()
        whole_home = any(home.is_relative_to(real) for home in _homes())
        if folder.is_absolute() and folder.is_dir() and not whole_home and set(hidden) & set(real.parents):
            yield folder
