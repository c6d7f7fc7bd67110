# SPDX-License-Identifier: GPL-2.0-only
"""Failed cases run again after a run, each on a fresh guest: flaky or broken? Their first verdicts stay."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace

from harness.display import many, printable
from harness.errors import HarnessError
from harness.progress import QuietView, View
from harness.results.folder import RunFolder
from harness.results.record import CaseRecord, RerunRecord, Results, rerun_record
from harness.results.recorder import Recorder
from harness.suite.catalogue import Selection
from harness.suite.foreign import ForeignProgram
from harness.suite.judge import WHOLE_PROGRAM
from harness.values import CaseResult, Verdict

MOST_CASES = 25
"""Where more cases than this fail, something else is the matter; only so many are run again."""

_NOT_RUN = (Verdict.BOOT.value, Verdict.INFRA.value)

Judge = Callable[[Selection, Recorder], Generator[CaseResult, None, None]]


def rerun(selections: Iterable[Selection], times: int, *, recorder: Recorder, view: View, judge: Judge) -> None:
    """Run what failed ``times`` times again; the recorder of the run gets what came out.

    ``judge`` runs a selection in guests of its own and yields the results; it gets a recorder whose folder is
    ``reruns/<number>`` of the run's.
    """
    programs = {one.program.full_name: one for one in selections}
    failed = {case.name: case for case in recorder.failed_cases}
    chosen = [
        (case, selection)
        for case in failed.values()
        if (selection := selection_of(programs.get(f"{case.suite}/{case.program}"), case)) is not None
    ]
    if len(chosen) > MOST_CASES:
        view.say(f"{len(chosen)} cases failed; the first {MOST_CASES} of them are run again", style="yellow")
    number = 0
    for attempt in range(1, times + 1):
        for case, selection in chosen[:MOST_CASES]:
            number += 1
            with recorder.stage("rerun") as stage:
                stage.update(case.name)
                inner = Recorder(RunFolder(recorder.folder.folder("reruns", str(number))), QuietView())
                result = again(case, selection, inner, judge)
                recorder.reran(rerun_record(result, attempt))
                why = f"  {printable(result.reason, limit=200)}" if result.reason else ""
                stage.result(f"{case.name}, {attempt} of {times}: {result.verdict}{why}")


def selection_of(program: Selection | None, case: CaseRecord) -> Selection | None:
    """What runs a case again: it alone where that can be; None where it was never run in a guest."""
    if program is None or (isinstance(program.program, ForeignProgram) and program.program.refused is not None):
        return None
    return replace(program, cases=(case.case,)) if case.case in program.cases else program


def again(case: CaseRecord, selection: Selection, inner: Recorder, judge: Judge) -> CaseResult:
    """What became of a case when its selection was judged once more; a failure of the harness is a verdict as well."""
    results: list[CaseResult] = []
    try:
        with closing(judge(selection, inner)) as judged:
            results += judged
    except HarnessError as error:
        return _result(case, Verdict(error.verdict), error.message)
    own = [result for result in results if result.case == case.case]
    if own:
        return next((result for result in own if not result.verdict.good), own[-1])
    if case.case == WHOLE_PROGRAM and results:
        return _result(case, Verdict.PASS, "")  # nothing is wrong with the program as a whole
    return _result(case, Verdict.LOST, "the program gave no result for it")


def _result(case: CaseRecord, verdict: Verdict, reason: str) -> CaseResult:
    return CaseResult(suite=case.suite, program=case.program, case=case.case, verdict=verdict, reason=reason)


def told(results: Results, case: CaseRecord) -> str:
    """What the reruns of a failed case say of it, in a few words; empty where it was not run again."""
    all_of_them = [one for one in results.reruns if one.name == case.name]
    if not all_of_them:
        return ""
    ran = [one for one in all_of_them if one.verdict not in _NOT_RUN]
    if not ran:
        return f"could not be run again: {printable(all_of_them[0].reason, limit=100)}"
    passed = sum(Verdict(one.verdict).good and one.verdict != Verdict.SKIP for one in ran)
    if passed:
        return f"flaky: passed {passed} of {_times(ran)}"
    if any(one.verdict == Verdict.SKIP for one in ran):
        return f"skipped when run again: {printable(ran[0].reason, limit=100)}"
    same = all(one.fingerprint == case.fingerprint for one in ran)
    return f"broken: failed {'in the same way ' if same else ''}in {len(ran)} of {_times(ran)}"


def _times(ran: Sequence[RerunRecord]) -> str:
    return many(len(ran), "rerun")
