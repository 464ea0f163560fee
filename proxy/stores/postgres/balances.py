"""What was spent, as far as it was shipped, and how far that is: both of one moment.

Read in one transaction that sees one snapshot of the database. Whoever ships moves both in one
transaction too, so a record counts here exactly if its segment's position is behind it.
"""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from proxy.core.spending import Question, Shipped, Sums
from proxy.stores.postgres.sessions import questions as asking
from proxy.stores.postgres.sessions import session

_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL statement_timeout = '60s'"
_POSITIONS = 'SELECT segment, "offset" FROM spool_offsets WHERE starts_with(segment, $1)'
_ASKED = (
    "FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])"
    " AS q(place, kind, name, since, until)"
    " JOIN spent AS s ON s.kind = q.kind AND s.name {} q.name"
)
_SUMS = (
    "SELECT q.place, sum(s.cost)::bigint AS cost {}"
    " AND s.slot >= q.since AND s.slot < q.until GROUP BY q.place"
)
_FIRST = "SELECT q.place, min(s.slot) AS first {} GROUP BY q.place"
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)

_Row = tuple[int, str, str, datetime, datetime]


class PostgresBalances:
    """A ShippedSums. One connection, made when it is needed and kept."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._stack = contextlib.AsyncExitStack()
        self._connection: asyncpg.Connection | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None and not self._connection.is_closed()

    async def shipped(self, questions: Sequence[Question], spool: str | None) -> Shipped:
        """See ShippedSums. Raises StoreAway."""
        connection = await self._connected()
        try:
            with asking():
                await connection.execute(_SNAPSHOT)
                found = await _read(connection, questions, spool)
                await connection.execute("COMMIT")
        except BaseException:
            connection.terminate()
            raise
        return found

    async def _connected(self) -> asyncpg.Connection:
        connection = self._connection
        if connection is None or not self.connected:
            await self.close()
            connection = await self._stack.enter_async_context(session(self._dsn))
            self._connection = connection
        return connection

    async def close(self) -> None:
        """Close the connection. It can be used again."""
        self._connection = None
        await self._stack.aclose()


async def _read(
    connection: asyncpg.Connection, questions: Sequence[Question], spool: str | None
) -> Shipped:
    sums = [Sums([0] * len(question.spans)) for question in questions]
    for like in (False, True):
        chosen = [n for n, each in enumerate(questions) if each.is_pattern is like]
        if chosen:
            await _add_up(connection, questions, sums, chosen, like=like)
    prefix = f"{spool}/"
    rows = await connection.fetch(_POSITIONS, prefix) if spool is not None else []
    return Shipped(sums, {row["segment"].removeprefix(prefix): row["offset"] for row in rows})


async def _add_up(
    connection: asyncpg.Connection,
    questions: Sequence[Question],
    sums: Sequence[Sums],
    chosen: Sequence[int],
    *,
    like: bool,
) -> None:
    asked = _ASKED.format("LIKE" if like else "=")
    places = [(n, span) for n in chosen for span in range(len(questions[n].spans))]
    rows = [
        (place, *_window(questions[n], span, like=like)) for place, (n, span) in enumerate(places)
    ]
    for row in await connection.fetch(_SUMS.format(asked), *_columns(rows)):
        n, span = places[row["place"]]
        sums[n].spans[span] = row["cost"]
    rolling = [(n, *_window(questions[n], 0, like=like)) for n in chosen if _rolls(questions[n])]
    if rolling:
        for row in await connection.fetch(_FIRST.format(asked), *_columns(rolling)):
            sums[row["place"]].first = int(row["first"].timestamp()) * 1_000_000


def _window(question: Question, place: int, *, like: bool) -> tuple[str, str, datetime, datetime]:
    kind, name = question.scope
    start, end = question.spans[place]
    since = datetime.fromtimestamp(start, UTC)
    until = _LATEST if end is None else datetime.fromtimestamp(end, UTC)
    return kind, _like(name) if like else name, since, until


def _columns(rows: Sequence[_Row]) -> list[list[Any]]:
    return [list(values) for values in zip(*rows, strict=True)]


def _rolls(question: Question) -> bool:
    return len(question.spans) > 1


def _like(name: str) -> str:
    before, _, after = name.rpartition("*")
    return f"{_literal(before)}%{_literal(after)}"


def _literal(text: str) -> str:
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return text
