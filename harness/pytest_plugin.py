# SPDX-License-Identifier: GPL-2.0-only
"""Runs guest tests as pytest items, and gives Python tests a kernel, a topology and a guest.

``pytest tests/guest/cxl -k region --topology switch-4`` runs programs ``test_*.sh`` and ``test_*.c`` below a folder
that has ``lib/ktap.sh``, each KTAP case an item (``-k``, ``-m SUITE``, ``-x``, ``--junitxml``, ``--co`` as ever), and
the kept sequences of the suite ``lifecycle``.

The plugin is loaded with every pytest of the environment it is installed in; until a guest test or a fixture of its is
met it imports nothing of the harness and collects nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.suite.machine import Machine
    from harness.suite.pytest_items import Provider
    from harness.values import Kernel

_SUFFIXES = (".sh", ".c")
_LOADED = pytest.StashKey[bool]()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line chose; None stands for the profile's own choice."""

    profile: str
    kernel: str | None
    source: str | None
    series: str | None
    topology: str | None
    qemu: str | None
    accel: str | None
    require_feature: bool
    timeout_scale: float | None


class Hooks:
    """The plugin's own hook."""

    @pytest.hookspec(firstresult=True)
    def pytest_harness_provider(self, config: pytest.Config) -> Provider | None:
        """Give what builds kernels and boots guests (:class:`harness.suite.pytest_items.Provider`).

        A ``conftest.py`` that implements it takes the place of :mod:`harness.pytest_provider`.
        """


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make the plugin's own hook known."""
    pluginmanager.add_hookspecs(Hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    """What to run guest tests on."""
    group = parser.getgroup("harness", "guest tests (n_private-harness)")
    group.addoption("--harness", action="store_true", help="Collect test_*.sh and test_*.c as guest tests everywhere.")
    group.addoption("--profile", default="default", metavar="NAME", help="Profile: a name or a .toml file.")
    group.addoption("--kernel", metavar="KEY", help="Insist on this kernel of the cache (the first digits of its key).")
    group.addoption("--source", metavar="SPEC", help="Kernel source instead of the profile's, e.g. tree:PATH.")
    group.addoption("--series", metavar="SPEC", help="Patch series instead of the profile's.")
    group.addoption("--topology", metavar="NAME", help="CXL topology instead of the profile's.")
    group.addoption("--qemu", metavar="CHOICE", help="auto, host, runtime or a path.")
    group.addoption("--accel", choices=("auto", "kvm", "tcg"), help="QEMU's accelerator.")
    group.addoption("--require-feature", action="store_true", help="A skipped guest test is a failure.")
    group.addoption("--timeout-scale", type=float, metavar="FACTOR", help="Multiplies the deadlines of guest tests.")


def options(config: pytest.Config) -> Options:
    """The command line's choices."""
    get = config.getoption
    return Options(
        profile=get("--profile"),
        kernel=get("--kernel"),
        source=get("--source"),
        series=get("--series"),
        topology=get("--topology"),
        qemu=get("--qemu"),
        accel=get("--accel"),
        require_feature=get("--require-feature"),
        timeout_scale=get("--timeout-scale"),
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the plugin's markers known."""
    config.addinivalue_line("markers", "topology(name): the topology of the guest that a module's tests share")


@pytest.hookimpl(trylast=True)
def pytest_harness_provider(config: pytest.Config) -> Provider | None:
    """The harness itself, where no ``conftest.py`` gives something else."""
    from harness.pytest_provider import ProfileProvider

    return ProfileProvider(options(config))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A test program as a file of items; a kept sequence of the suite ``lifecycle`` as a file of one."""
    if file_path.suffix == ".steps" and (file_path.parent.parent / "guest" / "lib" / "steps.sh").is_file():
        from harness.lifecycle.pytest_items import SequenceFile

        parent.config.stash[_LOADED] = True
        return SequenceFile.from_parent(parent, path=file_path)
    if file_path.suffix not in _SUFFIXES or not file_path.name.startswith("test_"):
        return None
    suite = file_path.parent
    if suite.name in ("lib", "helpers"):
        return None
    if not parent.config.getoption("--harness") and not (suite.parent / "lib" / "ktap.sh").is_file():
        return None
    from harness.suite.pytest_items import ProgramFile

    parent.config.stash[_LOADED] = True
    return ProgramFile.from_parent(parent, path=file_path)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, None]:
    """A case took as long as it ran in the guest, not as long as we waited for its result."""
    outcome = yield
    result = getattr(item, "result", None)
    if call.when == "call" and result is not None and _LOADED in item.config.stash:
        report = outcome.get_result()
        report.duration = result.seconds
        if report.skipped and not hasattr(report, "wasxfail"):  # "-rs" names the test, not our own line that skipped
            report.longrepr = (str(item.path), 0, f"Skipped: {result.reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the guest program that still runs (``-x``, Ctrl-C), and the guest."""
    if _LOADED in session.config.stash:
        from harness.suite.pytest_items import close_stage

        close_stage(session.config)


@pytest.fixture(scope="session")
def kernel(request: pytest.FixtureRequest) -> Kernel:
    """The kernel under test, built when it is not in the cache."""
    from harness.suite.pytest_items import provider_of, without_traceback

    with without_traceback():
        return provider_of(request.config).kernel()


@pytest.fixture(scope="session")
def topology(request: pytest.FixtureRequest) -> Any:
    """The CXL topology chosen (:class:`harness.topology.model.Topology`)."""
    from harness.suite.pytest_items import provider_of, without_traceback

    with without_traceback():
        return provider_of(request.config).topology()


@pytest.fixture(scope="module")
def guest(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A booted guest that the tests of a module share; ``pytestmark = pytest.mark.topology("switch-4")`` chooses."""
    import contextlib

    from harness.suite.pytest_items import provider_of, without_traceback

    marker = request.node.get_closest_marker("topology")
    with contextlib.ExitStack() as stack:
        with without_traceback():
            provider = provider_of(request.config)
            machine = stack.enter_context(provider.guest(topology=marker.args[0] if marker else None))
        yield machine
