"""Times counted in buckets that are as fine as what they count: 0.4 % of it, from 0.1 µs to hours.

Buckets are linear up to 256 units of 0.1 µs and then 128 to each doubling, as in HdrHistogram. So a
run of any length takes the same memory, histograms of several processes add up, and the far end is
as true as the middle. Seconds go in and come out.
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from math import ceil
from typing import Any

_UNIT = 1e-7
_PER_UNIT = 1e7
_BITS = 7
_FINE = 1 << _BITS
_SIZE = _FINE * 34  # The last bucket begins at about 3.8 hours.


def _bucket(units: int) -> int:
    shift = units.bit_length() - _BITS - 1
    return units if shift <= 0 else (shift << _BITS) + (units >> shift)


def _middle(bucket: int) -> float:
    """The seconds that stand for whatever is in the bucket."""
    if bucket < 2 * _FINE:
        return bucket * _UNIT
    shift = (bucket >> _BITS) - 1
    return (((bucket - (shift << _BITS)) << shift) + (1 << shift) / 2) * _UNIT


class Histogram:
    """How often each time came."""

    __slots__ = ("_counts", "_most", "_sum", "total")

    def __init__(self) -> None:
        self._counts = [0] * _SIZE
        self._most = 0.0
        self._sum = 0.0
        self.total = 0

    def append(self, seconds: float) -> None:
        """Count one. Less than nothing counts as nothing."""
        bucket = _bucket(max(int(seconds * _PER_UNIT), 0))
        self._counts[min(bucket, _SIZE - 1)] += 1
        self.total += 1
        self._sum += seconds
        self._most = max(self._most, seconds)

    @property
    def most(self) -> float:
        """The largest, exactly."""
        return self._most

    @property
    def mean(self) -> float:
        """The mean, exactly; 0 of none."""
        return self._sum / self.total if self.total else 0.0

    def quantiles(self, shares: Iterable[float]) -> list[float]:
        """The nearest-rank quantile at each share from 0 to 1; 0 of none."""
        wanted = list(shares)
        if not self.total:
            return [0.0] * len(wanted)
        running = list(accumulate(self._counts))
        return [self._at(running, max(1, ceil(round(q * self.total, 6)))) for q in wanted]

    def _at(self, running: list[int], rank: int) -> float:
        if rank >= self.total:
            return self._most
        return min(_middle(bisect_left(running, rank)), self._most)

    def add(self, other: "Histogram") -> None:
        """Count what the other counted as well."""
        self._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]
        self.total += other.total
        self._sum += other._sum
        self._most = max(self._most, other._most)

    def as_json(self) -> dict[str, Any]:
        """Its buckets that are not empty, in a form for files."""
        filled = [[bucket, count] for bucket, count in enumerate(self._counts) if count]
        return {"buckets": filled, "most": self._most, "sum": self._sum}

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Histogram":
        """What `as_json` gave. Raises KeyError, TypeError, ValueError, IndexError for other."""
        made = cls()
        for bucket, count in given["buckets"]:
            made._counts[bucket] = count
            made.total += count
        made._most = float(given["most"])
        made._sum = float(given["sum"])
        return made
