# SPDX-License-Identifier: GPL-2.0-only
"""``git:``: parsing, refs, local and remote repositories, mirrors, resuming, references."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import source
from harness.errors import EnvironmentFailure, UserError
from harness.paths import Paths
from harness.repository import Repository
from harness.source import remote
from harness.store import Store
from harness.values import Tree
from tests.unit.source.trees import Heard, Kernel

Obtain = Callable[..., Tree]


@pytest.fixture
def obtain(paths: Paths, store: Store, heard: Heard) -> Obtain:
    return lambda spec, **more: source.obtain(spec, paths=paths, store=store, progress=heard, **more)


@pytest.fixture
def server(kernel: Kernel) -> Kernel:
    """A repository that serves partial clones and commits by name, as the public ones do."""
    kernel.git("config", "uploadpack.allowFilter", "true")
    kernel.git("config", "uploadpack.allowAnySHA1InWant", "true")
    kernel.git("tag", "-a", "-m", "release", "v6.12")
    kernel.commit("second", {"mm/swap.c": "int second;\n"})
    return kernel


@pytest.mark.parametrize(
    ("rest", "mirrors", "ref"),
    [
        ("/srv/linux@v6.12", ("/srv/linux",), "v6.12"),
        ("/srv/linux", ("/srv/linux",), "HEAD"),
        ("https://a/l.git,https://b/l.git@linux-6.12.y", ("https://a/l.git", "https://b/l.git"), "linux-6.12.y"),
        ("git@host:linux.git", ("git@host:linux.git",), "HEAD"),
        ("git@host:linux.git@next/master", ("git@host:linux.git",), "next/master"),
    ],
)
def test_parse(rest: str, mirrors: tuple[str, ...], ref: str) -> None:
    assert remote.parse(rest) == remote.Location(mirrors=mirrors, ref=ref)


@pytest.mark.parametrize(
    "rest", ["@v6.12", "/srv/linux@", "/srv/linux@a b", "/srv/linux@--upload-pack=x", "-oops@x", "/l@a..b"]
)
def test_parse_refuses(rest: str) -> None:
    with pytest.raises(UserError):
        remote.parse(rest)


def test_choose_ref_prefers_tags_and_peels_them() -> None:
    listed = "\n".join(
        f"{digit * 40}\t{name}"
        for digit, name in zip(
            "12345", ["HEAD", "refs/heads/v1", "refs/tags/v1", "refs/tags/v1^{}", "refs/x/v1"], strict=True
        )
    )
    assert remote.choose_ref(listed, "v1") == "4" * 40
    assert remote.choose_ref(listed, "heads/v1") == "2" * 40
    assert remote.choose_ref(listed, "HEAD") == "1" * 40
    assert remote.choose_ref(listed, "v2") is None


def test_local_folder_is_borrowed_and_followed(server: Kernel, obtain: Obtain) -> None:
    tree = obtain(f"git:{server.path}@v6.12")
    assert tree.commit == server.git("rev-parse", "v6.12^{commit}")
    assert obtain(f"git:{server.path}").commit == server.git("rev-parse", "HEAD")
    new = server.commit("third", {"mm/swap.c": "int third;\n"})
    assert obtain(f"git:{server.path}@master").commit == new
    server.write("mm/swap.c", "int uncommitted;\n")
    assert obtain(f"git:{server.path}@master").commit == new


@pytest.mark.parametrize("ref", ["v6.12", "master", "commit"])
def test_remote_brings_all_files_of_one_commit(ref: str, server: Kernel, obtain: Obtain) -> None:
    if ref == "commit":
        ref = server.git("rev-parse", "HEAD")
    tree = obtain(f"git:file://{server.path}@{ref}")
    assert tree.commit == server.git("rev-parse", f"{ref}^{{commit}}")
    repository = Repository(tree.repository)
    shutil.rmtree(server.path)  # everything must be here
    assert repository.show(tree.commit, "mm/swap.c").startswith(b"int ")
    missing = repository.git("rev-list", "--objects", "--missing=print", "--max-count=1", tree.commit).text
    assert "?" not in missing
    assert repository.git("rev-list", "--count", tree.commit).text.strip() == "1"


def test_server_without_partial_clones(kernel: Kernel, obtain: Obtain) -> None:
    tree = obtain(f"git:file://{kernel.path}@master")
    assert Repository(tree.repository).show(tree.commit, "mm/swap.c") == b"int swap;\n"


def test_interrupted_between_trees_and_files_goes_on(
    server: Kernel, obtain: Obtain, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PORTION", 2)
    spec, moved = f"git:file://{server.path}@master", server.path.with_name("gone")
    calls = []
    real = Repository.git

    def cut_off(self: Repository, *arguments: str, **more: object) -> object:
        if "--stdin" in arguments:
            calls.append(arguments)
            if len(calls) == 2:
                server.path.rename(moved)
        return real(self, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Repository, "git", cut_off)
    with pytest.raises(EnvironmentFailure, match="could not be fetched"):
        obtain(spec)
    moved.rename(server.path)
    calls.clear()
    monkeypatch.setattr(Repository, "git", real)
    heard = Heard()
    tree = source.obtain(spec, paths=paths, store=Store(paths.cache), progress=heard)
    assert Repository(tree.repository).show(tree.commit, "Makefile")
    assert not any(text.startswith("fetching master from") for text in heard.updates)  # the trees were there


def test_mirrors_in_order(server: Kernel, obtain: Obtain, heard: Heard, tmp_path: Path) -> None:
    tree = obtain(f"git:file://{tmp_path}/none,file://{server.path}@v6.12")
    assert tree.origin["url"] == f"file://{server.path}"
    assert any("none" in text for text in heard.warnings)


def test_all_mirrors_gone_first_reason_is_shown(obtain: Obtain, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="first cannot be reached"):
        obtain(f"git:file://{tmp_path}/first,file://{tmp_path}/second@v6.12")


def test_branch_stands_when_the_network_is_gone_and_a_tag_needs_none(
    server: Kernel, obtain: Obtain, heard: Heard
) -> None:
    branch, tag = f"git:file://{server.path}@master", f"git:file://{server.path}@v6.12"
    first, release = obtain(branch), obtain(tag)
    moved = server.commit("third", {"mm/swap.c": "int third;\n"})
    assert obtain(branch).commit == moved != first.commit
    shutil.rmtree(server.path)
    assert obtain(tag) == release and heard.warnings == []
    assert obtain(branch).commit == moved and "as it was last" in heard.warnings[-1]
    with pytest.raises(EnvironmentFailure):
        obtain(branch, refresh=True)


def test_reference_spares_the_fetch(server: Kernel, obtain: Obtain, tmp_path: Path) -> None:
    server.git("clone", "-q", "--bare", f"file://{server.path}", str(tmp_path / "reference.git"))
    new = server.commit("third", {"mm/swap.c": "int third;\n"})
    tree = obtain(f"git:file://{server.path}@master", reference=tmp_path / "reference.git")
    assert tree.commit == new
    own = Repository(tree.repository).git(
        "cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--unordered"
    )
    (tree.repository / "objects/info/alternates").unlink()
    without = Repository(tree.repository).git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").text
    assert 0 < len(without.split()) < len(own.text.split())


def test_unknown_ref_names_the_nearest(server: Kernel, obtain: Obtain) -> None:
    for place in (str(server.path), f"file://{server.path}"):
        with pytest.raises(UserError, match=r"no commit 'v6\.13'") as caught:
            obtain(f"git:{place}@v6.13")
        assert caught.value.hint == "did you mean 'v6.12'?"


def test_no_repository(obtain: Obtain, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no git repository"):
        obtain(f"git:{tmp_path}@v6.12")
    with pytest.raises(UserError, match="no repository"):
        obtain(f"git:{tmp_path}/nothing@v6.12")


def test_plan_touches_nothing(paths: Paths) -> None:
    assert source.plan("git:https://a/l,https://b/l@v6.12") == (
        "git ls-remote https://a/l v6.12, then fetch that commit without its history",
        "or git ls-remote https://b/l v6.12, then fetch that commit without its history",
    )
    assert not paths.cache.exists()
