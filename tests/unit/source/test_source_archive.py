# SPDX-License-Identifier: GPL-2.0-only
"""``tarball:`` and the importer behind it: one commit for one content, and every kind of bad archive refused."""

from __future__ import annotations

import hashlib
import io
import lzma
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import source
from harness.errors import EnvironmentFailure, UserError
from harness.paths import Paths
from harness.repository import Repository
from harness.source import archive
from harness.source.kind import archives
from harness.store import Store
from harness.values import Tree
from tests.unit.source.trees import MAKEFILE, Heard

Obtain = Callable[..., Tree]
Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def obtain(paths: Paths, store: Store, heard: Heard) -> Obtain:
    return lambda spec, **more: source.obtain(spec, paths=paths, store=store, progress=heard, **more)


def member(
    name: str, text: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, link, mode, len(text)
    return info, text


def kernel_members(top: str = "linux-6.12/") -> Members:
    return [
        *([member(top, kind=tarfile.DIRTYPE, mode=0o755)] if top else []),
        member(f"{top}Makefile", MAKEFILE.encode()),
        member(f"{top}scripts/run.sh", b"#!/bin/sh\n", mode=0o755),
        member(f'{top}mm/a "quoted" näme.c', b"int a;\n"),
        member(f"{top}link", kind=tarfile.SYMTYPE, link="mm"),
        member(f"{top}hard", kind=tarfile.LNKTYPE, link=f"{top}Makefile"),
    ]


def tar_bytes(members: Members) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def write(path: Path, members: Members) -> Path:
    data = tar_bytes(members)
    if path.suffix == ".xz":
        data = lzma.compress(data)
    elif path.suffix in (".gz", ".bz2", ".zst"):
        tool = {".gz": "gzip", ".bz2": "bzip2", ".zst": "zstd"}[path.suffix]
        data = subprocess.run([tool, "-c"], input=data, capture_output=True, check=True).stdout
    path.write_bytes(data)
    return path


def left_behind(paths: Paths) -> list[str]:
    folder = archives(paths)
    left = [*folder.glob("objects/pack/tmp_*"), *folder.glob("fast_import_crash_*")]
    left += list((paths.cache / "scratch").glob("*")) if (paths.cache / "scratch").exists() else []
    refs = Repository(folder).git("for-each-ref", "--format=%(refname)").text.split()
    return [str(path) for path in left] + refs


@pytest.mark.parametrize("suffix", ["tar", "tar.xz", "tar.gz", "tar.bz2", "tar.zst"])
def test_every_compression_is_the_same_commit(suffix: str, tmp_path: Path, obtain: Obtain) -> None:
    tree = obtain(f"tarball:{write(tmp_path / f'l.{suffix}', kernel_members())}")
    assert tree.commit == "212291973eb4cec47a99b5c539d1ac8393934752"
    assert tree.version == "6.12.7-rc1"


def test_content_modes_links_and_names(tmp_path: Path, obtain: Obtain) -> None:
    tree = obtain(f"tarball:{write(tmp_path / 'l.tar', kernel_members())}")
    repository = Repository(tree.repository)
    listing = repository.git("ls-tree", "-r", tree.commit).text
    assert "100755 blob" in listing and "120000 blob" in listing
    assert repository.show(tree.commit, "hard") == repository.show(tree.commit, "Makefile") == MAKEFILE.encode()
    assert set(repository.ls_tree(tree.commit)) == {
        "Makefile", "scripts/run.sh", 'mm/a "quoted" näme.c', "link", "hard",
    }  # fmt: skip


@pytest.mark.parametrize("top", ["", "./", "other-name/", "./x/"])
def test_the_top_folder_does_not_matter(top: str, tmp_path: Path, obtain: Obtain) -> None:
    first = obtain(f"tarball:{write(tmp_path / 'a.tar', kernel_members())}")
    assert obtain(f"tarball:{write(tmp_path / 'b.tar', kernel_members(top))}").commit == first.commit


def test_files_beside_the_first_folder_keep_every_path(tmp_path: Path, obtain: Obtain) -> None:
    members = [member("mm/", kind=tarfile.DIRTYPE), member("mm/a.c", b"a"), member("Makefile", MAKEFILE.encode())]
    tree = obtain(f"tarball:{write(tmp_path / 'a.tar', members)}")
    assert set(Repository(tree.repository).ls_tree(tree.commit)) == {"mm/a.c", "Makefile"}


@pytest.mark.parametrize("suffix", ["tar", "tar.xz", "tar.gz", "tar.zst"])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.97])
def test_cut_short(suffix: str, keep: float, tmp_path: Path, obtain: Obtain, paths: Paths) -> None:
    path = write(tmp_path / f"l.{suffix}", [*kernel_members(), member("linux-6.12/big", bytes(range(256)) * 400)])
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(UserError, match=r"cut short|no tarball"):
        obtain(f"tarball:{path}")
    assert left_behind(paths) == []


def test_cut_between_two_members_of_a_plain_tar(tmp_path: Path, obtain: Obtain) -> None:
    data = tar_bytes(kernel_members())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        cut = archive.getmembers()[3].offset
    (tmp_path / "l.tar").write_bytes(data[:cut])
    with tarfile.open(tmp_path / "l.tar") as plain:
        assert len(plain.getmembers()) == 3  # Python takes it for whole: what the check is for
    with pytest.raises(UserError, match="cut short"):
        obtain(f"tarball:{tmp_path}/l.tar")


