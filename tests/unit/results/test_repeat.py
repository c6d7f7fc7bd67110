# SPDX-License-Identifier: GPL-2.0-only
"""A run → its manifest → a profile → the same run, from another place, with another cache and other folders."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import run
from harness.errors import UserError
from harness.paths import default_paths
from harness.progress import QuietView
from harness.repeat import differences, repeat
from harness.results import folder as folders
from harness.results.folder import RunFolder
from harness.results.record import Manifest
from harness.store import Store
from tests.unit.bad_input.conftest import Bench, Outcome, bench

__all__ = ["bench"]

OLD = Path(__file__).parent / "manifest-1.json"
EDIT = {"mm/zswap.c": ": edited\n"}


def again(bench: Bench, manifest: Manifest, patches: Path | None = None) -> Manifest:
    """Run what a manifest says, in this process; the manifest of that."""
    todo = repeat(manifest, patches=patches)
    paths = default_paths(cache=bench.cache, data=bench.folder / "data-2", project=bench.project)
    plan = run.plan(todo.profile, selection=todo.selection, keyword=todo.keyword, paths=paths, topology=todo.topology)
    made, _ = run.execute(plan, paths=paths, store=Store(paths.cache), view=QuietView())
    return folders.read_manifest(made)


def written(outcome: Outcome) -> tuple[Manifest, RunFolder]:
    (path,) = outcome.runs
    return folders.read_manifest(RunFolder(path)), RunFolder(path)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(text for one in value.values() for text in strings(one))]
    if isinstance(value, list):
        return [text for one in value for text in strings(one)]
    return [value] if isinstance(value, str) else []


def test_the_same_comes_back_from_a_manifest_alone(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.commit("one", EDIT)
    bench.patches(1)
    shown = bench.write("own.config", "CONFIG_KSM=y\n")
    topology = (bench.project / "qemu" / "none.toml").read_text()
    own = bench.write("machine.toml", topology.replace('title = "', 'title = "My '))
    words = ["--series", "series", "--add-config", "./own.config", "--topology", "machine.toml", "--seed", "7"]
    outcome = bench("run", *words, "--memory", "777", "--append", "quiet", "--timeout-scale", "2.5", "-k", "one")
    assert outcome.status == 3, outcome.text
    manifest, _ = written(outcome)
    assert manifest.version == 2 and {"argv", "kernel", "config", "rootfs", "payload"} <= set(manifest.decides)
    inside = [text for text in strings(manifest.decides) if str(bench.folder) in text]
    assert not inside, "no path of this machine decides a run"
    own.unlink()
    for name in ("none", "direct"):
        (bench.project / "qemu" / f"{name}.toml").write_text("nonsense, as the manifest has the machine\n")
    monkeypatch.chdir(tmp_path)
    second = again(bench, manifest)
    assert differences(manifest.decides, second.decides) == ()
    assert second.digest == manifest.digest
    shown.write_text("CONFIG_KSM=n\n")
    third = again(bench, manifest)
    assert third.digest != manifest.digest
    assert any(line.startswith("config.digest: ") for line in differences(manifest.decides, third.decides))


def test_a_branch_that_moved_comes_back_as_it_was(bench: Bench) -> None:
    bench.commit("one", EDIT)
    words = ["--source", f"git:{bench.tree}@master", "--series", f"git:{bench.tree}@HEAD~1..HEAD"]
    bench.git("branch", "old", "HEAD~1")
    words[1] = f"git:{bench.tree}@old"
    manifest, _ = written(bench("run", *words))
    bench.git("checkout", "-q", "old")
    bench.commit("two", {"mm/other.c": "# another\n"})
    second = again(bench, manifest)
    assert differences(manifest.decides, second.decides) == ()
    assert second.digest == manifest.digest


def test_patches_that_are_gone_come_from_the_run_folder(bench: Bench) -> None:
    bench.commit("one", EDIT)
    (patch,) = bench.patches(1)
    manifest, kept = written(bench("run", "--series", "series"))
    patch.unlink()
    assert again(bench, manifest).digest != manifest.digest
    second = again(bench, manifest, patches=kept.path / "series")
    assert differences(manifest.decides, second.decides) == ()


def test_a_tree_that_changed_is_seen(bench: Bench) -> None:
    manifest, _ = written(bench("run"))
    bench.commit("one", EDIT)
    lines = differences(manifest.decides, again(bench, manifest).decides)
    assert any(line.startswith("source.commit: ") for line in lines)
    assert any(line.startswith("kernel.digest: ") for line in lines)


def test_everything_that_decides_is_in_the_digest(bench: Bench) -> None:
    manifest, _ = written(bench("run"))
    seen = {manifest.digest}
    for name in manifest.decides:
        changed = copy.deepcopy(manifest.decides)
        changed[name] = {"another": 1}
        seen.add(Manifest(decides=changed, circumstances={}).digest)
    assert len(seen) == len(manifest.decides) + 1
    assert Manifest(decides=manifest.decides, circumstances={"host": "another"}).digest == manifest.digest


def test_a_manifest_of_version_1_is_read(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(OLD.read_bytes())
    manifest = folders.read_manifest(RunFolder(tmp_path))
    assert not [text for text in strings(manifest.decides) if text.startswith("/")]
    assert manifest.decides["argv"][:2] == ["{qemu}", "-nodefaults"]
    todo = repeat(manifest)
    assert todo.profile.source == "debian:6.12=6.12.117-1~deb12u1"
    assert todo.profile.series == "n_private-6.12" and todo.profile.accel == "tcg"
    assert todo.topology is not None and todo.topology.name == "direct"
    assert todo.selection == ("zswap_private/test_teardown:unbind_with_pages_stored",)


@pytest.mark.parametrize("lost", ["profile", "source", "argv"])
def test_a_damaged_manifest_of_version_1_is_named(tmp_path: Path, lost: str) -> None:
    value = json.loads(OLD.read_text())
    value["decides"][lost] = 3
    (tmp_path / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        folders.read_manifest(RunFolder(tmp_path))


@pytest.mark.parametrize("broken", [{}, {"tests": {}}, {"tests": 3}])
def test_what_is_no_manifest_of_a_run_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="does not say what was run"):
        repeat(msgspec.convert({"decides": broken, "circumstances": {"profile": {}}}, Manifest))
