# SPDX-License-Identifier: GPL-2.0-only
"""New revisions of a series: in a mail archive, and on a list's server (a stand-in on the loopback) by the real b4."""

from __future__ import annotations

import gzip
import mailbox
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness import series
from harness.errors import EnvironmentFailure, UserError
from harness.paths import Paths
from harness.process import which
from harness.progress import Quiet
from harness.series.revisions import version_of
from harness.store import Store
from tests.unit.series.patches import three

pytestmark = pytest.mark.skipif(which("b4") is None, reason="b4 is not installed")

CHANGE_ID = "20260101-private-nodes-0123456789ab"


def revision(number: int) -> list[bytes]:
    """A cover letter and three patches of a revision, as a list has them."""
    prefix = f"RFC PATCH v{number}" if number > 1 else "RFC PATCH"
    mails = []
    for position, one in enumerate(three(prefix)):
        header = f"Message-ID: <v{number}.{position}@example.org>\n"
        header += f"In-Reply-To: <v{number}.0@example.org>\n" if position else ""
        lines = [line for line in one.split(b"\n") if not line.lower().startswith(b"message-id:")]
        one = b"\n".join(lines).replace(b"\nSubject:", f"\n{header}Subject:".encode(), 1)
        if not position:
            one = one.replace(b"\n\n", f"\n\nAbout v{number}.\n\nchange-id: {CHANGE_ID}\n\n".encode(), 1)
        mails.append(one)
    return mails


def archive(folder: Path, *revisions: int) -> Path:
    file = folder / "list.mbox"
    noise = b"From x@example.org Thu Jan  1 00:00:00 1970\nFrom: X <x@example.org>\nSubject: Re: [RFC PATCH v9 0/3] x\n"
    noise += f"Message-ID: <reply@example.org>\n\nsee change-id: {CHANGE_ID}\n\n".encode()
    file.write_bytes(b"".join([*[mail for number in revisions for mail in revision(number)], noise]))
    return file


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return Paths(project=tmp_path, cache=tmp_path / "cache", data=tmp_path / "data")


def newest(file: Path, paths: Paths, *, change_id: str = "", subject: str = "") -> series.Newest:
    return series.newest_in_archive(
        file, change_id=change_id, subject=subject, target=paths.data / "x.mbx", paths=paths, progress=Quiet()
    )


def test_the_newest_in_an_archive_by_its_change_id(tmp_path: Path, paths: Paths) -> None:
    first = newest(archive(tmp_path, 1), paths, change_id=CHANGE_ID)
    assert (first.message_id, first.revision) == ("v1.0@example.org", "RFC")
    found = newest(archive(tmp_path, 1, 3, 2), paths, change_id=CHANGE_ID)
    assert (found.message_id, found.revision) == ("v3.0@example.org", "RFC v3")
    read = series.read(found.spec, paths=paths, store=Store(paths.cache), progress=Quiet())
    assert (read.revision, len(read.patches)) == ("RFC v3", 3)


def test_by_its_subject_and_from_a_maildir(tmp_path: Path, paths: Paths) -> None:
    box = mailbox.Maildir(tmp_path / "maildir")
    for mail in (*revision(1), *revision(2)):
        box.add(mail.split(b"\n", 1)[1])
    found = newest(tmp_path / "maildir", paths, subject="Mm: Three  THINGS")
    assert found.revision == "RFC v2"
    again = newest(tmp_path / "maildir", paths, subject="mm: three things")
    assert again == found


def test_no_such_series(tmp_path: Path, paths: Paths) -> None:
    with pytest.raises(UserError, match="has no series with the change-id 'other'"):
        newest(archive(tmp_path, 1), paths, change_id="other")
    with pytest.raises(UserError, match="has no series with the subject 'x'"):
        newest(archive(tmp_path, 1), paths, subject="x")


def test_versions() -> None:
    assert [version_of(text) for text in ("RFC v3", "v12", "RFC", "")] == [3, 12, 1, 1]


class Lists:
    """What a public-inbox server gives b4: a thread by message-id, a search by its terms, as compressed mboxes."""

    def __init__(self) -> None:
        self.threads: dict[str, bytes] = {}
        self.queries: list[str] = []

    def post(self, number: int) -> None:
        self.threads[f"v{number}.0@example.org"] = b"".join(revision(number))

    def answer(self, path: str) -> bytes | None:
        parsed = urllib.parse.urlparse(path)
        if parsed.query:
            query = urllib.parse.parse_qs(parsed.query)["q"][0]
            self.queries.append(query)
            return b"".join(self.threads.values()) if CHANGE_ID in query else None
        parts = [urllib.parse.unquote(part) for part in parsed.path.split("/")]
        return next((self.threads[part] for part in parts if part in self.threads), None)


@pytest.fixture
def lists(paths: Paths, tmp_path: Path) -> Iterator[Lists]:
    found = Lists()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = found.answer(self.path)
            self.send_response(200 if body is not None else 404)
            self.end_headers()
            self.wfile.write(gzip.compress(body or b""))

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    place = f"http://127.0.0.1:{server.server_address[1]}"
    (tmp_path / "home/.gitconfig").write_text(
        f"[b4]\n\tmidmask = {place}/all/%s\n\tlinkmask = {place}/r/%s\n\tsearchmask = {place}/all/?x=m&t=1&q=%s\n"
        "[user]\n\tname = A\n\temail = a@example.org\n"
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_new_revision_on_the_lists(lists: Lists, paths: Paths) -> None:
    lists.post(1)
    spec = "lore:v1.0@example.org"
    assert series.newest_on_lists(spec, paths=paths, progress=Quiet()).spec == spec
    lists.post(2)
    found = series.newest_on_lists(spec, paths=paths, progress=Quiet())
    assert (found.spec, found.revision) == ("lore:v2.0@example.org@v2", "RFC v2")
    assert any(CHANGE_ID in query for query in lists.queries)
    read = series.read(found.spec, paths=paths, store=Store(paths.cache), progress=Quiet())
    assert (read.message_id, read.revision, len(read.patches)) == ("v2.0@example.org", "RFC v2", 3)


def test_lists_that_do_not_know_it(lists: Lists, paths: Paths) -> None:
    with pytest.raises(EnvironmentFailure, match="b4 could not fetch"):
        series.newest_on_lists("lore:nobody@example.org", paths=paths, progress=Quiet())
