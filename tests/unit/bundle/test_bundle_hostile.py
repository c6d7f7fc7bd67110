# SPDX-License-Identifier: GPL-2.0-only
"""A bundle that is whole and consistent, and whose texts are anything: an error in words or a guest, never a traceback.

The bundle is a real one of a real run; each value of its manifest, results and programs is replaced or taken away.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.bundle import index as names
from harness.bundle import machine
from harness.bundle.material import _of_bundle
from harness.bundle.replay import selections
from harness.bundle.unpack import unpack
from harness.errors import HarnessError
from harness.paths import default_paths
from harness.progress import Quiet, QuietView
from harness.store import Store
from tests.unit.bundle.conftest import Crash, bench, crash

__all__ = ["bench", "crash"]

_ABSENT = object()
_EVIL: tuple[Any, ...] = (_ABSENT, None, -1, "../../evil,file=/etc/passwd\n\x1b[2J", [], {"evil": [1]})


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Each place in a JSON value, but those inside of lists after the first."""
    if place:
        yield place
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*place, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*place, 0))


def changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """The value with another one at a place."""
    value = copy.deepcopy(value)
    inner = value
    for step in place[:-1]:
        inner = inner[step]
    if new is _ABSENT:
        del inner[place[-1]]
    else:
        inner[place[-1]] = new
    return value


def test_no_value_of_a_bundle_is_trusted(crash: Crash) -> None:
    crash.failed_run()
    folder = crash.folder / "into"
    folder.mkdir()
    unpacked = unpack(crash.bundle(), folder, wanted=lambda _: True, progress=Quiet())
    paths = default_paths(cache=crash.cache, data=crash.folder / "data-2", project=crash.project)
    store = Store(paths.cache)
    qemu = str(crash.folder / "qemu/qemu-system-x86_64")

    def use() -> tuple[str, ...]:
        """All that is made of a bundle before its guest starts: QEMU's argv."""
        material = _of_bundle(unpacked.index, unpacked.files, folder, case="", where="it.tar.xz")
        selections(material, paths=paths)
        made = machine(
            material, kernel=material.kernel(), config=material.config, qemu=qemu, acceleration="tcg",
            paths=paths, store=store, stages=QuietView(),
        )  # fmt: skip
        return made.plan.argv

    honest = use()
    tried, refused = 0, 0
    for name in (names.MANIFEST, names.RESULTS, names.PROGRAMS):
        file: Path = unpacked.files[name]
        whole = json.loads(file.read_text())
        for place in places(whole):
            for new in _EVIL:
                file.write_text(json.dumps(changed(whole, place, new)))
                tried += 1
                try:
                    argv = use()
                except HarnessError as error:
                    assert error.message
                    refused += 1
                else:
                    assert len(argv) == len(honest), (name, place, new)
                    assert not any("evil" in word for word in argv), (name, place, new)
        file.write_text(json.dumps(whole))
    assert use() == honest
    assert tried > 500 and refused > tried / 4
