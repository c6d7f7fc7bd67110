# SPDX-License-Identifier: GPL-2.0-only
"""Known failures: a failure that was expected is an XFAIL; one that was expected and did not come an XPASS. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from harness.values import CaseResult, Expectation, Verdict


def apply(
    results: Sequence[CaseResult],
    expected: Sequence[Expectation],
    *,
    whole: str,
    parents: Mapping[str, Sequence[str]],
) -> list[CaseResult]:
    """A program's results with its known failures marked.

    Only a ``FAIL`` can be expected: never a crash, a hang or a lost guest. ``whole`` is the name of the case that
    stands for the program itself; ``parents`` maps a case to the cases that its own, complete report holds: where all
    of these that failed were expected, so is its failure.
    """
    found = [_expected(result, expected) for result in results]
    found = _explained(found, parents)
    ran = {result.case: result.verdict for result in results}
    for one in expected:
        if one.sometimes:
            continue
        named = [case for case in ran if fnmatchcase(case, one.case)]
        if any(ran[case] is not Verdict.PASS for case in named):
            continue
        if named:
            found = [_unexpected(result, one) if result.case == named[0] else result for result in found]
        elif one.case == whole and results and all(verdict.good for verdict in ran.values()):
            found.append(_unexpected(replace(results[0], case=whole, diagnostics=(), seconds=0.0), one))
    return found


def _expected(result: CaseResult, expected: Sequence[Expectation]) -> CaseResult:
    if result.verdict is not Verdict.FAIL:
        return result
    reason = next((one.reason for one in expected if fnmatchcase(result.case, one.case)), None)
    if reason is None:
        return result
    return replace(result, verdict=Verdict.XFAIL, reason=f"{reason} ({result.reason})")


def _explained(results: Sequence[CaseResult], parents: Mapping[str, Sequence[str]]) -> list[CaseResult]:
    """Parents stand behind their children, so that one pass from front to back settles every level."""
    now = {result.case: result for result in results}
    for result in results:
        children = [now[name] for name in parents.get(result.case, ()) if name in now]
        expected = any(child.verdict is Verdict.XFAIL for child in children)
        if now[result.case].verdict is Verdict.FAIL and expected and all(child.verdict.good for child in children):
            reason = f"all that failed in it was expected ({result.reason})"
            now[result.case] = replace(result, verdict=Verdict.XFAIL, reason=reason)
    return list(now.values())


def _unexpected(result: CaseResult, one: Expectation) -> CaseResult:
    return replace(result, verdict=Verdict.XPASS, reason=f"passed though expected to fail: {one.reason}")
