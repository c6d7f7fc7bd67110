# SPDX-License-Identifier: GPL-2.0-only
"""The shell of the private suites: clean, listed, and its decisions on made-up machines, right and wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import process
from harness.suite import catalogue

GUEST = Path(__file__).parents[2] / "guest"
SUITES = ("private", "cpuset_private")
SHELLS = [shell for shell in ("dash", "bash", "busybox") if process.which(shell)]
LIBRARIES = ("ktap", "cxl", "node", "cgroup", "private", "sysram")


def shell(script: str, *, folder: Path, name: str = "dash") -> process.Completed:
    """Run a script with the libraries of the guest, in a shell of the host; what they print goes to its output."""
    sources = "".join(f". {GUEST}/lib/{each}.sh\n" for each in LIBRARIES)
    setup = f"exec 3>&1\nKTAP_TMP={folder} ktap_deferred=0\n"
    words = [name, "sh", "-c"] if name == "busybox" else [name, "-c"]
    return process.run([*words, f"set -eu\n{sources}{setup}{script}"], deadline=20, check=False)


def reason(folder: Path) -> str:
    """Why `fail` or `skip` ended the script."""
    return "".join(path.read_text() for path in (folder / "failed", folder / "skipped") if path.exists()).strip()


@pytest.mark.skipif(process.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_is_clean() -> None:
    files = [GUEST / "lib" / f"{name}.sh" for name in ("private", "sysram")]
    files += sorted(path for suite in SUITES for path in GUEST.glob(f"{suite}/*.sh"))
    assert len(files) > 10
    completed = process.run(["shellcheck", *files], deadline=120, cwd=GUEST, check=False)
    assert completed.returncode == 0, completed.text


@pytest.mark.parametrize("suite", SUITES)
def test_every_program_lists_its_cases(suite: str) -> None:
    for program in catalogue.programs(GUEST, suite):
        assert program.cases, program.full_name
        assert program.path.stat().st_mode & 0o111, f"{program.full_name} cannot be executed"


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize(
    ("nodes", "private", "listed"),
    [("0", 1, "0-1"), ("0", 2, "0,2"), ("0,2", 1, "0-2"), ("0-1,4", 2, "0-2,4"), ("1", 0, "0-1"), ("0-1", 9, "0-1,9")],
)
def test_lists_with_a_private_node(tmp_path: Path, name: str, nodes: str, private: int, listed: str) -> None:
    completed = shell(f"private={private}; with_private '{nodes}'; echo \"$list\"", folder=tmp_path, name=name)
    assert completed.text.strip() == listed, completed


def machine(folder: Path, windows: list[str], devices: dict[str, tuple[str, int]], *, private: bool = True) -> str:
    """What cxl_discover sets: each window's host bridges, and of each device its bridge and its RAM in MiB."""
    lines = [f"cxl={folder} cxl_memdevs='{' '.join(devices)}' cxl_roots=''", "need_cxl() { :; }"]
    for number, bridges in enumerate(windows):
        root = folder / f"decoder0.{number}"
        root.mkdir()
        (root / "create_ram_region").touch()
        if private:
            (root / "create_private_region").touch()
        lines.append(f"cxl_roots=\"$cxl_roots {root.name}\" cxl_root_{number}_bridges='{bridges}'")
    lines += [f"cxl_{name}_bridge={bridge} cxl_{name}_ram={mib << 20}" for name, (bridge, mib) in devices.items()]
    return "\n".join(lines) + "\n"


ONE_BRIDGE = {"mem0": ("port1", 512), "mem1": ("port1", 512)}


@pytest.mark.parametrize(
    ("windows", "devices", "found"),
    [
        (["port1"], {"mem0": ("port1", 256)}, "1 mem0"),
        (["port1"], {"mem0": ("port1", 128)}, "0"),
        (["port1", "port1"], ONE_BRIDGE, "2 mem0 mem1"),
        (["port1", "port1"], {"mem0": ("port1", 512)}, "1 mem0"),
        (["port1 port2"], {"mem0": ("port2", 512), "mem1": ("port1", 512)}, "1 mem1 mem0"),
        (["port1 port2"], ONE_BRIDGE, "0"),
        (["port1 port2", "port1"], {**ONE_BRIDGE, "mem2": ("port2", 256)}, "2 mem0 mem2 mem1"),
    ],
)
def test_places(tmp_path: Path, windows: list[str], devices: dict[str, tuple[str, int]], found: str) -> None:
    script = "private_places; echo $places; i=0; while [ $i -lt $places ]; do i=$((i+1)); place $i; echo $chosen; done"
    completed = shell(machine(tmp_path, windows, devices) + script, folder=tmp_path)
    assert " ".join(completed.text.split()) == found, completed


