# SPDX-License-Identifier: GPL-2.0-only
"""What cannot be, each with the words that a user sees. The good machine below is broken in one place at a time."""

from __future__ import annotations

import pytest

from harness.errors import UserError
from harness.topology import check, parse, problems

GOOD = """
title = "good"
[[cpu_node]]
cpus = 2
memory_mib = 1024
[[host_bridge]]
id = "hb0"
bus = 12
[[host_bridge]]
id = "hb1"
bus = 52
[[root_port]]
id = "rp0"
host_bridge = "hb0"
port = 0
[[root_port]]
id = "rp1"
host_bridge = "hb0"
port = 1
[[root_port]]
id = "rp2"
host_bridge = "hb1"
[[root_port]]
id = "rp3"
host_bridge = "hb1"
[[switch]]
id = "sw0"
upstream = "rp1"
downstream = ["dsp0", "dsp1"]
[[device]]
id = "mem0"
port = "rp0"
serial = 0x1
volatile_mib = 512
persistent_mib = 256
labels_mib = 1
[[device]]
id = "mem1"
port = "dsp0"
serial = 0x2
volatile_mib = 512
[[device]]
id = "mem2"
port = "rp2"
serial = 0x3
volatile_mib = 512
[[device]]
id = "mem3"
port = "rp3"
serial = 0x4
volatile_mib = 512
dynamic_mib = 512
dynamic_regions = 2
[[window]]
targets = ["hb0"]
size_mib = 4096
[[window]]
targets = ["hb0", "hb1"]
size_mib = 4096
granularity = 1024
[[region]]
window = 1
devices = ["mem0", "mem2", "mem1", "mem3"]
size_mib = 1024
granularity = 1024
[[region]]
window = 0
devices = ["mem0"]
size_mib = 256
type = "pmem"
"""


def broken(old: str, new: str) -> str:
    """What is said of the good machine with one text replaced; the place must be one."""
    assert GOOD.count(old) == 1, old
    with pytest.raises(UserError) as caught:
        check(parse(GOOD.replace(old, new), name="mine", path="mine.toml"))
    error = caught.value
    assert error.message.startswith("mine.toml: ")
    assert error.hint
    return "\n".join([error.message, *error.details, error.hint])


