"""Latency: the target that gave its first token soonest of late.

What is measured is the average of `Health.latency`, of this worker. Three things keep that honest:

- a target that nobody has measured comes first, until a few attempts are under way there;
- a small share of the requests goes to a target drawn by weight: the slow one of an hour ago may be
  the quick one now, and nobody would know;
- what is under way counts too: `room` attempts at a target of weight 1 double its latency, so that
  not everybody runs to the one that was quick a moment ago.
"""

from proxy.core.target import Target
from proxy.routing.strategies.lots import arranged, lot
from proxy.routing.strategies.port import Ask

UNTRIED = 2
"""Attempts under way at a target that was never measured: more wait until one has answered."""

_FIRST, _MEASURED, _UNMEASURED = 0.0, 1.0, 2.0


class Latency:
    """`explore`: the share of requests that go where the draw says."""

    __slots__ = ("_explore", "_room")
    name = "latency"

    def __init__(self, explore: float = 0.05, room: float = 32.0) -> None:
        self._explore = explore
        self._room = room

    def order(self, targets: tuple[Target, ...], ask: Ask, /) -> tuple[Target, ...]:
        """The quickest first."""
        if len(targets) < 2:
            return targets
        draw = ask.draw
        keys = [(*self._key(each), -lot(each, draw)) for each in targets]
        if draw() < self._explore:
            drawn = min(range(len(targets)), key=lambda at: keys[at][2])
            keys[drawn] = (-1.0, 0.0, 0.0)
        return arranged(targets, keys)

    def _key(self, target: Target) -> tuple[float, float]:
        health, weight = target.health, target.weight
        under_way = max(0, health.in_flight)
        crowd = under_way / (self._room * weight) if weight > 0 else 0.0
        latency = health.latency()
        if latency is not None:
            return _MEASURED, latency * (1 + crowd)
        return (_FIRST if under_way < UNTRIED else _UNMEASURED), crowd
