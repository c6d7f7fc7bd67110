# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import image
from harness.debian import elf
from harness.errors import EnvironmentFailure, UserError
from harness.image import erofs, tree
from harness.store import Store

LISTING = "bin/sh\nsbin/mkswap\nusr/bin/awk\nusr/sbin/chroot\nsbin/init\nlinuxrc\nbin/ls\n"


def test_links_to_applets() -> None:
    assert tree.applet_links(LISTING, present=frozenset({"ls"})) == {
        "usr/bin/sh": "busybox",
        "usr/sbin/mkswap": "../bin/busybox",
        "usr/bin/awk": "busybox",
        "usr/sbin/chroot": "../bin/busybox",
    }


def test_the_init_compiles_without_a_warning_and_is_static(tmp_path: Path) -> None:
    sources = sorted((Path(tree.__file__).parent / "init").glob("*.c"))
    program = tmp_path / "init"
    subprocess.run(
        ["cc", "-static", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-o", program, *sources], check=True
    )
    assert elf.needs(program.read_bytes()) == elf.Needs(interpreter=None, libraries=(), search=())
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "process 1" in done.stderr


def test_the_session_shell_gives_the_search_path(tmp_path: Path) -> None:
    program = tmp_path / "harness-shell"
    tree.compile_init(program)
    done = subprocess.run([program, "-c", "echo $PATH; exit 7"], capture_output=True, text=True, check=False, env={})
    assert done.returncode == 7 and done.stdout.startswith("/opt/harness/bin:/usr/local/sbin:")


def test_a_compiler_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "_CFLAGS", ("-static", "-no-such-option"))
    with pytest.raises(EnvironmentFailure, match="init does not compile"):
        tree.compile_init(tmp_path / "init")


def fake_root(folder: Path, order: list[str]) -> Path:
    for name in order:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name * 1000)
        os.utime(folder / name, (len(order), 10_000_000 + len(folder.name)))
    (folder / "link").symlink_to("a")
    return folder


def test_an_image_is_the_same_for_the_same_files(tmp_path: Path) -> None:
    names = ["a", "b", "sub/c", "sub/d", "e"]
    first = erofs.pack(fake_root(tmp_path / "one", names), tmp_path / "1.erofs", name="n")
    second = erofs.pack(fake_root(tmp_path / "another", names[::-1]), tmp_path / "2.erofs", name="n")
    assert first == second
    assert erofs.pack(tmp_path / "one", tmp_path / "3.erofs", name="other") != first


def test_a_failing_mkfs_leaves_no_image(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="cannot be packed"):
        erofs.pack(tmp_path / "not there", tmp_path / "i.erofs", name="n")
    assert not (tmp_path / "i.erofs").exists()


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    disk = tmp_path / "disk"
    root = fake_root(tmp_path / "root", ["a"])
    (root / "big").write_bytes(os.urandom(3 << 20))
    disk.mkdir()
    script = (
        "import sys\nfrom pathlib import Path\nfrom harness.image import erofs\n"
        "from harness.errors import HarnessError\n"
        "try: erofs.pack(Path(sys.argv[1]), Path(sys.argv[2]) / 'i', name='n')\n"
        "except HarnessError as error: print(error.message)\n"
        "print(list(Path(sys.argv[2]).iterdir()))\n"
    )
    inner = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" -c "$3" "$4" "$1"'
    argv = ["unshare", "-rm", "sh", "-c", inner, "sh", str(disk), sys.executable, script, str(root)]
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no user namespaces here")
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["the disk is full while packing an image", "[]"], done


def test_an_unknown_flavour_names_the_nearest() -> None:
    with pytest.raises(UserError) as caught:
        image.key("tset")
    assert "did you mean 'test'" in (caught.value.hint or "")


def test_the_plan_says_what_would_be_done(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert "busybox-static" in "\n".join(image.plan("test", store=store))
    store.obtain(image.KIND, image.key("test"), lambda folder: {"digest": "d"})
    assert image.plan("test", store=store)[0].startswith("use the test image in")
    assert len(image.plan("test", store=store, rebuild=True)) > 1