@pytest.mark.parametrize(
    "bad",
    [
        member("../outside", b"x"),
        member("linux-6.12/../../outside", b"x"),
        member("/etc/outside", b"x"),
        member("linux-6.12/.git/config", b"x"),
        member("linux-6.12/mm/.GIT/hooks/x", b"x"),
        member("linux-6.12/device", kind=tarfile.CHRTYPE),
        member("linux-6.12/pipe", kind=tarfile.FIFOTYPE),
        member("linux-6.12/hard2", kind=tarfile.LNKTYPE, link="/etc/passwd"),
        member("linux-6.12/hard2", kind=tarfile.LNKTYPE, link="linux-6.12/nothing"),
    ],
    ids=lambda pair: pair[0].name,
)
def test_hostile_members(bad: tuple[tarfile.TarInfo, bytes], tmp_path: Path, obtain: Obtain, paths: Paths) -> None:
    with pytest.raises(UserError, match=r"leads out|device|hard link"):
        obtain(f"tarball:{write(tmp_path / 'l.tar', [*kernel_members(), bad])}")
    assert left_behind(paths) == []


@pytest.mark.parametrize(
    "bad",
    [
        [member(f"linux-6.12/d{number}", kind=tarfile.DIRTYPE) for number in range(300)],
        [member(f"linux-6.12/f{number}", b"") for number in range(300)],
        [member("linux-6.12/huge", bytes(1 << 20))],
        [member(f"linux-6.12/large{number}", bytes(1 << 19)) for number in range(30)],
        [member("linux-6.12/" + "n" * (3 << 20), b"")],
        [member("linux-6.12/link", kind=tarfile.SYMTYPE, link="n" * (3 << 20))],
    ],
    ids=["folders", "files", "file", "all", "name", "link"],
)
def test_more_than_any_kernel(
    bad: Members, tmp_path: Path, obtain: Obtain, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, value in {"_MAX_MEMBERS": 200, "_MAX_FILE": (1 << 20) - 1, "_MAX_TOTAL": 8 << 20}.items():
        monkeypatch.setattr(archive, limit, value)
    with pytest.raises(UserError, match=r"larger than any kernel|a header of 3145\d+ bytes"):
        obtain(f"tarball:{write(tmp_path / 'l.tar', [*kernel_members(), *bad])}")
    assert left_behind(paths) == []


def test_thousands_of_members(tmp_path: Path, obtain: Obtain) -> None:
    more = [member(f"linux-6.12/f{number}", b"%d" % number) for number in range(9000)]
    tree = obtain(f"tarball:{write(tmp_path / 'l.tar', [*kernel_members(), *more])}")
    files = Repository(tree.repository).ls_tree(tree.commit)
    assert len([name for name in files if name.startswith("f")]) == 9000


def test_digest_right_wrong_and_known_without_the_file(tmp_path: Path, obtain: Obtain) -> None:
    path = write(tmp_path / "l.tar.xz", kernel_members())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    tree = obtain(f"tarball:{path}#sha256={digest}")
    assert tree.origin["sha256"] == digest
    with pytest.raises(UserError, match="not the expected file"):
        obtain(f"tarball:{path}#sha256={'0' * 64}")
    path.unlink()
    assert obtain(f"tarball:{path}#sha256={digest}").commit == tree.commit


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(tmp_path: Path, obtain: Obtain, heard: Heard) -> None:
    path = write(tmp_path / "l.tar", kernel_members())
    first = obtain(f"tarball:{path}")
    heard.updates.clear()
    assert obtain(f"tarball:{path}") == first and heard.updates == []
    write(path, [*kernel_members(), member("linux-6.12/more", b"x")])
    assert obtain(f"tarball:{path}").commit != first.commit


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("{}/nothing.tar", "no tarball"),
        ("{}", "not a file"),
        ("{}/l.tar#sha256=12", "no digest"),
        ("{}/l.tar#md5=12", "no digest"),
        ("{}/text", "no tarball"),
        ("{}/other.tar", "not a kernel tree"),
    ],
)
def test_what_is_no_source(rest: str, says: str, tmp_path: Path, obtain: Obtain) -> None:
    write(tmp_path / "l.tar", kernel_members())
    write(tmp_path / "other.tar", [member("program/main.c", b"x")])
    (tmp_path / "text").write_text("no archive\n" * 200)
    with pytest.raises(UserError, match=says):
        obtain("tarball:" + rest.format(tmp_path))


def test_two_imports_at_once_end_well(tmp_path: Path, paths: Paths) -> None:
    import threading

    path = write(tmp_path / "l.tar.xz", kernel_members())
    found: list[Tree | Exception] = []

    def one() -> None:
        try:
            found.append(source.obtain(f"tarball:{path}", paths=paths, store=Store(paths.cache), progress=Heard()))
        except Exception as reason:
            found.append(reason)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({tree.commit if isinstance(tree, Tree) else str(tree) for tree in found}) == 1


def test_a_damaged_repository_of_archives_is_an_error_or_made_again(
    tmp_path: Path, obtain: Obtain, paths: Paths
) -> None:
    path = write(tmp_path / "l.tar", kernel_members())
    first = obtain(f"tarball:{path}")
    for pack in archives(paths).glob("objects/pack/pack-*"):
        pack.unlink()
    try:
        assert obtain(f"tarball:{path}").commit == first.commit
    except EnvironmentFailure as reason:
        pytest.fail(f"not made again: {reason.message} {reason.details}")
