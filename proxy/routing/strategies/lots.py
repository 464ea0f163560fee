"""Breaking ties fairly: a lot for each target, the highest wins as often as its weight says.

u^(1/weight), as in routing/weighted.py. A spare (weight 0) draws a lot below all others.
"""

from collections.abc import Callable, Sequence

from proxy.core.target import Target

SPARE = -1.0


def lot(target: Target, draw: Callable[[], float]) -> float:
    """From 0 to 1, or SPARE."""
    return weighed(target.weight, draw())


def weighed(weight: float, drawn: float) -> float:
    """The lot that a number from 0 to 1 makes, or SPARE."""
    return drawn ** (1 / weight) if weight > 0 else SPARE


def arranged(targets: tuple[Target, ...], keys: Sequence[tuple[float, ...]]) -> tuple[Target, ...]:
    """The targets by their keys, the smallest first, spares last; as written where keys agree."""
    ranked = [(target.weight <= 0, key) for target, key in zip(targets, keys, strict=True)]
    return tuple([targets[at] for at in sorted(range(len(targets)), key=ranked.__getitem__)])
