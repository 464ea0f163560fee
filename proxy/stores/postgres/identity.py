"""Keys, scopes and their audit log in PostgreSQL: the IdentityStore port.

A connection for each call: they are rare, and few at a time, so that they take no connections away
from what writes usage. Lists walk an index from where the last page ended, however long they are.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import asyncpg

from proxy.core.accounting import StoreAway
from proxy.core.identity import Entry, KeyFilter, Origin, StoredKey, StoredScope, Verdict
from proxy.core.quota import ScopeKind
from proxy.core.switches import SWITCH
from proxy.stores.postgres.identity_change import PostgresChange
from proxy.stores.postgres.identity_rows import (
    BEGINNING,
    ENTRY_COLUMNS,
    KEY_COLUMNS,
    SCOPE_COLUMNS,
    entry_of,
    hash_of,
    key_of,
    scope_of,
)
from proxy.stores.postgres.sessions import questions, session

_AT_ONCE = 4
_STEP = 500
_ANSWER = 12.0  # Seconds. A little more than statements may take: the server may hang.
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '10s'"
_KEY = f"SELECT {KEY_COLUMNS} FROM keys WHERE id = $1"
_BY_HASH = f"""
SELECT {KEY_COLUMNS} FROM keys AS k
WHERE deleted IS NULL AND (hash = $1 OR (old_hash = $1 AND old_until > clock_timestamp()))
    AND NOT EXISTS (
        SELECT FROM scopes AS s
        WHERE (s.kind, s.name) IN (('team', k.team), ('user', k.user_id), ('project', k.project))
            AND (s.deleted IS NOT NULL OR s.document -> 'blocked' = 'true'))
"""
_SCOPE = f"SELECT {SCOPE_COLUMNS} FROM scopes WHERE kind = $1 AND name = $2 AND deleted IS NULL"
_ENTRIES = f"SELECT {ENTRY_COLUMNS} FROM audit WHERE seq > $1 ORDER BY seq LIMIT {_STEP}"
_NEWEST_USED = """
SELECT greatest((SELECT max(seq) FROM keys), (SELECT max(seq) FROM scopes), 0)
"""


class PostgresIdentity:
    """The IdentityStore. `address`: the database's URL; None while there is none."""

    def __init__(self, address: Callable[[], str | None]) -> None:
        self._address = address
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def change(self, origin: Origin) -> AsyncIterator[PostgresChange]:
        # Whoever leaves early closes the connection, and the server rolls back.
        async with self._turn, session(self._dsn(), _ANSWER) as connection:
            change = await PostgresChange.begin(connection, origin)
            yield change
            await change.commit()

    async def key(self, id: str) -> StoredKey | None:
        async with self._reading() as connection:
            row = await connection.fetchrow(_KEY, id)
        return key_of(row) if row is not None else None

    async def key_by_hash(self, hash: bytes) -> StoredKey | None:
        async with self._reading() as connection:
            row = await connection.fetchrow(_BY_HASH, hash)
        return key_of(row) if row is not None else None

    async def keys(self, wanted: KeyFilter, limit: int, after: str | None) -> tuple[StoredKey, ...]:
        conditions = ["deleted IS NOT NULL" if wanted.deleted else "deleted IS NULL"]
        values: list[object] = [limit]
        for column, value in (
            ("name", wanted.name),
            ("team", wanted.team),
            ("user_id", wanted.user),
        ):
            if value is not None:
                values.append(value)
                conditions.append(f"{column} = ${len(values)}")
        if after is not None:
            values.append(after)
            conditions.append(f"id > ${len(values)}")
        statement = (
            f"SELECT {KEY_COLUMNS} FROM keys WHERE {' AND '.join(conditions)} ORDER BY id LIMIT $1"
        )
        async with self._reading() as connection:
            return tuple(map(key_of, await connection.fetch(statement, *values)))

    async def scope(self, kind: ScopeKind, name: str) -> StoredScope | None:
        async with self._reading() as connection:
            row = await connection.fetchrow(_SCOPE, kind, name)
        return scope_of(row) if row is not None else None

    async def scopes(
        self, kind: ScopeKind | None, limit: int, after: tuple[str, str] | None
    ) -> tuple[StoredScope, ...]:
        conditions = ["deleted IS NULL"]
        values: list[object] = [limit, *(after or ())]
        if after is not None:
            conditions.append("(kind, name) > ($2, $3)")
        if kind is None:
            conditions.append(f"kind <> '{SWITCH}'")  # Kept in the same way, and no scope.
        else:
            values.append(kind)
            conditions.append(f"kind = ${len(values)}")
        statement = (
            f"SELECT {SCOPE_COLUMNS} FROM scopes WHERE {' AND '.join(conditions)}"
            " ORDER BY kind, name LIMIT $1"
        )
        async with self._reading() as connection:
            return tuple(map(scope_of, await connection.fetch(statement, *values)))

    async def audit(self, limit: int, before: int | None, about: str | None) -> tuple[Entry, ...]:
        conditions: list[str] = ["true"]
        values: list[object] = [limit]
        for condition, value in (("seq <", before), ("id =", about)):
            if value is not None:
                values.append(value)
                conditions.append(f"{condition} ${len(values)}")
        statement = (
            f"SELECT {ENTRY_COLUMNS} FROM audit WHERE {' AND '.join(conditions)}"
            " ORDER BY seq DESC LIMIT $1"
        )
        async with self._reading() as connection:
            return tuple(map(entry_of, await connection.fetch(statement, *values)))

    async def verify(self) -> Verdict:
        seq, hash_ = 0, BEGINNING
        async with self._reading() as connection:
            while rows := await connection.fetch(_ENTRIES, seq):
                for entry in map(entry_of, rows):
                    if reason := _fault(entry, seq, hash_):
                        return Verdict(seq, seq, hash_, seq + 1, reason)
                    seq, hash_ = entry.seq, entry.hash
                await asyncio.sleep(0)  # The log may be long, and others wait.
            used = await connection.fetchval(_NEWEST_USED)
        if used > seq:
            return Verdict(seq, seq, hash_, seq + 1, f"entries up to {used} are missing")
        return Verdict(seq, seq, hash_)

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._places, session(self._dsn(), _ANSWER) as connection:
            with questions():
                await connection.execute(_READ)
                yield connection

    def _dsn(self) -> str:
        if (dsn := self._address()) is None:
            raise StoreAway("it is being started")
        return dsn


def _fault(entry: Entry, seq: int, previous: bytes) -> str | None:
    """What is wrong with the entry that follows `seq`."""
    if entry.seq != seq + 1:
        return f"entry {seq + 1} is missing"
    if entry.previous != previous:
        return "it does not continue the entry before it"
    if hash_of(entry) != entry.hash:
        return "it is not what was written"
    return None
