"""How long one target took to its first token, of late: an average and quantiles.

The average forgets exponentially; quantiles are those of the last values, put in order when
somebody asks and again when an eighth of them is new. An attempt costs two stores.
"""

from bisect import insort
from math import ceil
from typing import Final

KEPT: Final = 128
ENOUGH: Final = 10
"""Values without which no quantile is told."""

_WEIGHT: Final = 0.2
_STALE: Final = KEPT // 8


class Latencies:
    """In seconds."""

    __slots__ = ("_mean", "_new", "_ordered", "_place", "_ring")

    def __init__(self) -> None:
        self._mean: float | None = None
        self._ring: list[float] = []
        self._place = -1  # Of the oldest, once all places are taken.
        self._ordered: list[float] = []
        self._new = 0  # Values that `_ordered` does not know.

    def add(self, seconds: float) -> None:
        """One more."""
        mean = self._mean
        self._mean = seconds if mean is None else mean + _WEIGHT * (seconds - mean)
        place = self._place
        if place < 0:
            self._fill(seconds)
            return
        self._ring[place] = seconds
        self._place = (place + 1) % KEPT
        self._new += 1

    def _fill(self, seconds: float) -> None:
        """The first ones."""
        self._ring.append(seconds)
        insort(self._ordered, seconds)
        if len(self._ring) == KEPT:
            self._place = 0

    def mean(self) -> float | None:
        """The average; None: nothing is known."""
        return self._mean

    def quantile(self, q: float) -> float | None:
        """The smallest of the last values that a share `q` of them does not exceed; None: too few
        are known."""
        if self._new >= _STALE:
            self._ordered = sorted(self._ring)
            self._new = 0
        ordered = self._ordered
        if len(ordered) < ENOUGH:
            return None
        return ordered[min(len(ordered), max(1, ceil(q * len(ordered)))) - 1]
