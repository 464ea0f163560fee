"""Usage records into PostgreSQL, exactly once.

One transaction moves the position of the segment, only if it stands where the batch begins, copies
the rows, and adds up the hours and what was spent. Whoever loses a race or repeats a batch moves
nothing and is told where the segment stands. Beside that, time and id are the primary key: a record
that comes from a restored copy of a spool is left out, rows and sums alike.

COPY needs a prepared statement that survives from one message to the next. Behind a transaction
pooler that has none, we notice and go on with INSERT ... unnest (`copy=False` from the start).
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, date, datetime
from typing import Any

import asyncpg

from proxy.base.clock import wall
from proxy.core.accounting import RecordsRefused, StoreAway
from proxy.stores.postgres import spent, usage_copy, usage_hourly, usage_rows
from proxy.stores.postgres.migrate import MigrationRefused, migrate
from proxy.stores.postgres.partitions import drop_partitions, make_partitions
from proxy.stores.postgres.transaction import transaction
from proxy.stores.postgres.usage_copy import CopyRows
from proxy.stores.postgres.usage_rows import Row, clean, columns_of, row_of, when, without_nul
from proxy.wire.lots import sort_out, spelled_out
from proxy.wire.record import UsageRecord
from proxy.wire.record_reader import Told

log = logging.getLogger("llm-proxy.postgres")

_DATA_ERRORS = ("21", "22", "23", "54")
"""Classes of SQLSTATE that say something about the data: it is refused however often it comes."""
_NO_PREPARED = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
_AWAY = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # A server that dies between two messages confuses asyncpg.
    OSError,
    MigrationRefused,
)
_NUL = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
_CONNECT = 10.0
_DAY = 86_400_000_000  # Microseconds.
# A client lost on the way must not keep a segment locked, and a commit must last: the segment is
# deleted after it. Said in the transaction, as poolers refuse settings when a connection begins.
_LOCAL = (
    "SET LOCAL idle_in_transaction_session_timeout = '60s';"
    "SET LOCAL statement_timeout = '60s';"
    "SELECT set_config('synchronous_commit', 'on', true)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)


def _insert(table: str, columns: Sequence[tuple[str, str]]) -> str:
    names = ", ".join(name for name, _ in columns)
    chosen = ", ".join(f"c{n}::{kind}" for n, (_, kind) in enumerate(columns))
    given = ", ".join(f"${n}::{_element(kind)}[]" for n, (_, kind) in enumerate(columns, 1))
    aliases = ", ".join(f"c{n}" for n in range(len(columns)))
    return f"INSERT INTO {table} ({names}) SELECT {chosen} FROM unnest({given}) AS r({aliases})"


def _element(kind: str) -> str:
    # Arrays travel as text: a list of lists would lose its shape in unnest.
    return "text" if kind.endswith("[]") else kind


_INSERT_ROWS = _insert("usage", usage_rows.COLUMNS)
_ADD_HOURS = (
    _insert("usage_hourly AS h", usage_hourly.COLUMNS)
    + " ON CONFLICT (hour, slot) DO UPDATE SET "
    + ", ".join(f"{name} = h.{name} + excluded.{name}" for name in usage_hourly.SUMS)
)
_ADD_SPENT = (
    _insert("spent AS s", spent.COLUMNS)
    + " ON CONFLICT (kind, name, slot) DO UPDATE SET cost = s.cost + excluded.cost"
)
_BEGIN_SEGMENT = (
    'INSERT INTO spool_offsets AS s (segment, "offset") VALUES ($1, $2) ON CONFLICT (segment)'
    ' DO UPDATE SET "offset" = excluded."offset", shipped_at = now() WHERE s."offset" = 0'
    ' RETURNING "offset"'
)
_MOVE_SEGMENT = (
    'UPDATE spool_offsets SET "offset" = $2, shipped_at = now()'
    ' WHERE segment = $1 AND "offset" = $3 RETURNING "offset"'
)
_POSITION = 'SELECT "offset" FROM spool_offsets WHERE segment = $1'
_ALREADY = (
    "SELECT u.at, u.id FROM usage u JOIN unnest($1::timestamptz[], $2::text[]) AS r(at, id)"
    " ON u.at = r.at AND u.id = r.id"
)
_FORGET = (
    "DELETE FROM spool_offsets WHERE starts_with(segment, $1) AND segment <> ALL($2::text[])"
    " AND shipped_at < now() - interval '1 day'"
)


class Batch:
    """What one call of `ship` wants to happen. Lots are counted and copied as such; where a batch
    is out of the ordinary, its records are spelled out."""

    __slots__ = ("_cleaned", "_told", "end", "hours", "lots", "others", "segment", "spent", "start")

    def __init__(self, segment: str, start: int, end: int, told: Sequence[Told]) -> None:
        self.segment = segment
        self.start = start
        self.end = end
        self._cleaned = False
        self._told = told
        self.lots, self.others = sort_out(told)
        self.hours, self.spent = self._sums()

    def __len__(self) -> int:
        return len(self._told)

    @property
    def plain(self) -> bool:
        """Whether its rows are its records as they are."""
        return not self._cleaned

    def days(self) -> set[date]:
        """Those of its records."""
        return {when(day * _DAY).date() for day in {told.at // _DAY for told in self._told}}

    def records(self) -> list[UsageRecord]:
        """All, in their order."""
        return spelled_out(self._told)

    def rows(self) -> list[Row]:
        """The rows, one by one."""
        rows = map(row_of, self.records())
        return [without_nul(row) for row in rows] if self._cleaned else list(rows)

    def clean(self) -> None:
        """Replace what PostgreSQL cannot hold."""
        self._cleaned = True
        self.hours = clean(self.hours)

    def keep(self, places: Sequence[int]) -> None:
        """Leave out all records but those."""
        self._told = [self._told[place] for place in places]
        self.lots, self.others = sort_out(self._told)
        self.hours, self.spent = self._sums()

    def _sums(self) -> tuple[list[list[Any]], list[list[Any]]]:
        hours = usage_hourly.columns_of(self.others, self.lots)
        return clean(hours) if self._cleaned else hours, spent.columns_of(self.others, self.lots)


class PostgresUsage:
    """A UsageStore. One connection, made when it is needed, and the schema with it.

    `patience`: seconds that a batch may take.
    """

    def __init__(self, dsn: str, *, copy: bool = True, patience: float = 60.0) -> None:
        self._dsn = dsn
        self._copy = copy
        self._patience = patience
        self._connection: asyncpg.Connection | None = None
        self._turn = asyncio.Semaphore(1)
        self._days: set[date] = set()
        self._copy_rows = CopyRows()

    @property
    def copies(self) -> bool:
        """Whether rows go by COPY, as far as is known."""
        return self._copy

    async def position(self, segment: str) -> int:
        """How far the segment was shipped. Raises StoreAway."""
        async with self._session() as connection, transaction(connection):
            return await _position(connection, segment)

    async def ship(self, segment: str, start: int, end: int, records: Sequence[Told]) -> int:
        """See UsageStore. Raises StoreAway, RecordsRefused."""
        try:
            batch = Batch(segment, start, end, records)
        except OverflowError as error:
            raise RecordsRefused(f"its time is out of range: {error}") from error
        async with self._session() as connection:
            for _ in range(3):
                await self._ensure_days(connection, batch)
                try:
                    return await self._transact(connection, batch)
                except _NUL:
                    batch.clean()
                except asyncpg.UniqueViolationError:
                    await _leave_out_known(connection, batch)
                except asyncpg.CheckViolationError:
                    self._days.clear()  # Somebody dropped a partition.
            return await self._transact(connection, batch)

    async def forget(self, spool: str, keep: Collection[str]) -> None:
        """See UsageStore. Raises StoreAway."""
        async with self._session() as connection, transaction(connection):
            await connection.execute(_FORGET, spool, list(keep))

    async def drop_partitions(self, before: date) -> list[date]:
        """Drop the rows of the days before that one; return the days. Raises StoreAway."""
        async with self._session() as connection:
            self._days.clear()
            await spent.fold(connection, datetime.fromtimestamp(wall(), UTC))
            return await drop_partitions(connection, before)

    async def close(self) -> None:
        """Close the connection. It can be used again."""
        async with self._turn:
            connection, self._connection = self._connection, None
            if connection is not None:
                try:
                    await connection.close(timeout=5)
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    connection.terminate()
                    log.debug("closing the connection: %s", error)

    async def _ensure_days(self, connection: asyncpg.Connection, batch: Batch) -> None:
        days = batch.days()
        if not days <= self._days:
            await make_partitions(connection, days)
            self._days |= days

    async def _transact(self, connection: asyncpg.Connection, batch: Batch) -> int:
        async with transaction(connection, _LOCAL):
            if not await _advance(connection, batch):
                return await _position(connection, batch.segment)
            if len(batch):
                await self._insert_rows(connection, batch)
                await connection.execute(_ADD_HOURS, *batch.hours)
                await connection.execute(_ADD_SPENT, *batch.spent)
        return batch.end

    async def _insert_rows(self, connection: asyncpg.Connection, batch: Batch) -> None:
        if not self._copy:
            await connection.execute(_INSERT_ROWS, *columns_of(batch.rows()))
        elif batch.plain:
            encoded = self._copy_rows.of(batch.others, batch.lots)
            source, columns = memoryview(encoded), usage_copy.NAMES  # Bytes would be a path.
            await connection.copy_to_table("usage", source=source, columns=columns, format="binary")
        else:
            rows, names = batch.rows(), usage_rows.NAMES
            await connection.copy_records_to_table("usage", records=rows, columns=names)

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[asyncpg.Connection]:
        """The connection, for one caller at a time; every error as one of the port's."""
        async with self._turn:
            try:
                async with asyncio.timeout(self._patience):
                    yield await self._connected()
            except BaseException as error:
                refusal = _refusal(error)
                if refusal is None or not isinstance(error, asyncpg.PostgresError):
                    self._drop()
                if refusal is not None:
                    raise refusal from error
                if isinstance(error, _NO_PREPARED) and self._copy:
                    self._copy = False
                    log.warning("no prepared statements here (a pooler?): inserting, not copying")
                if isinstance(error, _AWAY):
                    raise StoreAway(_words(error)) from error
                raise

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None:
            options = {} if self._copy else {"statement_cache_size": 0}
            connection = await asyncpg.connect(self._dsn, timeout=_CONNECT, **options)
            try:
                # Each time: it may be another database now, or an older state of it.
                _ = await migrate(connection)
            except BaseException:
                connection.terminate()
                raise
            self._days.clear()
            self._connection = connection
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _refusal(error: BaseException) -> RecordsRefused | None:
    if isinstance(error, OverflowError | UnicodeEncodeError):  # While asyncpg encoded a row.
        return RecordsRefused(_words(error))
    if isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] in _DATA_ERRORS:
        return RecordsRefused(_words(error))
    return None


def _words(error: BaseException) -> str:
    # DETAIL may hold what a caller wrote; the message names the rule alone.
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:500]


async def _advance(connection: asyncpg.Connection, batch: Batch) -> bool:
    if batch.start == 0:
        moved = await connection.fetchval(_BEGIN_SEGMENT, batch.segment, batch.end)
    else:
        moved = await connection.fetchval(_MOVE_SEGMENT, batch.segment, batch.end, batch.start)
    return moved is not None


async def _position(connection: asyncpg.Connection, segment: str) -> int:
    position = await connection.fetchval(_POSITION, segment)
    return int(position) if position is not None else 0


async def _leave_out_known(connection: asyncpg.Connection, batch: Batch) -> None:
    """Leave out what is in the table already, or twice in the batch."""
    keys = [(when(record.at), record.id) for record in batch.records()]
    async with transaction(connection):
        known = await connection.fetch(_ALREADY, [at for at, _ in keys], [id_ for _, id_ in keys])
    seen = {(row["at"], row["id"]) for row in known}
    places = []
    for place, key in enumerate(keys):
        if key not in seen:
            seen.add(key)
            places.append(place)
    log.warning("%s: %d records are known already", batch.segment, len(keys) - len(places))
    batch.keep(places)
