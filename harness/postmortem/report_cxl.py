# SPDX-License-Identifier: GPL-2.0-only
"""The part of a triage report about CXL: what is on the bus, as drivers/cxl/cxl.h lays it out."""

from __future__ import annotations

from collections.abc import Iterator

from drgn import Object, Program, container_of
from drgn.helpers.linux.device import bus_for_each_dev, dev_name

from harness.display import printable

_NO_END = (1 << 64) - 1  # of a range from 0 with no bytes


def cxl_objects(prog: Program) -> Iterator[str]:
    """Each region, decoder and memdev."""
    try:
        bus = prog["cxl_bus_type"].address_of_()
    except LookupError:
        yield "this kernel has no CXL bus built in"
        return
    for device in sorted(bus_for_each_dev(bus), key=dev_name):
        name = printable(dev_name(device).decode(errors="replace"))
        try:
            if name.startswith("region"):
                yield f"{name}: {_region(device)}"
            elif name.startswith("decoder"):
                yield f"{name}: {_decoder(device)}"
            elif name.startswith("mem"):
                yield f"{name}: {_driver(device)}"
        except (LookupError, AttributeError) as reason:
            yield f"{name}: (not to be read: {printable(str(reason))})"


def _region(device: Object) -> str:
    region = container_of(device, "struct cxl_region", "dev")
    params = region.params
    words = [params.state.format_(type_name=False), f"mode {region.mode.format_(type_name=False)}"]
    if params.res:
        words.append(_span(params.res.start.value_(), params.res.end.value_()))
    words.append(f"{params.interleave_ways.value_()} ways of {params.interleave_granularity.value_()} bytes")
    targets = [params.targets[at] for at in range(params.nr_targets.value_())]
    names = [dev_name(target.cxld.dev.address_of_()).decode(errors="replace") for target in targets if target]
    return ", ".join([*words, f"targets {' '.join(names) or 'none'}", _driver(device)])


def _decoder(device: Object) -> str:
    decoder = container_of(device, "struct cxl_decoder", "dev")
    start, end = decoder.hpa_range.start.value_(), decoder.hpa_range.end.value_()
    empty = end <= start or end == _NO_END
    words = ["no range" if empty else _span(start, end), f"flags {decoder.flags.value_():#x}"]
    if decoder.region:
        words.append(f"in {dev_name(decoder.region.dev.address_of_()).decode(errors='replace')}")
    return ", ".join(words)


def _driver(device: Object) -> str:
    return f"bound to {device.driver.name.string_().decode(errors='replace')}" if device.driver else "not bound"


def _span(start: int, end: int) -> str:
    return f"{start:#x} to {end:#x} ({(end - start + 1) >> 20} MiB)"