def test_the_good_machine_is_good() -> None:
    assert problems(parse(GOOD, name="mine", path="mine.toml")) == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # the machine
        ("cpus = 2", "cpus = 0", "0 CPUs in all"),
        ("cpus = 2", "cpus = -1", "cpu_node 0: -1 CPUs"),
        ("cpus = 2", "cpus = 4000", "4000 CPUs in all"),
        ("memory_mib = 1024", "memory_mib = 1000", "cpu_node 0: 1000 MiB"),
        ('title = "good"', 'title = "good"\nremote_distance = 5', "remote_distance: 5 is no distance"),
        ('title = "good"', 'title = "good"\nhotplug_slots = 2', "2 slots for 0 MiB"),
        # ids
        ('id = "hb1"', 'id = "hb0"', "host_bridge 'hb0': the id is there 2 times"),
        ('id = "mem1"', 'id = "rp0"', "the id is there 2 times"),
        ('downstream = ["dsp0", "dsp1"]', 'downstream = ["dsp0", "dsp0"]', "the id is there 2 times"),
        ('id = "sw0"', 'id = "Sw,0"', "'Sw,0' cannot be an id"),
        # places
        ('id = "rp0"\nhost_bridge = "hb0"', 'id = "rp0"\nhost_bridge = "hb2"', "there is no host_bridge 'hb2'"),
        ('port = "rp0"', 'port = "rp00"', "did you mean 'rp0'?"),
        ('port = "rp0"', 'port = "hb0"', "'hb0' is a host bridge, which takes ports only"),
        ('port = "dsp0"', 'port = "rp0"', "port 'rp0' has device 'mem0' already"),
        ('upstream = "rp1"', 'upstream = "dsp1"', "it hangs below itself"),
        ('downstream = ["dsp0", "dsp1"]', "downstream = []", "it has no downstream port"),
        ("bus = 12", "bus = 12\ncpu_node = 1", "there is no cpu_node 1"),
        # bus and port numbers
        ("bus = 52", "bus = 12", "bus 12 is that of 'hb1' too"),
        ("bus = 52", "bus = 16", "need the buses 12 to 17, but 15 is the last free one"),
        ("bus = 52", "bus = 254", "need the buses 254 to 256"),
        ("bus = 12", "bus = 0", "bus 0 cannot be"),
        ("port = 1", "port = 0", "2 of its root ports have the port number 0"),
        ("port = 1", "port = 256", "port 256 cannot be"),
        # devices
        ("serial = 0x2", "serial = 0x1", "the serial 0x1 is there 2 times"),
        ("serial = 0x2", "serial = -1", "serial -0x1 cannot be"),
        ("serial = 0x2", f"serial = {2**64 - 1}", "cannot be"),
        ("volatile_mib = 512\npersistent", "volatile_mib = 500\npersistent", "volatile_mib = 500"),
        ("persistent_mib = 256", "persistent_mib = -256", "persistent_mib = -256"),
        ("labels_mib = 1", "labels_mib = 0", "persistent memory without labels_mib"),
        ("dynamic_regions = 2", "dynamic_regions = 3", "512 MiB do not divide into 3 dynamic regions"),
        ("dynamic_regions = 2", "dynamic_regions = 9", "9 dynamic regions"),
        ("dynamic_regions = 2", "dynamic_regions = -1", "-1 dynamic regions"),
        ("dynamic_regions = 2\n", "", "one of dynamic_mib and dynamic_regions is missing"),
        ("serial = 0x3\nvolatile_mib = 512", "serial = 0x3", "it has no memory"),
        # windows
        ('["hb0", "hb1"]\n', '["hb0", "hb3"]\n', "there is no host_bridge 'hb3'"),
        ('["hb0", "hb1"]\n', '["hb0", "hb0"]\n', "'hb0' is a target 2 times"),
        ('["hb0", "hb1"]\n', "[]\n", "it has no targets"),
        ('["hb0", "hb1"]\n', '["hb0"]\n', "host_bridge 'hb1': it has devices and no window targets it"),
        ("4096\ngranularity = 1024", "4096\ngranularity = 300", "a granularity of 300 bytes does not exist"),
        ("4096\ngranularity = 1024", "4096\ngranularity = 32768", "a granularity of 32768 bytes does not exist"),
        ("4096\ngranularity = 1024", "4352\ngranularity = 1024", "a multiple of 512 (256 MiB for each of 2 targets)"),
        ("4096\ngranularity = 1024", "0\ngranularity = 1024", "size_mib = 0"),
        ("4096\ngranularity = 1024", "2048\ngranularity = 1024", "its share of window 1 is only 1024 MiB"),
        # regions
        ("window = 0", "window = 2", "there is no window 2"),
        ('devices = ["mem0"]', "devices = []", "it has no devices"),
        ('devices = ["mem0"]', 'devices = ["mem9"]', "there is no device 'mem9'"),
        ('devices = ["mem0"]', 'devices = ["mem0", "mem0"]', "device 'mem0' is in it 2 times"),
        ("window = 0", "window = 1", "1 devices do not share out among the 2 targets"),
        ('"mem0", "mem2", "mem1", "mem3"', '"mem0", "mem1", "mem2", "mem3"', "position 1 goes to 'hb1', but 'mem1'"),
        ('"mem0", "mem2", "mem1", "mem3"', '"mem0", "mem2", "mem1"', "3 devices do not share out"),
        ("1024\ngranularity = 1024\n[[region]]", "1024\ngranularity = 512\n[[region]]", "Linux wants them equal"),
        ("1024\ngranularity = 1024\n[[region]]", "512\ngranularity = 1024\n[[region]]", "a multiple of 1024"),
        ("1024\ngranularity = 1024\n[[region]]", "4096\ngranularity = 1024\n[[region]]", "ram regions take 1024 MiB"),
        ('256\ntype = "pmem"', '512\ntype = "ram"', "'mem0': the ram regions take 768 MiB of it, but it has 512"),
        ("size_mib = 256\n", "size_mib = 512\n", "the pmem regions take 512 MiB of it, but it has 256"),
    ],
)  # fmt: skip
def test_what_cannot_be(old: str, new: str, said: str) -> None:
    assert said in broken(old, new)


def test_several_mistakes_come_together() -> None:
    text = GOOD.replace("serial = 0x2", "serial = 0x1").replace("cpus = 2", "cpus = 0")
    with pytest.raises(UserError, match="3 things cannot be") as caught:
        check(parse(text, name="mine", path="mine.toml"))
    assert any("cpu_node" in line for line in caught.value.details)
    assert sum("serial 0x1" in line for line in caught.value.details) == 2


def test_ways_that_do_not_exist() -> None:
    bridges = "".join(f'[[host_bridge]]\nid = "x{n}"\nbus = {100 + 8 * n}\n' for n in range(5))
    targets = ", ".join(f'"x{n}"' for n in range(5))
    with pytest.raises(UserError, match="an interleave of 5 ways does not exist") as caught:
        check(parse(f"{GOOD}{bridges}[[window]]\ntargets = [{targets}]\nsize_mib = 1280\n", name="m", path="m.toml"))
    assert caught.value.hint == "one of 1, 2, 3, 4, 6, 8, 12 or 16"


