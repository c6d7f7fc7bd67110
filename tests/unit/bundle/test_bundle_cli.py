# SPDX-License-Identifier: GPL-2.0-only
"""`harness bundle` and `harness repro` from end to end: real runs on the stub tree, with a stand-in for QEMU."""

from __future__ import annotations

import contextlib
import json
import lzma
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from harness.bundle import from_bundle, gather
from harness.bundle import index as names
from harness.cli.main import cli
from harness.errors import UserError
from harness.paths import default_paths
from harness.progress import Quiet
from harness.results.folder import RunFolder
from harness.store import Store
from tests.unit.bundle.conftest import EDIT, Crash, Entry, bench, crash, digest, elf_head, remade

__all__ = ["bench", "crash"]

OTHER = "say harness-init: failed: something else; shutdown guest-shutdown; exit 0"
GOOD = "say harness-init: ready; wait"


def members(bundle: Path) -> dict[str, bytes]:
    with tarfile.open(bundle) as archive:
        found = {info.name.partition("/")[2]: archive.extractfile(info) for info in archive}
        return {name: stream.read() for name, stream in found.items() if stream is not None}


def test_a_failed_run_comes_back_with_another_cache_and_other_data(crash: Crash) -> None:
    crash.commit("one", EDIT)
    crash.patches(1)
    run = crash.failed_run("--series", "series", "--seed", "7", "--append", "quiet")
    bundle = crash.bundle()
    assert sorted(members(bundle)) == [
        "README", "bundle.json", "config", "guest-facts", "guests/1/console.log", "guests/1/qemu.argv",
        "guests/1/qemu.log", "image/payload.erofs", "image/rootfs.erofs", "kernel/System.map", "kernel/vmlinux",
        "manifest.json", "programs.json", "repro.sh", "results.json", "series/0001.patch",
    ]  # fmt: skip
    text = members(bundle)["README"].decode().splitlines()
    assert text[0] == "What happened  BOOT the run: the guest's init gave up: nothing here"
    assert run.name in text[3] and "seed 7" in text[3] and text[5] == ""
    shutil.rmtree(crash.cache)
    shutil.rmtree(crash.data)
    shutil.rmtree(crash.folder / "series")
    outcome = crash.there("repro", bundle, "--times", "2")
    assert outcome.status == 0, outcome.text
    assert "the run: came back in 2 of 2" in outcome.text
    argv = (crash.folder / "data-2/repros").glob("*/2/alone/guests/1/qemu.argv")
    shown = next(argv).read_text()
    assert "/scratch/bundle-" in shown and " quiet" in shown
    assert not list((crash.folder / "cache-2/scratch").iterdir())


def test_what_fails_otherwise_or_not_at_all_did_not_come_back(crash: Crash) -> None:
    crash.failed_run()
    bundle = crash.bundle()
    crash.write("qemu/script", OTHER)
    outcome = crash.there("repro", bundle)
    assert outcome.status == 1, outcome.text
    assert "came back in 0 of 1; failed otherwise (BOOT) in 1" in outcome.text
    outcome = crash.there("repro", bundle, "--json")
    answer = json.loads(outcome.text[outcome.text.index("\n{\n") :])
    assert outcome.status == 1 and answer["came_back"] is False
    assert answer["attempts"][0]["outcome"] == "failed otherwise"
    assert answer["attempts"][0]["fingerprint"] != answer["attempts"][0]["wanted"]["fingerprint"]


def test_a_run_of_this_machine_needs_no_bundle(crash: Crash) -> None:
    crash.failed_run()
    outcome = crash("repro", "last", "--qemu", str(crash.folder / "qemu/qemu-system-x86_64"))
    assert outcome.status == 0 and "came back in 1 of 1" in outcome.text, outcome.text
    shutil.rmtree(crash.cache / "store/kernel")
    outcome = crash("repro", "last")
    assert outcome.status == 2 and "no longer in the cache" in outcome.text and "--rebuild" in outcome.text
    outcome = crash("bundle", "last")
    assert outcome.status == 2 and "kernel/vmlinux cannot be in the bundle" in outcome.text, outcome.text


