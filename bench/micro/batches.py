"""Times a step over a batch of things that were made for it, in processor time; best and median.

A step may use up what it is given, so each round has a fresh batch, made outside of the time. The
cost of an empty step is taken off.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeVar

T = TypeVar("T")
Row = tuple[str, str, str]
HEAD: Row = ("us", "best", "median")


def cost(
    step: Callable[[T], object], make: Callable[[], T], rounds: int = 25, batch: int = 200
) -> tuple[float, float]:
    """Microseconds for one, the best round and the middle one."""
    empty = min(_round(_nothing, [make() for _ in range(batch)]) for _ in range(3))
    took = [_round(step, [make() for _ in range(batch)]) - empty for _ in range(rounds)]
    return max(min(took), 0.0), max(median(took), 0.0)


def row(
    name: str,
    step: Callable[[T], object],
    make: Callable[[], T],
    *,
    rounds: int = 25,
    batch: int = 200,
) -> Row:
    """A row of the table."""
    best, middle = cost(step, make, rounds, batch)
    return name, f"{best:,.2f}", f"{middle:,.2f}"


def _round(step: Callable[[T], object], batch: Sequence[T]) -> float:
    began = time.process_time_ns()
    for each in batch:
        step(each)
    return (time.process_time_ns() - began) / len(batch) / 1000


def _nothing(_: object) -> None:
    """What every step costs at least."""
