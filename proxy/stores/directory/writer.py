"""Writes the directory's file, in control. Blocking: to be called in a thread, one call at a time.

Every call is one transaction, but for a rebuild, which is one from `begin` to `finish`. A file that
is broken, of another version or not there is replaced by an empty one, whose position is None until
a rebuild is finished. It is unlinked before its log is, so that no reader can open one without the
other; readers that have it open keep what they know until the new one is whole.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from proxy.base.clock import wall
from proxy.base.jsonio import dumps
from proxy.core.identity import Batch, Changes, StoredKey, StoredScope
from proxy.stores.directory.file import (
    A_KEY,
    APPLICATION,
    EVERYTHING,
    KEPT_CHANGES,
    KEYS_NAME,
    TABLES,
    VERSION,
    Unusable,
    broken_mark,
    identity,
    is_broken,
    is_ours,
)

_PATIENCE = 5.0
_LARGEST_LOG = 16 * 1024 * 1024
_STATE = "INSERT OR REPLACE INTO state (one, source, seq, contact) VALUES (1, ?, ?, ?)"
_KEY = "INSERT OR REPLACE INTO keys (id, document) VALUES (?, ?)"
_HASH = "INSERT OR REPLACE INTO hashes (hash, id, until) VALUES (?, ?, ?)"
_OLD_HASH = "INSERT OR IGNORE INTO hashes (hash, id, until) VALUES (?, ?, ?)"
_SCOPE = "INSERT OR REPLACE INTO scopes (kind, name, document, deleted) VALUES (?, ?, ?, ?)"
_NO_SCOPE = "DELETE FROM scopes WHERE kind = ? AND name = ?"
_CHANGE = "INSERT INTO changes (kind, name) VALUES (?, ?)"
_TRIM = "DELETE FROM changes WHERE number <= (SELECT max(number) FROM changes) - ?"
_EMPTY = ("keys", "hashes", "scopes", "changes", "state")


class DirectoryWriter:
    """The one writer of a file. `source`: which store it is of. Each method raises Unusable."""

    def __init__(self, path: Path, source: str, *, patience: float = _PATIENCE) -> None:
        """`patience`: seconds to wait for whoever holds it locked."""
        self._path = path
        self._patience = patience
        self._source = source
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def position(self) -> int | None:
        """The last change that is in it, or None where it must be built anew."""
        with self._used() as connection:
            row = connection.execute("SELECT source, seq FROM state").fetchone()
        return int(row[1]) if row is not None and row[0] == self._source else None

    def is_lost(self) -> bool:
        """Whether the file was deleted, replaced or found broken since it was used."""
        try:
            return self._connection is not None and self._is_gone()
        except OSError:
            return True  # Whoever uses it next tells why.

    def begin(self) -> None:
        """Begin to build it anew; readers go on with what it was."""
        with self._used() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in _EMPTY:
                connection.execute(f"DELETE FROM {table}")
            connection.execute(_CHANGE, (EVERYTHING, ""))

    def add(self, batch: Batch) -> None:
        """Some of what is to be in it."""
        with self._used() as connection:
            _put_keys(connection, batch.keys)
            _put_scopes(connection, batch.scopes)

    def finish(self, seq: int) -> None:
        """All is in it, as it stood after that change."""
        with self._used() as connection:
            connection.execute(_STATE, (self._source, seq, wall()))
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def give_up(self) -> None:
        """Undo what a rebuild has begun."""
        if self._connection is not None and self._connection.in_transaction:
            with self._used() as connection:
                connection.execute("ROLLBACK")

    def apply(self, changes: Changes) -> None:
        """What changed, all of it or nothing."""
        with self._used() as connection:
            connection.execute("BEGIN IMMEDIATE")
            _forget_keys(connection, changes.keys)
            _put_keys(connection, (key for key in changes.keys if key.deleted is None))
            _put_scopes(connection, changes.scopes)
            connection.executemany(_CHANGE, ((A_KEY, key.id) for key in changes.keys))
            connection.executemany(_CHANGE, ((each.kind, each.name) for each in changes.scopes))
            connection.execute(_TRIM, (KEPT_CHANGES,))
            connection.execute(_STATE, (self._source, changes.seq, wall()))
            connection.execute("COMMIT")

    def asked(self) -> None:
        """The store was asked now, and nothing had changed."""
        with self._used() as connection:
            connection.execute("UPDATE state SET contact = ?", (wall(),))

    def close(self) -> None:
        """Let go of the file. It can be used again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextlib.contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        """The connection; whatever goes wrong closes it, so that the next call begins anew."""
        try:
            yield self._opened()
        except sqlite3.Error as error:
            self.close()
            if is_broken(error):
                self._discard()
            raise Unusable(f"{self._path}: {error}") from error
        except OSError as error:
            self.close()
            raise Unusable(f"{self._path}: {error.strerror or error}") from error
        except BaseException:
            self.close()
            raise

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and self._connection.in_transaction:
            return self._connection
        if self._connection is not None and self._is_gone():
            self.close()
        if self._connection is None:
            self._connection = self._open()
            self._file = identity(self._path)
        return self._connection

    def _is_gone(self) -> bool:
        """Whether the file was deleted, replaced, or found broken by a worker."""
        if broken_mark(self._path).exists():
            return True
        try:
            return identity(self._path) != self._file
        except FileNotFoundError:
            return True

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if broken_mark(self._path).exists() or not self._is_sound():
            self._discard()
        connection = self._connect()
        try:
            if not is_ours(connection):
                _lay_out(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_sound(self) -> bool:
        if not self._path.exists() or self._path.stat().st_size == 0:
            return True
        connection = self._connect()
        try:
            return is_ours(connection) and _is_whole(connection)
        except sqlite3.DatabaseError as error:
            if is_broken(error):
                return False
            raise
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(
            self._path, timeout=self._patience, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            # A crash of the machine may lose the last changes, which are then asked for again.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_LOG}").fetchone()
        except sqlite3.Error as error:
            connection.close()
            if not is_broken(error):
                raise
            self._discard()
            return self._connect()
        return connection

    def _discard(self) -> None:
        """Take the file away, the database before what belongs to it."""
        for path in (
            self._path,
            self._path.with_name(self._path.name + "-wal"),
            self._path.with_name(self._path.name + "-shm"),
            broken_mark(self._path),
        ):
            path.unlink(missing_ok=True)


def _lay_out(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in TABLES.split(";"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _is_whole(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))


def _forget_keys(connection: sqlite3.Connection, keys: Iterable[StoredKey]) -> None:
    """All of them first: a hash may go from one key to another."""
    ids = [(key.id,) for key in keys]
    connection.executemany("DELETE FROM hashes WHERE id = ?", ids)
    connection.executemany("DELETE FROM keys WHERE id = ?", ids)


def _put_keys(connection: sqlite3.Connection, keys: Iterable[StoredKey]) -> None:
    for key in keys:
        connection.execute(_KEY, (key.id, dumps(dict(key.document))))
        connection.execute(_HASH, (key.hash, key.id, None))
        if key.old_hash is not None and key.old_until is not None:
            # A hash that is a living key's own is never taken for another's former one.
            connection.execute(_OLD_HASH, (key.old_hash, key.id, key.old_until.timestamp()))


def _put_scopes(connection: sqlite3.Connection, scopes: Iterable[StoredScope]) -> None:
    for scope in scopes:
        deleted = scope.deleted is not None
        if deleted and scope.kind not in KEYS_NAME:
            connection.execute(_NO_SCOPE, (scope.kind, scope.name))
        else:
            row = (scope.kind, scope.name, dumps(dict(scope.document)), deleted)
            connection.execute(_SCOPE, row)
