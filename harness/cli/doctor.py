# SPDX-License-Identifier: GPL-2.0-only
"""``harness doctor``: checks this machine and changes nothing."""

from __future__ import annotations

import click

from harness import doctor
from harness.cli.session import Session, json_option, print_json
from harness.doctor import Finding, Status

_COLOURS = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "red"}


@click.command()
@click.option("--qemu", default="auto", show_default=True, metavar="auto|host|runtime|PATH", help="The QEMU to check.")
@json_option
@click.pass_obj
def command(session: Session, qemu: str, as_json: bool) -> int:
    """Check this machine, without changing anything: programs, versions, disk, memory, QEMU, KVM.

    Each finding that is not ok comes with a fix. Exit status 4 when something fails.

    \b
    harness doctor
    harness doctor --qemu /usr/bin/qemu-system-x86_64
    harness doctor --json | jq '.[] | select(.status != "ok")'
    """
    findings = []
    with session.stage("doctor") as progress:
        for finding in doctor.examine(qemu=qemu, paths=session.paths, store=session.store, progress=progress):
            findings.append(finding)
    if as_json:
        print_json([{"name": f.name, "status": f.status, "found": f.found, "fix": f.fix} for f in findings])
    else:
        _show(findings)
    return 0 if doctor.healthy(findings) else 4


def _show(findings: list[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        status = click.style(f"{finding.status:<4}", fg=_COLOURS[finding.status])
        click.echo(f"{status}  {finding.name:<{width}}  {finding.found}")
        if finding.fix:
            click.echo(f"      {'':<{width}}  → {finding.fix}")
    count = {status: sum(finding.status is status for finding in findings) for status in Status}
    click.echo(f"{count[Status.OK]} ok, {count[Status.WARN]} to know about, {count[Status.FAIL]} failed")
