# SPDX-License-Identifier: GPL-2.0-only
"""A built target of the tree's selftests as programs that the runner can run. Pure but for reading what was built."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import unknown_name
from harness.kselftest import PREFIX, BuiltTarget, Circumstances, Known
from harness.suite.catalogue import DEFAULT_TIMEOUT, Keyword, Selection
from harness.suite.foreign import PROGRAM, ForeignProgram
from harness.values import Accel, Expectation, Verdict

GUEST_FOLDER = "/opt/harness/kselftest"

_TCG_FACTOR = 4.0  # on the tree's own deadlines, which are meant for real machines
_NO_DEADLINE = 3600.0  # where the tree's settings say timeout=0


def selections(
    built: BuiltTarget,
    known: Known,
    *,
    wanted: Mapping[str, Sequence[str]],
    whole: bool,
    keyword: str,
    timeout: float | None,
    now: Circumstances,
) -> tuple[Selection, ...]:
    """What to run of a target. ``wanted`` maps the programs that were named to the cases wanted of them ("" is all).

    With ``whole`` the target's other programs too, without what ``known`` leaves out; a program that is named is run
    all the same. ``timeout`` is that of the target's ``settings``. Raises :class:`UserError` for an unknown program.
    """
    names = _names(built, known)
    for name in wanted:
        if name not in names:
            raise unknown_name(f"program of the selftests '{built.target}'", name, names)
    expression = Keyword(keyword)
    found = []
    for name, words in names.items():
        if not whole and name not in wanted:
            continue
        if not expression.matches(f"{PREFIX}:{built.target}/{name}"):
            continue
        only = tuple(case for case in wanted.get(name, ()) if case)
        program = _program(built, known, name, words, only=only, named=name in wanted, timeout=timeout, now=now)
        found.append(Selection(program=program, cases=(PROGRAM,)))
    return tuple(found)


def absent(target: str, reason: str) -> Selection:
    """A target that the tree does not have, as a program that is skipped."""
    return _refused(target, "target", Verdict.SKIP, reason)


def _names(built: BuiltTarget, known: Known) -> dict[str, tuple[str, ...]]:
    """The programs of a target with the words of each; what programs use and what was not built has none."""
    names: dict[str, tuple[str, ...]] = {}
    for program in built.programs:
        split = known.split if known.split is not None and known.split.program == program else None
        parts = dict.fromkeys(re.findall(split.pattern, built.text(program))) if split is not None else {}
        if split is not None and parts:
            names |= {part: (f"./{program}", split.option, part) for part in parts}
        else:
            names[program] = (f"./{program}",)
    for name in built.unbuilt:
        if name not in built.programs:
            names[name if name not in names else f"{name}.file"] = ()
    return names


def _program(
    built: BuiltTarget,
    known: Known,
    name: str,
    words: tuple[str, ...],
    *,
    only: tuple[str, ...],
    named: bool,
    timeout: float | None,
    now: Circumstances,
) -> ForeignProgram:
    suite = f"{PREFIX}:{built.target}"
    file = (words[0] if words else name).removeprefix("./").removesuffix(".file")
    skips = [] if named else known.skips(name, now)
    whole = next((skip.reason for skip in skips if not skip.file), "")
    refused: tuple[Verdict, str] | None = None
    if file in built.unbuilt:
        why = built.unbuilt[file]
        refused = (Verdict.FAIL if why.ours else Verdict.SKIP, f"it was not built: {why.text}")
    elif whole:
        refused = (Verdict.SKIP, f"left out here: {whole} (name it to run it: --suite {suite}/{name})")
    inner = [(skip.file, skip.arguments, skip.reason) for skip in skips if skip.file]
    if len(words) > 1:  # it starts programs of its own, which were built beside it
        inner += [(lost, "*", f"it was not built: {why.text}") for lost, why in built.unbuilt.items() if lost != file]
    options = [word for entry in inner for word in ("-s", "|".join(map(_field, entry)))]
    options += known.surroundings(name, now)
    own = known.timeout(name)
    factor = _TCG_FACTOR if now.accel == Accel.TCG else 1.0
    limit = own or (_NO_DEADLINE if timeout == 0 else factor * (timeout or DEFAULT_TIMEOUT))
    runner = f"{GUEST_FOLDER}/run.sh"
    return ForeignProgram(
        suite=suite,
        name=name,
        path=Path(file),
        cases=(PROGRAM,),
        options={},
        timeout=limit,
        words=("sh", runner, *options, f"{suite}/{name}:{PROGRAM}", built.target, *_started(built, words)),
        known=tuple(
            Expectation(case=one.case, reason=one.reason, sometimes=one.sometimes) for one in known.failures(name, now)
        ),
        splats=known.splats(name, now),
        only=only,
        refused=refused,
    )


def _started(built: BuiltTarget, words: tuple[str, ...]) -> tuple[str, ...]:
    """The words with the interpreter in front where the file is no executable, as kselftest's runner has it."""
    if not words:
        return ("false",)
    path = built.folder / "tree" / built.target / words[0]
    if not path.is_file() or path.stat().st_mode & 0o111:
        return words
    first = path.read_bytes()[:256].partition(b"\n")[0].decode("utf-8", "replace")
    return (*first.removeprefix("#!").split(), *words) if first.startswith("#!") else words


def _field(text: str) -> str:
    """A text as a field of a line of run.sh's."""
    return re.sub(r"[|\s]+", " ", text).strip()


def _refused(target: str, name: str, verdict: Verdict, reason: str) -> Selection:
    program = ForeignProgram(
        suite=f"{PREFIX}:{target}",
        name=name,
        path=Path(name),
        cases=(PROGRAM,),
        options={},
        timeout=DEFAULT_TIMEOUT,
        words=("false",),
        refused=(verdict, reason),
    )
    return Selection(program=program, cases=(PROGRAM,))