@pytest.mark.parametrize(("windows", "said"), [(["port1"], "no private regions"), ([], "no CXL window for RAM")])
def test_a_kernel_without_private_regions_is_skipped(tmp_path: Path, windows: list[str], said: str) -> None:
    completed = shell(machine(tmp_path, windows, ONE_BRIDGE, private=False) + "need_private", folder=tmp_path)
    assert completed.returncode != 0
    assert said in reason(tmp_path)


@pytest.mark.parametrize(
    ("devices", "second"),
    [(ONE_BRIDGE, "mem0"), ({"mem0": ("port1", 256), "mem1": ("port1", 256)}, "mem1"), ({"mem0": ("port1", 256)}, "")],
)
def test_second_region_in_a_window(tmp_path: Path, devices: dict[str, tuple[str, int]], second: str) -> None:
    script = "private_places; place 1; need_second; echo $second"
    completed = shell(machine(tmp_path, ["port1"], devices) + script, folder=tmp_path)
    if second:
        assert completed.text.strip() == second
    else:
        assert "no RAM for a second region" in reason(tmp_path)


RIGHT = {"has_private_memory": "1", "has_memory": "0", "has_normal_memory": "0"}


@pytest.mark.parametrize(
    ("files", "kind", "wrong"),
    [
        (RIGHT, "private", ""),
        ({**RIGHT, "has_private_memory": ""}, "private", "is private"),
        ({**RIGHT, "has_memory": "0-1"}, "private", "has_memory"),
        ({**RIGHT, "has_normal_memory": "0-1"}, "private", "has_normal_memory"),
        (RIGHT, "none", "is private"),
        (RIGHT, "ram", "is private"),
        ({**RIGHT, "has_private_memory": "", "has_memory": "0-1"}, "ram", ""),
        ({**RIGHT, "has_private_memory": ""}, "none", ""),
        ({"has_memory": "0-1", "has_public_memory": "0-1", "has_normal_memory": "0"}, "private", "is private"),
        ({"has_memory": "0", "has_normal_memory": "0"}, "none", ""),
        ({"has_memory": "0", "has_normal_memory": "0"}, "private", "is private"),
    ],
)
def test_what_a_node_is(tmp_path: Path, files: dict[str, str], kind: str, wrong: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    completed = shell(f"nodes={tmp_path} tiers={tmp_path}/none; expect_node 1 {kind}", folder=tmp_path)
    assert (completed.returncode == 0) is (wrong == ""), completed
    assert wrong in reason(tmp_path)


def test_a_private_node_in_a_tier_is_found(tmp_path: Path) -> None:
    for name, text in RIGHT.items():
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "memory_tier4").mkdir()
    (tmp_path / "memory_tier4" / "nodelist").write_text("0-1\n")
    body = "read_value list $tiers/memory_tier4/nodelist; tier=; ! in_list $1 $list || tier=memory_tier4"
    shell(f"nodes={tmp_path} tiers={tmp_path}\nmemory_tier() {{ {body}; }}\nexpect_node 1 private", folder=tmp_path)
    assert "memory tier of node 1" in reason(tmp_path)


@pytest.mark.parametrize(
    ("effective", "sysram", "wrong"),
    [("0-1", "0", ""), ("0-1", "0-1", "cpuset.mems.sysram reads '0-1'"), ("0", "0", "cpuset.mems.effective reads '0'")],
)
def test_mems_of_a_group(tmp_path: Path, effective: str, sysram: str, wrong: str) -> None:
    (tmp_path / "cpuset.mems.effective").write_text(effective + "\n")
    (tmp_path / "cpuset.mems.sysram").write_text(sysram + "\n")
    completed = shell(f"expect_mems {tmp_path} 0-1 0", folder=tmp_path)
    assert (completed.returncode == 0) is (wrong == ""), completed
    assert wrong in reason(tmp_path)


@pytest.mark.parametrize(
    ("command", "said"),
    [("true", "done"), ("sh -c 'echo echo: write error: Invalid argument >&2; exit 1'", "Invalid argument")],
)
def test_outcome_of_a_step(tmp_path: Path, command: str, said: str) -> None:
    completed = shell(f'outcome {command}; echo "$outcome"', folder=tmp_path)
    assert completed.text.strip() == said