def _one_bridge(ports: int, regions: str, extra: str = "") -> str:
    """A machine with a device of 2048 MiB on each of some root ports."""
    parts = [f'[[root_port]]\nid = "rp{n}"\nhost_bridge = "hb0"\n' for n in range(ports)]
    parts += [f'[[device]]\nid = "mem{n}"\nport = "rp{n}"\nserial = {n}\nvolatile_mib = 2048\n' for n in range(ports)]
    head = f'title = "t"\n[[cpu_node]]\ncpus = 1\nmemory_mib = 512\n[[host_bridge]]\nid = "hb0"\nbus = 12\n{extra}'
    return f'{head}{"".join(parts)}[[window]]\ntargets = ["hb0"]\nsize_mib = 16384\n{regions}'


def _said(text: str) -> str:
    return "\n".join(f"{where}: {what}" for where, what, _ in problems(parse(text, name="m", path="m.toml")))


def test_five_regions_do_not_fit_four_decoders() -> None:
    # seen on Linux 6.12 and QEMU 11.1: the fourth region is created, the fifth is not
    region = '[[region]]\nwindow = 0\ndevices = ["mem0"]\nsize_mib = 256\n'
    assert _said(_one_bridge(1, region * 4)) == ""
    assert "host_bridge 'hb0': 5 regions go through it, it has 4 decoders" in _said(_one_bridge(1, region * 5))


def test_a_bridge_that_passes_through_has_one_decoder() -> None:
    # seen on Linux 6.12 and QEMU 11.1: the second region fails with "failed to set target0"
    region = '[[region]]\nwindow = 0\ndevices = ["mem0"]\nsize_mib = 256\n'
    assert _said(_one_bridge(1, region, "hdm_decoders = false\n")) == ""
    assert "without hdm_decoders Linux gives it one" in _said(_one_bridge(1, region * 2, "hdm_decoders = false\n"))
    assert _said(_one_bridge(2, region * 2, "hdm_decoders = false\n")) == ""


def test_regions_larger_than_the_window_together() -> None:
    region = '[[region]]\nwindow = 0\ndevices = ["mem0"]\nsize_mib = 1024\n'
    text = _one_bridge(1, region * 2).replace("16384", "1024") + '[[window]]\ntargets = ["hb0"]\nsize_mib = 4096\n'
    assert "window 0: its regions take 2048 MiB, it has 1024 MiB" in _said(text)


_TWO_SWITCHES = """
title = "t"
cpu_node = [{cpus = 1, memory_mib = 512}]
host_bridge = [{id = "hb0", bus = 12}]
root_port = [{id = "rp0", host_bridge = "hb0"}, {id = "rp1", host_bridge = "hb0"}]
switch = [{id = "sw0", upstream = "rp0", downstream = ["a", "b"]}, {id = "sw1", upstream = "rp1", downstream = ["c", "d"]}]
device = [{id = "m0", port = "a", serial = 0, volatile_mib = 256}, {id = "m1", port = "b", serial = 1, volatile_mib = 256},
  {id = "m2", port = "c", serial = 2, volatile_mib = 256}, {id = "m3", port = "d", serial = 3, volatile_mib = 256}]
window = [{targets = ["hb0"], size_mib = 1024}]
region = [{window = 0, devices = [%s], size_mib = %d}]
"""  # noqa: E501 (TOML)


@pytest.mark.parametrize(
    ("devices", "good"),
    [
        ("m0 m2 m1 m3", True),
        ("m2 m1 m3 m0", True),
        ("m0 m2", True),
        ("m0 m1", True),
        ("m0 m1 m2 m3", False),
        ("m0 m2 m3 m1", False),
        ("m0 m2 m1", False),
    ],
)
def test_positions_go_round_the_ports_in_turn(devices: str, good: bool) -> None:
    names = devices.split()
    text = _TWO_SWITCHES % (", ".join(f'"{name}"' for name in names), 256 * len(names))
    assert (_said(text) == "") is good


def test_devices_without_a_host_bridge() -> None:
    text = 'title = "t"\n[[cpu_node]]\ncpus = 1\nmemory_mib = 512\n[[device]]\nid = "m"\nport = "p"\nserial = 1\n'
    assert "add a [[host_bridge]]" in str(problems(parse(text + "volatile_mib = 256\n", name="m", path="m.toml")))
