"""What is known of keys and scopes, and what changes: the IdentityFeed port, from PostgreSQL.

Notifications come over LISTEN on a connection of its own. They are hints: what changed is read by
the number of the last change, so one that is lost, doubled or late does no harm. On the same
connection the last number is looked up every second: that finds a dead link, and it works behind a
transaction pooler, which lets no notification through.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg

from proxy.core.accounting import StoreAway
from proxy.core.identity import Batch, Changes, Snapshot
from proxy.stores.postgres.identity_change import CHANNEL
from proxy.stores.postgres.identity_rows import KEY_COLUMNS, SCOPE_COLUMNS, key_of, scope_of
from proxy.stores.postgres.sessions import questions, session

log = logging.getLogger("llm-proxy.directory")

_STEP = 1000
_LOOK = 1.0  # Seconds.
_BEGINNING = 0.2  # The same, until there is a store, and at first where it has no tables yet.
_ANSWER = 5.0
_LONG_ANSWER = 40.0  # A little more than statements may take: the server may hang.
_READ = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    "SET LOCAL statement_timeout = '30s';"
    "SET LOCAL idle_in_transaction_session_timeout = '10min'"
)
_LAST = "SELECT coalesce(max(seq), 0) FROM audit"
_KEYS = (
    f"SELECT {KEY_COLUMNS} FROM keys WHERE deleted IS NULL AND id > $1 ORDER BY id LIMIT {_STEP}"
)
_SCOPES = f"""
SELECT {SCOPE_COLUMNS} FROM scopes
WHERE (kind, name) > ($1, $2) AND (deleted IS NULL OR kind IN ('team', 'user', 'project'))
ORDER BY kind, name LIMIT {_STEP}
"""
_CHANGED_KEYS = f"SELECT {KEY_COLUMNS} FROM keys WHERE seq > $1 ORDER BY seq LIMIT {_STEP}"
_CHANGED_SCOPES = f"SELECT {SCOPE_COLUMNS} FROM scopes WHERE seq > $1 ORDER BY seq LIMIT {_STEP}"


class PostgresFeed:
    """The IdentityFeed. `address`: the database's URL; None while there is none."""

    def __init__(self, address: Callable[[], str | None]) -> None:
        self._address = address

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        async with self._reading() as (connection, seq):
            yield Snapshot(seq, _batches(connection))

    async def changes(self, after: int) -> Changes:
        async with self._reading() as (connection, last):
            if last < after:
                return Changes(last, lost=True)
            with questions():
                keys = tuple(map(key_of, await connection.fetch(_CHANGED_KEYS, after)))
                scopes = tuple(map(scope_of, await connection.fetch(_CHANGED_SCOPES, after)))
        # Where one list was cut, nothing behind its end may be taken from the other either.
        full = [rows[-1].seq for rows in (keys, scopes) if len(rows) == _STEP]
        if not full:
            return Changes(last, keys, scopes)
        end = min(full)
        return Changes(
            end,
            tuple(key for key in keys if key.seq <= end),
            tuple(scope for scope in scopes if scope.seq <= end),
            more=True,
        )

    async def follow(self, news: Callable[[], None]) -> None:
        told = ""
        pause = _BEGINNING
        while True:
            try:
                await self._listen(news)
            except StoreAway as error:
                if str(error) != told:
                    log.info("changes of keys are not heard of now: %s", error)
                told = str(error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LOOK) if self._address() is not None else _BEGINNING

    async def _listen(self, news: Callable[[], None]) -> None:
        def heard(_connection: Any, _process: int, _channel: str, _number: object) -> None:
            news()

        seen: int | None = None
        async with session(self._dsn(), _ANSWER) as connection:
            try:
                with questions():
                    await connection.add_listener(CHANNEL, heard)
                while True:
                    with questions():
                        last = await connection.fetchval(_LAST)
                    if last != seen:
                        seen = last
                        news()
                    await asyncio.sleep(_LOOK)
            finally:
                # Not with a farewell to a server that may not answer any more.
                connection.terminate()

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[tuple[asyncpg.Connection, int]]:
        async with session(self._dsn(), _LONG_ANSWER) as connection:
            with questions():
                await connection.execute(_READ)
                last = await connection.fetchval(_LAST)
            yield connection, last

    def _dsn(self) -> str:
        if (dsn := self._address()) is None:
            raise StoreAway("it is being started")
        return dsn


async def _batches(connection: asyncpg.Connection) -> AsyncIterator[Batch]:
    """Scopes first, so that no key is known before what stands around it."""
    kind, name = "", ""
    while True:
        with questions():
            scopes = tuple(map(scope_of, await connection.fetch(_SCOPES, kind, name)))
        if scopes:
            kind, name = scopes[-1].kind, scopes[-1].name
            yield Batch(scopes=scopes)
        if len(scopes) < _STEP:
            break
    last = ""
    while True:
        with questions():
            keys = tuple(map(key_of, await connection.fetch(_KEYS, last)))
        if keys:
            last = keys[-1].id
            yield Batch(keys=keys)
        if len(keys) < _STEP:
            break
