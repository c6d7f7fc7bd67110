# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import cache
from harness.cache import Item, Keep
from harness.cli.main import cli
from harness.errors import UserError
from harness.paths import Paths
from harness.store import Store

NOW = 1_000_000.0
DAY = 86400.0


def item(name: str, *, size: int = 10, days: float = 1, litter: bool = False, busy: bool = False, kind: str = "image",
         lasting: bool = False) -> Item:  # fmt: skip
    return Item(kind=kind, name=name, path=Path("/c", name), size=size, used=NOW - days * DAY, litter=litter, busy=busy,
                lasting=lasting)  # fmt: skip


def names(items: list[Item]) -> list[str]:
    return [entry.name for entry in items]


def test_limits_are_read() -> None:
    assert cache.parse_keep(["20G"]) == Keep(size=20 << 30)
    assert cache.parse_keep(["1.5M", "2w"]) == Keep(size=3 << 19, age=14 * DAY)
    assert cache.parse_keep(["500 MiB"]) == Keep(size=500 << 20)
    for wrong in ("", "x", "5y", "-1G", "10m5"):
        with pytest.raises(UserError, match="neither a size nor an age"):
            cache.parse_keep([wrong])


def test_litter_always_goes_and_age_decides_the_rest() -> None:
    items = [item("old", days=20), item("new", days=1), item("left", days=0, litter=True)]
    assert names(cache.choose(items, Keep(), now=NOW)) == ["left"]
    assert names(cache.choose(items, Keep(age=14 * DAY), now=NOW)) == ["left", "old"]


def test_the_longest_unused_go_until_the_rest_fits() -> None:
    items = [item("a", days=3), item("b", days=2), item("c", days=1)]
    assert names(cache.choose(items, Keep(size=20), now=NOW)) == ["a"]
    assert names(cache.choose(items, Keep(size=5), now=NOW)) == ["a", "b", "c"]


def test_what_is_in_use_or_lasting_stays() -> None:
    items = [item("just", days=0), item("busy", days=9, busy=True), item("repo", days=90, lasting=True)]
    assert names(cache.choose(items, Keep(age=DAY), now=NOW)) == []
    assert names(cache.choose(items, Keep(size=0), now=NOW)) == ["repo"]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(project=tmp_path, cache=tmp_path / "cache", data=tmp_path / "data")


def make_entry(store: Store, key: str, *, age: float) -> Path:
    entry, _ = store.obtain("image", key, lambda folder: {"n": (folder / "f").write_text("content")})
    then = time.time() - age
    os.utime(entry.path / ".entry.json", (then, then))
    return entry.path


def test_prune_on_a_real_cache(paths: Paths) -> None:
    store = Store(paths.cache)
    old, new = make_entry(store, "old", age=40 * DAY), make_entry(store, "new", age=DAY)
    held = make_entry(store, "held", age=50 * DAY)
    dead = paths.cache / "scratch" / "image-999999999-abc"
    mine = paths.cache / "scratch" / f"image-{os.getpid()}-abc"
    unfinished = paths.cache / "store" / "image" / ".making-1-abc"
    for folder in (dead, mine, unfinished):
        folder.mkdir(parents=True)
    arguments = ["--cache-dir", str(paths.cache), "--data-dir", str(paths.data), "cache", "prune"]
    planned = CliRunner().invoke(cli, [*arguments, "--dry-run"])
    assert "would free" in planned.output and old.exists() and dead.exists()
    with store.lock("image-held", what="held"):
        done = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert done.exception is None and "kept held: another run uses it" in done.output
    assert [path.exists() for path in (old, new, held, dead, mine, unfinished)] == [
        False, True, True, False, True, False,
    ]  # fmt: skip


def test_check_finds_a_flipped_bit(paths: Paths) -> None:
    store = Store(paths.cache)
    path = make_entry(store, "k", age=0)
    arguments = ["--cache-dir", str(paths.cache), "--data-dir", str(paths.data), "cache", "check"]
    assert CliRunner().invoke(cli, arguments, standalone_mode=False).return_value == 0
    (path / "f").write_text("c0ntent")
    done = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert done.return_value == 4 and "another content" in done.output and path.exists()


def test_list_as_json(paths: Paths) -> None:
    make_entry(Store(paths.cache), "k", age=0)
    arguments = ["--cache-dir", str(paths.cache), "--data-dir", str(paths.data), "cache", "list", "--json"]
    listed = json.loads(CliRunner().invoke(cli, arguments, standalone_mode=False).output)
    assert [(entry["kind"], entry["name"]) for entry in listed] == [("image", "k")]
