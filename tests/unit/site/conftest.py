# SPDX-License-Identifier: GPL-2.0-only
"""A past with consoles, samples and topologies, and a look at what a site's pages hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from harness.history.database import History
from harness.history.place import Place
from harness.history.record import import_folders
from harness.paths import default_paths
from harness.results.folder import RunFolder
from harness.site.make import Made, make
from harness.topology import definition, load
from tests.unit.history.conftest import Past, case_of, past, rerun_of

__all__ = ["Past", "case_of", "past", "rerun_of"]

SPLAT = """\
[   20.000001] harness: case begin zswap/test_store:swapoff
[   20.100000] ------------[ cut here ]------------
[   20.100001] WARNING: CPU: 0 PID: 77 at mm/zswap.c:321 zswap_store+0x12/0x340
[   20.100002] Modules linked in:
[   20.100003] Call Trace:
[   20.100004]  <TASK>
[   20.100005]  zswap_store+0x12/0x340
[   20.100006]  swap_writepage+0x33/0x90
[   20.100007]  </TASK>
[   20.100008] ---[ end trace 0000000000000000 ]---
[   20.500000] harness: case end zswap/test_store:swapoff taint=512
"""


@dataclass
class World:
    """A history of run folders and the site that is made of it."""

    past: Past
    history: History
    out: Path

    def make(self, **more: Any) -> Made:
        import_folders(self.history, [one.path for one in self.past.made])
        return make(self.history, self.out, **more)

    def page(self, part: str) -> Path:
        """The only page whose path has this part."""
        found = [file for file in self.out.rglob("*.html") if part in str(file.relative_to(self.out))]
        assert len(found) == 1, (part, found)
        return found[0]


@pytest.fixture
def world(past: Past, tmp_path: Path) -> Iterator[World]:
    with History(Place(file=tmp_path / "history.sqlite")) as history:
        yield World(past, history, tmp_path / "site")


def add_guest(folder: RunFolder, console: str, *, samples: str = "", guest: int = 1) -> None:
    """A guest's console (without the host's stamps, which are added) and samples."""
    place = folder.path / "guests" / str(guest)
    place.mkdir(parents=True)
    lines = [f"[21:11:14.919 {n / 100:9.3f}] {line}\n" for n, line in enumerate(console.splitlines())]
    (place / "console.log").write_text("".join(lines), "utf-8", newline="")
    (place / "meminfo.txt").write_text("MemTotal:  1000000 kB\nMemFree: 5 kB\nMemAvailable:  744000 kB\n")
    if samples:
        (place / "samples.tsv").write_text(samples)


def add_topology(folder: RunFolder, name: str = "switch-4", **changed: Any) -> None:
    """The definition of a topology in the manifest, as a run writes it."""
    file = folder.path / "manifest.json"
    manifest = json.loads(file.read_text())
    table = json.loads(json.dumps(definition(load(name, paths=default_paths()))))
    manifest["decides"]["topology"] = {"name": name, "digest": "d1" * 32, "definition": table | changed}
    file.write_text(json.dumps(manifest))


@dataclass
class Page(HTMLParser):
    """What a browser would act on in a page."""

    text: str
    scripts: list[dict[str, str | None]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    odd: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "script":
            self.scripts.append(known)
        if tag in ("iframe", "object", "embed", "form", "base"):
            self.odd.append(tag)
        self.odd += [name for name in known if name.startswith("on") or name == "srcdoc"]
        self.links += [str(known[name]) for name in ("href", "src") if name in known]
        if known.get("id"):
            self.ids.add(str(known["id"]))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def check_site(out: Path) -> dict[Path, Page]:
    """All pages: nothing but our own script, links only to what is there, no control characters."""
    pages = {file: Page(file.read_text("utf-8")) for file in out.rglob("*.html")}
    assert pages
    for file, page in pages.items():
        assert not _CONTROL.search(page.text), file
        assert not page.odd, (file, page.odd)
        assert [set(one) for one in page.scripts] == [{"src"}], file
        for link in page.links:
            assert not re.match(r"[a-z]+:|//|/", link, re.IGNORECASE), (file, link)
            path, _, anchor = link.partition("#")
            target = (file.parent / unquote(path)).resolve() if path else file
            assert target.is_relative_to(out.resolve()) and target.is_file(), (file, link)
            if anchor and target in pages:
                assert anchor in pages[target].ids, (file, link)
    return pages
