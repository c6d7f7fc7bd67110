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
from harness.display import many
from harness.paths import Paths
from harness.pipeline import Stages
from harness.repeat import differences
from harness.series.assemble import series_digest
from harness.store import Store
from harness.toolchain import host_toolchain
from harness.values import AppliedSeries, Kernel, KernelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A kernel that was made again; ``identical``: it is the same file as the run's.

    ``differences`` are what decided it then and now, a line each. ``cached``: this machine's cache had it,
    under a key made of the same source, configuration and compiler.
    """

    kernel: Kernel
    config: KernelConfig
    identical: bool
    differences: tuple[str, ...]
    cached: bool


def rebuild(
    material: Material,
    *,
    paths: Paths,
    store: Store,
    stages: Stages,
    source_here: str = "",
    jobs: int | None = None,
) -> Rebuilt:
    """Build it. ``source_here`` is where the source is on this machine, if not where the run had it from.

    Raises what the stages raise; :class:`UserError` where the run never had a configuration.
    """
    spec = source_here or material.repeat.profile.source
    applied = _applied(material, spec, paths=paths, store=store, stages=stages)
    config, tools = material.config, host_toolchain()
    with stages.stage("build") as stage:
        kernel, cached = build.build(
            applied, config, toolchain=tools, paths=paths, store=store, progress=stage, jobs=jobs
        )
        stage.result(f"{kernel.release} ({kernel.digest[:12]})", cached=cached)
    decides = material.manifest.decides
    got = {name: value for name, value in _facts(applied, config, kernel).items() if name in decides}
    wanted = {name: decides[name] for name in got}
    return Rebuilt(
        kernel=kernel,
        config=config,
        identical=material.facts.kernel is not None and kernel.digest == material.facts.kernel.digest,
        differences=differences(wanted, got),
        cached=cached,
    )


def _applied(material: Material, spec: str, *, paths: Paths, store: Store, stages: Stages) -> AppliedSeries:
    """The tree, with the patches that were kept; where there are none, with the series by its name."""
    with stages.stage("source") as stage:
        tree = source.obtain(spec, paths=paths, store=store, progress=stage)
        stage.result(f"{spec} → Linux {tree.version} ({tree.commit[:12]})")
    with stages.stage("series") as stage:
        patches = None
        name = str(material.patches) if material.patches is not None else material.repeat.profile.series
        if material.manifest.decides.get("series") is not None and name:
            patches = series.read(name, paths=paths, store=store, progress=stage, tree=tree)
        applied = series.apply(tree, patches, paths=paths, store=store, progress=stage)
        stage.result(f"{many(len(applied.commits), 'patch')} applied ({applied.commit[:12]})")
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
