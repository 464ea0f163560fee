"""Whoever looks at the counters of money while calls are made: many times a second, all of them.

What a counter shows is spent and held together. It may never be above the amount, not for a moment.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.walls_redis import Reader
from bench.walls_world import Budget
from proxy.core.quota import ScopeKind

_EVERY = 0.04
_EXAMPLES = 5


@dataclass(slots=True)
class Seen:
    """What was seen. `highest`: of each kind of scope the largest share of an amount that was
    spent and held; `full`: budgets that were used up to less than the hundredth part."""

    looks: int = 0
    highest: dict[ScopeKind, float] = field(default_factory=dict)
    overruns: int = 0
    examples: list[str] = field(default_factory=list)
    full: set[str] = field(default_factory=set)

    def look(self, budgets: Sequence[Budget], taken: Sequence[int]) -> None:
        """Compare all counters with their amounts."""
        self.looks += 1
        for budget, used in zip(budgets, taken, strict=True):
            share = used / budget.amount
            kind = budget.scope.kind
            if share > self.highest.get(kind, 0.0):
                self.highest[kind] = share
            if share > 0.99:
                self.full.add(budget.key)
            if used > budget.amount:
                self.overruns += 1
                if len(self.examples) < _EXAMPLES:
                    self.examples.append(f"{budget.key}: {used} of {budget.amount}")


async def watch(port: int, budgets: Sequence[Budget], seen: Seen) -> None:
    """Look until cancelled."""
    reader = await Reader.connect(port)
    keys = [budget.key for budget in budgets]
    try:
        while True:
            seen.look(budgets, await reader.counters(keys))
            await asyncio.sleep(_EVERY)
    finally:
        reader.close()
