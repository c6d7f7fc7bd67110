# SPDX-License-Identifier: GPL-2.0-only
"""The site in a real browser, from disk: nothing is asked of a network, nothing runs but our script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import PHONE, SCREEN, Browser, program
from tests.unit.site.conftest import SPLAT, World, add_guest, add_topology, case_of
from tests.unit.site.test_site_hostile import EVIL

CASE = "zswap/test_store:swapoff"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = program()
    if executable is None:
        pytest.skip("no Chromium here (ci/packages-test.txt)")
    with Browser(executable) as found:
        yield found


@pytest.fixture
def pages(world: World) -> list[Path]:
    """A page of each kind, full of what hurts."""
    many = {f"suite/program:case_{number}": "FAIL" if number % 7 == 0 else "PASS" for number in range(30)}
    world.past.run(many)
    evil = [case_of(f"suite/program:{text}", "FAIL", reason=text * 9) for text in EVIL]
    long = case_of(f"suite/program:{'a_very_long_name_' * 20}", "FAIL", reason="w" * 480)
    bad = world.past.run([*evil, long, case_of(CASE, "CRASH"), *(case_of(name) for name in many)])
    samples = "seconds node0 node1 zswap\n" + "".join(f"{n / 2} {900000 - n * 999} 500 {n * n}\n" for n in range(99))
    add_guest(bad, SPLAT + "\n".join(EVIL), samples=samples)
    add_topology(world.past.run(many))
    world.make()
    out = world.out
    kinds = ["index.html", "runs.html", "cases.html", "nights.html", "topologies.html", "topologies/switch*.html"]
    kinds += [f"runs/{bad.name}*[0-9a-f].html", "runs/*.guest-1.html", "runs/*.memory.html", "compare/*.html"]
    kinds += ["cells/*.html", "cases/zswap*.html"]
    return [next(file for file in out.glob(kind)) for kind in kinds]


def named(pages: list[Path], part: str) -> Path:
    return next(page for page in pages if part in f"{page.parent.name}/{page.name}")


def test_every_kind_of_page_is_whole_on_screen_and_phone(browser: Browser, pages: list[Path]) -> None:
    for size in (SCREEN, PHONE):
        browser.look(size)
        for page in pages:
            browser.open(page)
            assert browser.complaints == [], page
            assert all(address.startswith("file:") for address in browser.requests), page
            wider = browser.js("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider == 0, (page, size)
            assert browser.js("[...document.images].every((one) => one.naturalWidth > 0)"), page
            assert "taken" not in str(browser.js("document.title"))
            sizes = (
                "[...document.querySelectorAll('main a, main td')].map((e) => parseFloat(getComputedStyle(e).fontSize))"
            )
            assert min([*browser.js(sizes), 99]) >= 11, page


def test_text_is_readable_in_both_themes(browser: Browser, pages: list[Path]) -> None:
    """The contrast of every text with what is behind it is that of WCAG 2.2 AA (4.5 to 1)."""
    for dark in (False, True):
        browser.look(SCREEN, dark=dark)
        for page in pages:
            browser.open(page)
            assert browser.js(_CONTRAST) == [], (page, dark)


def test_themes_follow_the_system_and_the_switch(browser: Browser, pages: list[Path]) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    index = named(pages, "index.html")
    browser.look(SCREEN, dark=True)
    browser.open(index)
    dark = browser.js(paper)
    browser.look(SCREEN)
    light = browser.js(paper)
    assert dark != light
    for wanted in (light, dark, light):  # light, dark, and as the system has it again
        browser.key("t")
        assert browser.js(paper) == wanted
    browser.key("t")
    browser.key("t")
    browser.open(named(pages, "cells/"))
    assert browser.js(paper) == dark  # on another page, too
    browser.key("t")


def test_keys_and_filter(browser: Browser, pages: list[Path]) -> None:
    browser.look(SCREEN)
    browser.open(named(pages, "cases.html"))
    browser.key("/")
    for letter in "case_7":
        browser.key(letter)
    shown = "[...document.querySelectorAll('table.rows tbody tr')].filter((row) => !row.hidden).length"
    assert browser.js(shown) == 1
    browser.key("Escape")
    browser.key("j")
    assert "case_7" in browser.js("document.activeElement.textContent")
    browser.key("Enter")
    browser.settled("location.pathname.includes('/cases/suite_program_case_7')")
    browser.open(named(pages, ".guest-1.html"))
    browser.key("n")
    assert browser.js("document.activeElement.tagName") == "MARK"
    browser.key("?")
    assert browser.js("document.querySelector('dialog').open")
    browser.key("Escape")
    browser.key("h")
    browser.settled("location.pathname.endsWith('/index.html')")


def test_a_table_is_sorted_by_numbers_as_numbers(browser: Browser, pages: list[Path]) -> None:
    browser.look(SCREEN)
    browser.open(named(pages, "cases.html"))
    case = "[...document.querySelectorAll('thead button')].find((one) => one.textContent === 'case').click()"
    names = "[...document.querySelectorAll('tbody tr a')].map((a) => a.textContent).filter((t) => t.includes('case_'))"
    browser.js(case)
    found = browser.js(names)
    assert found == [f"suite/program:case_{number}" for number in range(30)]
    browser.js(case)
    assert browser.js(names) == found[::-1]


def test_without_its_script_a_page_says_the_same(browser: Browser, pages: list[Path]) -> None:
    browser.look(SCREEN)
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(named(pages, "index.html"))
        text = browser.html()
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "cells do not pass" in text and 'class="q FAIL"' in text and "<button" not in text


def test_what_a_policy_refuses_does_not_run(browser: Browser, world: World) -> None:
    """The second line of defence, seen to hold: a script that came into a page is not run."""
    world.past.run({"a/b:c": "PASS"})
    index = world.make().index
    text = index.read_text().replace(
        "<main", "<script>document.title='taken'</script><img src=x onerror=alert(1)><main"
    )
    index.write_text(text)
    browser.open(index)
    assert browser.js("document.title") == "N_PRIVATE harness"
    assert any("Content Security Policy" in one for one in browser.complaints)


_CONTRAST = """(() => {
  const probe = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => { probe.clearRect(0, 0, 1, 1); probe.fillStyle = colour; probe.fillRect(0, 0, 1, 1);
                            const d = probe.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
  const light = ([r, g, b]) => { const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
                                 return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
                                                           if (c[3] > 0.99) return c; } return rgb('white'); };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest('svg, .skip, .q.empty, dialog') || !e.offsetParent) continue;
    const a = light(rgb(getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${e.tagName}.${e.className} ${ratio.toFixed(2)}`);
  }
  return [...new Set(found)].slice(0, 8);
})()"""
