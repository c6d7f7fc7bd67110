# SPDX-License-Identifier: GPL-2.0-only
"""The kernel of a run again, from its source: is it the same, bit for bit?

Source, patches and final configuration are the run's own; builds are reproducible (``harness.build.plan``), so that the
same compiler gives the same file. All that runs code of the tree runs in the sandbox, as in any build.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness import build, series, source
from harness.bundle.material import Material
from harness.paths import Paths
from harness.pipeline import Stages
from harness.repeat import differences
from harness.series.assemble import series_digest
from harness.store import Store
from harness.toolchain import host_toolchain
from harness.values import AppliedSeries, Kernel, KernelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A kernel that was made again. ``differences`` to the run's (none: the same bit for bit), a line each.

    ``cached``: this machine's cache had it, under a key made of the same source, configuration and compiler.
    """

    kernel: Kernel
    config: KernelConfig
    differences: tuple[str, ...]
    cached: bool

    @property
    def identical(self) -> bool:
        """Whether it is the same file."""
        return not self.differences


def rebuild(material: Material, *, paths: Paths, store: Store, stages: Stages, jobs: int | None = None) -> Rebuilt:
    """Build it. Raises what the stages raise; :class:`UserError` where the run never had a configuration."""
    applied = _applied(material, paths=paths, store=store, stages=stages)
    config, tools = material.config, host_toolchain()
    with stages.stage("build") as stage:
        kernel, cached = build.build(
            applied, config, toolchain=tools, paths=paths, store=store, progress=stage, jobs=jobs
        )
        stage.result(f"{kernel.release} ({kernel.digest[:12]})", cached=cached)
    decides = material.manifest.decides
    got = {name: value for name, value in _facts(applied, config, kernel).items() if name in decides}
    wanted = {name: decides[name] for name in got}
    return Rebuilt(kernel=kernel, config=config, differences=differences(wanted, got), cached=cached)


def _applied(material: Material, *, paths: Paths, store: Store, stages: Stages) -> AppliedSeries:
    profile = material.repeat.profile
    with stages.stage("source") as stage:
        tree = source.obtain(profile.source, paths=paths, store=store, progress=stage)
        stage.result(f"{profile.source} → Linux {tree.version} ({tree.commit[:12]})")
    with stages.stage("series") as stage:
        patches = None
        if material.manifest.decides.get("series") is not None and profile.series:
            patches = series.read(profile.series, paths=paths, store=store, progress=stage, tree=tree)
        applied = series.apply(tree, patches, paths=paths, store=store, progress=stage)
        stage.result(f"{len(applied.commits)} patches applied ({applied.commit[:12]})")
    return applied


def _facts(applied: AppliedSeries, config: KernelConfig, kernel: Kernel) -> dict[str, Any]:
    """What decides a kernel, and the kernel, as a manifest has it."""
    tree, patches = applied.tree, None
    if applied.series is not None:
        digests = [patch.digest for patch in applied.series.patches]
        patches = {
            "digest": series_digest(digests),
            "patches": [{"title": patch.title, "digest": patch.digest} for patch in applied.series.patches],
            "commit": applied.commit,
            "tree": applied.tree_id,
        }
    return {
        "source": {"version": tree.version, "commit": tree.commit, "tree": tree.tree_id},
        "series": patches,
        "config": {"fragments": list(config.fragments), "digest": config.digest},
        "toolchain": kernel.toolchain,
        "kernel": {"release": kernel.release, "digest": kernel.digest},
    }
