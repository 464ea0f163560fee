"""A database with records in it, and the sums that reports must show, worked out from the records
one by one."""

from collections import Counter
from collections.abc import Iterable, Sequence

from proxy.core.accounting import Figures, UsageRow
from proxy.stores.postgres.usage import PostgresUsage
from proxy.wire.record import UsageRecord
from tests.unit.stores.records import HOUR, NOON, attempt, record

_TALLIED = {"upstream_cut": "cut", "client_gone": "gone"}


def mixed_books() -> list[UsageRecord]:
    """Every outcome, several hours and teams, tags, fallbacks, unpriced ones, one without names."""
    outcomes = ("completed", "failed", "refused", "upstream_cut", "client_gone", "cached")
    made = [
        record(n, at=NOON + (n % 30) * HOUR + n, outcome=outcomes[n % 6], user=f"u{n % 4}")
        for n in range(120)
    ]
    made.append(record(200, unpriced=True, cost=None, served_model="llama", team=None))
    tries = (attempt(1, "azure", "gpt-4o"), attempt(2, "openai", "gpt-4o-mini"))
    made.append(record(201, attempts=tries, tags=("night", "night", "x")))
    return made


async def keep(dsn: str, records: Sequence[UsageRecord]) -> None:
    """Put the records into the database, as control does."""
    store = PostgresUsage(dsn)
    try:
        assert await store.ship("spool/segment", 0, 1, records) == 1
    finally:
        await store.close()


def figures_of(records: Iterable[UsageRecord]) -> Figures:
    """The sums, one record after another."""
    sums: Counter[str] = Counter()
    for each in records:
        sums["requests"] += 1
        sums[_TALLIED.get(each.outcome, each.outcome)] += 1
        sums["unpriced"] += each.unpriced
        sums["cost"] += each.cost or 0
        if (usage := each.usage) is not None:
            sums["input_tokens"] += usage.input
            sums["output_tokens"] += usage.output
            sums["cached_read_tokens"] += usage.cached_read
            sums["reasoning_tokens"] += usage.reasoning
    return Figures(**sums)


def added(rows: Iterable[UsageRow]) -> Figures:
    """The sums of the rows of a report."""
    sums: Counter[str] = Counter()
    for row in rows:
        for name in Figures.__slots__:
            sums[name] += getattr(row.figures, name)
    return Figures(**sums)
