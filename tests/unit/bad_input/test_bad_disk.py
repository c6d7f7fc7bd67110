# SPDX-License-Identifier: GPL-2.0-only
"""A full disk: under the cache in a build and in an image, under the runs. The disk is a small tmpfs of a mount
namespace, so that nothing of it stays.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from harness import image
from tests.unit.bad_input.conftest import Bench, Outcome

SCRIPT = """
mount -t tmpfs -o size="$1" none "$2" || exit 99
cp -a "$3/." "$2/"
shift 3
"$@"
status=$?
echo "exit status $status"
cd "$disk"
find . -path './store/*/.making-*' -o -path './store/*/.removed-*' -o -path './scratch/*' -o -name '*.lock' |
	grep -v '^./locks/' | sed 's/^/left /'
find . -path './runs/*' -type f | sed 's/^/kept /'
[ -z "$again" ] && exit $status
eval "$again"
"""


FILLS_THE_DISK = """#!/bin/sh
mount -o remount,size=1m "DISK" || exit 99
for word; do
	case $word in */packages.tar) head -c 2M /dev/zero >"$word" && exit 0 ;; esac
done
exit 1
"""


@pytest.fixture
def namespaces() -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0:
        pytest.skip("no user namespaces here")


def on_small_disk(
    bench: Bench,
    size: str,
    *words: str,
    runs: bool = False,
    again: str = "",
    env: Mapping[str, str] = MappingProxyType({}),
) -> Outcome:
    """Run the command line with its cache (or its runs) on a disk of its own; ``again`` is a script for afterwards."""
    disk = bench.folder / "disk"
    disk.mkdir()
    before = bench.data if runs else bench.cache
    before.mkdir(exist_ok=True)
    folders = ["--cache-dir", str(bench.cache if runs else disk), "--data-dir", str(disk if runs else bench.data)]
    argv = [*bench.argv()[:3], *folders, *words]
    wrapped = ["unshare", "-rm", "sh", "-c", SCRIPT, "sh", size, str(disk), str(before), *argv]
    more = {"disk": str(disk), "again": again.replace("HARNESS", " ".join(argv))}
    return bench.execute(wrapped, **env, **more)


@pytest.mark.usefixtures("namespaces")
def test_during_a_build_and_well_again_afterwards(bench: Bench) -> None:
    bench.commit("big", {"mm/zswap.c": 'head -c 16M /dev/zero >"$2"\n'})
    again = f'mount -o remount,size=200m "{bench.folder}/disk" && HARNESS'
    outcome = on_small_disk(bench, "12m", "run", again=again)
    first, _, second = outcome.text.partition("exit status 4\n")
    assert "error: the disk is full while building the kernel" in first, outcome.text
    assert "→ free some space, or `harness cache prune`" in first
    assert "left " not in second.splitlines()[0]
    assert outcome.status == 3 and "the guest's init gave up" in second, "the next run builds it"
    verdicts = [(run / "results.json").read_text() for run in outcome.runs]
    assert '"verdict": "INFRA"' in verdicts[0] and '"verdict": "BOOT"' in verdicts[1]


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("size", ["16k", "64k", "1m"])
def test_anywhere_on_the_way(bench: Bench, size: str) -> None:
    bench.commit("big", {"mm/zswap.c": 'head -c 16M /dev/zero >"$2"\n'})
    outcome = on_small_disk(bench, size, "run")
    assert outcome.status == 4, outcome.text
    assert "disk is full" in outcome.text and "free some space" in outcome.text
    assert "\nleft " not in outcome.text
    assert outcome.results["verdict"] == "INFRA"


@pytest.mark.usefixtures("namespaces")
def test_during_an_image(bench: Bench) -> None:
    shutil.rmtree(bench.cache / "store" / image.KIND)
    tool = bench.write("tools/mmdebstrap", FILLS_THE_DISK.replace("DISK", str(bench.folder / "disk")))
    tool.chmod(0o755)
    env = {"PATH": f"{tool.parent}:{os.environ['PATH']}", "HARNESS_DEBIAN_MIRROR": "http://mirror.invalid/debian"}
    outcome = on_small_disk(bench, "4g", "run", env=env)
    assert outcome.status == 4, outcome.text
    assert "the disk is full while fetching packages" in outcome.text and "→ free some space" in outcome.text
    assert "\nleft " not in outcome.text
    assert outcome.results["verdict"] == "INFRA"


@pytest.mark.usefixtures("namespaces")
def test_too_little_for_an_image_is_said_before_it_is_fetched(bench: Bench) -> None:
    shutil.rmtree(bench.cache / "store" / image.KIND)
    outcome = on_small_disk(
        bench, "4m", "image", "build", env={"HARNESS_DEBIAN_MIRROR": "http://mirror.invalid/debian"}
    )
    assert outcome.status == 4, outcome.text
    assert "MiB are free in" in outcome.text and "→ free some space" in outcome.text
    assert "\nleft " not in outcome.text


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("size", ["4k", "32k"])
def test_under_the_runs(bench: Bench, size: str) -> None:
    assert bench("build").status == 0
    outcome = on_small_disk(bench, size, "run", runs=True)
    assert outcome.status == 4, outcome.text
    assert "error: the disk is full" in outcome.text and "→ free some space" in outcome.text
    assert "INFRA" in outcome.text and "run folder " in outcome.text, "what is known is shown, though not written"
