# SPDX-License-Identifier: GPL-2.0-only
"""hypothesis draws the steps: a rule-based state machine over a :class:`~harness.lifecycle.play.Player`.

Found differences leave hypothesis at once; making the sequence shorter is :mod:`harness.lifecycle.shrink`'s, which
knows that a sequence that crashes a guest costs another one.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from typing import Any

from harness.lifecycle.model import Model
from harness.lifecycle.play import Player
from harness.lifecycle.state import ABSENT, GROUPS, LABELS, PRESSURE, TASKS, Region
from harness.lifecycle.step import Step, step
from harness.lifecycle.world import listed

STEPS = 30  # of a sequence at most
_SEQUENCES = 100  # that hypothesis draws from one seed; then comes the next of _APART
_APART = 1_000_003


class TimeOver(BaseException):
    """No further sequence is begun."""


class _Ours(BaseException):
    """An error while a step was played, on its way past hypothesis, which would try the step again."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def explore(player: Player, *, seed: int, until: float) -> None:
    """Play drawn sequences until a time on the monotonic clock, one at least; raises what the player finds."""
    import hypothesis
    from hypothesis import stateful

    settings = hypothesis.settings(
        max_examples=_SEQUENCES,
        stateful_step_count=STEPS,
        phases=(hypothesis.Phase.generate,),
        suppress_health_check=list(hypothesis.HealthCheck),
        deadline=None,
        database=None,
        print_blob=False,
        verbosity=hypothesis.Verbosity.quiet,
    )
    machine = _machine(player, until)
    state = random.getstate()
    try:
        while True:
            # a kernel need not answer the same twice, which hypothesis does not like: it draws on from another seed
            with contextlib.suppress(hypothesis.errors.Flaky):
                stateful.run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=settings)
            seed += _APART
    except TimeOver:
        pass
    except _Ours as wrapped:
        raise wrapped.error from None
    finally:
        random.setstate(state)


