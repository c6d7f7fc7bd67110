# SPDX-License-Identifier: GPL-2.0-only
"""A cache of images and runtimes that was damaged by hand: what is damaged is made again, and the guest runs.

The damage is done to copies, in a cache of the test's own. Making things again needs a network, as the first run does.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness import image, pipeline, qemu_runtime
from harness.paths import default_paths
from harness.profile import load
from harness.progress import QuietView
from harness.store import Store
from tests.vm.outcome import Harness

pytestmark = pytest.mark.vm


def test_a_damaged_image_and_runtime_are_made_again(harness: Harness, tmp_path: Path) -> None:
    paths, mine = default_paths(), Store(tmp_path / "cache")
    usual, chosen = Store(paths.cache), load("default", paths=paths)
    kernel = pipeline.kernel_for(chosen, paths=paths, store=usual, stages=QuietView()).kernel
    machine = pipeline.machine_for(chosen, paths=paths, store=usual, stages=QuietView())
    damaged = [(image.KIND, image.key("test"))]
    if machine.qemu.origin == "runtime":
        damaged.append((qemu_runtime.KIND, qemu_runtime.runtime_key()))
    for kind, key in damaged:
        shutil.copytree(usual.path(kind, key), mine.path(kind, key), symlinks=True)
    root = mine.path(*damaged[0]) / "rootfs.erofs"
    with open(root, "r+b") as stream:
        stream.seek(root.stat().st_size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, 1)
        stream.write(bytes([byte ^ 1]))
    for kind, key in damaged[1:]:
        binary = mine.path(kind, key) / "usr/bin/qemu-system-x86_64"
        binary.write_bytes(binary.read_bytes()[: 1 << 20])
    words = ("boot", "--kernel", kernel.vmlinux, "--topology", "none", "--", "echo", "well")
    outcome = harness(*words, env={"HARNESS_CACHE": str(tmp_path / "cache")})
    assert outcome.status == 0, outcome.why
    assert outcome.text.endswith("well\n")
    for kind, key in damaged:
        assert f"warning: cache entry {kind}/{key} is damaged (" in outcome.text
        assert mine.damage(kind, key) is None
