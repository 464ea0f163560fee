"""A histogram of integers, and the bounds that ours have.

What is measured is whole already (microseconds, tokens), so sums are exact and never drift. A value
on a bound belongs below it, as `le` says. Counts are per bucket here and summed up when told.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final


def micros(*seconds: float) -> tuple[int, ...]:
    """Bounds in microseconds."""
    return tuple(round(bound * 1_000_000) for bound in seconds)


LATENCY: Final = micros(
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
    *(10, 30, 60, 120, 300, 420, 600),
)
OVERHEAD: Final = micros(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1)
PER_TOKEN: Final = micros(
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5
)

# The bounds that the semantic conventions for generative AI ask for.
GEN_AI_TOKENS: Final = tuple(4**power for power in range(14))
GEN_AI_DURATION: Final = micros(*(0.01 * 2**power for power in range(14)))
GEN_AI_FIRST_TOKEN: Final = micros(
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1),
    *(0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
GEN_AI_PER_TOKEN: Final = micros(
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
)


class Histogram:
    """Counts of values per bucket, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0

    def observe(self, value: int) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def observe_all(self, values: Sequence[int]) -> None:
        """Each of them."""
        bounds, counts = self.bounds, self.counts
        for value in values:
            counts[bisect_left(bounds, value)] += 1
        self.total += sum(values)

    @property
    def count(self) -> int:
        return sum(self.counts)

    def cumulative(self) -> Iterator[int]:
        """How many values are at most each bound; at last, all."""
        return accumulate(self.counts)
