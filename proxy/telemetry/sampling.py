"""Which traces are told: the caller's word where there is one, else a part chosen by trace id.

Every proxy and every other service that samples by id picks the same traces: the last 56 bits are
random (W3C trace context, level 2), and a trace is taken when they are in the upper part.
"""

from typing import Final

from proxy.wire.brief import Numbers
from proxy.wire.lots import Lot
from proxy.wire.record import UsageRecord

_RANDOM_DIGITS: Final = 14
_RANDOM: Final = 1 << (4 * _RANDOM_DIGITS)


class Sampling:
    """The decision for a ratio from 0 to 1."""

    __slots__ = ("_threshold",)

    def __init__(self, ratio: float) -> None:
        self._threshold = round((1.0 - min(1.0, max(0.0, ratio))) * _RANDOM)

    def takes(self, record: UsageRecord) -> bool:
        """Whether the spans of a record are told; never without ids."""
        return record.sampled and self._takes(record)

    def taken(self, lot: Lot) -> Lot | None:
        """Those of a lot whose spans are told."""
        taken = [each for each in lot.numbers if self._takes(each)]
        if len(taken) == len(lot):
            return lot
        return Lot(lot.standing, taken) if taken else None

    def _takes(self, told: UsageRecord | Numbers) -> bool:
        if told.trace is None or told.span is None:
            return False
        if told.parent is not None or not self._threshold:
            return True
        return int(told.trace[-_RANDOM_DIGITS:], 16) >= self._threshold