def test_a_rebuild_is_the_same_bit_for_bit_or_says_what_is_not(crash: Crash) -> None:
    crash.commit("one", EDIT)
    crash.patches(1)
    run = crash.failed_run("--series", "series")
    bundle = crash.bundle()
    known = json.loads((run / "manifest.json").read_text())["decides"]["kernel"]["digest"]
    shutil.rmtree(crash.folder / "series")
    outcome = crash.there("repro", bundle, "--rebuild")
    assert outcome.status == 0, outcome.text
    assert f"the same kernel, bit for bit (built again): sha256 {known}" in outcome.text
    outcome = crash.there("repro", bundle, "--rebuild")
    assert "bit for bit (this machine's cache had it)" in outcome.text
    crash.commit("what came later", {"fs/super.c": ": moved on\n"})
    outcome = crash.there("repro", bundle, "--rebuild")
    assert outcome.status == 3, outcome.text
    assert "not the same kernel, bit for bit" in outcome.text and "came back in 1 of 1" in outcome.text
    assert "kernel.digest: " in outcome.text and "source.commit: " in outcome.text


def test_a_rebuild_needs_no_repository_for_the_patches_and_takes_the_source_from_elsewhere(crash: Crash) -> None:
    crash.commit("one", EDIT)
    crash.git("branch", "old", "HEAD~1")
    crash.failed_run("--source", f"git:{crash.tree}@old", "--series", f"git:{crash.tree}@HEAD~1..HEAD")
    bundle = crash.bundle()
    crash.git("checkout", "-q", "old")
    crash.git("branch", "-D", "master")
    crash.tree.rename(crash.folder / "linux-2")
    outcome = crash.there("repro", bundle, "--rebuild")
    assert outcome.status in (2, 4) and str(crash.tree) in outcome.text, outcome.text
    outcome = crash.there("repro", bundle, "--rebuild", "--source", f"git:{crash.folder}/linux-2@old")
    assert outcome.status == 0 and "the same kernel, bit for bit (built again)" in outcome.text, outcome.text


def test_a_build_that_failed_comes_back_by_a_rebuild(crash: Crash) -> None:
    crash.commit("broken", {"mm/zswap.c": "echo 'mm/zswap.c:3:1: error: no such thing' >&2; exit 1\n"})
    outcome = crash("run")
    assert outcome.status == 3 and outcome.results["verdict"] == "BUILD", outcome.text
    bundle = crash.bundle()
    assert names.FAILURE in members(bundle) and names.VMLINUX not in members(bundle)
    outcome = crash.there("repro", bundle)
    assert outcome.status == 2 and "--rebuild does that again" in outcome.text, outcome.text
    outcome = crash.there("repro", bundle, "--rebuild")
    assert outcome.status == 0 and "the run: came back in 1 of 1" in outcome.text, outcome.text
    crash.commit("mended", {"mm/zswap.c": ": good\n"})
    outcome = crash.there("repro", bundle, "--rebuild")
    assert outcome.status == 1 and "it builds (did not fail)" in outcome.text, outcome.text


def test_the_same_run_gives_the_same_bundle(crash: Crash) -> None:
    crash.failed_run()
    one = crash.bundle().read_bytes()
    os.utime(crash.data, (1, 1))
    assert crash.bundle().read_bytes() == one


def test_nothing_of_this_machine_goes_along(crash: Crash) -> None:
    crash.env |= {"HOME": str(crash.folder / "home"), "HARNESS_HISTORY": "off"}
    crash.commit("one", EDIT)
    crash.patches(1)
    crash.failed_run("--series", "series")
    bundle = crash.bundle()
    found = members(bundle)
    for name, content in found.items():
        assert str(crash.folder / "home").encode() not in content, name
        assert str(crash.cache).encode() not in content and str(crash.data).encode() not in content, name
        assert b"PRIVATE KEY" not in content and b"ssh-ed25519 " not in content, name
    manifest = json.loads(found["manifest.json"])
    assert "name" not in manifest["circumstances"]["host"]
    assert manifest["circumstances"]["cache"] == "{cache}"
    assert b"{cache}/store/kernel/" in found["guests/1/qemu.argv"]
    assert "authorized_keys" not in found["repro.sh"].decode() and "host_key" not in found["repro.sh"].decode()


