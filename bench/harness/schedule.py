"""When requests of an open loop are due: seconds from the start, for ever, known before the run.

An open loop sends when a request is due, not when the last was answered, and times count from when
it was due. So a server that stalls is charged for everybody whom it kept waiting, also for those
whose request could not be sent yet: no omission is coordinated with it.
"""

import random
from collections.abc import Iterator
from typing import Literal

Arrivals = Literal["poisson", "fixed"]
ARRIVALS: tuple[Arrivals, ...] = ("poisson", "fixed")


def fixed(rate: float) -> Iterator[float]:
    """One each `1 / rate` seconds, computed and not added up, so that no error grows."""
    number = 0
    while True:
        yield number / rate
        number += 1


def poisson(rate: float, seed: int) -> Iterator[float]:
    """As independent callers come: the gaps are exponential, `rate` a second on average."""
    draw = random.Random(seed)
    due = 0.0
    while True:
        due += draw.expovariate(rate)
        yield due


def due_times(arrivals: Arrivals, rate: float, seed: int) -> Iterator[float]:
    """The schedule of this kind."""
    return poisson(rate, seed) if arrivals == "poisson" else fixed(rate)
