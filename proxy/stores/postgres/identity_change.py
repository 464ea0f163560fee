"""One change of keys or scopes: a transaction with its entry in the audit log.

All changes, of all hosts, take turns: an advisory lock that belongs to the transaction. So what was
read here still holds when it is written, numbers of entries have no gaps, and whoever sees an entry
sees all before it. The notification goes out with the commit.
"""

from dataclasses import replace
from datetime import datetime

import asyncpg

from proxy.base.jsonio import dumps
from proxy.core.identity import Document, Entry, Origin, Rotation, StoredKey, StoredScope
from proxy.core.quota import ScopeKind
from proxy.stores.postgres.identity_rows import (
    BEGINNING,
    ENTRY_COLUMNS,
    KEY_COLUMNS,
    SCOPE_COLUMNS,
    hash_of,
    key_of,
    scope_of,
    told_of_key,
    told_of_scope,
)
from proxy.stores.postgres.sessions import questions

CHANNEL = "llm_proxy_directory"
IDENTITY_LOCK = 0x6C6C6D70_61756474
"""As MIGRATION_LOCK; this one spells llmpaudt."""

_BEGIN = (
    "BEGIN ISOLATION LEVEL READ COMMITTED;"
    "SET LOCAL lock_timeout = '5s';"
    "SET LOCAL statement_timeout = '10s';"
    "SET LOCAL idle_in_transaction_session_timeout = '10s';"
    f"SELECT pg_advisory_xact_lock({IDENTITY_LOCK})"
)
_LAST = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"
_APPEND = (
    f"INSERT INTO audit ({ENTRY_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
)
_KEY = f"SELECT {KEY_COLUMNS} FROM keys WHERE id = $1 AND deleted IS NULL"
_KEY_NAMED = f"SELECT {KEY_COLUMNS} FROM keys WHERE name = $1 AND deleted IS NULL"
_HOLDER = f"SELECT {KEY_COLUMNS} FROM keys WHERE hash = $1 OR old_hash = $1 LIMIT 1"
_SCOPE = f"SELECT {SCOPE_COLUMNS} FROM scopes WHERE kind = $1 AND name = $2"
_SAVE_KEY = f"""
INSERT INTO keys ({KEY_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (id) DO UPDATE SET
    hash = $2, document = $3, version = $4, old_hash = $5, old_until = $6, seq = $7, changed = $9,
    deleted = $10
"""
_SAVE_SCOPE = f"""
INSERT INTO scopes ({SCOPE_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (kind, name) DO UPDATE SET
    document = $3, version = $4, seq = $5, changed = $7, deleted = $8
"""
_ROTATION = """
SELECT key_id, token, request, seed FROM key_rotations
WHERE key_id = $1 AND token = $2 AND at > $3::timestamptz - interval '24 hours'
"""
_FORGET_ROTATIONS = "DELETE FROM key_rotations WHERE at <= $1::timestamptz - interval '24 hours'"
_KEEP_ROTATION = """
INSERT INTO key_rotations (key_id, token, request, seed, at) VALUES ($1, $2, $3, $4, $5)
"""


class PostgresChange:
    """A transaction that is open, and its turn."""

    __slots__ = ("_connection", "_origin", "now", "saved")

    def __init__(self, connection: asyncpg.Connection, origin: Origin, now: datetime) -> None:
        self._connection = connection
        self._origin = origin
        self.now = now
        self.saved = False

    @classmethod
    async def begin(cls, connection: asyncpg.Connection, origin: Origin) -> "PostgresChange":
        """Open it, and wait for the turn."""
        with questions():
            await connection.execute(_BEGIN)
            return cls(connection, origin, await connection.fetchval("SELECT clock_timestamp()"))

    async def commit(self) -> None:
        """Make it last, if anything was saved."""
        with questions():
            await self._connection.execute("COMMIT" if self.saved else "ROLLBACK")

    async def key(self, id: str) -> StoredKey | None:
        return await self._key(_KEY, id)

    async def key_named(self, name: str) -> StoredKey | None:
        return await self._key(_KEY_NAMED, name)

    async def holder(self, hash: bytes) -> StoredKey | None:
        return await self._key(_HOLDER, hash)

    async def _key(self, statement: str, value: object) -> StoredKey | None:
        with questions():
            row = await self._connection.fetchrow(statement, value)
        return key_of(row) if row is not None else None

    async def scope(self, kind: ScopeKind, name: str) -> StoredScope | None:
        with questions():
            row = await self._connection.fetchrow(_SCOPE, kind, name)
        return scope_of(row) if row is not None else None

    async def rotation(self, key_id: str, token: bytes) -> Rotation | None:
        with questions():
            row = await self._connection.fetchrow(_ROTATION, key_id, token, self.now)
        return Rotation(row[0], bytes(row[1]), row[2], bytes(row[3])) if row is not None else None

    async def keep_rotation(self, rotation: Rotation) -> None:
        with questions():
            await self._connection.execute(_FORGET_ROTATIONS, self.now)
            await self._connection.execute(
                _KEEP_ROTATION,
                *(rotation.key_id, rotation.token, rotation.request, rotation.seed, self.now),
            )

    async def save_key(
        self, action: str, key: StoredKey, before: StoredKey | None = None
    ) -> StoredKey:
        saved = replace(
            key,
            version=before.version + 1 if before is not None else 1,
            created=before.created if before is not None else self.now,
            changed=self.now,
        )
        told = told_of_key(before) if before is not None else None
        seq = await self._append(action, "key", key.id, told, told_of_key(saved))
        saved = replace(saved, seq=seq)
        with questions():
            await self._connection.execute(
                _SAVE_KEY,
                *(saved.id, saved.hash, dumps(saved.document).decode(), saved.version),
                *(saved.old_hash, saved.old_until, seq),
                *(saved.created, saved.changed, saved.deleted),
            )
        return saved

    async def save_scope(
        self, action: str, scope: StoredScope, before: StoredScope | None = None
    ) -> StoredScope:
        saved = replace(
            scope,
            version=before.version + 1 if before is not None else 1,
            created=before.created if before is not None else self.now,
            changed=self.now,
        )
        told = told_of_scope(before) if before is not None else None
        seq = await self._append(action, scope.kind, scope.id, told, told_of_scope(saved))
        saved = replace(saved, seq=seq)
        with questions():
            await self._connection.execute(
                _SAVE_SCOPE,
                *(saved.kind, saved.name, dumps(saved.document).decode(), saved.version, seq),
                *(saved.created, saved.changed, saved.deleted),
            )
        return saved

    async def _append(
        self, action: str, kind: str, id_: str, before: Document | None, after: Document
    ) -> int:
        assert not self.saved, "one change, one entry"
        self.saved = True
        with questions():
            last = await self._connection.fetchrow(_LAST)
            seq, previous = (last[0] + 1, bytes(last[1])) if last is not None else (1, BEGINNING)
            draft = Entry(
                seq, self.now, *self._origin, action, kind, id_, before, after, previous, b""
            )
            await self._connection.execute(
                _APPEND,
                *(seq, self.now, *self._origin, action, kind, id_),
                *(dumps(before).decode() if before is not None else None, dumps(after).decode()),
                *(previous, hash_of(draft)),
            )
            await self._connection.execute("SELECT pg_notify($1, $2)", CHANNEL, str(seq))
        return seq
