# SPDX-License-Identifier: GPL-2.0-only
"""What pytest runs guest tests on, from the pipeline: a profile's kernel, built once, and guests that boot it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from harness import guest as guests
from harness import pipeline, profile, sandbox
from harness import topology as topologies
from harness.errors import UserError
from harness.guest import Guest
from harness.paths import default_paths, drop_old, make_dated_folder, make_folder
from harness.pipeline import BuiltKernel
from harness.progress import QuietView, StageView
from harness.pytest_plugin import Options
from harness.store import Store
from harness.suite.attempt import Limits
from harness.topology import Topology
from harness.values import Kernel, KernelConfig

_KEPT_LOGS = 10
_log = logging.getLogger(__name__)


class ProfileProvider:
    """Kernel and guests after a profile and the command line's overrides of it; the folders are the harness's own.

    Logs of the guests are kept below ``<data>/pytest/<time>``.
    """

    def __init__(self, options: Options) -> None:
        self._paths = default_paths()
        self._store = Store(self._paths.cache)
        self._wanted = options.kernel
        self._profile = profile.override(
            profile.load(options.profile, paths=self._paths),
            {
                "source": options.source,
                "series": options.series,
                "topology": options.topology,
                "qemu": options.qemu,
                "accel": options.accel,
                "require_feature": options.require_feature or None,
                "timeout_scale": options.timeout_scale,
            },
        )
        if not self._profile.sandbox:
            _log.warning("warning: %s", sandbox.WARNING)
            self._paths = replace(self._paths, sandboxed=False)
        self._built: BuiltKernel | None = None
        self._machines: dict[str, pipeline.Machine] = {}
        self._folder: Path | None = None
        self._number = 0

    @property
    def limits(self) -> Limits:
        """The profile's factor on deadlines, and its stress."""
        chosen = self._profile
        return Limits(scale=chosen.timeout_scale, stress=chosen.stress_seconds, seed=chosen.seed)

    @property
    def require_feature(self) -> bool:
        """Whether a skip is a failure."""
        return self._profile.require_feature

    def kernel(self) -> Kernel:
        """The profile's kernel; raises :class:`UserError` where the command line insisted on another."""
        return self._kernel().kernel

    def config(self) -> KernelConfig:
        """Its configuration."""
        return self._kernel().config

    def topology(self, name: str | None = None) -> Topology:
        """A topology by name, or the profile's."""
        return topologies.load(name or self._profile.topology, paths=self._paths)

    @contextlib.contextmanager
    def guest(self, *, topology: str | None = None) -> Iterator[Guest]:
        """A freshly booted guest."""
        built = self._kernel()
        chosen = profile.override(self._profile, {"topology": topology})
        if chosen.topology not in self._machines:
            self._machines[chosen.topology] = pipeline.machine_for(
                chosen, paths=self._paths, store=self._store, stages=_Stages()
            )
        plan = pipeline.guest_plan(chosen, built, self._machines[chosen.topology])
        self._number += 1
        if self._folder is None:
            drop_old(self._paths.data / "pytest", keep=_KEPT_LOGS)
            self._folder = make_dated_folder(self._paths.data / "pytest")
        folder = make_folder(self._folder / f"guest-{self._number}")
        with _Stages().stage("boot") as progress:
            context = guests.start(plan, folder=folder, paths=self._paths, progress=progress)
        with context as machine:
            yield machine

    def _kernel(self) -> BuiltKernel:
        if self._built is None:
            built = pipeline.kernel_for(self._profile, paths=self._paths, store=self._store, stages=_Stages())
            if self._wanted is not None and not built.kernel.key.startswith(self._wanted):
                raise UserError(
                    f"the profile builds the kernel {built.kernel.key[:12]}, not {self._wanted}",
                    hint="give the --source, --series and --profile that it was built from",
                )
            self._built = built
        return self._built


class _Stages:
    """Stages whose progress goes to the log (pytest's ``--log-cli-level=INFO`` shows it)."""

    def stage(self, name: str) -> AbstractContextManager[StageView]:
        """Log the stage's begin; the rest is quiet."""
        _log.info("stage: %s", name)
        return QuietView().stage(name)
