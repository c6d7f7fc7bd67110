# SPDX-License-Identifier: GPL-2.0-only
"""The guests of a run: the selected cases in one, a fresh one where it was spoilt, and what they wrote kept."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import IO

from harness import guest
from harness.again import with_debug_info
from harness.display import printable
from harness.errors import HarnessError
from harness.guest import Guest
from harness.guest.sampler import Sampler
from harness.paths import Paths
from harness.postmortem import DumpPolicy, Examiner
from harness.profile import Profile
from harness.progress import Progress
from harness.results.folder import RunFolder
from harness.results.recorder import Recorder
from harness.splat import titles
from harness.suite.attempt import Limits
from harness.suite.catalogue import Program, Selection
from harness.suite.runner import Runner
from harness.values import CaseResult, KernelConfig, QemuPlan

_KEPT_LIMIT = 16 << 20  # bytes of a guest's kernel log, which has no more
_DMESG_SECONDS = 20.0
_MEMINFO_SECONDS = 20.0
_OUTPUT_LIMIT = 64 << 20


def judge(
    plan: QemuPlan,
    selections: Iterable[Selection],
    *,
    profile: Profile,
    config: KernelConfig,
    recorder: Recorder,
    paths: Paths,
    command: Sequence[str] = (),
) -> Generator[CaseResult, None, None]:
    """Run the selected cases in guests of a plan, a fresh one after each that was spoilt.

    A guest that hangs or crashed is looked into before it goes; ``command`` is one of ``harness run``, for the hint
    how to run the case again; none where no such command does.

    Yields each result when it is certain; closing the iterator ends the program and the guest. The recorder's folder
    gets what the guests and the programs wrote.
    """
    outputs = _Outputs(recorder.folder)
    policy = DumpPolicy(when=profile.dump, limit=profile.dump_limit_mib << 20)
    examiner = Examiner(policy, paths=paths, again=lambda case: with_debug_info(command, case) if command else "")

    def heard(program: Program, text: str) -> None:
        examiner.heard()
        outputs.line(program, text)

    try:
        with _Guests(
            plan,
            folder=recorder.folder,
            paths=paths,
            recorder=recorder,
            examiner=examiner,
            sample_ms=profile.sample_ms,
        ) as guests:
            runner = Runner(
                guests.start(),
                fresh=lambda _: guests.start(),
                limits=Limits(scale=profile.timeout_scale, stress=profile.stress_seconds, seed=profile.seed),
                require_feature=profile.require_feature,
                on_start=recorder.view.case_started,
                on_hang=examiner.hang,
                on_crash=examiner.crash,
                on_output=heard,
                keep=recorder.folder.write,
            )
            with closing(runner.run_all(selections, config=config)) as results:
                yield from results
    finally:
        outputs.close()


class _Outputs:
    """``ktap/<suite>/<program>.ktap``: what each program wrote, as received, up to a limit of bytes a program."""

    def __init__(self, folder: RunFolder, *, limit: int = _OUTPUT_LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._open: dict[str, tuple[IO[bytes], list[int]]] = {}

    def line(self, program: Program, text: str) -> None:
        """Keep a line; comes from the thread that reads the program."""
        if program.full_name not in self._open:
            file = self._folder.folder("ktap", *program.suite.split("/")) / f"{program.name}.ktap"
            self._open[program.full_name] = (open(file, "ab"), [0])  # noqa: SIM115 (closed by close)
        stream, written = self._open[program.full_name]
        data = text.encode("utf-8", "surrogateescape") + b"\n"
        if written[0] <= self._limit:
            written[0] += len(data)
            stream.write(data if written[0] <= self._limit else b"# harness: the rest is not kept\n")
            stream.flush()

    def close(self) -> None:
        """Close the files."""
        for stream, _ in self._open.values():
            stream.close()
        self._open.clear()


class _Guests:
    """The run's guest: at most one at a time, a fresh one where the last was spoilt; each has a folder of its own."""

    def __init__(
        self, plan: QemuPlan, *, folder: RunFolder, paths: Paths, recorder: Recorder, examiner: Examiner, sample_ms: int
    ) -> None:
        self._plan = plan
        self._sample_ms = sample_ms
        self._sampler: Sampler | None = None
        self._examiner = examiner
        self._folder = folder
        self._paths = paths
        self._recorder = recorder
        self._stack = ExitStack()
        self._guest: Guest | None = None
        self._number = 0

    def __enter__(self) -> _Guests:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self._end(hurried=kind is KeyboardInterrupt)

    def start(self) -> Guest:
        """End the guest before, if there is one, and start the next."""
        self._end()
        self._number += 1
        folder = self._folder.folder("guests", str(self._number))
        self._folder.write(f"guests/{self._number}/qemu.argv", "\n".join(guest.option_lines(self._plan.argv)) + "\n")
        with self._recorder.stage("boot") as stage:
            self._guest = self._boot(folder, stage)
            again = f"guest {self._number}, " if self._number > 1 else ""
            complaints = titles(line.text for line in self._guest.console.lines())
            for title in complaints:
                stage.warn(f"the kernel complained while it booted: {title}")
            said = f"; while booting: {'; '.join(complaints)}" if complaints else ""
            factor = self._guest.speed_factor
            slow = f", deadlines ×{factor:.1f}" if factor >= 1.05 else ""
            stage.result(
                f"{again}{self._plan.topology}, {self._plan.accel}, ssh port {self._guest.ssh_port}{slow}{said}"
            )
        with suppress(HarnessError):  # what the kernel left over, before any test
            self._keep("meminfo", "cat /proc/meminfo", _MEMINFO_SECONDS)
        if self._sample_ms:
            self._sampler = Sampler(self._guest, folder, milliseconds=self._sample_ms)
        return self._guest

    def _boot(self, folder: Path, progress: Progress) -> Guest:
        return self._stack.enter_context(
            guest.start(self._plan, folder=folder, paths=self._paths, progress=progress, on_failure=self._examiner.boot)
        )

    def _end(self, *, hurried: bool = False) -> None:
        """End the guest; not ``hurried``, its kernel log is fetched before."""
        if self._sampler is not None:
            self._sampler.close()
            self._sampler = None
        if self._guest is not None and self._guest.alive and not hurried:
            with suppress(HarnessError):
                self._keep("dmesg", "dmesg", _DMESG_SECONDS)
        self._guest = None
        self._stack.close()

    def _keep(self, name: str, command: str, deadline: float) -> None:
        """What a command in the guest says, as a text file that a terminal can be shown."""
        assert self._guest is not None
        text = self._guest.run(command, deadline=deadline, output_limit=_KEPT_LIMIT).stdout
        self._folder.write(f"guests/{self._number}/{name}.txt", printable(text, limit=_KEPT_LIMIT))
