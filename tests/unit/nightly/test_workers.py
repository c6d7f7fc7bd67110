# SPDX-License-Identifier: GPL-2.0-only
"""Commands side by side: no more than fit, each ended with all that it started, none in the way of another."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from harness.errors import EnvironmentFailure
from harness.process import spawn
from harness.workers import Capacity, Job, Workers, available_memory_mib, make_turns, this_machine, turn
from tests.unit.nightly.conftest import wait_for

TWO = Capacity(cores=2, memory_mib=1000, jobs=2)


def job(tmp_path: Path, name: str, script: str, *, cores: int = 1, memory: int = 100, deadline: float = 600) -> Job:
    return Job(
        name=name, argv=("sh", "-c", script), log=tmp_path / f"{name}.log", deadline=deadline, cores=cores,
        memory_mib=memory,
    )  # fmt: skip


def test_exit_statuses_and_logs(tmp_path: Path) -> None:
    with Workers(TWO) as workers:
        workers.start(job(tmp_path, "good", "echo first; echo; echo last line"))
        workers.start(job(tmp_path, "bad", "exit 3"))
        ended = []
        while workers.running:
            ended += workers.wait(1)
    assert {one.job.name: one.status for one in ended} == {"good": 0, "bad": 3}
    assert (tmp_path / "good.log").read_text() == "first\n\nlast line\n"


def test_what_fits(tmp_path: Path) -> None:
    waits = "sleep 600"
    with Workers(TWO) as workers:
        assert workers.fits(job(tmp_path, "huge", waits, memory=5000)), "alone it may have what there is"
        workers.start(job(tmp_path, "one", waits, memory=600))
        assert not workers.fits(job(tmp_path, "memory", waits, memory=600))
        assert not workers.fits(job(tmp_path, "cores", waits, cores=2))
        assert not workers.fits(job(tmp_path, "all", waits, cores=0))
        workers.start(job(tmp_path, "two", waits, memory=400))
        assert not workers.fits(job(tmp_path, "third", waits, memory=0, cores=0))
        assert not workers.fits(job(tmp_path, "third", waits, memory=0))
    with Workers(TWO) as workers:
        workers.start(job(tmp_path, "all", waits, cores=0))
        assert not workers.fits(job(tmp_path, "one", waits, memory=1))


def test_the_last_line_is_what_it_does(tmp_path: Path) -> None:
    with Workers(TWO) as workers:
        workers.start(job(tmp_path, "one", "echo a; echo b; printf '\\n'; sleep 600"))
        wait_for(lambda: workers.running[0].last_line == "b")


def test_leaving_ends_everything_that_was_started(tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! >{tmp_path}/pid; wait"
    with pytest.raises(KeyboardInterrupt), Workers(TWO) as workers:
        workers.start(job(tmp_path, "one", script))
        wait_for(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text().endswith("\n"))
        raise KeyboardInterrupt
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_deadline_ends_it(tmp_path: Path) -> None:
    with Workers(TWO) as workers:
        workers.start(job(tmp_path, "late", "sleep 600", deadline=0.3))
        ended = []
        while workers.running:
            ended += workers.wait(1)
    assert (ended[0].overdue, ended[0].status) == (True, -15)


def test_what_is_told_to_end_may_end_well(tmp_path: Path) -> None:
    script = f"trap 'echo told; exit 130' TERM; touch {tmp_path}/ready; while :; do sleep 0.05; done"
    with Workers(TWO) as workers:
        workers.start(job(tmp_path, "one", script))
        wait_for((tmp_path / "ready").exists)
        ended = workers.end()
    assert (ended[0].overdue, ended[0].status) == (False, 130)
    assert "told" in (tmp_path / "one.log").read_text()


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with Workers(TWO) as workers, pytest.raises(EnvironmentFailure, match="not installed"):
        workers.start(Job(name="x", argv=("no-such-program-x",), log=tmp_path / "x.log", deadline=1))


def test_this_machine() -> None:
    found = this_machine()
    assert found.cores == found.jobs == len(os.sched_getaffinity(0))
    assert found.memory_mib > 0 and available_memory_mib() > 0
    assert this_machine(cells=3, memory_mib=512) == Capacity(cores=max(3, found.cores), memory_mib=512, jobs=3)
    assert sys.platform == "linux"


_TURN = """
import sys, time
from pathlib import Path
from harness.process import spawn
from harness.workers import Capacity, Job, Workers, available_memory_mib, make_turns, this_machine, turn
folder, log = Path(sys.argv[1]), Path(sys.argv[2])
with turn(folder):
    with open(log, "a") as stream:
        stream.write("in\\n")
    time.sleep(0.2)
    with open(log, "a") as stream:
        stream.write("out\\n")
