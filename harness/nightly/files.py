# SPDX-License-Identifier: GPL-2.0-only
"""The reports of a night as files: ``summary.txt``, ``summary.html``, ``junit.xml``, ``kcidb.json``."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

from harness.display import printable
from harness.nightly.kcidb import kcidb
from harness.nightly.report import NightReport, text, times
from harness.page import templates
from harness.results.folder import RunFolder
from harness.results.junit import add_suite

_PAGE = Path(__file__).with_name("page.html.j2")


def write(found: NightReport, folder: Path) -> tuple[Path, ...]:
    """Write all reports into a folder; raises :class:`EnvironmentFailure` on a full disk."""
    into = RunFolder(folder)
    return (
        into.write("summary.txt", text(found)),
        into.write("summary.html", page(found)),
        into.write("junit.xml", junit(found)),
        into.write("kcidb.json", json.dumps(kcidb(found), indent=1) + "\n"),
    )


def page(found: NightReport) -> str:
    """The report as one HTML page that needs nothing else."""
    template = templates(_PAGE.parent).get_template(_PAGE.name)
    return printable(template.render(found=found, times=times(found.night)), limit=1 << 30)


def junit(found: NightReport) -> bytes:
    """The report as JUnit: a suite for each cell and suite; a cell without cases is one case, an error or skipped."""
    root = Xml.Element("testsuites", name=f"nightly {found.matrix.name}", time=f"{found.night.wall:.3f}")
    for one in found.cells:
        cases = one.results.cases if one.results is not None else ()
        for suite in dict.fromkeys(case.suite for case in cases):
            add_suite(root, f"{one.cell.title}: {suite}", [case for case in cases if case.suite == suite])
        failed = one.results is not None and one.results.failure is not None
        if cases and not failed:
            continue
        good = one.state is None
        counted = {"errors": "0" if good else "1", "failures": "0", "skipped": "1" if good else "0"}
        element = Xml.SubElement(root, "testsuite", {"name": printable(one.cell.title), "tests": "1", **counted})
        case = Xml.SubElement(element, "testcase", classname=printable(one.cell.title), name="run")
        if good:
            Xml.SubElement(case, "skipped", message=printable(f"nothing moved: {one.said}"))
        else:
            reason = one.state.reason if one.state is not None else ""
            Xml.SubElement(case, "error", type=one.word, message=printable(reason or one.word))
    Xml.indent(root)
    body: bytes = Xml.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + body + b"\n"
