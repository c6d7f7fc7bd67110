# SPDX-License-Identifier: GPL-2.0-only
"""A series' answers to remarks on it: what stays as it is, and why. Pure.

An answer is for one patch, one check and one type of remark; it holds for all remarks of that type there, or for those
only whose message has ``text`` in it. An answered remark is shown with its reason and no longer counts; an answer that
answers nothing is a remark itself, so that no answer outlives what it was given for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import msgspec

from harness.series.finding import Finding, Level


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[answers]]`` of a ``series.toml``.

    ``check`` is that of the finding (``checkpatch``, ``W=1``, ``sparse``, ``build``), ``type`` its kind of remark
    (checkpatch's own name for it, a compiler's ``-W…``), ``text`` a part of its message.
    """

    patch: int
    reason: str
    type: str = ""
    text: str = ""
    check: str = "checkpatch"

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("an answer needs a reason")
        if not self.type and not self.text:
            raise ValueError("an answer needs the type of the remark, or a text that is in it")

    def answers(self, finding: Finding) -> bool:
        """Whether it is an answer to a finding."""
        if finding.level not in (Level.WARNING, Level.ERROR) or finding.type is None:
            return False  # what does not apply, build or run is nothing that an answer makes good
        same = finding.patch == self.patch and finding.check == self.check
        return same and self.type in ("", finding.type) and self.text in finding.message


def answered(findings: Iterable[Finding], answers: Sequence[Answer]) -> tuple[Finding, ...]:
    """The findings, those that have an answer as notes with its reason."""
    return tuple(_answered(finding, answers) for finding in findings)


def _answered(finding: Finding, answers: Sequence[Answer]) -> Finding:
    answer = next((one for one in answers if one.answers(finding)), None)
    if answer is None:
        return finding
    message = f"{finding.message}; answered: {answer.reason}"
    return dataclasses.replace(finding, level=Level.NOTE, message=message, answer=answer.reason)


def idle(findings: Sequence[Finding], answers: Sequence[Answer]) -> tuple[Finding, ...]:
    """A warning for each answer to which there was no remark, of the checks that ran."""
    ran = {(finding.check, finding.patch) for finding in findings}
    return tuple(
        Finding(
            check=one.check,
            level=Level.WARNING,
            patch=one.patch,
            message=f"series.toml answers {one.type or one.text!r}, and there is no such remark",
        )
        for one in answers
        if (one.check, one.patch) in ran and not any(one.answers(finding) for finding in findings)
    )
