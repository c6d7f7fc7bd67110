# SPDX-License-Identifier: GPL-2.0-only
"""The payload: its layout, and real compiles of tiny programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import BuildError, EnvironmentFailure
from harness.paths import Paths
from harness.payload import Extra, layout, payload
from harness.process import run
from harness.progress import Quiet
from harness.store import Store
from harness.values import GuestModules, Payload

HELPER = '#include <stdio.h>\n#include "ktap.h"\nint main(void) { puts(NAME); return 0; }\n'


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(project=tmp_path / "project", cache=tmp_path / "cache", data=tmp_path / "data")
    write(made, "lib/ktap.h", '#define NAME "here"\n')
    write(made, "lib/ktap.sh", "ok() { :; }\n")
    write(made, "helpers/hello.c", HELPER)
    write(made, "smoke/test_boot.sh", "#!/bin/sh\nexit 0\n")
    write(made, "smoke/test_fast.c", HELPER)
    write(made, "smoke/config", "CONFIG_SMP=y\n")
    return made


def write(paths: Paths, name: str, text: str) -> None:
    path = paths.guest_tests / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def made(paths: Paths) -> Payload:
    return payload(paths=paths, store=Store(paths.cache), progress=Quiet())


def unpacked(image: Path, folder: Path) -> dict[str, Path]:
    run(["fsck.erofs", f"--extract={folder}", "--overwrite", image], deadline=30)
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def test_the_layout() -> None:
    found = layout(
        [
            "README.md",
            "helpers/fill.c",
            "helpers/fill.h",
            "helpers/tool.sh",
            "lib/ktap.h",
            "lib/ktap.sh",
            "cxl/test_a.sh",
            "cxl/test_b.c",
            "cxl/notes.c",
            "cxl/config",
            "cxl/data/x.bin",
            ".shellcheckrc",
            "cxl/.hidden",
        ]
    )
    assert found.programs == {"helpers/fill.c": "bin/fill", "cxl/test_b.c": "tests/cxl/test_b"}
    assert found.copies == {
        "helpers/tool.sh": "bin/tool.sh",
        "lib/ktap.sh": "tests/lib/ktap.sh",
        "cxl/test_a.sh": "tests/cxl/test_a.sh",
        "cxl/config": "tests/cxl/config",
        "cxl/data/x.bin": "tests/cxl/data/x.bin",
    }


def test_an_image_holds_scripts_and_static_programs(paths: Paths, tmp_path: Path) -> None:
    files = unpacked(made(paths).image, tmp_path / "out")
    names = [
        "bin/hello",
        "tests/lib/ktap.sh",
        "tests/smoke/config",
        "tests/smoke/test_boot.sh",
        "tests/smoke/test_fast",
    ]
    assert sorted(files) == names
    assert [name for name in names if os.access(files[name], os.X_OK)] == [names[0], *names[3:]]
    assert run([files["bin/hello"]], deadline=10).text == "here\n"
    assert "INTERP" not in run(["readelf", "-l", files["bin/hello"]], deadline=10).text


def test_nothing_changed_makes_nothing_and_an_edit_is_seen(paths: Paths) -> None:
    first = made(paths)
    assert made(paths) == first
    write(paths, "lib/ktap.h", '#define NAME "there"\n')
    assert made(paths).digest != first.digest


def test_an_edit_compiles_one_program_again(paths: Paths) -> None:
    made(paths)
    programs = paths.cache / "store" / "guest-program"
    before = {path.name for path in programs.iterdir()}
    write(paths, "helpers/hello.c", HELPER + "/* edited */\n")
    made(paths)
    assert len({path.name for path in programs.iterdir()} - before) == 1


def test_the_image_is_the_same_bit_for_bit_wherever_it_is_made(paths: Paths, tmp_path: Path) -> None:
    first = made(paths)
    elsewhere = Paths(project=tmp_path / "another place", cache=tmp_path / "cache2", data=tmp_path)
    elsewhere.project.parent.mkdir(exist_ok=True)
    paths.project.rename(elsewhere.project)
    assert made(elsewhere).image.read_bytes() == first.image.read_bytes()


def test_a_program_that_does_not_compile(paths: Paths) -> None:
    write(paths, "helpers/hello.c", "int main(void) { return missing; }\n")
    with pytest.raises(BuildError, match=r"guest program does not compile: .*hello\.c:1:.*missing") as caught:
        made(paths)
    assert caught.value.exit_code == 3 and caught.value.command is not None
    write(paths, "helpers/hello.c", HELPER)
    made(paths)


def test_a_project_without_guest_tests(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="guest tests are missing"):
        made(Paths(project=tmp_path, cache=tmp_path / "cache", data=tmp_path))


def test_modules_of_a_kernel_travel_along_with_why_others_are_missing(paths: Paths, tmp_path: Path) -> None:
    plain = made(paths)
    write(paths, "modules/there.c", "not C at all\n")
    assert made(paths) == plain  # these are built elsewhere
    module = tmp_path / "any.ko"
    module.write_bytes(b"module")
    modules = GuestModules(files={"there": module}, missing={"other": "why not"})
    image = payload(paths=paths, store=Store(paths.cache), progress=Quiet(), modules=modules).image
    files = unpacked(image, tmp_path / "out")
    assert files["modules/there.ko"].read_bytes() == b"module"
    assert files["modules/other.missing"].read_text() == "why not\n"


def test_what_a_run_brings_along(paths: Paths, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, name in ((one, "mm/cow"), (two, "cgroup/test_core")):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    plain = made(paths)
    more = [Extra("kselftest/tree", one, "1"), Extra("kselftest/tree", two, "2")]
    store = Store(paths.cache)
    both = payload(paths=paths, store=store, progress=Quiet(), extra=more)
    assert both.key not in (plain.key, payload(paths=paths, store=store, progress=Quiet(), extra=more[:1]).key)
    files = unpacked(both.image, tmp_path / "out")
    assert {"kselftest/tree/mm/cow", "kselftest/tree/cgroup/test_core", "tests/smoke/test_boot.sh"} <= set(files)
    assert os.access(files["kselftest/tree/mm/cow"], os.X_OK)
