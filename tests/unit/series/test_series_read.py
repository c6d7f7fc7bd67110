# SPDX-License-Identifier: GPL-2.0-only
"""Reading a series: folders, mailboxes, names; the order, what is left out, and every bad input by name."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import series
from harness.errors import UserError
from harness.paths import Paths
from harness.series import named
from harness.store import Store
from harness.values import Series
from tests.unit.series.patches import change, mail, three
from tests.unit.source.trees import Heard

Read = Callable[[str], Series]


@pytest.fixture
def read(paths: Paths, store: Store, heard: Heard) -> Read:
    return lambda spec: series.read(spec, paths=paths, store=store, progress=heard)


def folder(path: Path, mails: list[bytes], name: str = "{:04}-x.patch", start: int = 0) -> Path:
    path.mkdir()
    for number, content in enumerate(mails, start=start):
        (path / name.format(number)).write_bytes(content)
    return path


def mbox(path: Path, mails: list[bytes]) -> Path:
    path.write_bytes(b"".join(mails))
    return path


def test_folder_and_mbox_are_the_same_series(tmp_path: Path, read: Read) -> None:
    one = read(str(folder(tmp_path / "f", three("RFC PATCH v3"))))
    two = read(str(mbox(tmp_path / "s.mbox", three("RFC PATCH v3"))))
    assert [patch.title for patch in one.patches] == ["mm: first", "mm: second", "mm: third"]
    assert one.patches[2].files == ("mm/new.c",) and one.patches[0].author == "Dev <dev@example.org>"
    assert (one.title, one.revision, one.message_id) == ("mm: three things", "RFC v3", "cover@example.org")
    assert one.base == "803dd4b1159cf9864be17aab8a17653e6ecbbbb6"
    assert one.digest == two.digest and one.patches == two.patches


def test_digest_follows_order_and_content(tmp_path: Path, read: Read) -> None:
    first = three()
    digests = {read(str(folder(tmp_path / "a", first))).digest}
    first[1] = first[1].replace(b"Why.", b"Because.")
    digests.add(read(str(folder(tmp_path / "b", first))).digest)
    digests.add(read(str(folder(tmp_path / "c", [mail("[PATCH] a", change()), mail("[PATCH] b", change())]))).digest)
    digests.add(read(str(folder(tmp_path / "d", [mail("[PATCH] b", change()), mail("[PATCH] a", change())]))).digest)
    assert len(digests) == 4


def test_a_thread_in_any_order_with_replies(tmp_path: Path, read: Read) -> None:
    cover, one, two, last = three()
    reply = mail("Re: [PATCH 2/3] mm: second", body="> " + change().replace("\n", "\n> ") + "\nLooks good\n")
    inline = mail("Re: [PATCH 2/3] mm: second", change(), body="How about this instead?\n")
    found = read(str(mbox(tmp_path / "t.mbox", [last, reply, cover, two, inline, one])))
    assert [patch.title for patch in found.patches] == ["mm: first", "mm: second", "mm: third"]


def test_names_are_ordered_by_number(tmp_path: Path, read: Read) -> None:
    mails = [mail(f"[PATCH] number {number}", change()) for number in range(1, 12)]
    found = read(str(folder(tmp_path / "f", mails, "{}-x.patch", 1)))
    assert [patch.title for patch in found.patches] == [f"number {number}" for number in range(1, 12)]


@pytest.mark.parametrize(
    ("drop", "says"), [(1, "missing from the series: 1/3"), (2, "missing from the series: 2/3"), (3, "series: 3/3")]
)
@pytest.mark.parametrize("as_mbox", [True, False])
def test_a_gap_is_named(drop: int, says: str, as_mbox: bool, tmp_path: Path, read: Read) -> None:
    mails = three()
    del mails[drop]
    place = mbox(tmp_path / "s.mbox", mails) if as_mbox else folder(tmp_path / "f", mails)
    with pytest.raises(UserError, match=says):
        read(str(place))


def test_several_gaps_twice_beyond_and_mixed_revisions(tmp_path: Path, read: Read) -> None:
    cover, one, two, last = three()
    bad = {
        "patches are missing from the series: 1/3, 2/3": [cover, last],
        "patch 1/3 is there 2 times": [cover, one, one, two, last],
        "numbered beyond the series: 4/3": [one, two, last, mail("[PATCH 4/3] mm: more", change())],
        "several revisions": [one, two, last, *three("PATCH v2")[1:]],
        "2/3 'mm: second' has no diff": [one, mail("[PATCH 2/3] mm: second"), last],
    }
    for number, (says, mails) in enumerate(bad.items()):
        with pytest.raises(UserError, match=says):
            read(str(folder(tmp_path / str(number), mails)))


def test_numbering_as_total_alone(tmp_path: Path, read: Read) -> None:
    many = mail("[PATCH 1/99999999999] mm: first", change())
    with pytest.raises(UserError, match="missing from the series"):
        read(str(mbox(tmp_path / "s.mbox", [many])))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.mbox", b"just a text\n", "neither a patch mail nor an mbox"),
        ("b.mbox", b"From the beginning of time\nthere was text\n", "neither a patch mail nor an mbox"),
        ("c.mbox", b"", "neither a patch mail nor an mbox"),
        ("d.mbox", bytes(range(256)) * 100, "neither a patch mail nor an mbox"),
        ("e.mbox", mail("Hello", body="No patch here.\n"), "no message in it has a diff"),
        ("f.patch", change().encode(), "bare diff"),
        ("g.patch", mail("[PATCH] x", change().replace("-int swap;", "int swap;")), "does not parse"),
        ("h.patch", mail("[PATCH] x", change().replace("+int patched;\n", "")), "does not parse"),
    ],
)
def test_files_that_are_no_series(name: str, content: bytes, says: str, tmp_path: Path, read: Read) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        read(str(tmp_path / name))
    assert caught.value.hint and name in caught.value.message


def test_empty_and_missing_folders(tmp_path: Path, read: Read) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no patch"):
        read(str(tmp_path / "empty"))
    with pytest.raises(UserError, match="unknown series"):
        read(str(tmp_path / "nothing"))


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "crlf"])
def test_encoded_mails(encoding: str, tmp_path: Path, read: Read) -> None:
    text = f"Wörter.\n---\n{change(old='int swap; /* = */')}"
    head = "From: =?utf-8?q?D=C3=A9v?= <d@example.org>\nDate: Fri, 20 Nov 2026 12:00:00 +0000\n"
    head += "Subject: =?utf-8?b?W1BBVENIXSBtbTogw6Q=?=\nContent-Type: text/plain; charset=utf-8\n"
    if encoding == "base64":
        data = f"{head}Content-Transfer-Encoding: base64\n\n".encode() + base64.encodebytes(text.encode())
    elif encoding == "crlf":
        data = f"{head}\n{text}".replace("\n", "\r\n").encode()
    else:
        import quopri

        data = f"{head}Content-Transfer-Encoding: quoted-printable\n\n".encode() + quopri.encodestring(text.encode())
    (tmp_path / "x.patch").write_bytes(data)
    (patch,) = read(str(tmp_path / "x.patch")).patches
    assert (patch.title, patch.author, patch.files) == ("mm: ä", "Dév <d@example.org>", ("mm/swap.c",))


def test_author_of_the_body_and_folded_subject(tmp_path: Path, read: Read) -> None:
    data = mail("[PATCH] mm: a very long\n title", change(), body="From: Real <real@example.org>\n\nWhy.\n")
    (tmp_path / "x.patch").write_bytes(data)
    (patch,) = read(str(tmp_path / "x.patch")).patches
    assert (patch.title, patch.author) == ("mm: a very long title", "Real <real@example.org>")


def test_named_series_of_the_project(read: Read, paths: Paths) -> None:
    found = read("harness-hello")
    assert len(found.patches) == 1 and found.patches[0].files == (
        "Documentation/ABI/testing/sysfs-kernel-mm", "mm/mm_init.c",
    )  # fmt: skip
    assert {"harness-hello", "n_private-v3"} <= set(named.names(paths))
    _, described = named.describe("n_private-v3", paths=paths)
    assert described.message_id == "20260108203755.1163107-1-gourry@gourry.net"
    assert described.patches == f"lore:{described.message_id}" and described.base is not None


def test_misspelt_name_kind_and_key(tmp_path: Path, read: Read) -> None:
    for spec, hint in [("harness-helo", "did you mean 'harness-hello'"), ("lroe:x@y", "did you mean 'lore'")]:
        with pytest.raises(UserError, match="unknown series") as caught:
            read(spec)
        assert caught.value.hint is not None and hint in caught.value.hint
    data = b'title = "x"\nmesage-id = "y"\n'
    with pytest.raises(UserError, match="unknown key 'mesage-id'") as caught:
        named.parse_description(data, tmp_path / "series.toml")
    assert caught.value.hint is not None and "did you mean 'message-id'" in caught.value.hint
    bad = {
        b"revision = 'x'": "title",
        b"title = 3": "title",
        b"title = ": "TOML",
        b"title='x'\nbase='main'": "no commit",
        b"title='x'\n[[stages]]\npatches=[1]\nsuites=['a']": "reason",
        b"title='x'\n[[stages]]\npatches=[]\nsuites=['a']\nreason='y'": "needs patches",
    }
    for text, says in bad.items():
        with pytest.raises(UserError, match=says):
            named.parse_description(text, tmp_path / "series.toml")


def test_a_folder_with_a_description_anywhere(tmp_path: Path, read: Read) -> None:
    place = folder(tmp_path / "mine", three())
    (place / "series.toml").write_text('title = "Mine"\nrevision = "v9"\n')
    found = read(str(place))
    assert (found.name, found.title, found.revision, len(found.patches)) == ("mine", "Mine", "v9", 3)
    (place / "series.toml").write_text('title = "Mine"\npatches = "nowhere.mbox"\n')
    with pytest.raises(UserError, match="is not there"):
        read(str(place))


@pytest.mark.parametrize("many", [True, False])
def test_what_is_larger_than_any_series(many: bool, tmp_path: Path, read: Read) -> None:
    path = tmp_path / "huge.mbox"
    if many:
        path.write_bytes(mail("[PATCH] mm: x", change()) * 2001)
    else:
        with open(path, "wb") as stream:
            stream.write(b"From ")
            stream.truncate(1 << 40)
    with pytest.raises(UserError, match="larger than any series"):
        read(str(path))
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.patch").write_bytes(mail("[PATCH] mm: x", change(), body="x\n" * (4 << 20)))
    with pytest.raises(UserError, match="larger than any series"):
        read(str(folder))
