# SPDX-License-Identifier: GPL-2.0-only
"""The lists of what is known: every shipped one is sound, conditions hold when they should, mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import EnvironmentFailure
from harness.kselftest.known import Circumstances, Known, When, absent_targets, load

FOLDER = Path(load.__code__.co_filename).parent / "known"
NOW = Circumstances(kernel="6.12.117-g1", accel="tcg", topology="direct")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_lists_are_sound_and_say_why(path: Path) -> None:
    known = load(path.stem)
    reasons = [*(one.reason for one in known.fail), *(one.reason for one in known.skip)]
    reasons += [*(one.reason for one in known.splat), *(one.reason for one in known.sysctl)]
    assert all(reason.strip() for reason in reasons)


def test_a_target_without_a_list() -> None:
    assert load("nothing-of-this-name") == Known()
    assert "dax" in absent_targets()


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        (When(), True),
        (When(kernel=">=6.12"), True),
        (When(kernel=">=6.12, <6.13"), True),
        (When(kernel="=6.12"), True),
        (When(kernel="<6.12"), False),
        (When(kernel=">6.12"), False),
        (When(kernel=">=6.12.118"), False),
        (When(kernel="<7"), True),
        (When(accel="tcg"), True),
        (When(accel="kvm"), False),
        (When(topology="two-*"), False),
        (When(topology="d*", accel="tcg", kernel="<6.13"), True),
    ],
)
def test_conditions(when: When, holds: bool) -> None:
    assert when.holds(NOW) is holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[fail]]\nprogram = "x"\n', "reason"),
        ('[[fail]]\nprogram = "x"\nreason = "y"\nwhen = { kernel = "6.12" }\n', "no comparison"),
        ('[[fial]]\nprogram = "x"\n', "fial"),
        ("config = 3\n", "config"),
        ('[[sysctl]]\nprogram = "x"\nname = "../x"\nvalue = "1"\nreason = "y"\n', "no sysctl"),
        ('[[sysctl]]\nprogram = "x"\nname = "vm/x"\nvalue = "1 2"\nreason = "y"\n', "no sysctl"),
        ("[[", "wrong"),
    ],
)
def test_a_faulty_list_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mm.toml").write_text(text)
    with pytest.raises(EnvironmentFailure, match=said) as caught:
        load("mm", folder=tmp_path)
    assert "mm.toml" in caught.value.message
