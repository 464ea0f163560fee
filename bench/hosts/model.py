"""What a part costs as hosts and requests grow: three terms, fitted to measured points.

    cores = idle x hosts  +  per_request x rate  +  per_occasion x occasions(hosts, rate)

Idle is measured, the other two are fitted by least squares of the relative error. Occasions are
what makes the first request of a moment dearer than those beside it:

- `batches`: a host that has anything to ship does so five times a second, however much it is, so
  controls and PostgreSQL pay for each host that serves;
- `wakings`: a process that was asleep wakes up with cold caches, for one request alone. The busier
  it is the rarer this gets; that it goes by the square root of its rate is no law but what fits.
  Each worker has its own rate; a Redis has that of all hosts.

Fitted to some sizes it predicts others, and its worst relative error there is what it is worth.
Pure arithmetic: no clock, no I/O.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf, sqrt
from types import MappingProxyType
from typing import NamedTuple


class Point(NamedTuple):
    """One measurement. `rate`: requests a second of all hosts together; `cores`: what was used."""

    hosts: int
    rate: float
    cores: float


Occasions = Callable[[int, float], float]


def batches(hosts: int, rate: float) -> float:
    """One for each host that serves."""
    return float(hosts) if rate else 0.0


def wakings_of_each(hosts: int, rate: float) -> float:
    """Of processes that share the rate."""
    return hosts * sqrt(rate / hosts)


def wakings_of_one(hosts: int, rate: float) -> float:
    """Of one process that has all of it, from however many hosts."""
    return sqrt(rate)


OCCASIONS: Mapping[str, Occasions] = MappingProxyType(
    {
        "workers": wakings_of_each,
        "controls": batches,
        "redis": wakings_of_one,
        "postgres": batches,
    }
)
"""By the part of the service."""


class Cost(NamedTuple):
    """What was fitted, in seconds of CPU. `idle`: cores of each host that does nothing."""

    idle: float
    per_request: float
    per_occasion: float
    occasions: Occasions

    def cores(self, hosts: int, rate: float) -> float:
        """What it predicts."""
        own = self.per_request * rate + self.per_occasion * self.occasions(hosts, rate)
        return self.idle * hosts + own

    def full_at(self, hosts: int, cores: float) -> float:
        """The requests a second at which so many cores are used up; infinite where never."""
        if self.per_request <= 0:
            return inf
        low, high = 0.0, cores / self.per_request + 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if self.cores(hosts, middle) > cores else (middle, high)
        return low


def fit(points: Sequence[Point], occasions: Occasions) -> Cost:
    """The cost that is nearest, by what is measured idle (rate 0) and under load. Raises ValueError
    where these points do not decide it."""
    resting = [point for point in points if not point.rate]
    loaded = [point for point in points if point.rate]
    if not resting:
        raise ValueError("nothing was measured idle")
    idle = sum(point.cores for point in resting) / sum(point.hosts for point in resting)
    # Each row divided by what is to be found: so all points count alike, small or large.
    rows = [
        (
            point.rate / point.cores,
            occasions(point.hosts, point.rate) / point.cores,
            (point.cores - idle * point.hosts) / point.cores,
        )
        for point in loaded
    ]
    aa, bb, ab, ac, bc = (
        sum(row[i] * row[j] for row in rows) for i, j in ((0, 0), (1, 1), (0, 1), (0, 2), (1, 2))
    )
    decided = aa * bb - ab * ab
    if decided <= 1e-9 * aa * bb:
        raise ValueError("these points do not tell requests and occasions apart")
    return Cost(idle, (ac * bb - bc * ab) / decided, (aa * bc - ab * ac) / decided, occasions)


def error(cost: Cost, point: Point) -> float:
    """By how much the prediction is off, as a part of what was measured."""
    return cost.cores(point.hosts, point.rate) / point.cores - 1.0


def worst(cost: Cost, points: Sequence[Point]) -> float:
    """The largest error of these, without its sign."""
    return max((abs(error(cost, point)) for point in points), default=0.0)