def _machine(player: Player, until: float) -> Any:
    """The state machine; made here, as hypothesis is imported by those only who need it."""
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

    first = player.sequences

    def some(choices: Any) -> Any:
        return st.sampled_from(list(choices))

    class Machine(RuleBasedStateMachine):
        """Rules draw a step; one that makes no sense by then is left out."""

        def __init__(self) -> None:
            super().__init__()
            if player.sequences > first and time.monotonic() >= until:
                raise TimeOver
            self.found = False
            self.guarded(player.begin)

        def try_step(self, verb: str, *words: str | int) -> None:
            """Play it, if it makes sense."""
            one = step(verb, *words)
            if player.may(one):
                self.guarded(lambda: player.play(one))

        def guarded(self, act: Callable[[], None]) -> None:
            """Act on the guest: whatever is raised ends the exploration."""
            try:
                act()
            except Exception as error:
                self.found = True
                raise _Ours(error) from None
            except BaseException:
                self.found = True
                raise

        def teardown(self) -> None:
            """Undo it all."""
            if not self.found:
                self.guarded(player.finish)

        @rule(data=st.data(), label=some(LABELS), further=some([9, 6, 2, 1, 7]))
        def advance(self, data: Any, label: str, further: int) -> None:
            """Make a region, or bring one some steps further on the way that works."""
            self.bring(data, label, further)

        @rule(data=st.data(), label=some(LABELS))
        def complete(self, data: Any, label: str) -> None:
            """Make a region, or bring one to where its memory is online."""
            self.bring(data, label, 9)

        @rule(data=st.data())
        def complete_first(self, data: Any) -> None:
            """More often than the others, as most that can go wrong does so with memory there."""
            self.bring(data, LABELS[0], 9)

        def bring(self, data: Any, label: str, further: int) -> None:
            """Up to so many steps on the way that works."""
            if label not in player.model.regions:
                window = data.draw(some(player.world.windows))
                kind = data.draw(some(sorted(window.kinds)))
                self.try_step("create", label, kind, window.root)
            for _ in range(further):
                region = player.model.regions.get(label)
                following = region and _following(player.model, region, data, some)
                if not following or not player.may(following):
                    return
                self.try_step(following.verb, *following.words)

        @rule(label=some(LABELS), verb=some(["commit", "bind", "unbind", "uncommit", "delete", "target", "release"]))
        def any_order(self, label: str, verb: str) -> None:
            """A step of a region, whether it is its turn or not."""
            self.try_step(verb, label)

        @rule(label=some(LABELS))
        def unbind(self, label: str) -> None:
            """More often than the others."""
            self.try_step("unbind", label)

        @precondition(lambda self: player.world.private)
        @rule(label=some(LABELS), value=some(["zswap", "zswap", "compressed", "none", "ZSWAP"]))
        def type_(self, label: str, value: str) -> None:
            self.try_step("type", label, value)

        @rule(window=st.data(), how=some(["garbage", "other"]))
        def misname(self, window: Any, how: str) -> None:
            chosen = window.draw(some(player.world.windows))
            self.try_step("misname", window.draw(some(sorted(chosen.kinds))), chosen.root, how)

        @rule(label=some(LABELS), number=st.integers(0, 3), how=some(["online_movable", "online_kernel", "online"]))
        def online(self, label: str, number: int, how: str) -> None:
            self.try_step("online", label, number, how)

        @rule(label=some(LABELS), number=st.integers(0, 3))
        def offline(self, label: str, number: int) -> None:
            self.try_step("offline", label, number)

        @rule(value=some(["offline", "online_movable"]))
        def policy(self, value: str) -> None:
            if value != player.model.policy:
                self.try_step("policy", value)

        @precondition(lambda self: player.world.cpusets)
        @rule(group=some(GROUPS))
        def group(self, group: str) -> None:
            self.try_step("group", group)

        @precondition(lambda self: bool(player.model.groups))
        @rule(group=some(GROUPS), data=st.data())
        def mems(self, group: str, data: Any) -> None:
            chosen = data.draw(st.sets(some(sorted(player.world.possible_nodes))))
            self.try_step("mems", group, listed(chosen) or ABSENT)

        @precondition(lambda self: bool(player.model.groups))
        @rule(group=some(GROUPS))
        def ungroup(self, group: str) -> None:
            self.try_step("ungroup", group)

        @precondition(lambda self: player.world.swaps)
        @rule(value=some(["on", "on", "on", "off"]))
        def swap(self, value: str) -> None:
            self.try_step("swap", value)

        @precondition(lambda self: player.model.swap)
        @rule(value=some(["Y", "N"]))
        def zswap(self, value: str) -> None:
            if player.model.zswap != (value == "Y"):
                self.try_step("zswap", value)

        @rule(number=some(TASKS), group=some([ABSENT, *GROUPS]))
        def start(self, number: str, group: str) -> None:
            self.try_step("start", number, group)
            self.try_step("fill", number)

        @precondition(lambda self: bool(player.model.tasks))
        @rule(number=some(TASKS), verb=some(["out", "out", "out", "verify", "fill", "end"]))
        def task(self, number: str, verb: str) -> None:
            self.try_step(verb, number)

        @precondition(lambda self: bool(player.model.private_online()))
        @rule(label=some(LABELS), policy=some(["bind", "interleave", "preferred"]))
        def policycall(self, label: str, policy: str) -> None:
            self.try_step("policycall", label, policy)

        @precondition(lambda self: bool(player.model.private_online()))
        @rule(kind=some(PRESSURE))
        def pressure(self, kind: str) -> None:
            self.try_step("pressure", kind)

        @precondition(lambda self: player.world.plugs and any(one.bound for one in player.model.regions.values()))
        @rule(chance=st.integers(0, 7), number=st.integers(0, 3))
        def unplug(self, chance: int, number: int) -> None:
            """Now and then, as it takes seconds and costs the guest."""
            if chance == 5:
                self.try_step("unplug", player.world.devices[number % len(player.world.devices)].name)

    return Machine


def _following(model: Model, region: Region, data: Any, some: Any) -> Step | None:
    """The next step of a region on the way that works."""
    label = region.label
    if not region.exists:
        return step("release", label)
    if not region.decoders:
        shapes = [shape for shape in model.world.shapes[region.root] if model.plan(step("reserve", label, *shape), {})]
        return step("reserve", label, *data.draw(some(shapes))) if shapes else None
    for done, verb in ((region.shaped, "shape"), (region.attached, "target")):
        if not done:
            return step(verb, label)
    if region.private and not region.type and not region.committed:
        return step("type", label, "zswap")
    if not region.committed:
        return step("commit", label)
    if not region.bound:
        return step("bind", label)
    for number, state in enumerate(region.blocks):
        if state == "offline":
            return step("online", label, number, "online_movable")
    return None
