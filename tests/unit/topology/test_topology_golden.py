# SPDX-License-Identifier: GPL-2.0-only
"""The QEMU options, guest facts and drawings of each topology that is shipped."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from harness import topology as topologies
from harness.paths import default_paths
from harness.topology import Topology

_GOLDEN = Path(__file__).parent / "golden"
_PATHS = default_paths(project=Path(__file__).parents[3])
_NAMES = topologies.names(_PATHS)
_PROMISED = {
    "none", "direct", "two-devices", "interleave-2", "interleave-2-hb", "switch-4", "persistent", "mixed",
    "two-sockets", "dcd",
}  # fmt: skip


@pytest.fixture(params=_NAMES)
def topology(request: pytest.FixtureRequest) -> Topology:
    return topologies.load(request.param, paths=_PATHS)


def test_promised_topologies_are_shipped() -> None:
    assert set(_NAMES) >= _PROMISED


def test_arguments(topology: Topology, golden: Callable[[Path, str], None]) -> None:
    words = topologies.qemu_arguments(topology)
    lines = [" ".join(pair) for pair in zip(words[::2], words[1::2], strict=True)]
    golden(_GOLDEN / f"{topology.name}.args", "\n".join(lines) + "\n")


def test_facts(topology: Topology, golden: Callable[[Path, str], None]) -> None:
    golden(_GOLDEN / f"{topology.name}.facts", topologies.guest_facts(topology))


def test_tree(topology: Topology, golden: Callable[[Path, str], None]) -> None:
    golden(_GOLDEN / f"{topology.name}.tree", topologies.draw_tree(topology) + "\n")


def test_each_has_a_golden_file_and_each_golden_file_a_topology() -> None:
    assert {path.stem for path in _GOLDEN.iterdir()} == set(_NAMES)


def test_every_device_but_ports_and_memory_is_on_the_root_bus(topology: Topology) -> None:
    words = topologies.qemu_arguments(topology)
    bridges = [word for word in words if word.startswith("pxb-cxl")]
    assert all(",bus=pcie.0," in word for word in bridges)


def test_ids_serials_and_slots_are_unique_in_the_arguments(topology: Topology) -> None:
    words = topologies.qemu_arguments(topology)
    settings = [setting for word in words for setting in word.split(",")]
    for prefix in ("id=", "sn=", "slot=", "bus_nr="):
        found = [setting for setting in settings if setting.startswith(prefix)]
        assert len(found) == len(set(found)), prefix


def test_svg_is_well_formed_and_names_every_part(topology: Topology) -> None:
    picture = topologies.draw_svg(topology)
    words = " ".join(xml.etree.ElementTree.fromstring(picture).itertext())
    parts = [item.id for item in topology.host_bridges] + [item.id for item in topology.root_ports]
    parts += [item.id for item in topology.switches] + [item.id for item in topology.devices]
    assert all(part in words for part in parts)
    assert "href" not in picture
    assert "<script" not in picture


def test_svg_escapes_what_a_file_says(topology: Topology) -> None:
    hostile = msgspec.structs.replace(topology, title='</svg><script>alert("x")</script> & more')
    picture = topologies.draw_svg(hostile)
    assert "<script" not in picture
    xml.etree.ElementTree.fromstring(picture)


def test_ascii_tree_is_ascii(topology: Topology) -> None:
    topologies.draw_tree(topology, ascii_only=True).encode("ascii")


def test_definition_comes_back(topology: Topology) -> None:
    again = topologies.from_definition(topologies.definition(topology), name=topology.name, path=topology.path)
    assert again == topology
    assert topology.path not in str(topologies.definition(topology))


def test_facts_source_in_a_shell(topology: Topology) -> None:
    script = topologies.guest_facts(topology) + '\nprintf "%s" "$TOPOLOGY $MEMDEVS"'
    done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{topology.name} {len(topology.devices)}"


@pytest.mark.parametrize("ci", ["true", ""])
def test_golden_files_are_not_rewritten_in_ci(tmp_path: Path, ci: str) -> None:
    (tmp_path / "conftest.py").write_text((Path(__file__).parents[1] / "conftest.py").read_text())
    (tmp_path / "test_one.py").write_text(
        "from pathlib import Path\ndef test_one(golden): golden(Path(__file__).parent / 'one.txt', 'now')\n"
    )
    (tmp_path / "one.txt").write_text("before")
    command = [sys.executable, "-m", "pytest", "-q", "--update-golden", "-p", "no:cacheprovider", "--rootdir", "."]
    done = subprocess.run(
        command, cwd=tmp_path, env={"CI": ci, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    refused = ci == "true"
    assert (done.returncode != 0) is refused, done.stdout + done.stderr
    assert (tmp_path / "one.txt").read_text() == ("before" if refused else "now")
