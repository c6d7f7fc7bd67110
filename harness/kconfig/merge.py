# SPDX-License-Identifier: GPL-2.0-only
"""Several fragments into one request: what they require, in order, and no two of them against each other. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.kconfig import fragment as fragments
from harness.kconfig.fragment import Assignment, Fragment
from harness.kconfig.request import FragmentRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What all fragments together ask for.

    ``requests`` are the fragments in merge order (what one requires stands before it), ``asked`` the option each asks
    for, ``askers`` all fragments that ask for an option, ``overridden`` lines of fragments that a single option of the
    user replaced, as warnings; ``command_line`` the words that they need on the kernel's command line, each once.
    """

    requests: tuple[FragmentRequest, ...]
    asked: dict[str, Assignment]
    askers: dict[str, tuple[str, ...]]
    overridden: tuple[str, ...] = ()
    command_line: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The request as a file for ``KCONFIG_ALLCONFIG``."""
        return "".join(f"{assignment.line}\n" for assignment in self.asked.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The fragments in merge order, each as it is asked for."""
        return tuple(str(request) for request in self.requests)


def merge(requests: Sequence[FragmentRequest], folder: Path) -> Merged:
    """Load, order, render and join fragments.

    Raises :class:`UserError`: what :func:`fragment.load` and :func:`fragment.render` raise, fragments that conflict, an
    option with two values, a fragment asked for twice with different parameters.
    """
    ordered = _ordered(requests, folder)
    _check_conflicts([loaded for _, loaded in ordered])
    asked: dict[str, Assignment] = {}
    askers: dict[str, tuple[str, ...]] = {}
    overridden: list[str] = []
    for request, loaded in ordered:
        for assignment in fragments.render(loaded, request):
            name = assignment.option
            before = asked.get(name)
            if before is not None and before.value != assignment.value:
                if not request.is_option:
                    raise _contradiction(before, assignment)
                overridden.append(f"{before.line} of '{before.fragment}' is overridden by {assignment.line}")
                before = None
                askers[name] = ()
            if before is None or (before.optional and not assignment.optional):
                asked[name] = assignment
            if loaded.name not in askers.get(name, ()):
                askers[name] = (*askers.get(name, ()), loaded.name)
    words = [word for request, loaded in ordered for word in fragments.command_line(loaded, request)]
    return Merged(
        requests=tuple(request for request, _ in ordered),
        asked=asked,
        askers=askers,
        overridden=tuple(overridden),
        command_line=tuple(dict.fromkeys(words)),
    )


def _ordered(requests: Sequence[FragmentRequest], folder: Path) -> list[tuple[FragmentRequest, Fragment]]:
    """All fragments, required ones first, each once; single options last, since they are the user's last word."""
    explicit = _joined(requests)
    done: dict[str, tuple[FragmentRequest, Fragment]] = {}

    def visit(request: FragmentRequest, trail: tuple[str, ...]) -> None:
        if request.name in trail:
            raise UserError(f"Kconfig fragments require each other: {' → '.join((*trail, request.name))}")
        if request.name in done:
            return
        loaded = fragments.load(request, folder)
        for name in loaded.header.requires:
            visit(explicit.get(name, FragmentRequest(name)), (*trail, request.name))
        done[request.name] = (request, loaded)

    for request in sorted(explicit.values(), key=lambda request: request.is_option):
        visit(request, ())
    return list(done.values())


def _joined(requests: Sequence[FragmentRequest]) -> dict[str, FragmentRequest]:
    """One request a fragment: its parameters from all places that name it, which must agree."""
    joined: dict[str, FragmentRequest] = {}
    for request in requests:
        before = joined.get(request.name)
        parameters = dict(before.parameters) if before else {}
        for name, value in request.parameters:
            if parameters.setdefault(name, value) != value:
                raise UserError(f"the fragment '{request.name}' is asked for twice: '{before}' and '{request}'")
        joined[request.name] = FragmentRequest(request.name, tuple(sorted(parameters.items())), request.body)
    return joined


def _check_conflicts(loaded: Sequence[Fragment]) -> None:
    present = {fragment.name for fragment in loaded}
    for fragment in loaded:
        for other in fragment.header.conflicts:
            if other in present:
                raise UserError(
                    f"the Kconfig fragments '{fragment.name}' and '{other}' exclude each other", hint="leave one out"
                )


def _contradiction(before: Assignment, now: Assignment) -> UserError:
    if before.fragment == now.fragment:
        values = f"{before.value}, then {now.value}"
        return UserError(f"the Kconfig fragment '{now.fragment}' contradicts itself on CONFIG_{now.option}: {values}")
    return UserError(
        f"the Kconfig fragments '{before.fragment}' and '{now.fragment}' contradict each other on CONFIG_{now.option}",
        details=[f"{before.fragment}: {before.line}", f"{now.fragment}: {now.line}"],
        hint=f"leave one out, or give --config CONFIG_{now.option}=… as the last word",
    )
