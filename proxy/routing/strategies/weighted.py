"""Weighted: each target comes first as often as its weight says, at random (routing/weighted.py).

It keeps nothing, so any number of workers share the load as one would.
"""

from proxy.core.target import Target
from proxy.routing.strategies.port import Ask
from proxy.routing.weighted import order


class Weighted:
    """The strategy of a model that names none."""

    __slots__ = ()
    name = "weighted"

    def order(self, targets: tuple[Target, ...], ask: Ask, /) -> tuple[Target, ...]:
        """Drawn by lot, without replacement."""
        return order(targets, ask.draw)