"""


def test_one_more_gets_ready_and_waits_for_its_turn(tmp_path: Path) -> None:
    turns = make_turns(tmp_path / "turns", 1)
    log = tmp_path / "log"
    jobs = [
        Job(
            name=str(number), argv=(sys.executable, "-c", _TURN, str(turns), str(log)), log=tmp_path / f"{number}.log",
            deadline=600, turns=turns,
        )
        for number in range(4)
    ]  # fmt: skip
    most, ended = 0, []
    with Workers(Capacity(cores=1, memory_mib=1000, jobs=1, ready=1)) as workers:
        while jobs or workers.running:
            while jobs and workers.fits(jobs[0]):
                workers.start(jobs.pop(0))
            most = max(most, len(workers.running))
            ended += workers.wait(1)
    assert [one.status for one in ended] == [0] * 4
    assert most == 2
    assert log.read_text().split() == ["in", "out"] * 4, "never two at once"


def test_waiting_for_a_turn_is_not_its_time(tmp_path: Path) -> None:
    turns = make_turns(tmp_path / "turns", 1)
    argv = (sys.executable, "-c", _TURN.replace("0.2", "600"), str(turns), str(tmp_path / "log"))
    with Workers(Capacity(cores=2, memory_mib=1000, jobs=1, ready=1)) as workers:
        with turn(turns):
            job = Job(name="x", argv=argv, log=tmp_path / "x.log", deadline=0.1, turns=turns)
            workers.start(job)
            assert workers.wait(1.5) == [] and workers.running[0].waits
            assert not workers.fits(job), "nobody gets ready beside one that still does"
        ended = []
        while workers.running:
            ended += workers.wait(1)
    assert ended[0].overdue, "its time began with its turn, and was too short"


def test_who_waits_does_not_get_the_turn_of_one_that_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill = os.kill

    def slow(pid: int, number: int) -> None:
        kill(pid, number)
        time.sleep(0.5)

    monkeypatch.setattr(os, "kill", slow)
    turns, log = make_turns(tmp_path / "turns", 1), tmp_path / "log"
    script = _TURN.replace("0.2", "600").replace("with turn", "print('ready', flush=True)\nwith turn")
    argv = (sys.executable, "-c", script, str(turns), str(log))
    with Workers(Capacity(cores=2, memory_mib=1000, jobs=1, ready=1)) as workers:
        for name in ("first", "second"):
            workers.start(Job(name=name, argv=argv, log=tmp_path / f"{name}.log", deadline=600, turns=turns))
            wait_for(lambda: workers.running[-1].last_line == "ready")
            wait_for(log.is_file)
    assert log.read_text().split() == ["in"]


def test_a_turn_ends_with_its_holder(tmp_path: Path) -> None:
    turns = make_turns(tmp_path / "turns", 1)
    script = _TURN.replace("0.2", "600")
    with spawn((sys.executable, "-c", script, str(turns), str(tmp_path / "log"))) as child:
        wait_for((tmp_path / "log").is_file)
        child.kill()
    with turn(turns):
        pass
