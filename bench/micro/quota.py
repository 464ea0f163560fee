"""What limits and budgets in memory cost per request: `python -m bench.micro.quota [--rounds N]`.

The request of the goal: four scopes (key, team, model, global), each with requests and tokens per
minute and a budget. Its limits are taken at admission and its budgets at the one attempt, then both
are settled: twelve rules, two grants. A thousand keys in fifty teams take turns, so that counts
are not all in the processor's cache. Best and median of the rounds, in µs of one core.
"""

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from itertools import cycle, islice
from statistics import median
from typing import NamedTuple

from bench.table import table
from proxy.base.clock import monotonic
from proxy.core.quota import Calendar, Demand, Quota, Rule, Scope, Sliding
from proxy.stores.memory.store import MemoryQuotas

_MOST = 10**12
_KEYS = 1000
_TEAMS = 50
_PER_ROUND = 10_000


class Caller(NamedTuple):
    """One key's quotas."""

    limits: Quota
    budgets: Quota


def callers() -> list[Caller]:
    """Each key with its team, a model and everybody."""
    store = MemoryQuotas()
    return [Caller(*(store.bind(rules) for rules in _rules(key))) for key in range(_KEYS)]


def _rules(key: int) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    scopes = (
        Scope("key", f"k{key}"),
        Scope("team", f"t{key % _TEAMS}"),
        Scope("model", "gpt-4o"),
        Scope("global", ""),
    )
    minute = Sliding(60)
    limits = tuple(
        rule
        for scope in scopes
        for rule in (
            Rule(scope, "rpm", "requests", _MOST, minute),
            Rule(scope, "tpm", "tokens", _MOST, minute),
        )
    )
    month = Calendar("month")
    return limits, tuple(Rule(scope, "month", "money", _MOST, month) for scope in scopes)


async def whole(caller: Caller) -> None:
    """Admission, one attempt, the end."""
    limits = await caller.limits.take(Demand("r", 1500))
    budgets = await caller.budgets.take(Demand("r.1", 0, 2_000_000, 1_000_000))
    budgets.settle(0, 1_234_567)
    limits.settle(1200, 0)


async def with_levels(caller: Caller) -> None:
    """The same, and all levels looked at, as for the headers of an answer."""
    limits = await caller.limits.take(Demand("r", 1500))
    limits.levels()
    budgets = await caller.budgets.take(Demand("r.1", 0, 2_000_000, 1_000_000))
    budgets.levels()
    budgets.settle(0, 1_234_567)
    limits.settle(1200, 0)


async def limits_only(caller: Caller) -> None:
    """Eight limits, taken and settled."""
    (await caller.limits.take(Demand("r", 1500))).settle(1200, 0)


async def budgets_only(caller: Caller) -> None:
    """Four budgets, held and settled."""
    (await caller.budgets.take(Demand("r.1", 0, 2_000_000, 1_000_000))).settle(0, 1_234_567)


async def nothing(caller: Caller) -> None:
    """The loop around the others."""


Work = Callable[[Caller], Coroutine[None, None, None]]
_WORKS: tuple[Work, ...] = (whole, with_levels, limits_only, budgets_only, nothing)


async def measure(work: Work, rounds: int) -> list[float]:
    """Microseconds per call, of each round."""
    ring = cycle(callers())
    figures = []
    for _ in range(rounds):
        turn = list(islice(ring, _PER_ROUND))
        begin = monotonic()
        for caller in turn:
            await work(caller)
        figures.append((monotonic() - begin) / _PER_ROUND * 1e6)
    return figures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    rows: list[tuple[str, str, str]] = [("take and settle", "best µs", "median µs")]
    for work in _WORKS:
        figures = asyncio.run(measure(work, rounds))
        doing = (work.__doc__ or "").rstrip(".")
        rows.append((doing, f"{min(figures):.2f}", f"{median(figures):.2f}"))
    print(table(rows))


if __name__ == "__main__":
    main()