def test_left_out_by_a_flag_and_made_again(crash: Crash) -> None:
    crash.failed_run()
    bundle = crash.bundle("--no-image")
    found = members(bundle)
    assert names.ROOTFS not in found and names.PAYLOAD in found
    assert f"its SHA-256 is {digest(b'a root' * 1000)}" in found["repro.sh"].decode()
    assert "not here  --no-image" in found["README"].decode()
    qemu = str(crash.folder / "qemu/qemu-system-x86_64")
    outcome = crash("repro", bundle, "--qemu", qemu)
    assert outcome.status == 0, outcome.text
    (image,) = (crash.cache / "store/image").glob("*/rootfs.erofs")
    listed = image.parent / ".entry.json"
    image.write_bytes(b"b root" * 1000)
    listed.write_text(listed.read_text().replace(digest(b"a root" * 1000), digest(b"b root" * 1000)))
    outcome = crash("repro", bundle, "--qemu", qemu)
    assert outcome.status == 2 and "its packages have moved on" in outcome.text, outcome.text


def test_dumps_go_along_but_are_not_unpacked_again(crash: Crash) -> None:
    run = crash.failed_run()
    (run / "guests/1/vmcore").write_bytes(b"KDUMP" * 100)
    (run / "guests/1/id_ed25519").write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    (run / "guests/1/triage.txt").symlink_to("/etc/passwd")
    bundle = crash.bundle()
    found = members(bundle)
    assert (
        found["guests/1/vmcore"] == b"KDUMP" * 100 and "A vmcore is the memory of a guest" in found["README"].decode()
    )
    assert not {"guests/1/id_ed25519", "guests/1/triage.txt"} & set(found), "no key, and nothing that a link leads to"
    paths = default_paths(cache=crash.folder / "cache-2", data=crash.folder / "data-2", project=crash.project)
    with from_bundle(bundle, case="", paths=paths, progress=Quiet()) as material:
        assert "guests/1/vmcore" not in material.files and "guests/1/console.log" in material.files
    assert "guests/1/vmcore" not in members(crash.bundle("--no-dump"))


def test_what_it_says_of_itself_is_held_against_the_manifest(crash: Crash) -> None:
    """Digests that agree with the index are not enough: kernel and images must be those of the manifest."""
    crash.failed_run()
    bundle = crash.bundle()

    def another_kernel(entries: list[Entry]) -> list[Entry]:
        entry = next(one for one in entries if one.info.name.endswith(names.VMLINUX))
        entry.content = entry.content[:-1] + b"X"
        index = json.loads(entries[0].content)
        member = next(one for one in index["members"] if one["name"] == names.VMLINUX)
        member["sha256"] = digest(entry.content)
        entries[0].content = json.dumps(index).encode()
        entries[0].info.size = len(entries[0].content)
        return entries

    outcome = crash.there("repro", remade(bundle, entries=another_kernel))
    assert outcome.status == 2, outcome.text
    assert "was altered: the member kernel/vmlinux is not the one that its manifest.json names" in outcome.text


def rewritten(bundle: Path, name: str, old: str, new: str) -> Path:
    """A member changed, and the index with it: what somebody does on purpose."""

    def change(entries: list[Entry]) -> list[Entry]:
        entry = next(one for one in entries if one.info.name.endswith(f"/{name}"))
        assert old in entry.content.decode()
        entry.content = entry.content.decode().replace(old, new).encode()
        entry.info.size = len(entry.content)
        index = json.loads(entries[0].content)
        member = next(one for one in index["members"] if one["name"] == name)
        member |= {"size": len(entry.content), "sha256": digest(entry.content)}
        entries[0].content = json.dumps(index).encode()
        entries[0].info.size = len(entries[0].content)
        return entries

    return remade(bundle, entries=change)


SENSELESS = (
    ("programs.json", '"smoke"', '"../../../x"', "is no program's name"),
    ("programs.json", '"one"', '"one\\u001b[2J"', "is no case's name"),
    ("programs.json", '"timeout": 45.0', '"timeout": -1.0', "is no number of seconds"),
    ("manifest.json", '"version": 2', '"version": 3', "is of version 3; this harness reads up to 2"),
    ("manifest.json", '"cpus": 2,', '"cpus": -2,', "-2 CPUs"),
    ("manifest.json", '"title": "', '"evil": 1, "title": "', "unknown key 'evil'"),
    ("manifest.json", '"tests": {', '"tsets": {', "does not say what was run"),
    ("results.json", '"version": 2', '"version": 9', "is of version 9"),
    ("config", "CONFIG_PVH=y", "CONFIG_PVH=n", "the config is not the one that its manifest.json names"),
)


