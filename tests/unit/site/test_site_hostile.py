# SPDX-License-Identifier: GPL-2.0-only
"""What guests, series and other machines' folders say is text in a page, whatever they say."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.results.record import Failure
from harness.site import console, memory, names
from tests.unit.site.conftest import SPLAT, World, add_guest, add_topology, case_of, check_site

EVIL = [
    "<script>document.title='taken'</script>",
    '"><img src=x onerror="document.title=1">',
    "'onmouseover=alert(1) x='",
    "\x1b[31mred\x1b]8;;http://example.invalid\x07link\x1b]8;;\x07",
    "\u202eevil\u2066\u200f",
    "</pre></mark></table><iframe src=//example.invalid>",
    "{{ 7 * 7 }}{% for x in y %}",
    "javascript:alert(1)",
    "a\x00b\x08c\x7f\x9bd",
]


def test_every_text_of_a_run(world: World) -> None:
    for evil in EVIL:
        case = case_of("suite/program:case", "FAIL", reason=evil)
        record = {name: getattr(case, name) for name in case.__struct_fields__}
        bad = type(case)(**record | {"case": evil, "suite": evil, "diagnostics": (evil, evil * 500), "splat": evil})
        made = world.past.run(
            [bad, case_of("a/b:c")], series=evil, host=evil, topology=evil,
            failure=Failure(verdict="INFRA", message=evil, hint=evil, details=(evil,)),
        )  # fmt: skip
        add_guest(made, f"[ 1.000000] harness: case begin {evil}\n[ 1.1] {evil}\n{SPLAT}[ 2.0] BUG: {evil}\n")
    world.make()
    pages = check_site(world.out)
    assert all("taken" not in page.text or "&lt;script&gt;" in page.text for page in pages.values())
    assert any("{{ 7 * 7 }}" in "".join(page.words) for page in pages.values())


def test_a_run_whose_name_climbs_out(world: World, tmp_path: Path) -> None:
    made = world.past.run({"a/b:c": "PASS"})
    for name in ("results.json", "manifest.json"):
        text = json.loads((made.path / name).read_text())
        text |= {"run": "../../../../climbed"} if name == "results.json" else {}
        (made.path / name).write_text(json.dumps(text))
    world.make()
    check_site(world.out)
    assert not list(tmp_path.glob("climbed*")) and not list(tmp_path.parent.glob("climbed*"))


@pytest.mark.parametrize("text", ["", ".", "..", "../x", "/", "a/b", ".hidden", "x" * 5000, "\x00", "ü\ud800", "-rf"])
def test_a_file_name_is_only_a_name(text: str) -> None:
    found = names.slug(text)
    assert 0 < len(found) <= 70 and "/" not in found and not found.startswith((".", "-"))
    assert names.slug(text) != names.slug(text + "~")


def test_an_endless_console_is_cut_and_its_end_and_complaints_stay(world: World) -> None:
    noise = "".join(f"[    3.{n:06d}] line {n} {'x' * 30}\n" for n in range(30_000))
    made = world.past.run([case_of("zswap/test_store:swapoff", "CRASH")])
    add_guest(made, noise + SPLAT + noise + f"[ 99.0] {'y' * 100_000}\n[ 99.1] the last line\n")
    world.make()
    file = world.page(".guest-1.html")
    text = file.read_text()
    assert file.stat().st_size < 1_000_000
    assert "the last line" in text and "zswap_store" in text and "lines left out" in text and '<mark id="s0">' in text


def test_a_console_is_one_pass_with_few_lines_kept(tmp_path: Path) -> None:
    file = tmp_path / "console.log"
    file.write_text("[21:11:14.919     0.1] BUG: bad page state\n" * 20_000)
    found = console.view(file, lambda case: "x")
    assert found.lines == 20_000 and len(found.html) < 1_000_000


@pytest.mark.parametrize(
    "text",
    ["", "seconds", "seconds node0\n1 2\n", "seconds <b>\n1 2\n3 4\n", "seconds node0\nnan 1\ninf 2\n1 -5\n2 1e300\n",
     "node0 seconds\n1 2\n2 3\n", "seconds node0\n1\n1 2 3\nx y\n", "\x00\xff" * 9000, "seconds " + "node1 " * 99],
)  # fmt: skip
def test_samples_that_are_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "samples.tsv"
    file.write_text(text, "utf-8")
    assert memory.read(file) is None


def test_samples_that_go_back_in_time_leave_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "samples.tsv"
    file.write_text("seconds node0\n1 10\n0 11\nnan 3\n2 12\n")
    found = memory.read(file)
    assert found is not None and found.columns == {"seconds": (1.0, 2.0), "node0": (10.0, 12.0)}


def test_a_topology_that_cannot_be_is_not_drawn(world: World) -> None:
    made = world.past.run({"a/b:c": "PASS"})
    add_topology(made, title="</title><script>1</script>", device=[{"id": "x"}])
    good = world.past.run({"a/b:c": "PASS"})
    add_topology(good, title="</title><script>1</script>\x1b[31m")
    world.make()
    check_site(world.out)
    drawings = list((world.out / "topologies").glob("*.svg"))
    assert len(drawings) == 1
    assert "<script" not in drawings[0].read_text() and "\x1b" not in drawings[0].read_text()


def test_what_leads_out_of_a_run_folder_or_never_ends_is_not_read(world: World, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("seconds node0\n1 the-secret\n")
    made = world.past.run({"a/b:c": "PASS"})
    add_guest(made, "a console\n")
    guests = made.path / "guests"
    for number in (2, 3):
        (guests / str(number)).mkdir()
    (guests / "2" / "console.log").symlink_to(tmp_path / "secret")
    os.mkfifo(guests / "3" / "console.log")
    os.mkfifo(guests / "1" / "samples.tsv")
    (guests / "4").symlink_to(guests / "1")
    world.make()
    pages = check_site(world.out)
    assert not any("the-secret" in page.text for page in pages.values())
    assert [file.name.partition(".")[2] for file in pages if ".guest-" in file.name] == ["guest-1.html"]


def test_damaged_and_newer_folders_are_shown_from_the_history(world: World) -> None:
    damaged, newer = world.past.run({"a/b:c": "PASS"}), world.past.run({"a/b:c": "FAIL"})
    world.make()
    (damaged.path / "results.json").write_text("{")
    text = json.loads((newer.path / "results.json").read_text())
    (newer.path / "results.json").write_text(json.dumps(text | {"version": 99}))
    world.past.made.clear()
    world.make(afresh=True)
    pages = check_site(world.out)
    told = [page for file, page in pages.items() if file.parent.name == "runs"]
    assert any("is damaged" in page.text for page in told) and any("version 99" in page.text for page in told)
    assert all("a/b:c" in page.text for page in told)
