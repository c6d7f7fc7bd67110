# SPDX-License-Identifier: GPL-2.0-only
"""The results as a JUnit file, in the dialect that GitLab, Jenkins and GitHub's reporters read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree as Xml

from harness.display import crash_lines, printable
from harness.results.record import CaseRecord, RerunRecord, Results
from harness.values import Verdict

_ERRORS = {Verdict.CRASH.value, Verdict.TIMEOUT.value, Verdict.LOST.value}


def junit(results: Results) -> bytes:
    """The XML file's content. A suite is a ``testsuite``; a run that failed before its cases is one ``error``."""
    root = Xml.Element("testsuites", name=results.run, time=f"{results.seconds:.3f}")
    for suite, cases in groupby(results.cases, key=lambda case: case.suite):
        add_suite(root, suite, list(cases), results.reruns)
    if results.failure is not None:
        suite = Xml.SubElement(root, "testsuite", name="run", tests="1", errors="1", failures="0", skipped="0")
        case = Xml.SubElement(suite, "testcase", classname="run", name=results.failure.verdict.lower())
        error = Xml.SubElement(case, "error", type=results.failure.verdict, message=printable(results.failure.message))
        error.text = printable("\n".join(results.failure.details), limit=20000)
    Xml.indent(root)
    body: bytes = Xml.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + body + b"\n"


def add_suite(root: Xml.Element, name: str, cases: list[CaseRecord], reruns: Sequence[RerunRecord] = ()) -> None:
    """A ``testsuite`` of some cases; ``reruns`` are failed ones run again, which are told and count for nothing."""
    verdicts = [case.verdict for case in cases]
    errors = sum(verdict in _ERRORS for verdict in verdicts)
    skipped = sum(verdict in (Verdict.SKIP.value, Verdict.XFAIL.value) for verdict in verdicts)
    bad = sum(not Verdict(verdict).good for verdict in verdicts)
    suite = Xml.SubElement(
        root,
        "testsuite",
        name=printable(name),
        tests=str(len(cases)),
        errors=str(errors),
        failures=str(bad - errors),
        skipped=str(skipped),
        time=f"{sum(case.seconds for case in cases):.3f}",
    )
    for case in cases:
        _case(suite, case, [one for one in reruns if one.name == case.name])


def _case(suite: Xml.Element, case: CaseRecord, reruns: Sequence[RerunRecord]) -> None:
    element = Xml.SubElement(
        suite,
        "testcase",
        classname=printable(f"{case.suite}.{case.program}"),
        name=printable(case.case),
        time=f"{case.seconds:.3f}",
    )
    verdict = Verdict(case.verdict)
    if verdict in (Verdict.SKIP, Verdict.XFAIL):
        Xml.SubElement(element, "skipped", message=printable(case.reason or verdict.value))
    elif not verdict.good:
        tag = "error" if case.verdict in _ERRORS else "failure"
        bad = Xml.SubElement(element, tag, type=verdict.value, message=printable(case.splat or case.reason))
        told = [*crash_lines(case.crash), ""] if case.crash is not None else []
        again = [f"run again on a fresh guest: {one.verdict} {one.reason}".rstrip() for one in reruns]
        bad.text = printable("\n".join([*again, *told, *case.diagnostics]), limit=20000)
    if case.diagnostics and verdict.good:
        Xml.SubElement(element, "system-out").text = printable("\n".join(case.diagnostics), limit=20000)
