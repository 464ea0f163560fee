"""Rows of keys, scopes and the audit log, and the chain that holds the log together.

The hash of an entry is SHA-256 of its canonical JSON: the fields of `_told`, sorted by name, in
UTF-8 without spaces, the hash of the entry before it among them (docs/admin.md tells auditors).
"""

import hashlib
from datetime import UTC, datetime
from typing import Any

import asyncpg

from proxy.base.jsonio import dumps, loads
from proxy.core.identity import Document, Entry, StoredKey, StoredScope

KEY_COLUMNS = "id, hash, document, version, old_hash, old_until, seq, created, changed, deleted"
SCOPE_COLUMNS = "kind, name, document, version, seq, created, changed, deleted"
ENTRY_COLUMNS = "seq, at, actor, address, action, kind, id, before, after, previous, hash"
BEGINNING = bytes(32)
"""What stands before the first entry."""

_SHOWN_OF_A_HASH = 8


def key_of(row: asyncpg.Record) -> StoredKey:
    """A row of KEY_COLUMNS."""
    id_, hash_, document, *rest = row
    return StoredKey(id_, bytes(hash_), loads(document), *rest)


def scope_of(row: asyncpg.Record) -> StoredScope:
    """A row of SCOPE_COLUMNS."""
    kind, name, document, *rest = row
    return StoredScope(kind, name, loads(document), *rest)


def entry_of(row: asyncpg.Record) -> Entry:
    """A row of ENTRY_COLUMNS."""
    fields = dict(row.items())
    for name in ("before", "after"):
        fields[name] = loads(fields[name]) if fields[name] is not None else None
    for name in ("previous", "hash"):
        fields[name] = bytes(fields[name])
    return Entry(**fields)


def told_of_key(key: StoredKey) -> Document:
    """What the log says of a key: of its hash no more than tells two apart."""
    return {
        **key.document,
        "version": key.version,
        "hash_prefix": key.hash.hex()[:_SHOWN_OF_A_HASH],
        "old_until": _moment(key.old_until),
        "deleted": _moment(key.deleted),
    }


def told_of_scope(scope: StoredScope) -> Document:
    """What the log says of a scope."""
    return {**scope.document, "version": scope.version, "deleted": _moment(scope.deleted)}


def hash_of(entry: Entry) -> bytes:
    """The hash that an entry must have."""
    return hashlib.sha256(dumps(_ordered(_told(entry)))).digest()


def _told(entry: Entry) -> dict[str, Any]:
    return {
        "action": entry.action,
        "actor": entry.actor,
        "address": entry.address,
        "after": entry.after,
        "at": f"{entry.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        "before": entry.before,
        "id": entry.id,
        "kind": entry.kind,
        "previous": entry.previous.hex(),
        "seq": entry.seq,
    }


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_ordered(each) for each in value]
    return value


def _moment(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at is not None else None
