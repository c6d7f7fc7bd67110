# SPDX-License-Identifier: GPL-2.0-only
"""Run folders as if runs had been, and a real PostgreSQL of the distribution's that lives as long as a test session."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness.history.place import Place
from harness.history.rows import Rows, rows
from harness.results.folder import RunFolder
from harness.results.record import CaseRecord, Failure, Manifest, RerunRecord, Results, fingerprint, run_verdict

EPOCH = 1_790_000_000  # 2026-09-21
_START_SECONDS = 60.0


def case_of(name: str, verdict: str = "PASS", *, reason: str = "", seconds: float = 1.0) -> CaseRecord:
    """A case's record; ``name`` is ``suite/program:case``."""
    return CaseRecord(**_fields(name, verdict, reason, seconds))


def rerun_of(name: str, verdict: str, attempt: int = 1, *, reason: str = "") -> RerunRecord:
    return RerunRecord(**_fields(name, verdict, reason, 1.0), attempt=attempt)


def _fields(name: str, verdict: str, reason: str, seconds: float) -> dict[str, Any]:
    program, _, case = name.partition(":")
    suite, _, program = program.rpartition("/")
    bad = verdict not in ("PASS", "SKIP", "XFAIL")
    mark = fingerprint(verdict, reason) if bad else ""
    return {"suite": suite, "program": program, "case": case, "verdict": verdict, "reason": reason,
            "seconds": seconds, "fingerprint": mark}  # fmt: skip


@dataclass
class Past:
    """Makes finished runs; each begins a minute after the one before."""

    folder: Path
    number: int = 0
    made: list[RunFolder] = field(default_factory=list)

    def values(
        self,
        cases: Mapping[str, str] | list[CaseRecord],
        *,
        series: str = "one",
        digest: str = "11" * 32,
        commit: str = "c1" * 20,
        topology: str = "direct",
        host: str = "here",
        reruns: tuple[RerunRecord, ...] = (),
        failure: Failure | None = None,
        interrupted: bool = False,
        seed: int = 1,
    ) -> tuple[Manifest, Results]:
        """What a run writes; ``cases`` maps names to verdicts, or is the records."""
        self.number += 1
        at = EPOCH + 60 * self.number
        name = f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(at))}-{self.number:03d}00"
        found = cases if isinstance(cases, list) else [case_of(one, verdict) for one, verdict in cases.items()]
        profile = {"source": "debian:6.12", "series": series, "patches": None, "config": ["base"], "topology": topology}
        decides = {
            "harness": "0.1.0",
            "tests": {"selection": [one.name for one in found], "seed": seed},
            "source": {"version": "6.12.1", "commit": "ba" * 20, "tree": "7e" * 20},
            "series": {"digest": digest, "patches": [{"title": "a", "digest": digest}], "commit": commit},
            "config": {"fragments": ["base"], "digest": "cf" * 32},
            "topology": {"name": topology},
            "accel": "tcg",
        }
        around = {
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(at)),
            "host": {"name": host},
            "profile": profile,
            "series": {"name": series, "revision": "v1"},
        }
        verdict = run_verdict(found, failure, interrupted=interrupted).value
        results = Results(
            run=name, verdict=verdict, seconds=10, guest_seconds=9, interrupted=interrupted, stages=(),
            cases=tuple(found), failure=failure, reruns=reruns,
        )  # fmt: skip
        return Manifest(decides=decides, circumstances=around), results

    def rows(self, cases: Mapping[str, str] | list[CaseRecord], **more: Any) -> Rows:
        """A run that has no folder."""
        return rows(*self.values(cases, **more), place=str(self.folder))

    def run(self, cases: Mapping[str, str] | list[CaseRecord], **more: Any) -> RunFolder:
        """A run folder."""
        manifest, results = self.values(cases, **more)
        made = RunFolder(self.folder / results.run)
        made.write_manifest(manifest)
        made.write_results(results)
        self.made.append(made)
        return made


@pytest.fixture
def past(tmp_path: Path) -> Past:
    return Past(tmp_path / "runs")


@dataclass
class Postgres:
    """A server on a socket in a folder of its own; run by an unprivileged user where the tests are root's."""

    folder: Path
    programs: Path
    user: dict[str, Any]
    server: subprocess.Popen[bytes] | None = None
    databases: int = 0

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    def url(self, database: str) -> str:
        return f"postgresql://harness@/{database}?host={self.socket}"

    def database(self) -> Place:
        """A new, empty database."""
        self.databases += 1
        name = f"d{self.databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return Place(url=self.url(name))

    def prepare(self) -> None:
        """Make the cluster."""
        argv = [self.programs / "initdb", "-D", self.folder / "data", "-U", "harness", "-A", "trust", "-E", "UTF8"]
        done = subprocess.run(
            [*map(str, argv), "--locale=C", "--no-sync"], cwd=self.folder, capture_output=True, check=False, **self.user
        )
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.socket), "fsync": "off",
                    "max_connections": "60", "shared_buffers": "16MB"}  # fmt: skip
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        # the server goes with a test session that is killed
        tied = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
        with open(self.folder / "log", "ab") as log:
            self.server = subprocess.Popen(
                [*tied, str(self.programs / "postgres"), "-D", str(self.folder / "data"), *words],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.user,
            )  # fmt: skip
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                said = (self.folder / "log").read_text(errors="replace")
                assert self.server.poll() is None and time.monotonic() < until, said[-2000:]
                time.sleep(0.1)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it: SIGINT ends sessions and writes everything, SIGQUIT drops it all (postgres(1))."""
        if self.server is None:
            return
        self.server.send_signal(number)
        try:
            self.server.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        self.server = None


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3].zfill(4))
    if found:
        return found[-1].parent
    other = shutil.which("initdb")
    return Path(other).resolve().parent if other else None


def _unprivileged() -> dict[str, Any]:
    """How to start a program as somebody who is not root: the server refuses root."""
    if os.geteuid() != 0:
        return {}
    name = next((name for name in ("postgres", "nobody") if _known(name)), None)
    if name is None:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")
    who = pwd.getpwnam(name)
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


def _known(name: str) -> bool:
    try:
        return pwd.getpwnam(name) is not None
    except KeyError:
        return False


@pytest.fixture
def new_postgres() -> Iterator[Callable[[], Postgres]]:
    """Makes servers of the test's own, to be stopped at will."""
    with servers() as make:
        yield make


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that the tests of this worker share; each takes a database of its own."""
    with servers() as make:
        yield make()


class servers:
    """Servers that are gone, with their folders, when the block is left."""

    def __init__(self) -> None:
        self._made: list[Postgres] = []

    def __enter__(self) -> Callable[[], Postgres]:
        return self._make

    def __exit__(self, *exc: object) -> None:
        for one in self._made:
            one.stop()
            shutil.rmtree(one.folder, ignore_errors=True)

    def _make(self) -> Postgres:
        programs = _programs()
        if programs is None:
            pytest.skip("PostgreSQL's server is not installed (Debian: postgresql)")
        user = _unprivileged()
        folder = Path(tempfile.mkdtemp(prefix="harness-pg-", dir="/tmp"))  # a socket's path has 107 bytes at most
        made = Postgres(folder, programs, user)
        self._made.append(made)
        (folder / "s").mkdir()
        if user:
            for path in (folder, folder / "s"):
                os.chown(path, user["user"], user["group"])
        made.prepare()
        made.start()
        return made


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty history of each kind."""
    if request.param == "sqlite":
        return Place(file=tmp_path / "data" / "history.sqlite")
    server: Postgres = request.getfixturevalue("postgres")
    return server.database()
