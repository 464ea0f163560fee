"""Reports from PostgreSQL: the Reports port, and what the command line reads beside it.

Sums come from the hourly roll-ups, single records from a cursor on the server, a few hundred at a
time, so that memory stays flat whatever there is. All that one report shows is one snapshot of the
database, read-only. A connection is made for each report: they are rare, and at most a few run at a
time, so that they take no connections away from what writes.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import asyncpg

from proxy.core.accounting import Figures, Group, StoreAway, UsagePage, UsageQuery, UsageRow
from proxy.stores.postgres import reports_sql, usage_rows
from proxy.stores.postgres.reports_sql import FIGURES, Statement
from proxy.stores.postgres.sessions import questions, session

_AT_ONCE = 4
_STEP = 500
_LOCAL = (
    "SET LOCAL statement_timeout = '60s';"
    "SET LOCAL idle_in_transaction_session_timeout = '10min';"  # Whoever reads may be slow.
    "SET LOCAL jit = off"  # Compiling takes longer than these sums.
)
EXPORTED = tuple(name for name in usage_rows.NAMES if not name.startswith("content_"))
"""Columns of an exported record. What was said is nobody's business who counts."""
EXPORTED_WITH_CONTENT = usage_rows.NAMES
"""The same for whoever asks for it by name."""

_RECORD_CONDITIONS: Mapping[str, str] = {
    "model": "coalesce(nullif(served_model, ''), route)",
    "team": "team",
    "key": "key",
    "user": "user_id",
    "project": "project",
    "provider": "served_provider",
    "operation": "operation",
}
_HAS_TAG = "${0}::text = ANY(tags) OR (${0}::text = '' AND tags = '{{}}')"
_POSITIONS = 'SELECT segment, "offset" FROM spool_offsets WHERE segment = ANY($1::text[])'


class Report:
    """One report: the figures of all of it, then its rows, once."""

    __slots__ = ("_batches", "totals")

    def __init__(self, totals: Figures, batches: AsyncIterator[list[asyncpg.Record]]) -> None:
        self.totals = totals
        self._batches = batches

    async def rows(self) -> AsyncIterator[UsageRow]:
        """By time if that was asked for, else the dearest first. Raises StoreAway."""
        async for batch in self._batches:
            for record in batch:
                yield _row(record)


class PostgresReports:
    """Reads what `PostgresUsage` wrote. `address`: the database's URL; None while it is away."""

    def __init__(self, address: Callable[[], str | None]) -> None:
        self._address = address
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def page(self, query: UsageQuery, limit: int, after: Group | None) -> UsagePage:
        """See Reports."""
        async with self._snapshot() as connection:
            totals = await _totals(connection, query) if after is None else None
            found = await _fetch(connection, reports_sql.page(query, limit + 1, after))
        rows = tuple(_row(record) for record in found[:limit])
        return UsagePage(rows, len(found) > limit, totals)

    @contextlib.asynccontextmanager
    async def report(self, query: UsageQuery) -> AsyncIterator[Report]:
        """A whole report, its rows read while they are asked for. Raises StoreAway."""
        async with self._snapshot() as connection:
            totals = await _totals(connection, query)
            yield Report(totals, _batches(connection, reports_sql.dearest_first(query)))

    @contextlib.asynccontextmanager
    async def records(
        self,
        since: datetime,
        until: datetime | None,
        where: Iterable[tuple[str, tuple[str, ...]]],
        columns: tuple[str, ...] = EXPORTED,
    ) -> AsyncIterator[AsyncIterator[list[tuple[Any, ...]]]]:
        """Single records in the order of time, values as in `columns`. Raises StoreAway."""
        statement = _records(since, until, where, columns)
        async with self._snapshot() as connection:
            yield _tuples(_batches(connection, statement))

    async def positions(self, segments: Iterable[str]) -> dict[str, int]:
        """How far each segment was shipped, of those that were. Raises StoreAway."""
        async with self._snapshot() as connection:
            found = await _fetch(connection, Statement(_POSITIONS, [list(segments)]))
        return {record["segment"]: record["offset"] for record in found}

    @contextlib.asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[asyncpg.Connection]:
        if (dsn := self._address()) is None:
            raise StoreAway("it is being started")
        async with self._places, session(dsn) as connection:
            with questions():
                await connection.execute(
                    f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;{_LOCAL}"
                )
            yield connection
            with questions():
                await connection.execute("COMMIT")


async def _fetch(connection: asyncpg.Connection, statement: Statement) -> list[asyncpg.Record]:
    with questions():
        found: list[asyncpg.Record] = await connection.fetch(statement.text, *statement.values)
        return found


async def _batches(
    connection: asyncpg.Connection, statement: Statement
) -> AsyncIterator[list[asyncpg.Record]]:
    with questions():
        await connection.execute(
            f"DECLARE reading NO SCROLL CURSOR FOR {statement.text}", *statement.values
        )
    fetch = Statement(f"FETCH {_STEP} FROM reading", ())
    while batch := await _fetch(connection, fetch):
        yield batch


async def _tuples(
    batches: AsyncIterator[list[asyncpg.Record]],
) -> AsyncIterator[list[tuple[Any, ...]]]:
    async for batch in batches:
        yield [tuple(record) for record in batch]


async def _totals(connection: asyncpg.Connection, query: UsageQuery) -> Figures:
    [record] = await _fetch(connection, reports_sql.totals(query))
    return _figures(record)


def _records(
    since: datetime,
    until: datetime | None,
    where: Iterable[tuple[str, tuple[str, ...]]],
    columns: tuple[str, ...],
) -> Statement:
    text, values = f"SELECT {', '.join(columns)} FROM usage WHERE at >= $1", [since]
    asked: list[tuple[str, Any]] = [("at < ${}", until)] if until is not None else []
    for name, wanted in where:
        if name == "tag":
            asked.append((_HAS_TAG, wanted[0]))
        else:
            asked.append((f"{_RECORD_CONDITIONS[name]} = ANY(${{}}::text[])", list(wanted)))
    for condition, value in asked:
        values.append(value)
        text += f" AND ({condition.format(len(values))})"
    return Statement(f"{text} ORDER BY at, id", values)


def _row(record: asyncpg.Record) -> UsageRow:
    return UsageRow(tuple(record)[: -len(FIGURES)], _figures(record))


def _figures(record: asyncpg.Record) -> Figures:
    # Sums of PostgreSQL are decimals of any size; they are whole.
    return Figures(*(int(record[name]) for name in FIGURES))
