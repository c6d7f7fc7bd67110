# SPDX-License-Identifier: GPL-2.0-only
"""Downloads against a server of our own that breaks off, changes the file, and knows or ignores ranges."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import EnvironmentFailure, UserError
from harness.paths import Paths
from harness.source.download import fetch
from tests.unit.source.trees import Heard


class Site:
    """What the server does: ``cuts`` is how many bytes each next answer may have (None: all)."""

    def __init__(self) -> None:
        self.content = bytes(range(256)) * 4000
        self.etag = '"one"'
        self.ranges = True
        self.cuts: list[int | None] = []
        self.status = 200
        self.seen: list[str | None] = []
        self.url = ""


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            made.seen.append(wanted)
            if made.status != 200:
                self.send_error(made.status)
                return
            start = 0
            if wanted and made.ranges and self.headers.get("If-Range") == made.etag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            body = made.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", made.etag)
            self.end_headers()
            cut = made.cuts.pop(0) if made.cuts else None
            self.wfile.write(body if cut is None else body[:cut])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/linux.tar"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def get(site: Site, paths: Paths) -> Path:
    return fetch(site.url, paths, progress=Heard(), pause=lambda seconds: None)


def test_goes_on_where_it_stopped(site: Site, paths: Paths) -> None:
    site.cuts = [100_000, 200_000]
    assert get(site, paths).read_bytes() == site.content
    assert site.seen == [None, "bytes=100000-", "bytes=300000-"]


def test_goes_on_in_the_next_run(site: Site, paths: Paths) -> None:
    site.cuts = [1000] * 5
    with pytest.raises(EnvironmentFailure, match="could not be fetched"):
        get(site, paths)
    assert get(site, paths).read_bytes() == site.content
    assert site.seen[-1] == "bytes=5000-"


def test_another_file_meanwhile_starts_over(site: Site, paths: Paths) -> None:
    site.cuts = [1000] * 5
    with pytest.raises(EnvironmentFailure):
        get(site, paths)
    site.content, site.etag = b"new" * 1000, '"two"'
    assert get(site, paths).read_bytes() == site.content


@pytest.mark.parametrize("etag", ['W/"weak"', '"one"'])
def test_server_without_ranges_or_with_weak_names(etag: str, site: Site, paths: Paths) -> None:
    site.ranges, site.etag, site.cuts = False, etag, [1000]
    assert get(site, paths).read_bytes() == site.content


def test_not_there_is_said_at_once(site: Site, paths: Paths) -> None:
    site.status = 404
    with pytest.raises(UserError, match="404"):
        get(site, paths)
    assert len(site.seen) == 1


def test_server_trouble_is_tried_again_and_is_no_user_error(site: Site, paths: Paths) -> None:
    site.status = 503
    with pytest.raises(EnvironmentFailure, match="503"):
        get(site, paths)
    assert len(site.seen) == 5
