"""The wheel of the mock vendor: true rates, no burst, no timer without streams."""

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from bench.pacer import Pacer, ticks

if TYPE_CHECKING:
    import asyncio


class Loop:
    """Only the clock and the timers of an event loop, moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], None]) -> None:
        self.timers.append((self.now + delay, call))

    def run_until(self, end: float, *, late: float = 0.0) -> None:
        while self.timers and self.timers[0][0] + late <= end:
            due, call = self.timers.pop(0)
            self.now = due + late
            call()
        self.now = end


class Steps:
    """Notes when it was stepped, so many times."""

    def __init__(self, loop: Loop, pace: float, count: int) -> None:
        self.loop, self.pace, self.left = loop, pace, count
        self.at: list[int] = []

    def step(self) -> int:
        self.at.append(round((self.loop.now - 100) * 1000))
        self.left -= 1
        return ticks(self.pace) if self.left else 0


def pacer_on(loop: Loop) -> Pacer:
    return Pacer(cast("asyncio.AbstractEventLoop", loop))


def test_streams_keep_their_own_phase_and_one_timer() -> None:
    loop = Loop()
    pacer = pacer_on(loop)
    first, second = Steps(loop, 0.02, 4), Steps(loop, 0.02, 4)
    pacer.add(first, 0.005)
    loop.run_until(100.007)
    pacer.add(second, 0.005)
    assert len(loop.timers) == 1
    loop.run_until(100.2)
    gaps = [b - a for a, b in pairwise(first.at)]
    assert gaps == [20, 20, 20]
    assert len(second.at) == 4
    assert not set(first.at) & set(second.at)


def test_no_timer_is_left_without_streams() -> None:
    loop = Loop()
    pacer = pacer_on(loop)
    pacer.add(Steps(loop, 0.01, 2), 0.0)
    loop.run_until(101)
    assert (len(pacer), loop.timers) == (0, [])


def test_late_turns_are_made_up() -> None:
    loop = Loop()
    pacer = pacer_on(loop)
    steps = Steps(loop, 0.003, 100)
    pacer.add(steps, 0.0)
    loop.run_until(100.4, late=0.0097)
    # 100 steps of 3 ms end near 300 ms although each turn comes 10 ms late.
    assert len(steps.at) == 100
    assert steps.at[-1] < 320


def test_a_pace_of_zero_is_a_step_each_turn_not_a_burst() -> None:
    loop = Loop()
    pacer = pacer_on(loop)
    steps = Steps(loop, 0.0, 5)
    pacer.add(steps, 0.0)
    loop.run_until(100.1)
    assert len(set(steps.at)) == 5


def test_what_is_late_leaves_time_for_the_rest() -> None:
    """Asked for more than it can send, a pacer gives the loop a turn before all is made up."""
    loop = Loop()
    pacer = pacer_on(loop)
    stream = Steps(loop, 0.001, 100)
    pacer.add(stream, 0.001)
    loop.run_until(100.07, late=0.06)
    assert len(stream.at) == 20
    loop.run_until(100.3)
    assert len(stream.at) == 100
    assert len(pacer) == 0
