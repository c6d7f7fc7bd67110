# SPDX-License-Identifier: GPL-2.0-only
"""Reading descriptions: names, files, keys and types, and totals that a run overrides."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import topology as topologies
from harness.errors import UserError
from harness.paths import Paths, default_paths
from harness.topology import parse, scaled

_PATHS = default_paths(project=Path(__file__).parents[3])
_SMALL = 'title = "t"\n[[cpu_node]]\ncpus = 2\nmemory_mib = 512\n'


def refused(text: str) -> UserError:
    with pytest.raises(UserError) as caught:
        parse(text, name="mine", path="mine.toml")
    assert caught.value.message.startswith("mine.toml: ")
    return caught.value


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(UserError, match="unknown topology 'swich-4'") as caught:
        topologies.load("swich-4", paths=_PATHS)
    assert caught.value.hint is not None
    assert "did you mean 'switch-4'?" in caught.value.hint


def test_a_file_of_the_users_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(_SMALL)
    topology = topologies.load(str(file), paths=_PATHS)
    assert (topology.name, topology.memory_mib, topology.path) == ("mine", 512, str(file))


def test_a_file_beside_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text(_SMALL)
    monkeypatch.chdir(tmp_path)
    assert topologies.load("mine.toml", paths=_PATHS).name == "mine"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "there is no topology file"), (b"title = '\xff'", "not a text file"), (b"title = ", "not TOML")],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "mine.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=said):
        topologies.load(str(file), paths=_PATHS)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the topology"):
        topologies.load(f"{tmp_path}/", paths=_PATHS)


def test_a_file_that_cannot_be_is_refused_on_load(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(_SMALL.replace("512", "500"))
    with pytest.raises(UserError, match="whole memory blocks"):
        topologies.load(str(file), paths=_PATHS)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (f"{_SMALL}[[devices]]\n", "unknown key 'devices'", "did you mean 'device'?"),
        (f'name = "x"\n{_SMALL}', "unknown key 'name'", "known: "),
        (f'{_SMALL}[[device]]\nid = "m"\nvolatile = 5\n', "device 'm': unknown key 'volatile'", "'volatile_mib'?"),
        (f"{_SMALL}[[window]]\nsize = 5\n", "window 0: unknown key 'size'", "did you mean 'size_mib'?"),
        (f"{_SMALL}[window]\nsize_mib = 5\n", "window: expected 'array'", "[[window]]"),
        (f'{_SMALL}[[device]]\nid = "m"\nport = "p"\nserial = "1"\n', "device 'm': serial: expected 'int'", ""),
        (f'{_SMALL}[[device]]\nid = "m"\nserial = 1\n', "device 'm': missing 'port'", ""),
        (f'{_SMALL}[[window]]\nsize_mib = 256\ntargets = "hb0"\n', "window 0: targets: expected 'array'", ""),
        (f"{_SMALL}[[window]]\nsize_mib = 256\ntargets = [1]\n", "window 0: targets: expected 'str'", ""),
        (
            f"{_SMALL}[[window]]\nsize_mib = 256\ntargets = []\nrestrictions.volatil = true\n",
            "restrictions: unknown key",
            "'volatile'?",
        ),
        (f"{_SMALL}[[cpu_node]]\ncpus = 1.5\nmemory_mib = 128\n", "cpu_node 1: cpus: expected 'int'", ""),
        ('title = "t"\n', "missing 'cpu_node'", "[[cpu_node]]"),
        ("cpu_node = []\n", "missing 'title'", ""),
        ('title = "t"\ncpu_node = [1]\n', "cpu_node 0: expected 'object'", ""),
        ('title = "t"\ncpu_node = 1\n', "cpu_node: expected 'array'", "[[cpu_node]]"),
    ],
)
def test_what_a_file_says_wrong(text: str, message: str, hint: str) -> None:
    error = refused(text)
    assert message in error.message
    assert hint in (error.hint or "")


def test_shipped_names_are_sorted_and_a_project_without_any_has_none(tmp_path: Path) -> None:
    assert list(topologies.names(_PATHS)) == sorted(topologies.names(_PATHS))
    assert topologies.names(Paths(project=tmp_path, cache=tmp_path, data=tmp_path)) == ()


@pytest.mark.parametrize(
    ("memory", "cpus", "expected"),
    [
        (None, None, [(1, 640), (1, 640)]),
        (2048, None, [(1, 1024), (1, 1024)]),
        (2000, 5, [(3, 1104), (2, 896)]),
        (256, 2, [(1, 128), (1, 128)]),
        (300, 2, [(1, 172), (1, 128)]),
    ],
)
def test_other_totals_are_shared_out(memory: int | None, cpus: int | None, expected: list[tuple[int, int]]) -> None:
    topology = scaled(topologies.load("two-sockets", paths=_PATHS), memory_mib=memory, cpus=cpus)
    assert [(node.cpus, node.memory_mib) for node in topology.cpu_nodes] == expected


@pytest.mark.parametrize(("memory", "cpus"), [(255, None), (None, 1), (None, 256), (0, None), (None, 0), (-1, None)])
def test_totals_that_cannot_be(memory: int | None, cpus: int | None) -> None:
    with pytest.raises(UserError, match="topology two-sockets cannot have"):
        scaled(topologies.load("two-sockets", paths=_PATHS), memory_mib=memory, cpus=cpus)


def test_uneven_nodes_get_a_socket_a_cpu_and_a_node_without_cpus_stays_without() -> None:
    text = f"{_SMALL}[[cpu_node]]\ncpus = 1\nmemory_mib = 128\n[[cpu_node]]\ncpus = 0\nmemory_mib = 128\n"
    topology = parse(text, name="m", path="m.toml")
    words = topologies.qemu_arguments(topology)
    assert "3,sockets=3,cores=1,threads=1" in words
    assert "node,nodeid=2,memdev=node2.ram" in words
    assert [node.cpus for node in scaled(topology, cpus=6).cpu_nodes] == [4, 2, 0]


def test_facts_follow_other_totals() -> None:
    facts = topologies.guest_facts(topologies.load("two-sockets", paths=_PATHS), memory_mib=2048, cpus=4)
    assert "CPU_NODE_1_MEMORY_MIB='1024'\n" in facts
    assert "CPU_NODE_1_CPUS='2'\n" in facts


def test_room_for_dimms_and_window_restrictions_reach_the_options() -> None:
    text = f"hotplug_slots = 2\nhotplug_mib = 1024\n{_SMALL}" + (
        '[[host_bridge]]\nid = "hb0"\nbus = 12\n[[window]]\ntargets = ["hb0"]\nsize_mib = 256\n'
        "restrictions = { volatile = true, persistent = false }\n"
    )
    words = topologies.qemu_arguments(parse(text, name="m", path="m.toml"))
    assert "512M,slots=2,maxmem=1536M" in words
    assert words[1].endswith(",cxl-fmw.0.persistent=off,cxl-fmw.0.volatile=on")


def test_what_accelerators_and_other_devices_need_to_know() -> None:
    loaded = {name: topologies.load(name, paths=_PATHS) for name in topologies.names(_PATHS)}
    interleaved = {name for name, topology in loaded.items() if topologies.is_interleaved(topology)}
    assert interleaved == {"interleave-2", "interleave-2-hb", "switch-4", "switch-2-hb"}
    assert {name for name, topology in loaded.items() if not topologies.uses_cxl(topology)} == {"none"}
    assert topologies.virtio_properties(loaded["none"]) == ()
    assert "iommu_platform=on" in topologies.virtio_properties(loaded["direct"])
    assert loaded["persistent"].host_memory_mib == 1024 + 512 + 1
    assert topologies.summary(loaded["none"]) == "2 CPUs, 1024 MiB; no CXL"
