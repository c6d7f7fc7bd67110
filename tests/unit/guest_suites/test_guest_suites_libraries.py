# SPDX-License-Identifier: GPL-2.0-only
"""The suites' shell: clean by shellcheck, every case listed, and the libraries' decisions without a guest."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import process
from harness.suite import catalogue

GUEST = Path(__file__).parents[2] / "guest"
SUITES = ("cpuset", "cxl", "hello", "hotplug", "lkdtm", "ras", "smoke", "zswap")
LIBRARIES = ("cgroup", "cxl", "facts", "far", "host", "hotplug", "node", "pattern", "ras", "trace", "zswap")
SHELLS = [shell for shell in ("dash", "bash", "busybox") if process.which(shell)]


def shell(script: str, *, lib: tuple[str, ...], name: str = "dash") -> process.Completed:
    """Run a script with libraries of the guest, in a shell of the host."""
    sources = "".join(f". {GUEST}/lib/{each}.sh\n" for each in lib)
    words = [name, "sh", "-c"] if name == "busybox" else [name, "-c"]
    return process.run([*words, f"set -eu\n{sources}{script}"], deadline=20, check=False)


@pytest.mark.skipif(process.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_is_clean() -> None:
    files = [GUEST / "lib" / f"{name}.sh" for name in LIBRARIES]
    files += sorted(path for suite in SUITES for path in GUEST.glob(f"{suite}/*.sh"))
    assert len(files) > 20
    completed = process.run(["shellcheck", *files], deadline=120, cwd=GUEST, check=False)
    assert completed.returncode == 0, completed.text


@pytest.mark.parametrize("suite", SUITES)
def test_every_program_lists_its_cases(suite: str) -> None:
    for program in catalogue.programs(GUEST, suite):
        assert program.cases, program.full_name
        assert program.path.stat().st_mode & 0o111, f"{program.full_name} cannot be executed"
        assert program.timeout >= 15


@pytest.mark.parametrize("suite", SUITES)
def test_every_case_can_fail_and_says_what_it_expected(suite: str) -> None:
    """A case without any expectation passes whatever the kernel does."""
    for path in GUEST.glob(f"{suite}/test_*.sh"):
        text = path.read_text()
        for case in catalogue.program(path).cases:
            body = text.split(f"\ncase_{case}() {{", 1)[1].split("\n}\n", 1)[0]
            words = ["expect_", "fail ", "wait_for", "write_file", "each_", "cxl_", "two_regions", "attach_all"]
            words += ["in_region ", "overflow ", "provoke ", "committed_region ", "offline_region ", "swapped "]
            assert any(word in body for word in words), f"{path.name}: {case} expects nothing"


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize(
    ("number", "nodes", "there"),
    [(0, "0", 1), (1, "0", 0), (2, "0-3", 1), (4, "0-3", 0), (5, "0,2-3,5", 1), (1, "0,2-3,5", 0), (0, "", 0)],
)
def test_lists_of_nodes(name: str, number: int, nodes: str, there: int) -> None:
    script = f"if in_list {number} '{nodes}'; then echo 1; else echo 0; fi"
    assert shell(script, lib=("ktap", "node"), name=name).text.strip() == str(there)


def machine(folder: Path, *, bridges: str, ways: int, devices: dict[str, tuple[str, int]]) -> str:
    """The variables that cxl_discover would set, for one window; ``devices`` maps names to bridge and RAM in MiB."""
    (folder / "decoder0.0").mkdir()
    (folder / "decoder0.0" / "create_ram_region").touch()
    lines = [f"cxl={folder} cxl_roots=decoder0.0 cxl_root_0_ways={ways} cxl_root_0_bridges='{bridges}'"]
    lines.append(f"cxl_memdevs='{' '.join(devices)}'")
    lines += [f"cxl_{name}_bridge={bridge} cxl_{name}_ram={mib << 20}" for name, (bridge, mib) in devices.items()]
    return "\n".join(lines)


TWO_BRIDGES = {"mem0": ("port2", 256), "mem1": ("port1", 256), "mem2": ("port1", 256), "mem3": ("port2", 256)}


@pytest.mark.parametrize(
    ("bridges", "ways", "devices", "count", "chosen"),
    [
        ("port1", 1, {"mem0": ("port1", 256)}, 1, "mem0"),
        ("port1", 1, {"mem0": ("port1", 256)}, 2, None),
        ("port1", 1, {"mem0": ("port1", 128), "mem1": ("port1", 512)}, 1, "mem1"),
        ("port1", 1, {"mem0": ("port9", 256)}, 1, None),
        ("port1 port2", 2, TWO_BRIDGES, 1, None),
        ("port1 port2", 2, TWO_BRIDGES, 2, "mem1 mem0"),
        ("port1 port2", 2, TWO_BRIDGES, 4, "mem1 mem0 mem2 mem3"),
        ("port2 port1", 2, TWO_BRIDGES, 4, "mem0 mem1 mem3 mem2"),
    ],
)
def test_devices_are_chosen_in_the_order_of_the_window(
    tmp_path: Path, bridges: str, ways: int, devices: dict[str, tuple[str, int]], count: int, chosen: str | None
) -> None:
    variables = machine(tmp_path, bridges=bridges, ways=ways, devices=devices)
    script = f'{variables}\nif cxl_choose ram {count}; then echo "$chosen"; else echo none; fi'
    assert shell(script, lib=("ktap", "cxl")).text.strip() == (chosen or "none")


@pytest.mark.parametrize("fact", ["MEMDEVS", "WINDOWS", "CPU_NODES"])
def test_a_missing_fact_is_a_skip_and_not_an_empty_value(tmp_path: Path, fact: str) -> None:
    (tmp_path / "facts").write_text("TOPOLOGY='none'\n")
    script = f"KTAP_TMP={tmp_path}\nfacts_file={tmp_path}/facts\nneed_facts\nfact {fact}\necho went on"
    assert "went on" not in shell(script, lib=("ktap", "facts")).text
    assert (tmp_path / "skipped").read_text().strip() == f"the description of the machine does not say {fact}"


EVENTS = r"""
memdev=mem0 host=0000:0d:00.0 serial=1 log=Fatal : time=1700000000000000000 uuid=fbcd0a77-c260-417f-85a9-088b1621eba6 len=128 flags='PERMANENT_CONDITION | MAINTENANCE_NEEDED' handle=1 related_handle=0 maint_op_class=0 : dpa=48d140 dpa_flags='VOLATILE' descriptor='' type='ECC Error' transaction_type='Unknown' channel=5 rank=0 device=0 comp_id=70 61 72 74 validity_flags='CHANNEL' hpa=ffffffffffffffff region= region_uuid=00000000-0000-0000-0000-000000000000
memdev=mem1 host=0000:0e:00.0 serial=2: status: 'Cache Data ECC Error' first_error: 'IDE Rx Error'
"""  # noqa: E501


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize(
    ("number", "field", "value"),
    [
        (1, "memdev", "mem0"),
        (1, "log", "Fatal"),
        (1, "flags", "PERMANENT_CONDITION | MAINTENANCE_NEEDED"),
        (1, "maint_op_class", "0"),
        (1, "descriptor", ""),
        (1, "comp_id", "70 61 72 74"),
        (1, "region", ""),
        (1, "region_uuid", "00000000-0000-0000-0000-000000000000"),
        (2, "serial", "2"),
        (2, "status", "Cache Data ECC Error"),
        (2, "first_error", "IDE Rx Error"),
    ],
)
def test_fields_of_trace_events(tmp_path: Path, name: str, number: int, field: str, value: str) -> None:
    (tmp_path / "events").write_text(EVENTS.strip() + "\n")
    script = (
        f"KTAP_TMP={tmp_path} events=2\nevent_at {number}\nexpect_fields {field} '{value}'\nexpect_fields {field} x"
    )
    done = shell(script, lib=("ktap", "trace"), name=name)
    assert done.returncode == 1, done.error_text
    (complaint,) = (tmp_path / "failed").read_text().splitlines()
    assert complaint.startswith(f"{field} is '{value}', not 'x'"), complaint
