"""Reads the directory's file, in a worker. Blocking: to be called in a thread, one call at a time.

`look` costs two system calls while nothing changes. It compares SQLite's data version, then reads
what changed behind the last number seen; where that is not all there any more, or the file is
another one, everything is news. A file found broken is marked, for control to make it anew.
"""

import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, cast
from urllib.parse import quote

from proxy.core.quota import Scope, ScopeKind
from proxy.stores.directory.file import (
    A_KEY,
    EVERYTHING,
    Unusable,
    broken_mark,
    identity,
    is_broken,
    is_ours,
)

log = logging.getLogger("llm-proxy.directory")

_PATIENCE = 1.0
_NOT_YET = "control has not finished it yet"
_KEY = (
    "SELECT h.id, k.document, h.until FROM hashes AS h JOIN keys AS k ON k.id = h.id"
    " WHERE h.hash = ?"
)
_SCOPES = "SELECT kind, name, document, deleted FROM scopes"
_CHANGED = "SELECT DISTINCT kind, name FROM changes WHERE number > ?"


class KeyRow(NamedTuple):
    """What a hash leads to. `until`: seconds since the epoch, for the key before a rotation."""

    id: str
    document: bytes
    until: float | None


class ScopeRow(NamedTuple):
    """What stands around a scope."""

    document: bytes
    deleted: bool


class News(NamedTuple):
    """What changed. `everything`: all that was known is void, and `scopes` has all there are.
    `keys` are ids, `hashes` those that lead to them now; None: a scope that is gone."""

    everything: bool
    keys: frozenset[str]
    hashes: frozenset[bytes]
    scopes: dict[Scope, ScopeRow | None]


class DirectoryReader:
    """One reader of a file. `source`: the store that it must be of. Raises Unusable."""

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._source = source
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._version: int | None = None
        self._seen: int | None = None  # The last change read; None: nothing was.

    def look(self) -> News | None:
        """What changed since the last look, or None."""
        try:
            if self._connection is None or identity(self._path) != self._file:
                self._open()
            assert self._connection is not None
            # Asked for before: a change that comes in between is looked at once more.
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            if version == self._version:
                return None
            news = self._read(self._connection)
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error
        self._version = version
        return news

    def keys(self, hashes: Iterable[bytes]) -> dict[bytes, KeyRow | None]:
        """The living key that each hash leads to, if any."""
        if self._connection is None or self._seen is None:
            raise Unusable(_NOT_YET)
        execute = self._connection.execute
        try:
            rows = [(hash_, execute(_KEY, (hash_,)).fetchone()) for hash_ in hashes]
        except sqlite3.Error as error:
            raise self._failed(error) from error
        return {hash_: KeyRow(*row) if row is not None else None for hash_, row in rows}

    def close(self) -> None:
        """Let go of the file. The next look opens it again, and then everything is news."""
        connection, self._connection = self._connection, None
        self._seen = self._version = None
        if connection is not None:
            connection.close()

    def _open(self) -> None:
        self.close()
        self._file = identity(self._path)
        # Not read-only: whoever comes first after a crash has to mend the log.
        address = f"file:{quote(str(self._path))}?mode=rw"
        self._connection = connection = sqlite3.connect(
            address, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA query_only = 1")
        # The log is opened with the first question: it must be the log of this file.
        if not is_ours(connection) or identity(self._path) != self._file:
            self.close()
            raise Unusable(_NOT_YET)

    def _read(self, connection: sqlite3.Connection) -> News | None:
        connection.execute("BEGIN")
        try:
            state = connection.execute("SELECT source FROM state").fetchone()
            if state is None or state[0] != self._source:
                self._seen = None
                raise Unusable(_NOT_YET)
            first, last = connection.execute(
                "SELECT min(number), max(number) FROM changes"
            ).fetchone()
            seen, self._seen = self._seen, last
            if seen == last:
                return None
            if seen is None or seen + 1 < first:
                return _all(connection)
            changed = connection.execute(_CHANGED, (seen,)).fetchall()
            if (EVERYTHING, "") in changed:
                return _all(connection)
            return _some(connection, changed)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _failed(self, error: Exception) -> Unusable:
        """Close it, mark it if it is broken, and say so."""
        self.close()
        if isinstance(error, sqlite3.Error) and is_broken(error):
            try:
                broken_mark(self._path).touch()
            except OSError as why:
                log.warning("%s is broken, and cannot be marked: %s", self._path, why)
        if isinstance(error, FileNotFoundError):
            return Unusable("control has not begun it yet")
        return Unusable(str(error))


def _all(connection: sqlite3.Connection) -> News:
    scopes: dict[Scope, ScopeRow | None] = {
        Scope(kind, name): ScopeRow(document, bool(deleted))
        for kind, name, document, deleted in connection.execute(_SCOPES)
    }
    return News(everything=True, keys=frozenset(), hashes=frozenset(), scopes=scopes)


def _some(connection: sqlite3.Connection, changed: list[tuple[str, str]]) -> News:
    keys = frozenset(name for kind, name in changed if kind == A_KEY)
    hashes: set[bytes] = set()
    for id_ in keys:
        found = connection.execute("SELECT hash FROM hashes WHERE id = ?", (id_,))
        hashes.update(row[0] for row in found)
    scopes: dict[Scope, ScopeRow | None] = {}
    for kind, name in changed:
        if kind != A_KEY:
            row = connection.execute(
                f"{_SCOPES} WHERE kind = ? AND name = ?", (kind, name)
            ).fetchone()
            scope = Scope(cast("ScopeKind", kind), name)
            scopes[scope] = ScopeRow(row[2], bool(row[3])) if row is not None else None
    return News(everything=False, keys=keys, hashes=frozenset(hashes), scopes=scopes)
