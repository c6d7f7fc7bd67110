# SPDX-License-Identifier: GPL-2.0-only
"""What drgn reads from a memory dump, as a report. A program: ``python -m harness.postmortem.report VMCORE VMLINUX``.

Each section stands alone: what a kernel does not have, or a damaged dump does not give, costs that section and says
so. Names of kernel structures are those of 6.1 to 6.18, and of our series where the kernel has it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import drgn
from drgn import Object, Program
from drgn.helpers.linux.cpumask import for_each_online_cpu, for_each_present_cpu
from drgn.helpers.linux.panic import panic_message
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.printk import get_dmesg
from drgn.helpers.linux.sched import cpu_curr, get_task_state

from harness.display import printable
from harness.postmortem.report_cxl import cxl_objects
from harness.postmortem.report_memory import node_states, private_nodes, zones
from harness.postmortem.report_splat import splat_facts, splats

_FRAMES = 40
_TASKS = 400
_LOG_LINES = 200
_TROUBLES = (LookupError, drgn.FaultError, drgn.ObjectAbsentError, ValueError, TypeError, AttributeError)
_FRAME_AT = 5  # characters of indent


def main() -> int:
    """Write the report on standard output."""
    if len(sys.argv) != 3:
        sys.stderr.write("usage: python -m harness.postmortem.report VMCORE VMLINUX\n")
        return 2
    try:
        prog = opened(sys.argv[1], sys.argv[2])
    except Exception as reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    for line in report(prog):
        sys.stdout.write(f"{line}\n")
    return 0


def opened(vmcore: str, vmlinux: str) -> Program:
    """A program of the dump with the symbols of that kernel, and of no other file of this machine."""
    prog = Program()
    prog.set_core_dump(vmcore)
    prog.load_debug_info([vmlinux])
    return prog


def report(prog: Program) -> Iterator[str]:
    """The lines of the report: facts that begin with ``# ``, then the sections."""
    yield from _guarded(lambda: _summary(prog))
    sections: tuple[tuple[str, Callable[[Program], Iterator[str]]], ...] = (
        ("what the kernel complained of", splats),
        ("crashed task", _crashed),
        ("running tasks", _running),
        ("blocked tasks", _blocked),
        ("node states", node_states),
        ("zones (pages)", zones),
        ("private nodes", private_nodes),
        ("CXL regions, decoders and memdevs", cxl_objects),
        ("other tasks", _others),
        (f"kernel log, the last {_LOG_LINES} lines", _log),
    )
    for title, section in sections:
        yield ""
        yield f"== {title}"
        yield from _guarded(lambda section=section: section(prog))  # type: ignore[misc]


def _guarded(section: Callable[[], Iterator[str]]) -> Iterator[str]:
    """A section's lines, and in place of what it could not read, why."""
    try:
        yield from section()
    except _TROUBLES as reason:
        yield f"(not to be read in this dump: {printable(str(reason))})"


def _summary(prog: Program) -> Iterator[str]:
    release = prog["init_uts_ns"].name.release.string_().decode(errors="replace")
    yield f"# kernel {release}"
    if message := panic_message(prog):
        yield f"# {printable(message.decode(errors='replace'))}"
    yield from splat_facts(prog)


def _crashed(prog: Program) -> Iterator[str]:
    task = _panicked(prog)
    if task is None:
        yield "none: the kernel did not panic"
        return
    yield f"# panicked in {_task_name(task)}"
    yield from _stack(prog, task)


def _panicked(prog: Program) -> Object | None:
    """The task that panicked: drgn's own answer, else the one on the CPU that kernel/panic.c noted."""
    try:
        return prog.crashed_thread().object
    except LookupError:
        pass
    cpu = prog["panic_cpu"].counter.value_()
    return cpu_curr(prog, cpu) if cpu >= 0 else None


def _running(prog: Program) -> Iterator[str]:
    online = set(for_each_online_cpu(prog))
    for cpu in for_each_present_cpu(prog):
        task = cpu_curr(prog, cpu)
        state = "" if cpu in online else ", stopped"  # as a panic does with the others
        if task.pid.value_() == 0:
            yield f"CPU {cpu}: idle{state}"
            continue
        yield f"CPU {cpu}: {_task_name(task)}{state}"
        yield from _stack(prog, task)


def _blocked(prog: Program) -> Iterator[str]:
    found = 0
    for task in for_each_task(prog):
        if get_task_state(task).startswith("D"):
            found += 1
            yield _task_name(task)
            yield from _stack(prog, task)
    if not found:
        yield "none"


def _others(prog: Program) -> Iterator[str]:
    """The sleeping tasks of user space, each with where it sleeps."""
    running = {cpu_curr(prog, cpu).value_() for cpu in for_each_present_cpu(prog)}
    shown = 0
    for task in for_each_task(prog):
        if not task.mm or task.value_() in running or get_task_state(task).startswith("D"):
            continue
        shown += 1
        if shown > _TASKS:
            yield "…"
            return
        yield f"{_task_name(task)}, {get_task_state(task)}"
        yield from _stack(prog, task)


def _log(prog: Program) -> Iterator[str]:
    for line in get_dmesg(prog).decode(errors="replace").splitlines()[-_LOG_LINES:]:
        yield printable(line)


def _task_name(task: Object) -> str:
    comm = printable(task.comm.string_().decode(errors="replace"))
    return f"{comm} (pid {task.pid.value_()})"


def _stack(prog: Program, task: Object) -> Iterator[str]:
    try:
        trace = prog.stack_trace(task)
    except _TROUBLES as reason:
        yield f"{'':{_FRAME_AT}}(no stack: {printable(str(reason))})"
        return
    for number, frame in enumerate(trace):
        if number == _FRAMES:
            yield f"{'':{_FRAME_AT}}…"
            return
        yield f"{'':{_FRAME_AT}}{_frame(frame)}"


def _frame(frame: drgn.StackFrame) -> str:
    name = frame.name if frame.name is not None else f"{frame.pc:#x}"
    try:
        file, line, _ = frame.source()
    except LookupError:
        return printable(name)
    return printable(f"{name} at {file}:{line}")


if __name__ == "__main__":
    sys.exit(main())
