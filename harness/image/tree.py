# SPDX-License-Identifier: GPL-2.0-only
"""The guest's own files: init, the few files of /etc, folders to mount on, links to busybox."""

from __future__ import annotations

from pathlib import Path

from harness import process
from harness.store import file_digest, value_digest

_INIT = Path(__file__).parent / "init"
_COMPILE_DEADLINE_SECONDS = 120.0
_CFLAGS = ("-static", "-O2", "-Wall", "-Wextra", "-s", "-Wl,--build-id=none")

# Merged /usr, as Debian has it.
_TOP_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}

_FOLDERS = {
    "dev": 0o755, "proc": 0o755, "sys": 0o755, "run": 0o755, "mnt": 0o755, "tmp": 0o1777, "root": 0o700,
    "home": 0o755, "opt/harness": 0o755, "var/tmp": 0o1777, "var/log": 0o755, "var/empty": 0o755, "etc": 0o755,
    "usr/local/bin": 0o755, "usr/bin": 0o755, "usr/sbin": 0o755, "lib/modules": 0o755,
}  # fmt: skip

_FILES = {
    # root's shell sets each session's environment; nobody and tester are for tests of what a plain user may do
    "etc/passwd": "root:*:0:0:root:/root:/sbin/harness-shell\n"
    "nobody:*:65534:65534:nobody:/:/bin/sh\n"
    "tester:*:1000:1000:tester:/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\ntester:x:1000:\n",
    "etc/shells": "/sbin/harness-shell\n/bin/sh\n/bin/bash\n",
    "etc/hostname": "guest\n",
    "etc/hosts": "127.0.0.1 localhost guest\n::1 localhost\n10.0.2.2 host\n",
    "etc/resolv.conf": "nameserver 10.0.2.3\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
    "etc/fstab": "# the init mounts what is needed\n",
    "etc/profile": "export PATH=/opt/harness/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    "export PS1='guest:\\w\\$ '\n",
    "etc/os-release": 'NAME="n_private harness guest"\nID=n-private-guest\nID_LIKE=debian\n',
}

# Not as links to busybox: init is ours, and these would hide that there is no such service.
_NO_APPLETS = {"init", "linuxrc", "busybox", "telnetd", "httpd", "ftpd", "tftpd", "udhcpd", "ntpd", "crond", "syslogd"}


def digest() -> str:
    """A digest over all that this module puts into an image."""
    sources = {path.name: file_digest(path) for path in sorted(_INIT.iterdir())}
    folders = {name: oct(mode) for name, mode in _FOLDERS.items()}
    return value_digest(sources, _CFLAGS, _TOP_LINKS, folders, _FILES, sorted(_NO_APPLETS))


def complete(root: Path) -> None:
    """Add our own files to the files of packages below ``root``. What a package brought is not replaced by busybox."""
    for name, target in _TOP_LINKS.items():
        (root / name).symlink_to(target)
    for name, mode in _FOLDERS.items():
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
    for name, text in _FILES.items():
        (root / name).write_text(text)
        (root / name).chmod(0o644)
    compile_init(root / "usr/sbin/harness-init")
    for name in ("usr/sbin/harness-shell", "usr/sbin/init"):
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to("harness-init")
    _link_applets(root)


def compile_init(program: Path) -> None:
    """Compile the guest's init, statically; raises :class:`EnvironmentFailure` when there is no working compiler."""
    sources = sorted(_INIT.glob("*.c"))
    process.run(
        ("cc", *_CFLAGS, "-o", program, *sources),
        deadline=_COMPILE_DEADLINE_SECONDS,
        failure="the guest's init does not compile",
        hint="run ci/bootstrap: gcc and libc6-dev are needed",
    )
    program.chmod(0o755)


def applet_links(listing: str, *, present: frozenset[str]) -> dict[str, str]:
    """Of ``busybox --list-full`` the links to make: path → target. ``present`` are names of commands already there."""
    links = {}
    for line in listing.split():
        folder, _, name = line.rpartition("/")
        if not name or name in _NO_APPLETS or name in present:
            continue
        place = "usr/sbin" if folder.endswith("sbin") else "usr/bin"
        links[f"{place}/{name}"] = "busybox" if place == "usr/bin" else "../bin/busybox"
    return links


def _link_applets(root: Path) -> None:
    busybox = root / "usr/bin/busybox"
    listing = process.run((busybox, "--list-full"), deadline=30, failure="the guest's busybox does not run").text
    present = frozenset(path.name for folder in ("usr/bin", "usr/sbin") for path in (root / folder).iterdir())
    for name, target in applet_links(listing, present=present).items():
        (root / name).symlink_to(target)
