# SPDX-License-Identifier: GPL-2.0-only
"""``lore:`` with a stand-in for b4: the command is golden, prerequisites go in front, what is fetched is kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import series
from harness.errors import EnvironmentFailure, UserError
from harness.paths import Paths
from harness.process import run, which
from harness.series.assemble import assemble, parse_all
from harness.series.folder import file_mails
from harness.series.lore import b4_argv, parse_message_id, reason_of
from harness.store import Store
from harness.values import Series
from tests.unit.series.patches import change, mail, three
from tests.unit.source.trees import Heard

Read = Callable[[str], Series]

# writes <msgid>.mbx and .cover of the archive folder to where b4 am would
_B4 = """#!/bin/sh
echo "$*" >>{archive}/log
while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; [ "$1" = -n ] && name=$2; shift; done
[ -f "{archive}/$1.mbx" ] || {{ echo "Grabbing thread" >&2; echo "Server returned an error: 404" >&2; exit 1; }}
cp "{archive}/$1.mbx" "$out/$name.mbx"
[ -f "{archive}/$1.cover" ] && cp "{archive}/$1.cover" "$out/$name.cover"
exit 0
"""


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "archive"
    (folder / "bin").mkdir(parents=True)
    script = folder / "bin/b4"
    script.write_text(_B4.format(archive=folder))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
    return folder


@pytest.fixture
def read(paths: Paths, store: Store, heard: Heard) -> Read:
    return lambda spec: series.read(spec, paths=paths, store=store, progress=heard)


def publish(archive: Path, message_id: str, mails: list[bytes]) -> None:
    (archive / f"{message_id}.cover").write_bytes(mails[0])
    (archive / f"{message_id}.mbx").write_bytes(b"".join(mails[1:]))


def asked(archive: Path) -> list[str]:
    return (archive / "log").read_text().splitlines()


def test_argv_is_golden(golden: Callable[[Path, str], None]) -> None:
    commands = [
        b4_argv("20260108203755.1163107-1-gourry@gourry.net", Path("/scratch/lore-1")),
        b4_argv("cover@example.org", Path("/scratch/lore-1"), revision="3"),
    ]
    golden(Path(__file__).parent / "golden/b4.argv", "\n\n".join("\n".join(words) for words in commands) + "\n")


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("a.1-b@c.org", ("a.1-b@c.org", None)),
        ("<a@c.org>", ("a@c.org", None)),
        ("a@c.org@v4", ("a@c.org", "4")),
        ("https://lists.example.org/r/a@c.org/", ("a@c.org", None)),
        ("https://lists.example.org/linux-mm/a@c.org/T/#u", ("a@c.org", None)),
    ],
)
def test_message_ids(rest: str, expected: tuple[str, str | None]) -> None:
    assert parse_message_id(rest) == expected


@pytest.mark.parametrize("rest", ["not-one", "a b@c", "-o@c", "@", "a@b@c", "../x@y"])
def test_no_message_ids(rest: str) -> None:
    with pytest.raises(UserError, match="no message-id"):
        parse_message_id(rest)


def test_fetched_once_and_kept(archive: Path, read: Read) -> None:
    publish(archive, "cover@example.org", three("PATCH v3"))
    found = read("lore:cover@example.org")
    assert (found.title, found.revision, len(found.patches)) == ("mm: three things", "v3", 3)
    assert found.base == "803dd4b1159cf9864be17aab8a17653e6ecbbbb6" and found.message_id == "cover@example.org"
    assert read("lore:cover@example.org") == found
    assert len(asked(archive)) == 1


def test_prerequisites_go_first_once_each_and_in_order(archive: Path, read: Read, heard: Heard) -> None:
    def one(title: str, needs: list[str]) -> list[bytes]:
        trailers = "".join(f"prerequisite-message-id: <{need}>\n" for need in needs)
        return [mail(f"[PATCH 0/1] {title}", body=f"Cover.\n\n{trailers}"), mail(f"[PATCH 1/1] {title}", change())]

    publish(archive, "deep@x", one("deep", []))
    publish(archive, "left@x", one("left", ["deep@x"]))
    publish(archive, "right@x", one("right", ["deep@x", "top@x"]))  # a circle, too
    publish(archive, "top@x", one("top", ["left@x", "right@x"]))
    found = read("lore:top@x")
    assert [patch.title for patch in found.patches] == ["deep", "left", "right", "top"]
    assert [patch.number for patch in found.patches] == [1, 2, 3, 4] and found.title == "top"
    assert found.digest != read("lore:left@x").digest


def test_prerequisites_by_patch_id_are_told(archive: Path, read: Read, heard: Heard) -> None:
    body = "Cover.\n\nbase-commit: 803dd4b1159cf9864be17aab8a17653e6ecbbbb6\nprerequisite-patch-id: " + "a" * 40 + "\n"
    publish(archive, "c@x", [mail("[PATCH 0/1] t", body=body), mail("[PATCH 1/1] t", change())])
    read("lore:c@x")
    assert any("needs 1 patch before it" in text for text in heard.warnings)


def test_incomplete_thread_is_refused(archive: Path, read: Read) -> None:
    publish(archive, "c@x", three()[:3])
    with pytest.raises(UserError, match="missing from the series: 3/3"):
        read("lore:c@x")


def test_b4_fails_and_nothing_is_kept(archive: Path, read: Read, paths: Paths) -> None:
    with pytest.raises(EnvironmentFailure, match="could not fetch the series no@where") as caught:
        read("lore:no@where")
    assert any("404" in line for line in caught.value.details)
    assert list((paths.cache / "scratch").iterdir()) == []
    assert not any((paths.cache / "series").glob("*"))


def test_named_series_through_b4(archive: Path, read: Read) -> None:
    message_id = "20260108203755.1163107-1-gourry@gourry.net"
    publish(archive, message_id, three("RFC PATCH v3"))
    found = read("n_private-v3")
    assert (found.name, found.revision, found.message_id) == ("n_private-v3", "RFC v3", message_id)
    assert found.base == "803dd4b1159cf9864be17aab8a17653e6ecbbbb6" and len(found.patches) == 3


def test_reason_without_the_traceback() -> None:
    said = "Grabbing thread\nTraceback (most recent call last):\n  File x\n    raise y\nConnectionError: no route\n"
    assert reason_of(said) == ["Grabbing thread", "ConnectionError: no route"]


@pytest.mark.skipif(which("b4") is None, reason="b4 is not installed")
def test_the_real_b4_takes_the_command_and_writes_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    thread = b""
    for number, one in enumerate(three("RFC PATCH v3")):
        header = f"X-Number: {number}\n" if number == 0 else "In-Reply-To: <cover@example.org>\n"
        header += f"Message-ID: <n{number}@example.org>\n" if b"Message-ID" not in one else ""
        thread += one.replace(b"\nSubject:", f"\n{header}Subject:".encode(), 1)
    (tmp_path / "thread.mbox").write_bytes(thread)
    out = tmp_path / "out"
    out.mkdir()
    words = list(b4_argv("cover@example.org", out))
    words[1:1] = ["--offline-mode"]
    words[-1:-1] = ["-m", str(tmp_path / "thread.mbox")]
    run(words, deadline=60, cwd=tmp_path)
    assert {path.name for path in out.iterdir()} == {"series.mbx", "series.cover"}
    messages = parse_all(file_mails(out / "series.cover") + file_mails(out / "series.mbx"))
    found = assemble(messages, spec="x", name="x", place="x")
    assert [patch.title for patch in found.patches] == ["mm: first", "mm: second", "mm: third"]
    assert (found.revision, found.base) == ("RFC v3", "803dd4b1159cf9864be17aab8a17653e6ecbbbb6")