def test_members_that_fit_their_index_and_make_no_sense(crash: Crash) -> None:
    crash.failed_run()
    bundle, copy = crash.bundle(), crash.folder / "copy.tar.xz"
    paths = default_paths(cache=crash.folder / "cache-2", data=crash.folder / "data-2", project=crash.project)
    for name, old, new, says in SENSELESS:
        shutil.copy(bundle, copy)
        opened = from_bundle(rewritten(copy, name, old, new), case="", paths=paths, progress=Quiet())
        with pytest.raises(UserError) as caught, opened as material:
            assert material.config
        assert says in "\n".join((caught.value.message, *caught.value.details)), name
    outcome = crash.there("repro", copy)
    assert outcome.status == 2 and says in outcome.text, outcome.text


def test_qemus_command_is_not_taken_from_the_bundle(crash: Crash) -> None:
    crash.failed_run()
    bundle = rewritten(crash.bundle(), "manifest.json", '"-nodefaults"', '"-nodefaults", "-monitor", "exec:evil"')
    outcome = crash.there("repro", bundle)
    assert outcome.status == 0, outcome.text
    (shown,) = (crash.folder / "data-2/repros").glob("*/1/alone/guests/1/qemu.argv")
    assert "evil" not in shown.read_text()


def test_a_kernel_for_another_machine(crash: Crash) -> None:
    (crash.tree / "elf.head").write_bytes(elf_head(machine=183))
    crash.commit("arm64", {})
    crash.failed_run()
    outcome = crash.there("repro", crash.bundle())
    assert outcome.status == 2 and "is not a kernel for x86-64" in outcome.text, outcome.text


def in_process(crash: Crash, *words: str) -> tuple[int, str]:
    """A command line that ends before it does anything: no process for that."""
    folders = ["--cache-dir", str(crash.cache), "--data-dir", str(crash.data)]
    with contextlib.chdir(crash.folder), pytest.raises(UserError) as caught:
        cli.main([*folders, *words], standalone_mode=False)
    return caught.value.exit_code, caught.value.message


def test_words_that_make_no_sense(crash: Crash) -> None:
    crash.failed_run()
    crash.write("cut.tar.xz", lzma.compress(b"x"))
    for words, says in (
        (("repro", "nothing"), "there is no single run 'nothing'"),
        (("repro", "nothing.tar.xz"), "there is no bundle nothing.tar.xz"),
        (("repro", "cut.tar.xz"), "cut.tar.xz is cut short in the member bundle.json"),
        (("repro", "last", "--shell", "--gdb"), "choose one"),
        (("repro", "last", "--shell"), "a shell needs a terminal"),
        (("bundle", "last", "--case", "smoke/test_one:two"), "has no case 'smoke/test_one:two'"),
        (("bundle", "last", "-o", "nowhere/it.tar.xz"), "there is no folder nowhere"),
    ):
        outcome = in_process(crash, *words)
        assert outcome[0] == 2 and says in outcome[1], outcome


def test_a_run_of_an_older_harness_says_how_to_have_a_newer_one(crash: Crash) -> None:
    run = crash.failed_run("--seed", "7")
    (run / "programs.json").unlink()
    results = json.loads((run / "results.json").read_text())
    case = {
        "suite": "smoke",
        "program": "test_one",
        "case": "one",
        "verdict": "FAIL",
        "reason": "x",
        "fingerprint": "ab",
    }
    (run / "results.json").write_text(json.dumps(results | {"cases": [case]}))
    with pytest.raises(UserError, match="does not say what its programs were") as caught:
        gather(RunFolder(run), store=Store(crash.cache))
    assert caught.value.hint is not None and caught.value.hint.endswith(" run --seed 7")


def test_dry_runs_do_nothing(crash: Crash) -> None:
    crash.failed_run()
    outcome = crash("bundle", "last", "--dry-run")
    assert outcome.status == 0 and "kernel/vmlinux" in outcome.text and not list(crash.folder.glob("*.tar.xz"))
    bundle = crash.bundle()
    outcome = crash.there("repro", bundle, "--dry-run")
    assert outcome.status == 0 and "failure   BOOT the run" in outcome.text and "-nodefaults" in outcome.text
    assert not (crash.folder / "data-2").exists()
