"""The daily partitions of `usage`: made when a record wants one, dropped when they are too old.

A partition is built as a table of its own and attached, which does not wait for readers of the
others. Days are UTC. A record may be of any day: clocks step back, and segments wait for hours.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import asyncpg

from proxy.stores.postgres.migrate import MIGRATION_LOCK
from proxy.stores.postgres.transaction import transaction

_PREFIX = "usage_"
_PATIENCE = "SET LOCAL lock_timeout = '5s'"


def _name(day: date) -> str:
    return f"{_PREFIX}{day.year:04d}{day.month:02d}{day.day:02d}"


def _day(name: str) -> date:
    digits = name.removeprefix(_PREFIX)
    return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))


def _midnight(day: date) -> str:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).isoformat(sep=" ")


async def partition_days(connection: asyncpg.Connection) -> set[date]:
    """The days that have a partition."""
    rows = await connection.fetch(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'usage'::regclass"
    )
    return {_day(row["relname"]) for row in rows}


async def make_partitions(connection: asyncpg.Connection, days: Iterable[date]) -> None:
    """Make those that are missing."""
    async with transaction(connection):
        await connection.execute(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        missing = set(days) - await partition_days(connection)
        for day in sorted(missing):
            name, end = _name(day), day + timedelta(days=1)
            await connection.execute(
                f"CREATE TABLE {name} (LIKE usage INCLUDING DEFAULTS INCLUDING CONSTRAINTS);"
                f"ALTER TABLE usage ATTACH PARTITION {name}"
                f" FOR VALUES FROM ('{_midnight(day)}') TO ('{_midnight(end)}')"
            )


async def drop_partitions(connection: asyncpg.Connection, before: date) -> list[date]:
    """Drop the partitions of the days before that one; return their days. Roll-ups stay.

    It waits at most 5 s for readers of the table; asyncpg's LockNotAvailableError after that.
    """
    dropped = []
    for day in sorted(await partition_days(connection)):
        if day < before:
            async with transaction(connection, _PATIENCE):
                await connection.execute(f"DROP TABLE IF EXISTS {_name(day)}")
            dropped.append(day)
    return dropped
