"""Cheapest above: the cheapest target that is good enough for how hard the request seems.

The quality that it takes lies between `least` (the easiest request) and `most` (the hardest), in
proportion to the estimated complexity. Behind those that reach it come the others, the best first:
a somewhat weaker answer is better than none. Who declares no quality reaches a bar of 0 only.
"""

from proxy.core.target import Target
from proxy.routing.strategies.cost import price
from proxy.routing.strategies.lots import arranged, lot
from proxy.routing.strategies.port import Ask


class CheapestAbove:
    """Equal prices are drawn by weight."""

    __slots__ = ("_least", "_most")
    name = "cheapest_above"

    def __init__(self, least: float = 0.0, most: float = 1.0) -> None:
        self._least = least
        self._most = most

    def threshold(self, ask: Ask) -> float:
        """The quality that this request takes."""
        return self._least + (self._most - self._least) * min(1.0, max(0.0, ask.complexity))

    def order(self, targets: tuple[Target, ...], ask: Ask, /) -> tuple[Target, ...]:
        """Good enough and cheap first."""
        if len(targets) < 2:
            return targets
        bar, draw = self.threshold(ask), ask.draw
        keys: list[tuple[float, ...]] = []
        for target in targets:
            quality = target.quality or 0.0
            if quality >= bar:
                keys.append((0.0, price(target, ask), -lot(target, draw)))
            else:
                keys.append((1.0, -quality, price(target, ask), -lot(target, draw)))
        return arranged(targets, keys)
