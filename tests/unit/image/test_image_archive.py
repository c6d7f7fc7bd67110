# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from harness import debian
from harness.debian import archive, bootstrap
from harness.debian.archive import Archive
from harness.debian.manifest import Assumed, Keep, Manifest, Package
from harness.errors import EnvironmentFailure


def targets(*lines: tuple[str, str, str, str, str]) -> str:
    return "\n".join("\t".join(line) for line in lines)


def test_the_mirror_is_debians_main_archive() -> None:
    text = targets(
        ("https://vendor.example/apt/", "Vendor", "Vendor", "main", "Packages"),
        ("http://mirror.example/debian-security/", "Debian", "Debian-Security", "main", "Packages"),
        ("http://mirror.example/debian/", "Debian", "Debian", "contrib", "Packages"),
        ("http://mirror.example/debian/", "Debian", "Debian", "main", "Translations"),
        ("http://mirror.example/debian/", "Debian", "Debian", "main", "Packages"),
        ("http://second.example/debian/", "Debian", "Debian", "main", "Packages"),
    )
    assert archive.mirror_of(text) == "http://mirror.example/debian/"


def test_before_the_first_update_the_name_decides() -> None:
    text = targets(
        ("https://vendor.example/apt/", "", "", "main", "Packages"),
        ("http://mirror.example/debian-security/", "", "", "main", "Packages"),
        ("http://mirror.example/debian/", "", "", "main", "Packages"),
    )
    assert archive.mirror_of(text) == "http://mirror.example/debian/"


def test_no_debian_mirror() -> None:
    assert archive.mirror_of("") is None
    assert archive.mirror_of(targets(("http://a.example/ubuntu/", "Ubuntu", "Ubuntu", "main", "Packages"))) is None
    assert archive.mirror_of(targets(("cdrom:[Debian 13]/", "Debian", "Debian", "main", "Packages"))) is None


def test_proxies_and_certificates_pass_and_nothing_that_lowers_trust() -> None:
    dump = """\
APT::Architecture "amd64";
Acquire "";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::http::Proxy::internal.example "DIRECT";
Acquire::https::CaInfo "/etc/ssl/own.pem";
Acquire::https::Verify-Peer "false";
Acquire::https::host.example::Verify-Host "false";
Acquire::Retries "3";
Acquire::Check-Valid-Until "false";
Acquire::AllowInsecureRepositories "true";
Acquire::AllowWeakRepositories "true";
Acquire::Languages "none";
DPkg::Post-Invoke:: "rm -rf /";
"""
    kept = archive.passed_options(dump)
    assert [line for line in kept if line.startswith("Acquire")] == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::http::Proxy::internal.example "DIRECT";',
        'Acquire::https::CaInfo "/etc/ssl/own.pem";',
        'Acquire::Retries "3";',
        'Acquire::Check-Valid-Until "false";',
    ]
    assert not any("DPkg" in line for line in kept)


MANIFEST = Manifest(
    suites=("trixie", "trixie-backports"),
    package=(Package(name="one", reason="r"), Package(name="two", reason="r")),
    assume=(Assumed(name="big", reason="r"), Assumed(name="many", reason="r")),
    keep=(Keep(path="usr/bin/one", reason="r"),),
)
ARCHIVE = Archive(mirror="http://m/debian/", keyring=Path("/k.gpg"), options=('Acquire::Retries "3";',))


def test_the_command() -> None:
    argv = bootstrap.mmdebstrap_arguments(ARCHIVE, MANIFEST, tar=Path("/s/packages.tar"), as_root=False)
    assert argv == (
        "mmdebstrap",
        "--verbose",
        "--mode=chrootless",
        "--variant=extract",
        "--architectures=amd64",
        "--format=tar",
        '--aptopt=Acquire::Retries "3"',
        '--aptopt=APT::Default-Release "trixie-backports"',
        '--setup-hook=printf "Package: %s\\nStatus: install ok installed\\nVersion: 99:0\\nArchitecture: amd64\\n'
        'Multi-Arch: same\\nMaintainer: nobody <nobody@localhost>\\nDescription: assumed\\n\\n" big many '
        '>> "$1/var/lib/dpkg/status"',
        "--include=one,two",
        "trixie",
        "/s/packages.tar",
        "deb [signed-by=/k.gpg] http://m/debian/ trixie main",
        "deb [signed-by=/k.gpg] http://m/debian/ trixie-backports main",
    )
    assert "--mode=root" in bootstrap.mmdebstrap_arguments(ARCHIVE, MANIFEST, tar=Path("/s/t"), as_root=True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tar: ./x: Cannot write: No space left on device", "disk is full"),
        ("E: The repository 'http://m trixie InRelease' is not signed.", "signature"),
        ("W: GPG error: … NO_PUBKEY 0E98404D386FA1D9", "signature"),
        ("Err:1 http://m trixie InRelease  Could not resolve 'm'", "cannot be reached"),
        ("E: Failed to fetch http://m/x.deb  Connection failed", "cannot be reached"),
        ("E: something else", "packages cannot be fetched"),
    ],
)
def test_a_failure_says_what_it_was(line: str, message: str) -> None:
    failure = EnvironmentFailure(
        "the packages cannot be fetched", details=["I: tidying", line], command=("mmdebstrap",)
    )
    explained = bootstrap.explain(failure, ARCHIVE)
    assert message in explained.message and line in explained.details and explained.hint


def test_versions_are_those_downloaded() -> None:
    class Listener:
        messages: list[str] = []  # noqa: RUF012

        def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
            self.messages.append(message)

        def warn(self, message: str) -> None:
            raise AssertionError(message)

    versions: dict[str, str] = {}
    listen = bootstrap._listener(versions, Listener())
    for line in (
        "I: running apt-get update...",
        "Get:1 http://m/debian trixie InRelease [140 kB]",
        "Get:2 http://m/debian trixie/main amd64 Packages [9678 kB]",
        "Get:3 http://m/debian trixie/main amd64 libgmp10 amd64 2:6.3.0+dfsg-3 [560 kB]",
        "Get:4 http://m/debian trixie/main amd64 init-system-helpers all 1.69~deb13u1 [39.4 kB]",
        "Fetched 9819 kB in 1s (10.6 MB/s)",
        "I: extracting archives...",
    ):
        listen(line)
    assert versions == {"libgmp10": "2:6.3.0+dfsg-3", "init-system-helpers": "1.69~deb13u1"}
    assert Listener.messages[0] == "reading the package lists" and Listener.messages[-1] == "unpacking packages"


def test_too_little_room_is_said_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_NEEDED_BYTES", 1 << 60)
    with pytest.raises(EnvironmentFailure, match="MiB are free"):
        debian.fetch(ARCHIVE, MANIFEST, folder=tmp_path, progress=_Quiet())


def test_a_system_without_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.process.which", lambda program: None)
    with pytest.raises(EnvironmentFailure, match="no apt"):
        debian.find_archive()


class _Quiet:
    def update(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        pass

    def warn(self, message: str) -> None:
        pass
