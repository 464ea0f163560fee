"""Targets in a random order in which each comes first as often as its weight says.

Weighted sampling without replacement (Efraimidis and Spirakis 2006): each target draws
u^(1/weight), the largest first. The share of first places is exactly weight / sum of weights.
A target of weight 0 comes last: it is for when the others cannot be reached.
"""

import random
from collections.abc import Callable
from operator import itemgetter

from proxy.core.target import Target


def order(
    targets: tuple[Target, ...], draw: Callable[[], float] = random.random
) -> tuple[Target, ...]:
    """All targets, in the order to try them."""
    if len(targets) == 1:
        return targets
    drawn = [
        (draw() ** (1 / target.weight) if target.weight else -1.0, place)
        for place, target in enumerate(targets)
    ]
    drawn.sort(key=itemgetter(0), reverse=True)  # Stable: weight 0 keeps the order written.
    return tuple(targets[place] for _, place in drawn)
