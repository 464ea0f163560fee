"""Least busy: the target with the fewest attempts under way in this worker, for its weight.

All targets are looked at: there are few, and two drawn at random are only right where there are
many. Ties, and an idle proxy has nothing else, are drawn by weight.
"""

from proxy.core.target import Target
from proxy.routing.strategies.lots import arranged, lot
from proxy.routing.strategies.port import Ask


class LeastBusy:
    """Keeps nothing: attempts are counted where they begin and end."""

    __slots__ = ()
    name = "least_busy"

    def order(self, targets: tuple[Target, ...], ask: Ask, /) -> tuple[Target, ...]:
        """By attempts under way, each divided by the target's weight."""
        if len(targets) < 2:
            return targets
        draw = ask.draw
        return arranged(targets, [(load(each), -lot(each, draw)) for each in targets])


def load(target: Target) -> float:
    """Attempts under way, for a weight of one."""
    return max(0, target.health.in_flight) / target.weight if target.weight > 0 else 0.0
