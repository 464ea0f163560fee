"""Round robin: in turn, and as often as the weights say, spread as evenly as can be.

The smooth weighted round robin of nginx (commit 52327e0627, 2012): each turn every target gains its
weight, the one that has most comes first and pays what all gained. The others follow by what they
have. Turns begin at a random place, so that workers that start together do not all begin with the
same target. They are kept apart by the model asked for: were they not, two models that share a
fallback and are asked alternately would each see every second turn only.
"""

from collections.abc import Callable

from proxy.core.target import Target
from proxy.routing.strategies.port import Ask

_Credit = dict[tuple[str, str], float]
_MOST_KEPT = 4096  # Callers choose names that patterns take: there is no end of them.


class RoundRobin:
    """Of one configured model and worker."""

    __slots__ = ("_turns",)
    name = "round_robin"

    def __init__(self) -> None:
        self._turns: dict[str, _Credit] = {}

    def order(self, targets: tuple[Target, ...], ask: Ask, /) -> tuple[Target, ...]:
        """Whose turn it is, then who has waited longest for its own."""
        if len(targets) < 2:
            return targets
        credit = self._of(ask.route)
        total, standing = 0.0, []
        for target in targets:
            key, weight = (target.provider.name, target.model), target.weight
            had = credit.get(key)
            now = (_first(weight, ask.draw) if had is None else had) + weight
            credit[key] = now
            total += weight
            standing.append((weight <= 0, -now))
        places = sorted(range(len(targets)), key=standing.__getitem__)
        first = targets[places[0]]
        credit[first.provider.name, first.model] -= total
        return tuple([targets[at] for at in places])

    def _of(self, route: str) -> _Credit:
        credit = self._turns.get(route)
        if credit is None:
            credit = self._turns[route] = {}
        elif len(credit) > _MOST_KEPT:
            credit.clear()
        return credit


def _first(weight: float, draw: Callable[[], float]) -> float:
    return weight * draw()
