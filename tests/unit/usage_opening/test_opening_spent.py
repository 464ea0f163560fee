"""The table `spent`: what is put into it when it is made, and what is folded away."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import asyncpg

from proxy.stores.postgres import spent, usage_hourly, usage_rows
from proxy.stores.postgres.migrate import migrate, migrations
from proxy.stores.postgres.partitions import make_partitions
from proxy.stores.postgres.usage_rows import row_of, without_nul
from proxy.wire.record import UsageRecord
from tests.fakes.postgres import query
from tests.unit.usage_opening.opening_books import BEGIN, attempt, drawn, record

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ROWS = "SELECT kind, name, slot, cost FROM spent ORDER BY kind, name, slot"


def rolled_up(records: list[UsageRecord]) -> list[tuple[object, ...]]:
    return sorted(zip(*spent.columns_of(records), strict=True))


async def test_what_was_recorded_before_the_table_was_made_is_in_it(empty_postgres: str) -> None:
    # A name with a NUL is shipped as another one; bearers' sums by model are added up no more.
    drawn_ones = drawn(random.Random(5), 400, (None,))  # Before there were fallbacks.
    records = [each for each in drawn_ones if each.customer != "nul\0led" and "/" not in each.key]
    connection = await asyncpg.connect(empty_postgres)
    files = await asyncio.to_thread(migrations)
    names = [file.name for file in files]
    first = names.index("0003_spent")
    await migrate(connection, files[:first])
    await make_partitions(connection, {row_of(each)[0].date() for each in records})
    rows = [without_nul(row_of(each)) for each in records]
    await connection.copy_records_to_table("usage", records=rows, columns=usage_rows.NAMES)
    assert await migrate(connection, files[: first + 1]) == ["0003_spent"]
    await connection.close()
    found = sorted(await query(empty_postgres, ROWS), key=lambda row: row[:3])
    expected = rolled_up(records)
    assert found == sorted(expected, key=lambda row: row[:3])


async def test_of_days_that_were_dropped_the_hours_tell(empty_postgres: str) -> None:
    kept = record(1, BEGIN + 5 * 86400, attempt("p", 0, 5), tags=("a", "b"))
    gone = record(2, BEGIN, attempt("p", 0, 7), tags=("a", "b"), team="red")
    connection = await asyncpg.connect(empty_postgres)
    files = await asyncio.to_thread(migrations)
    first = [file.name for file in files].index("0003_spent")
    await migrate(connection, files[:first])
    await make_partitions(connection, {row_of(kept)[0].date()})
    await connection.copy_records_to_table(
        "usage", records=[row_of(kept)], columns=usage_rows.NAMES
    )
    names = [name for name, _ in usage_hourly.COLUMNS]
    hours = zip(*usage_hourly.columns_of([kept, gone]), strict=True)
    await connection.copy_records_to_table("usage_hourly", records=list(hours), columns=names)
    await migrate(connection, files[: first + 1])
    await connection.close()
    found = await query(
        empty_postgres, "SELECT kind, name, sum(cost)::int FROM spent GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert found == [
        ("global", "", 12),
        ("key", "alice", 12),
        ("key_model", "alice/gpt-4o", 5),
        ("model", "gpt-*", 5),
        ("provider", "p", 12),
        ("tag", "a", 12),
        ("tag", "b", 12),
        ("team", "red", 7),
    ]


async def test_what_is_older_than_any_window_is_folded(postgres: str) -> None:
    async def put(kind: str, name: str, days: int, cost: int) -> None:
        await query(
            postgres,
            "INSERT INTO spent (kind, name, slot, cost) VALUES ($1, $2, $3, $4)",
            *(kind, name, NOW - timedelta(days=days), cost),
        )

    for days, cost in ((1, 1), (400, 10), (500, 100), (600, 1000)):
        await put("key", "alice", days, cost)
    for days in (1, 50, 100):
        await put("session", "goes-on", days, 1)
    await put("session", "silent", 41, 1)
    await put("session", "resting", 39, 1)
    connection = await asyncpg.connect(postgres)
    for _ in range(2):
        await spent.fold(connection, NOW)
        await put("key", "bob", 700, 5)
    await connection.close()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert await query(postgres, ROWS) == [
        ("key", "alice", epoch, 1100),
        ("key", "alice", NOW - timedelta(days=400), 10),
        ("key", "alice", NOW - timedelta(days=1), 1),
        ("key", "bob", epoch, 5),
        ("key", "bob", NOW - timedelta(days=700), 5),
        ("session", "goes-on", NOW - timedelta(days=100), 1),
        ("session", "goes-on", NOW - timedelta(days=50), 1),
        ("session", "goes-on", NOW - timedelta(days=1), 1),
        ("session", "resting", NOW - timedelta(days=39), 1),
    ]
