# SPDX-License-Identifier: GPL-2.0-only
"""What runs at patches of a series where not all suites mean something: a feature is half there. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[stages]]`` of a ``series.toml``: at ``patches`` (from 1) only ``suites`` run, for a ``reason``.

    ``suites`` are written as for ``--suite``: ``cxl``, ``private/test_order:wrong_targets``.
    """

    patches: tuple[int, ...]
    suites: tuple[str, ...]
    reason: str

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("a stage needs a reason")
        if not self.patches or not self.suites:
            raise ValueError("a stage needs patches, and the suites that run at them")


def stage_of(stages: Sequence[Stage], number: int) -> Stage | None:
    """The stage of a patch; none where everything runs."""
    return next((stage for stage in stages if number in stage.patches), None)
