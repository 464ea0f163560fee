"""Score: declared weights for cost, latency, quality and capability, and a sum that can be shown.

Each criterion is brought to 0 (the worst of the candidates) to 1 (the best), so that weights mean
the same whatever the units; where all are equal all get 1. Then the weighted mean. Nothing is drawn
by lot: the same knowledge gives the same order, and equal scores keep the order that is written.

| criterion | compared | where it is not known |
|---|---|---|
| cost | what this request is likely to cost there | 0: as the dearest |
| latency | average time to first token | 1 until a few attempts are under way, then 0.5 |
| quality | as declared | 0: as the worst |
| capability | how much it declares of what is needed (else of all that is declared) | half |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.target import Target
from proxy.routing.strategies.latency import UNTRIED
from proxy.routing.strategies.port import Ask

_MEASURED = 0.9  # Of the marks for latency while another has yet to be measured: it shall be.
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each criterion counts; at least one is above 0."""

    cost: float = 0.0
    latency: float = 0.0
    quality: float = 0.0
    capability: float = 0.0


class Scored(NamedTuple):
    """One target: its score, and the four marks it is the mean of."""

    target: Target
    score: float
    cost: float
    latency: float
    quality: float
    capability: float


class Score:
    """Keeps nothing."""

    __slots__ = ("_weights",)
    name = "score"

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def order(self, targets: tuple[Target, ...], ask: Ask, /) -> tuple[Target, ...]:
        """The highest score first."""
        if len(targets) < 2:
            return targets
        return tuple([scored.target for scored in self.scores(targets, ask)])

    def scores(self, targets: Sequence[Target], ask: Ask) -> list[Scored]:
        """In that order, with the marks."""
        if not targets:
            return []
        weights = self._weights
        total = weights.cost + weights.latency + weights.quality + weights.capability or 1.0
        # What does not count is not asked for: prices and needs have to be worked out.
        same = [1.0] * len(targets)
        marks = zip(
            targets,
            _costs(targets, ask) if weights.cost else same,
            _latencies(targets) if weights.latency else same,
            _qualities(targets) if weights.quality else same,
            _capabilities(targets, ask) if weights.capability else same,
            strict=True,
        )
        scored = [
            Scored(
                target,
                (
                    weights.cost * cost
                    + weights.latency * latency
                    + weights.quality * quality
                    + weights.capability * capability
                )
                / total,
                cost,
                latency,
                quality,
                capability,
            )
            for target, cost, latency, quality, capability in marks
        ]
        # Rounded: sums of the same numbers in another order may differ in the last digit.
        scored.sort(key=lambda each: (each.target.weight <= 0, -round(each.score, 9)))
        return scored


def _costs(targets: Sequence[Target], ask: Ask) -> list[float]:
    return _marks([_negative(ask.price(each)) for each in targets])


def _qualities(targets: Sequence[Target]) -> list[float]:
    return _marks([each.quality for each in targets])


def _latencies(targets: Sequence[Target]) -> list[float]:
    known = [_negative(each.health.latency()) for each in targets]
    untried = [
        latency is None and each.health.in_flight < UNTRIED
        for each, latency in zip(targets, known, strict=True)
    ]
    share = _MEASURED if any(untried) else 1.0
    return [
        mark * share if latency is not None else (1.0 if new else _HALF)
        for mark, latency, new in zip(_marks(known), known, untried, strict=True)
    ]


def _capabilities(targets: Sequence[Target], ask: Ask) -> list[float]:
    declared = [each.capabilities for each in targets]
    wanted = ask.needs or frozenset[str]().union(*[each for each in declared if each is not None])
    most = len(wanted) or 1
    return _marks([_HALF if each is None else len(each & wanted) / most for each in declared])


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def _marks(values: Sequence[float | None]) -> list[float]:
    """From 0 for the least to 1 for the most; where one is not known 0, or 1 if none is."""
    known = [value for value in values if value is not None]
    if not known:
        return [1.0] * len(values)
    least, most = min(known), max(known)
    span = most - least
    if not span:
        return [0.0 if value is None else 1.0 for value in values]
    return [0.0 if value is None else (value - least) / span for value in values]
