"""The roll-up that budgets are rebuilt from: costs per scope and quarter of an hour (`spent`).

Added to by the transaction that keeps the rows, and kept far longer than they are. What no window
can begin in any more is folded into one row per scope, which `total` budgets need; sessions that
have been silent for as long as the longest window are forgotten.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from proxy.core.spending import added_up
from proxy.stores.postgres.transaction import transaction
from proxy.stores.postgres.usage_rows import when
from proxy.wire.lots import Lot
from proxy.wire.record import UsageRecord

COLUMNS: tuple[tuple[str, str], ...] = (
    ("kind", "text"),
    ("name", "text"),
    ("slot", "timestamptz"),
    ("cost", "bigint"),
)

_QUARTER = 900_000_000
_LONGEST_KEPT = timedelta(days=430)  # A month, and the twelve that can roll over into it.
_SILENT_SESSION = timedelta(days=40)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_FOLD = """
WITH old AS (DELETE FROM spent WHERE slot < $1 AND slot > $2 RETURNING kind, name, cost)
INSERT INTO spent (kind, name, slot, cost)
SELECT kind, name, $2, sum(cost) FROM old GROUP BY kind, name
ON CONFLICT (kind, name, slot) DO UPDATE SET cost = spent.cost + excluded.cost
"""
_FORGET_SESSIONS = """
DELETE FROM spent AS s WHERE s.kind = 'session' AND s.slot < $1 AND NOT EXISTS
(SELECT FROM spent AS n WHERE n.kind = 'session' AND n.name = s.name AND n.slot >= $1)
"""


def columns_of(records: Iterable[UsageRecord], lots: Iterable[Lot] = ()) -> list[list[Any]]:
    """The roll-up of a batch as one list per column, in the order of the primary key, so that two
    writers lock rows in the same order."""
    sums = added_up(records, _QUARTER, lots)
    rows = sorted((*scope, slot, cost) for (scope, slot), cost in sums.items())
    kinds, names, slots, costs = zip(*rows, strict=True) if rows else ((), (), (), ())
    return [list(kinds), list(names), [when(slot) for slot in slots], list(costs)]


async def fold(connection: asyncpg.Connection, now: datetime) -> None:
    """Make one row of those that are older than any window, and forget silent sessions."""
    async with transaction(connection):
        await connection.execute(_FORGET_SESSIONS, now - _SILENT_SESSION)
        await connection.execute(_FOLD, now - _LONGEST_KEPT, _EPOCH)
