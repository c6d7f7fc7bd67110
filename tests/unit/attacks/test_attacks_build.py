# SPDX-License-Identifier: GPL-2.0-only
"""A series whose Makefiles attack whoever builds it. Each attack succeeds without what protects from it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import build, process, sandbox, series
from harness.build.kernel import _put_symbols
from harness.errors import BuildError, DeadlineExceeded, EnvironmentFailure
from harness.kconfig import configure, parse_requests
from harness.paths import Paths
from harness.progress import Quiet
from harness.series.check import check
from harness.values import AppliedSeries, Kernel
from tests.unit.attacks.conftest import Host, hostile
from tests.unit.build.conftest import Bench
from tests.unit.series.patches import mail, new_file

REACH = """
report=$1/reached
: >"$report"
reached() { echo "$1" >>"$report"; }
{ echo evil >>"$HOME/.bashrc"; } 2>/dev/null
grep -q private "$HOME/.ssh/id_ed25519" 2>/dev/null && reached key
[ "$SSH_AUTH_SOCK$https_proxy" ] && reached environment
bash -c 'exec 3<>/dev/tcp/127.0.0.1/@PORT@' 2>/dev/null && reached network
{ echo planted >"@CACHE@/planted"; } 2>/dev/null
ls @CACHE@/store >/dev/null 2>&1 && reached cache
[ -d /proc/@PID@ ] && reached processes
exit 0
"""
REACHED = {"key", "environment", "network", "cache", "processes"}


def unprotected(bench: Bench) -> None:
    bench.paths = dataclasses.replace(bench.paths, sandboxed=False)


def built(bench: Bench, applied: AppliedSeries) -> Kernel:
    config = bench.configure(applied)
    common = {"toolchain": bench.toolchain, "paths": bench.paths, "store": bench.store, "progress": Quiet()}
    return build.build(applied, config, jobs=1, **common)[0]  # type: ignore[arg-type]


def reach(bench: Bench, host: Host) -> AppliedSeries:
    bench.commit()
    words = {"@PORT@": str(host.port), "@CACHE@": str(bench.paths.cache), "@PID@": str(os.getpid())}
    script = REACH
    for old, new in words.items():
        script = script.replace(old, new)
    return bench.commit(hostile(bench, script))


def reached(bench: Bench) -> list[list[str]]:
    """What each command of the tree reached."""
    return [path.read_text().split() for path in bench.paths.cache.rglob("reached")]


def configures(bench: Bench, applied: AppliedSeries) -> None:
    requests = parse_requests(("base",))
    common = {"toolchain": bench.toolchain, "paths": bench.paths, "store": bench.store, "progress": Quiet()}
    configure(applied, requests, **common)  # type: ignore[arg-type]


@pytest.mark.parametrize("act", [configures, built])
@pytest.mark.parametrize("sandboxed", [True, False])
def test_a_makefile_that_reaches_for_home_network_and_processes(
    bench: Bench, host: Host, act: Callable[[Bench, AppliedSeries], object], sandboxed: bool
) -> None:
    if not sandboxed:
        unprotected(bench)
    act(bench, reach(bench, host))
    assert reached(bench), "it ran"
    if sandboxed:
        assert host.untouched and not any(reached(bench)) and not (bench.paths.cache / "planted").exists()
    else:
        assert not host.untouched and all(set(one) == REACHED for one in reached(bench))
        assert (bench.paths.cache / "planted").exists()


@pytest.mark.parametrize("sandboxed", [True, False])
def test_a_checkpatch_of_the_series_own(bench: Bench, host: Host, sandboxed: bool) -> None:
    if not sandboxed:
        unprotected(bench)
    perl = "exec('sh', '-c', 'echo evil >>$HOME/.bashrc; cat $HOME/.ssh/id_ed25519');\n"
    applied = bench.commit({"scripts/checkpatch.pl": perl})
    (bench.folder / "one.patch").write_bytes(mail("[PATCH] mm: x", new_file("mm/x.c")))
    common = {"paths": bench.paths, "store": bench.store, "progress": Quiet()}
    found = series.read(str(bench.folder / "one.patch"), **common)  # type: ignore[arg-type]
    report = check(applied.tree, found, **common)  # type: ignore[arg-type]
    said = [one.message for one in report.findings if one.check == "checkpatch"]
    assert said == ["checkpatch.pl did not run to its end" if sandboxed else "clean"]
    assert host.untouched == sandboxed


OURS = (".config", ".harness-config", ".harness-state.json", "request.config")


@pytest.mark.parametrize("checked", [True, False])
def test_links_that_a_build_left_where_the_harness_writes(
    bench: Bench, host: Host, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not checked:
        monkeypatch.setattr(sandbox, "own_file", lambda path: path)
    built(bench, bench.commit())
    (config, output) = sorted(bench.paths.cache.glob("worktrees/*/*/output"), key=str, reverse=True)
    for name in OURS:
        for folder in (config, output):
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(host.start_file)
    with contextlib.nullcontext() if checked else contextlib.suppress(BuildError):
        assert built(bench, bench.commit({"Kconfig": "# another\n"})).release == "6.12.117"
    assert host.untouched == checked


def test_a_link_where_the_symbols_for_modules_go(tmp_path: Path, host: Host) -> None:
    (tmp_path / "kept").write_text("evil\n")
    (tmp_path / "Module.symvers").symlink_to(host.start_file)
    _put_symbols(tmp_path / "kept", tmp_path / "Module.symvers")
    assert host.untouched and (tmp_path / "Module.symvers").read_text() == "evil\n"


def test_a_pipe_that_a_build_left_where_the_harness_writes(bench: Bench) -> None:
    built(bench, bench.commit())
    for name in OURS:
        for folder in bench.paths.cache.glob("worktrees/*/*/output"):
            (folder / name).unlink(missing_ok=True)
            os.mkfifo(folder / name)
    assert built(bench, bench.commit({"Kconfig": "# another\n"})).release == "6.12.117"


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("name", ["System.map", "Module.symvers", "include/config/kernel.release"])
def test_what_a_build_makes_is_a_link_to_a_key(
    bench: Bench, host: Host, name: str, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not checked:
        monkeypatch.setattr(sandbox, "contained", lambda path, *_: path)
    bench.commit()
    link = f'[ -f "$1/vmlinux" ] && rm -f "$1/{name}" && ln -s "{host.key}" "$1/{name}"\ntrue\n'
    applied = bench.commit(hostile(bench, f"(sleep 0.5; {link}) & mkdir -p $1/include/config\nwait\n"))
    built(bench, bench.commit(hostile(bench, "")))
    applied = bench.commit(hostile(bench, link))
    if checked:
        with pytest.raises(BuildError, match="leads out of the build"):
            built(bench, applied)
    else:
        leaked = ""
        try:
            entry = built(bench, applied).vmlinux.parent
            leaked = "".join(path.read_text(errors="replace") for path in entry.iterdir() if path.is_file())
        except BuildError as error:
            leaked = error.message
        assert "the private key" in leaked


MARK = f"299.{os.getpid()}"  # seconds that only what these tests start sleeps; tests run side by side


def sleepers() -> list[int]:
    found = []
    for process_folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"\0" + MARK.encode() + b"\0" in (process_folder / "cmdline").read_bytes():
                found.append(int(process_folder.name))
    return found


def gone_soon() -> bool:
    until = time.monotonic() + 30
    while sleepers() and time.monotonic() < until:
        time.sleep(0.05)
    return not sleepers()


@pytest.mark.parametrize("sandboxed", [True, False])
def test_a_daemon_of_a_makefile_does_not_outlive_its_deadline(bench: Bench, sandboxed: bool) -> None:
    if not sandboxed:
        unprotected(bench)
    within = sandbox.enclosure(bench.paths, writable=[bench.folder])
    script = f"setsid sleep {MARK} </dev/null >/dev/null 2>&1 & sleep {MARK}"
    try:
        with pytest.raises(DeadlineExceeded):
            process.run(["sh", "-c", script], deadline=2.0, within=within)
        assert gone_soon() if sandboxed else sleepers()
    finally:
        for pid in sleepers():
            os.kill(pid, signal.SIGKILL)


def test_nothing_is_left_of_a_build_when_the_harness_is_killed(bench: Bench) -> None:
    script = (
        "import sys, pathlib\n"
        "from harness import process, sandbox\n"
        "from harness.paths import Paths\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "within = sandbox.enclosure(Paths(project=folder, cache=folder, data=folder), writable=[folder])\n"
        f"argv = ['sh', '-c', 'setsid sleep {MARK} & echo up; exec sleep {MARK}']\n"
        "process.run(argv, deadline=60, within=within, on_line=lambda line: print(line, flush=True))\n"
    )
    with process.spawn([sys.executable, "-c", script, bench.folder], cwd=Path.cwd(), stdout="pipe") as harness:
        assert harness.popen.stdout is not None and harness.popen.stdout.readline() == b"up\n"
        until = time.monotonic() + 30
        while len(sleepers()) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(sleepers()) == 2
        os.kill(harness.pid, signal.SIGKILL)
        assert gone_soon()


def test_make_takes_away_what_is_half_made_when_it_is_stopped(bench: Bench) -> None:
    (bench.folder / "Makefile").write_text(f"half:\n\techo half >$@; echo up; sleep {MARK}\n")
    within = sandbox.enclosure(bench.paths, writable=[bench.folder])
    with process.spawn(["make", "-s", "half"], cwd=bench.folder, stdout="pipe", within=within) as child:
        assert child.popen.stdout is not None and child.popen.stdout.readline() == b"up\n"
        assert (bench.folder / "half").exists()
    assert not (bench.folder / "half").exists() and gone_soon()


def test_where_there_is_no_bubblewrap_nothing_is_built(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    applied = bench.commit()
    found = process.which
    monkeypatch.setattr(process, "which", lambda name: None if name == "bwrap" else found(name))
    sandbox.unusable.cache_clear()
    try:
        with pytest.raises(EnvironmentFailure, match="bubblewrap is not installed") as caught:
            bench.configure(applied)
    finally:
        sandbox.unusable.cache_clear()
    assert "apt install bubblewrap" in str(caught.value.hint) and "--no-sandbox" in str(caught.value.hint)
    unprotected(bench)
    assert built(bench, applied)


def test_where_bubblewrap_may_not_make_namespaces_it_says_what_to_allow(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_OWN_NAMESPACES", ("--ro-bind", "/nowhere", "/"))
    sandbox.unusable.cache_clear()
    try:
        with pytest.raises(EnvironmentFailure, match="cannot make its namespaces") as caught:
            bench.configure(bench.commit())
    finally:
        sandbox.unusable.cache_clear()
    assert "/nowhere" in " ".join(caught.value.details) and "user namespaces" in str(caught.value.hint)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as another user")
def test_it_works_for_an_ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(sandbox, "_TOOLCHAINS", "none of root's own")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # the tests' own folder is closed to others
        folder = Path(name)
        for path in (folder, folder / "cache", folder / "cache" / "output"):
            path.mkdir(exist_ok=True)
            os.chown(path, 65534, 65534)
        paths = Paths(project=folder, cache=folder / "cache", data=folder / "data")
        within = sandbox.enclosure(paths, writable=[folder / "cache" / "output"])
        user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
        script = f"touch {folder}/cache/output/made; touch {folder}/cache/out {folder}/out; id -u; ls /root"
        done = process.run(
            [*user, *within.prefix, "sh", "-c", script], deadline=30, check=False, env={**within.env, "HOME": name}
        )
        assert done.text == "65534\n", done.error_text
        assert [path.name for path in folder.rglob("*")] == ["cache", "output", "made"]


def test_the_sandbox_changes_no_bit_of_a_kernel(bench: Bench) -> None:
    applied = bench.commit()
    inside = built(bench, applied)
    bench.store.remove("kernel", inside.key)
    for output in bench.paths.cache.glob("worktrees/*/build-*/output"):
        shutil.rmtree(output)
    unprotected(bench)
    outside = built(bench, applied)
    assert (inside.key, inside.digest) == (outside.key, outside.digest)


def test_a_home_that_is_no_home_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(project=tmp_path, cache=tmp_path / "cache", data=tmp_path / "data")
    for home in ("/", "/usr", "/nonexistent", ""):
        monkeypatch.setenv("HOME", home)
        hidden = sandbox.hidden_folders(paths)
        assert Path("/tmp") in hidden and not {Path("/"), Path("/usr"), Path("/nonexistent")} & set(hidden)
        within = sandbox.enclosure(paths, writable=[])
        assert process.run(["true"], deadline=30, within=within).returncode == 0


def test_programs_of_the_user_are_there_and_the_home_is_not(
    bench: Bench, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = host.home / "bin"
    programs.mkdir()
    (programs / "mine").write_text("#!/bin/sh\necho mine\n")
    (programs / "mine").chmod(0o755)
    (programs / "gcc").symlink_to("mine")
    (host.home / ".rustup").mkdir()  # the compilers that a rustc in PATH starts; .cargo has tokens
    (host.home / ".cargo").mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    within = sandbox.enclosure(bench.paths, writable=[])
    done = process.run(["sh", "-c", f"mine; ls -A {host.home}"], deadline=30, within=within)
    assert done.text.split() == ["mine", ".rustup", "bin"]
