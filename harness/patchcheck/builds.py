# SPDX-License-Identifier: GPL-2.0-only
"""Each patch builds on those before it, with no new warning; ``W=1`` and sparse on the files that it touches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.display import many
from harness.errors import BuildError
from harness.patchcheck.bench import Bench, Broken, Compiled
from harness.patchcheck.compare import Warned, new_warnings
from harness.process import quoted
from harness.series import at_patch
from harness.series.finding import Finding, Level
from harness.values import AppliedSeries, Kernel, Patch


class Builds:
    """The whole kernel with the profile's configuration, at every patch; keeps what it built for the other checks."""

    name = "build"

    def __init__(self, bench: Bench) -> None:
        self.kernels: dict[int, Kernel] = {}
        self._broken: set[int] = set()
        self._bench = bench

    def __call__(self, applied: AppliedSeries, patch: Patch) -> Iterator[Finding]:
        """One finding where it builds cleanly or not at all, one for each new warning."""
        self._bench.progress.update(f"building at patch {patch.number}: {patch.title}")
        try:
            kernel = self._bench.kernel(applied)
        except BuildError as reason:
            self._broken.add(patch.number)
            yield does_not_build(self.name, patch.number, Broken.of(reason))
            return
        self.kernels[patch.number] = kernel
        new = new_warnings(self._before(applied, patch.number), kernel.warnings) if kernel.warnings else ()
        yield from warned(self.name, patch.number, new)
        if not new:
            old = sum(len(said) for said in kernel.warnings.values())
            no_new = f"no new warning ({old} before)" if old else "no warning"
            yield Finding(check=self.name, level=Level.OK, patch=patch.number, message=f"builds, {no_new}")

    def unsaid(self, number: int, new: Sequence[Warned]) -> tuple[Warned, ...]:
        """Those of another check's warnings that the build at a patch does not say as well."""
        said = {(file, text) for file, texts in self.kernels[number].warnings.items() for text in texts}
        return tuple(one for one in new if (one.file, one.text) not in said)

    def _before(self, applied: AppliedSeries, number: int) -> Mapping[str, Sequence[str]]:
        """The warnings at the nearest patch before that builds; what was not looked at is built only for this."""
        for earlier in range(number - 1, -1, -1):
            if earlier in self._broken:
                continue
            try:
                kernel = self.kernels.get(earlier) or self._bench.kernel(at_patch(applied, earlier))
            except BuildError:
                self._broken.add(earlier)
            else:
                return kernel.warnings
        return {}


class Look:
    """The ``.c`` files that a patch touches, compiled once more with other variables, against the same before it."""

    def __init__(
        self,
        name: str,
        *,
        bench: Bench,
        builds: Builds,
        folders: Sequence[str],
        variables: Mapping[str, str],
        tool: str = "",
    ) -> None:
        self.name = name
        self._bench = bench
        self._builds = builds
        self._folders = folders
        self._variables = variables
        self._tool = tool

    def __call__(self, applied: AppliedSeries, patch: Patch) -> Iterator[Finding]:
        """One finding where nothing new is said, one for each new remark."""
        files = sorted(path for path in patch.files if path.endswith(".c") and not path.startswith("tools/"))
        if patch.number not in self._builds.kernels:
            yield not_run(self.name, patch.number, "the patch does not build")
            return
        if not files:
            yield Finding(check=self.name, level=Level.OK, patch=patch.number, message="it touches no .c file")
            return
        self._bench.progress.update(f"{self.name} at patch {patch.number}: {many(len(files), 'file')}")
        head = self._look(applied, files)
        if head.broken is not None:
            yield does_not_build(self.name, patch.number, head.broken)
            return
        new: tuple[Warned, ...] = ()
        if head.warnings:
            before = self._look(at_patch(applied, patch.number - 1), files).warnings
            new = self._builds.unsaid(patch.number, new_warnings(before, head.warnings))
        yield from warned(self.name, patch.number, new)
        if not new:
            left = len(files) - len(head.made)
            out = f", {left} not in this configuration" if left else ""
            message = f"nothing new in {many(len(head.made), 'file')}{out}"
            yield Finding(check=self.name, level=Level.OK, patch=patch.number, message=message)

    def _look(self, applied: AppliedSeries, files: Sequence[str]) -> Compiled:
        config = self._bench.config(applied)
        return self._bench.looked(
            applied, config, files=files, folders=self._folders, variables=self._variables, tool=self._tool
        )


def no_tool(check: str, why: str, number: int = 1) -> Finding:
    """The finding for a check whose program is not there."""
    return Finding(check=check, level=Level.NOTE, message=f"not run: {why}", patch=number)


def not_run(check: str, number: int, why: str) -> Finding:
    """The finding for a check that something else made pointless."""
    return Finding(check=check, level=Level.NOTE, patch=number, message=f"not run: {why}")


def does_not_build(check: str, number: int, broken: Broken, where: str = "") -> Finding:
    """The finding for a failed build: the first failing target, what it said, the command."""
    command = (f"command: {quoted(broken.command)}",) if broken.command else ()
    return Finding(
        check=check,
        level=Level.ERROR,
        patch=number,
        message=f"does not build{where}: {broken.reason}",
        details=(*broken.details, *command),
        status=3,
    )


def warned(check: str, number: int, new: Sequence[Warned], where: str = "") -> Iterator[Finding]:
    """A finding for each new warning."""
    for one in new:
        message = f"new warning{where}: {one}"
        yield Finding(check=check, level=Level.ERROR, patch=number, message=message, type=one.type)
