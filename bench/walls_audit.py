"""What counters say against what records and the vendor say, scope by scope, to the last nano-USD.

    counter - holds that stay charged = sum of what the records say of every attempt
    what the vendor is owed           <= amount
    counters before refused calls     = counters after them

`judge` is pure; `spent_by_records` fetches.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import asyncpg

from bench.walls_world import Budget
from proxy.base.jsonio import loads
from proxy.core.quota import Scope

# Records made of the holds of dead workers say what stays charged: they are counted as holds.
_ROWS = """
    SELECT id, key, team, project, customer, route, attempts FROM usage
    WHERE error IS DISTINCT FROM 'worker_died'
"""
_PIECE = 5000
_EXAMPLES = 5


class Recorded(NamedTuple):
    """What the store says: spent by scope, and the requests that have a record."""

    spent: Counter[Scope]
    ids: set[str]


class Evidence(NamedTuple):
    """All that is compared. `counters`: None where there is no Redis; `kept`: what of each counter
    is a hold that stays charged."""

    budgets: Sequence[Budget]
    counters: Mapping[str, int] | None
    kept: Mapping[str, int]
    recorded: Mapping[Scope, int]
    owed: Mapping[str, int]


@dataclass(slots=True)
class Verdict:
    """`differences`: counters that are not what records say; `overspent`: budgets that records,
    `owing`: that the vendor's truth is above. Money in nano-USD, of all scopes `global`."""

    differences: dict[str, int] = field(default_factory=dict)
    overspent: dict[str, int] = field(default_factory=dict)
    owing: dict[str, int] = field(default_factory=dict)
    in_counters: int = 0
    in_records: int = 0
    in_holds: int = 0
    in_truth: int = 0
    amount: int = 0

    @property
    def good(self) -> bool:
        return not (self.differences or self.overspent or self.owing)

    def examples(self) -> list[str]:
        """Some of what is wrong, for people."""
        words = (
            (self.differences, "nano-USD more in the counter than in the records"),
            (self.overspent, "nano-USD above the amount, by the records"),
            (self.owing, "nano-USD above the amount, owed to the vendor"),
        )
        return [
            f"{key}: {by} {what}"
            for found, what in words
            for key, by in list(found.items())[:_EXAMPLES]
        ]


async def spent_by_records(address: str) -> Recorded:
    """All of it, as of one moment."""
    spent: Counter[Scope] = Counter()
    ids: set[str] = set()
    connection = await asyncpg.connect(address, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            async for row in connection.cursor(_ROWS, prefetch=_PIECE):
                ids.add(row[0])
                _add(spent, row)
    finally:
        await connection.close()
    return Recorded(spent, ids)


def _add(spent: Counter[Scope], row: Sequence[str]) -> None:
    _, key, team, project, customer, route, attempts = row
    scopes = (
        Scope("key", key),
        Scope("team", team),
        Scope("project", project),
        Scope("customer", customer),
        Scope("model", route),
        Scope("global", ""),
    )
    for attempt in loads(attempts):
        cost = attempt.get("cost", {}).get("total", 0)
        for scope in (*scopes, Scope("provider", attempt["provider"])):
            spent[scope] += cost


def judge(evidence: Evidence) -> Verdict:
    """Compare."""
    verdict = Verdict()
    for budget in evidence.budgets:
        key, amount = budget.key, budget.amount
        records = evidence.recorded.get(budget.scope, 0)
        truth = evidence.owed.get(f"{budget.scope.kind}={budget.scope.name}", 0)
        held = evidence.kept.get(key, 0)
        counter = records if evidence.counters is None else evidence.counters[key]
        if counter - held != records:
            verdict.differences[key] = counter - held - records
        if records > amount:
            verdict.overspent[key] = records - amount
        if truth > amount:
            verdict.owing[key] = truth - amount
        if budget.scope.kind == "global":
            verdict.in_counters, verdict.in_records = counter, records
            verdict.in_holds, verdict.in_truth, verdict.amount = held, truth, amount
    return verdict
