# SPDX-License-Identifier: GPL-2.0-only
"""What the pytest plugin takes kernels and guests from: the pipeline, each stage once a session."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from harness import guest, pipeline, profile, topology
from harness.guest import Guest
from harness.paths import Paths, default_paths
from harness.pipeline import BuiltKernel, Machine
from harness.profile import Profile
from harness.progress import QuietView
from harness.store import Store
from harness.suite.attempt import Limits
from harness.topology import Topology
from harness.values import Kernel, KernelConfig


class PipelineProvider:
    """Builds what a profile asks for when it is first asked for; boots any number of guests with it.

    All may raise :class:`harness.errors.HarnessError`.
    """

    def __init__(self, profile: Profile, *, paths: Paths, logs: Path | None = None) -> None:
        """``logs`` takes a folder a guest with its console; a temporary one by default."""
        self.profile = profile
        self.paths = paths
        self.store = Store(paths.cache)
        self._logs = logs
        self._view = QuietView()
        self._machines: dict[str, Machine] = {}
        self._started = 0

    @property
    def limits(self) -> Limits:
        """The profile's factor on deadlines."""
        return Limits(scale=self.profile.timeout_scale)

    @property
    def require_feature(self) -> bool:
        """Whether a skip is a failure."""
        return self.profile.require_feature

    @cached_property
    def built(self) -> BuiltKernel:
        """The kernel with what it was made from."""
        return pipeline.kernel_for(self.profile, paths=self.paths, store=self.store, stages=self._view)

    def kernel(self) -> Kernel:
        """The kernel, built once."""
        return self.built.kernel

    def config(self) -> KernelConfig | None:
        """Its configuration."""
        return self.built.config

    def topology(self, name: str | None = None) -> Topology:
        """A topology by name, or the profile's."""
        return topology.load(name or self.profile.topology, paths=self.paths)

    def machine(self, name: str | None = None) -> Machine:
        """Image, QEMU and accelerator for a topology."""
        chosen = name or self.profile.topology
        if chosen not in self._machines:
            wanted = profile.override(self.profile, {"topology": chosen})
            self._machines[chosen] = pipeline.machine_for(wanted, paths=self.paths, store=self.store, stages=self._view)
        return self._machines[chosen]

    @contextmanager
    def guest(self, *, topology: str | None = None, append: str = "") -> Iterator[Guest]:
        """A freshly booted guest, gone when the block is left."""
        wanted = profile.override(self.profile, {"append": f"{self.profile.append} {append}".strip()})
        plan = pipeline.guest_plan(wanted, self.built, self.machine(topology))
        self._started += 1
        with self._folder() as folder, guest.start(plan, folder=folder, paths=self.paths) as machine:
            yield machine

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        if self._logs is not None:
            yield self._logs / f"guest-{self._started}"
            return
        with tempfile.TemporaryDirectory(prefix="harness-guest-") as folder:
            yield Path(folder)


def for_pytest(profile_name: str, changes: Mapping[str, Any]) -> PipelineProvider:
    """The provider for the plugin's options: a profile, with the changes that are not None in its fields' place."""
    paths = default_paths()
    chosen = profile.override(profile.load(profile_name, paths=paths), changes)
    return PipelineProvider(chosen, paths=paths)
