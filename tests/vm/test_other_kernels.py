# SPDX-License-Identifier: GPL-2.0-only
"""Kernels and images that the default profile does not use: each is a build of minutes, so all are long."""

from __future__ import annotations

import json

import pytest

from tests.vm.outcome import Harness

pytestmark = [pytest.mark.vm, pytest.mark.long]


def test_a_bzimage_with_debug_information_that_takes_modules(harness: Harness) -> None:
    fragments = ("base:pvh=false", "net", "modules", "debuginfo:reduced=true")
    words = [word for fragment in fragments for word in ("--config", fragment)]
    built = harness("build", "--series", "", *words, "--json")
    assert built.status == 0, built.text
    kernel = json.loads(built.text[built.text.index("{\n") :])
    for kind in ("bzimage", "debug_vmlinux"):
        assert kernel[kind], kind
    booted = harness("boot", "--series", "", "--topology", "none", *words, "--", "cat", "/proc/modules")
    assert booted.status == 0, booted.text
    assert kernel["release"] in harness("boot", "--kernel", kernel["bzimage"], "--", "uname", "-r").text


def test_the_image_for_people(harness: Harness) -> None:
    booted = harness(
        "boot", "--image", "shell", "--", "gdb --version && strace -V && python3 --version && vim --version"
    )
    assert booted.status == 0, booted.text
    assert "GNU gdb" in booted.text and "VIM" in booted.text
