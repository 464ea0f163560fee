"""Cost: the target where this very request is likely to cost least.

Long prompts and long answers can turn the order of two price lists around, so prices are compared
for the request, never per token. Where no price is known a target comes after all that have one.
"""

from math import inf

from proxy.core.target import Target
from proxy.routing.strategies.lots import arranged, lot
from proxy.routing.strategies.port import Ask


class Cost:
    """Equal prices are drawn by weight."""

    __slots__ = ()
    name = "cost"

    def order(self, targets: tuple[Target, ...], ask: Ask, /) -> tuple[Target, ...]:
        """The cheapest first."""
        if len(targets) < 2:
            return targets
        draw = ask.draw
        return arranged(targets, [(price(each, ask), -lot(each, draw)) for each in targets])


def price(target: Target, ask: Ask) -> float:
    """In nano-USD; infinite where nobody knows."""
    found = ask.price(target)
    return inf if found is None else found
